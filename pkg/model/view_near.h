/*
 * The list of a Service port for those who prefer what is near (PreferZone, PreferNode), where nobody's is cut: all of port->list, split by how
 * far it is. There may be one for every node, so it is copied from that list by the run, and told apart without being made.
 *
 * Pure.
 */
#ifndef MODEL_VIEW_NEAR_H
#define MODEL_VIEW_NEAR_H

#include "model/view.h"

/* A node's list, whole: there may be as many as nodes, each as long as port->list. */
static inline bool view_is_of_node(const struct view *view)
{
    return view->ipv4 == VIEW_NEAR_NODE && view->group == 0;
}

/* Of VIEW_NEAR_ZONE and VIEW_NEAR_NODE without a group, as view_list(). Cost: what it takes to copy port->list. */
void view_near_list(const struct service_port *port, const struct view *view, struct arena *arena, struct backend_list *ret_list);
/* Of view_is_of_node(), with port->list: another one for another list, the same for the same, on every machine. The cost is that of the node's own
 * endpoints. */
uint64_t view_near_hash(const struct service_port *port, const struct view *view);

#endif
