/*
 * Which zones and nodes the endpoints of a port name: made once with the Service, so that the view of a place (model/view.h) is a few
 * look-ups however many endpoints and places there are.
 *
 * Immutable. Owns nothing: memory comes from an arena, text is that of the endpoints.
 */
#ifndef MODEL_VIEW_NAMES_H
#define MODEL_VIEW_NAMES_H

#include "model/arena.h"
#include "model/service.h"

/* An open-addressed set of names. */
struct view_name_set {
    struct str *slots; /* mask + 1 of them; empty: free */
    size_t mask, len;
};

/* Hints of one address family's ready endpoints; empty where not every one has some. */
struct view_hints {
    struct view_name_set zones, nodes;
};

/* An endpoint that is listed. */
struct view_on_node {
    uint64_t hash; /* of the node's name */
    struct str node;
    uint32_t index; /* in port->list.items */
};

struct view_names {
    struct view_hints ipv4, ipv6;
    /* With internalTrafficPolicy Local: what of port->all can be listed, by node, then in the same order. */
    struct listed *local;
    size_t local_len;
    struct view_name_set near_zones; /* that are preferred */
    /* PreferNode: what of port->list is on a node; that of one node lies together, in the same order. */
    struct view_on_node *on_nodes;
    size_t on_nodes_len;
    /* Where lists are cut: indices of port->all in an order that has nothing to do with who is near whom, but stays when others come and go. */
    uint32_t *order;
};

/* `list` and `waits` of the port are there. */
const struct view_names *view_names_new(const struct service_port *port, struct arena *arena) must_check;
bool view_names_have(const struct view_name_set *set, struct str name);
/* That node's part of `local`. */
const struct listed *view_names_local(const struct view_names *names, struct str node, size_t *ret_len);
/* And of `on_nodes`. */
const struct view_on_node *view_names_on_node(const struct view_names *names, struct str node, size_t *ret_len);

#endif
