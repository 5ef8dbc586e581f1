/*
 * Which of a Service port's endpoints a client at some place gets, as kube-proxy decides it (KEP-2433, KEP-3015, KEP-4444, KEP-2086).
 *
 * Per address family, over the ready endpoints: if every one has node hints and one of them names the client's node → those that do; else
 * if every one has zone hints and one of them names its zone → those that do; else all. With internalTrafficPolicy Local only endpoints of
 * the client's node count (ready, else serving and terminating, else none); a client of unknown node gets all; of a headless Service that
 * policy says nothing, being about what nodes do with traffic that comes to a ClusterIP. A name that means one pod means it from everywhere:
 * that is the view of an unknown place.
 *
 * Pure. A view is what a place comes down to: places with equal views get equal lists, so that lists are made and encoded once for each
 * view.
 */
#ifndef MODEL_VIEW_H
#define MODEL_VIEW_H

#include "model/arena.h"
#include "model/place.h"
#include "model/service.h"

enum view_kind { VIEW_ALL, VIEW_ZONE, VIEW_NODE, VIEW_LOCAL, VIEW_KINDS };

/* Text is borrowed from the place. */
struct view {
    enum view_kind ipv4, ipv6;
    struct str zone; /* empty unless a family is VIEW_ZONE */
    struct str node; /* empty unless a family is VIEW_NODE or VIEW_LOCAL; VIEW_LOCAL and empty: a node without endpoints */
};

/* The Service asks for its node's endpoints only, and the place does not say the node: to be counted. */
bool view_is_blind(const struct service_port *port, const struct place *place);
/* Whether lists differ by place at all: what service_new() makes port->by_place of. */
bool view_depends(const struct service_port *port);
/* VIEW_ALL for both families where the port does not depend on the place. O(1). */
struct view view_of(const struct service_port *port, const struct place *place);
bool view_equal(const struct view *a, const struct view *b);
/* The same order and rules as service_port.list, which is the list of VIEW_ALL; `view` is one of this very port. Memory of the result comes
 * from `arena`, or is the port's own. */
void view_list(const struct service_port *port, const struct view *view, struct arena *arena, struct backend_list *ret_list);
const char *view_kind_name(enum view_kind kind); /* "all", "zone", "node", "local" */

#endif
