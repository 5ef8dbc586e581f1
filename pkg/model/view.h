/*
 * Which of a Service port's endpoints a client at some place gets, as kube-proxy decides it (KEP-2433, KEP-3015, KEP-4444, KEP-2086).
 *
 * Per address family, over the ready endpoints: if every one has node hints and one of them names the client's node → those that do; else
 * if every one has zone hints and one of them names its zone → those that do; else all. With internalTrafficPolicy Local only endpoints of
 * the client's node count (ready, else serving and terminating, else none); a client of unknown node gets all; of a headless Service that
 * policy says nothing, being about what nodes do with traffic that comes to a ClusterIP. A name that means one pod means it from everywhere:
 * that is the view of an unknown place.
 *
 * Where the port's policy says otherwise, whatever hints and internalTrafficPolicy say:
 *   None        all, for everybody
 *   PreferZone  a client whose zone has at least minimum_per_zone pods ready, and has had for ZONE_WAIT_US if it once had fewer: those of its
 *               zone with priority 0, all others with priority 1. Else all with priority 0
 *   PreferNode  a client on a node with an endpoint that is ready: those on the node with priority 0, in localities of their own ({zone, node}: no
 *               locality may stand in two priorities), then the rest of its zone, then the others. Else as PreferZone with a minimum of 1
 * What a client counts as its zone's is what that zone lists: an endpoint has one locality for a given client as long as it lives.
 *
 * Of a list with more than subset_size endpoints, clients whose group is known get their group's part (model/list.h), within each priority; not of
 * what internalTrafficPolicy Local leaves.
 *
 * Pure. A view is what a place comes down to: places with equal views get equal lists, so that lists are made and encoded once for each
 * view.
 */
#ifndef MODEL_VIEW_H
#define MODEL_VIEW_H

#include "model/arena.h"
#include "model/place.h"
#include "model/service.h"

enum view_kind { VIEW_ALL, VIEW_ZONE, VIEW_NODE, VIEW_LOCAL, VIEW_NEAR_ZONE, VIEW_NEAR_NODE, VIEW_KINDS };

/* Text is borrowed from the place. */
struct view {
    enum view_kind ipv4, ipv6;
    struct str zone; /* empty unless a family is VIEW_ZONE or VIEW_NEAR_ZONE, or it is VIEW_NEAR_NODE and the zone is known */
    struct str node; /* empty unless a family is VIEW_NODE, VIEW_NEAR_NODE or VIEW_LOCAL; VIEW_LOCAL and empty: a node without endpoints */
    unsigned group;  /* place.group where lists are cut; else 0 */
};

/* Who is near goes by this. Service: by its own fields. With RingHash nobody is near. */
enum locality_mode view_mode(const struct service_port *port);
/* internalTrafficPolicy Local is in force. */
bool view_is_local(const struct service_port *port);
/* A client gets a part of the list only. */
bool view_is_cut(const struct service_port *port);
/* How many of a zone's pods the list has, where all in it are ready. */
size_t view_ready_in(const struct service_port *port, struct str zone);
/* With how many of them a zone is preferred. */
size_t view_zone_minimum(const struct service_port *port);
/* Whether that zone of port->list is preferred by those in it (where the mode is to prefer any). */
bool view_is_near(const struct service_port *port, const struct locality *locality);

/* The Service asks for its node's endpoints only, and the place does not say the node: to be counted. */
bool view_is_blind(const struct service_port *port, const struct place *place);
/* Whether lists differ by place at all: what service_new() makes port->by_place of. */
bool view_depends(const struct service_port *port);
/* VIEW_ALL for both families, and no group, where the port does not depend on the place. O(1). */
struct view view_of(const struct service_port *port, const struct place *place);
bool view_equal(const struct view *a, const struct view *b);
/* That of a place of which nothing is known: everything, whole. */
static inline bool view_is_all(const struct view *view)
{
    return view->ipv4 == VIEW_ALL && view->ipv6 == VIEW_ALL && view->group == 0;
}
/* The same order and rules as service_port.list, which is the list of VIEW_ALL; `view` is one of this very port. Memory of the result comes
 * from `arena`, or is the port's own. */
void view_list(const struct service_port *port, const struct view *view, struct arena *arena, struct backend_list *ret_list);
const char *view_kind_name(enum view_kind kind); /* "all", "zone", "node", "local", "near-zone", "near-node" */

#endif
