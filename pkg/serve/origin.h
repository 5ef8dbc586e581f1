/*
 * Which pods the clients of a worker connect from: the table that is in force, and the connections by their addresses, so that a new table
 * costs what differs of it. Only where that is an address that a client has are all calls of the worker looked at, once (on_pods()).
 *
 * Threads: the worker's loop.
 * Limits:  some 130 bytes for each distinct address.
 */
#ifndef SERVE_ORIGIN_H
#define SERVE_ORIGIN_H

#include "base/list.h"
#include "model/pod_table.h"
#include "net/address.h"

struct origin_address;

/* {0}-initialised. */
struct origins {
    const struct pod_table *pods; /* NULL: none yet */
    struct origin_address *addresses;
    uint64_t round; /* of the newest table */
};

/* A connection's place in them. {0}-initialised: in none. */
struct origin {
    struct list link;
    struct origins *origins;
    struct origin_address *address; /* NULL: none that a pod could have */
    uint64_t moved; /* the round in which its address came to mean somebody else last; 0: never */
};

/* Every origin must have left. */
void origins_done(struct origins *origins);
void origin_join(struct origins *origins, struct origin *origin, const struct address *peer);
void origin_leave(struct origin *origin); /* twice is once */
/* Whose pod's it is (pod_table_find()). */
enum pod_owner origin_find(const struct origins *origins, const struct address *peer, struct str *ret_account);
/* Takes over one reference. True: for some connection it means somebody else, or nobody any more, or somebody now: their origins have
 * moved in this round. */
bool origins_publish(struct origins *origins, const struct pod_table *pods);

#endif
