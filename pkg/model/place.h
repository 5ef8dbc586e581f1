/*
 * Where a client is, as far as it is known.
 *
 * Source of each, the first that says something: the xDS node's locality, its metadata `node`, the native request's place, the client's
 * address among known endpoints (design section 3).
 */
#ifndef MODEL_PLACE_H
#define MODEL_PLACE_H

#include "base/hash.h"

/* Clients are shared out evenly among so many groups, each of which gets its part of a list that nobody is to get whole (policy.subset_size). */
#define PLACE_GROUPS 64

struct place {
    struct str zone; /* empty: unknown */
    struct str node;
    unsigned group; /* 1..PLACE_GROUPS; 0: in none, and nothing is cut for it */
};

/* The group of the client that calls itself `id` (may be empty) and comes from that address (without port; may be empty): the same on every
 * replica, and after every reconnect from there. */
static inline unsigned place_group(struct str id, struct str address)
{
    return 1 + (unsigned)(hash_mix(hash_content(id.ptr, id.len), hash_content(address.ptr, address.len)) % PLACE_GROUPS);
}

static inline bool place_equal(const struct place *a, const struct place *b)
{
    return str_eq(a->zone, b->zone) && str_eq(a->node, b->node) && a->group == b->group;
}

#endif
