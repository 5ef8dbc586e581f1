/* What the files of the network share: both ends of a call. */
#ifndef SIMULATE_FAKE_GRPC_INTERNAL_H
#define SIMULATE_FAKE_GRPC_INTERNAL_H

#include "fake_grpc.h"
#include "fake_loop.h"
#include "grpc/server.h"

/* ---- fake_call.c: the client's end, and the wire ---- */

struct message {
    struct list link;
    uint64_t due_us;
    bool half_close;
    struct delivery delivery;
    char bytes[]; /* what is delivered */
};

struct call {
    struct list link;
    int fd; /* negative once it is accepted */
    struct address peer;
    struct str path;
    struct rpc *rpc; /* the server's end; NULL: not yet accepted, or over */
    struct list up, down;
    size_t down_len, room, sent;
    struct message *last; /* what was read last */
};

struct message *message_new(const void *ptr, size_t len);
/* Messages of one direction do not overtake each other. */
void message_add(struct list *queue, struct message *message);
uint64_t messages_due(const struct list *queue);
/* The client has yet to read as much as it has room for. */
bool call_is_full(const struct call *call);
/* The message goes to the client. */
void call_tell(struct call *call, struct message *message);
/* The server's end is gone: the client is told so. */
void call_end(struct call *call, enum code code);
/* The one with that descriptor; NULL: the client has gone meanwhile. */
struct call *call_accepted(int fd);

/* ---- fake_rpc.c: the server's end, as its handler sees it ---- */

struct rpc {
    struct list link;       /* server.calls */
    struct list ready_link; /* server.ready[] */
    struct grpc_server *server;
    struct call *call; /* NULL: the client is gone */
    const struct rpc_handler *handler;
    void *state, *connection;
    struct address peer;
    uint64_t id, opened_us, bytes_sent;
    bool finishing, stalled;
    bool polled; /* a turn has begun since the connection came: what it brings can be read */
    enum code code;
    struct rpc_out out;
    /* of the message in `out`, as in struct delivery */
    uint64_t pulled_us, fresh_us;
    size_t pulled_heard, heard;
};

/* Of a new call of `server`; `call` NULL: the client has gone meanwhile. */
struct rpc *rpc_new(struct grpc_server *server, struct call *call, const struct address *peer,
                    void *connection);
/* The call is over, for whatever reason. */
void rpc_release(struct rpc *rpc, enum code code);
/* When something comes in, or can go out. */
uint64_t rpc_due(const struct rpc *rpc);
/* Takes what came in, and lets out what waits for room. May release it. */
void rpc_turn(struct rpc *rpc);
/* Asks its handler for messages while there is room. May release it. */
void rpc_flush(struct rpc *rpc);

/* ---- fake_grpc.c ---- */

struct grpc_server {
    struct grpc_server_options options;
    struct grpc_server_stats stats;
    struct loop_io io;
    struct list calls;
    struct list ready[2]; /* by enum rpc_wake */
    struct deferred flush, drained;
    bool draining;
    void (*on_drained)(void *ctx);
    void *drained_ctx;
};

#endif
