/*
 * Where a client is, as far as it is known.
 *
 * Source of each, the first that says something: the xDS node's locality, its metadata `node`, the native request's place, the client's
 * address among known endpoints (design section 3).
 */
#ifndef MODEL_PLACE_H
#define MODEL_PLACE_H

#include "base/str.h"

struct place {
    struct str zone; /* empty: unknown */
    struct str node;
};

static inline bool place_equal(const struct place *a, const struct place *b)
{
    return str_eq(a->zone, b->zone) && str_eq(a->node, b->node);
}

#endif
