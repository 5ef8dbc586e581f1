/*
 * The list of a Service port: which of its backends, joined by pod, in order (rules in model/service.h).
 *
 * Pure. Cost: O(port->all_len).
 */
#ifndef MODEL_LIST_H
#define MODEL_LIST_H

#include "model/arena.h"
#include "model/service.h"

/* Whether a list may have this backend at all. */
typedef bool list_keep_fn(const void *ctx, const struct backend *backend);

/* Of those that `keep` (NULL: all) takes out of port->all: the ready ones; where none is ready, those that are serving and terminating.
 * Memory of the result comes from `arena`. */
void list_make(const struct service_port *port, list_keep_fn *keep, const void *ctx, struct arena *arena, struct backend_list *ret_list);

#endif
