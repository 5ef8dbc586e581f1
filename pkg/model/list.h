/*
 * The list of a Service port: which of its backends, joined by pod, in order (rules in model/service.h).
 *
 * Pure. Cost: O(port->all_len).
 */
#ifndef MODEL_LIST_H
#define MODEL_LIST_H

#include "model/arena.h"
#include "model/service.h"

enum { LIST_RANKS = 3 };

/* What a client's place makes of a list. {0}: nothing. */
struct list_rules {
    /* Whether a list may have this backend at all; NULL: any. */
    bool (*keep)(const void *ctx, const struct backend *backend);
    /* How far it is from the client: < LIST_RANKS. Ranks become priorities, without gaps; all have the same where no endpoint is ready. No
     * zone may have endpoints of two ranks, but for rank 0 where it has a sub_zone. NULL: all are 0. */
    unsigned (*rank)(const void *ctx, const struct listed *listed);
    const void *ctx;
    struct str sub_zone; /* of localities of rank 0; empty: none */
    /* The client's group, 0: nothing is cut. Of every priority with more than policy->subset_size endpoints it gets that many, next to each other
     * in `order` (indices of port->all), so that all endpoints are in as many groups, give or take one, and an endpoint that comes or goes
     * moves few others. */
    unsigned group;
    const uint32_t *order;
};

/* Of those that `rules` (NULL: none) let in: the ready ones; where none is ready, what the port's policy says, with as many as it says.
 * Memory of the result comes from `arena`, or is the port's. */
void list_make(const struct service_port *port, const struct list_rules *rules, struct arena *arena, struct backend_list *ret_list);

#endif
