/*
 * The network between the simulated clients and the serving loops: grpc/rpc.h, grpc/server.h and
 * net/listener.h without sockets. A call is a connection of its own; messages stay whole.
 *
 * Room: so many messages lie unread between a server and its client, then the call is stalled and its
 * handler is not asked for more until the client reads.
 */
#ifndef SIMULATE_FAKE_GRPC_H
#define SIMULATE_FAKE_GRPC_H

#include "base/buf.h"
#include "net/address.h"

#define CALL_ROOM_MAX 3

struct call;

/* What a client reads: a message, or the end of the call. */
struct delivery {
    bool ended;
    enum code code; /* of the end */
    struct str bytes;
    uint64_t pulled_us; /* when the server made the message */
    uint64_t
        fresh_us; /* the serving loop had nothing to do then last: it knew all that was published */
    size_t heard; /* messages of the client that the server had read by then */
};

/* Connects and starts a call of that method. NULL: nobody listens. */
struct call *call_open(const struct address *peer, struct str path) must_check;
/* The client is gone, with its connection; nothing comes after it. NULL is fine. */
void call_drop(struct call *call);
/* Returns the number of the message: 1, 2, ... */
size_t call_send(struct call *call, const void *ptr, size_t len);
void call_half_close(struct call *call);
/* When there is something to read. */
uint64_t call_due(const struct call *call);
/* False: nothing. `bytes` live until the next call. */
bool call_read(struct call *call, struct delivery *ret_delivery) must_check;
/* Nothing is on its way in either direction. *ret_fresh_us: as in struct delivery. */
bool call_settled(const struct call *call, uint64_t *ret_fresh_us) must_check;
/* Calls that nobody dropped. */
size_t calls_open(void);

#endif
