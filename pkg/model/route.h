/*
 * Where the calls of a client go that dials a port of a Service: to that Service, or to the backends that its policy names, by weight.
 *
 * A backend whose list is empty gets no calls: its share falls to the others, by their weights, unless its policy says that it is to fail
 * (whenEmpty: Fail). So does that of one whose last endpoints shut down, while another has ready ones. When the lists of all are empty, the
 * weights stay as they are written: there is nobody to take over. A Service or port that is missing is an empty list. A backend that names no port means the one that was dialled, by number, where its Service has that one,
 * else its Service's default port. Of two backends that come down to the same list, the first gets the weight of both.
 *
 * What a policy announces is there without a weight.
 *
 * The policy is that of the dialled Service, where it is in force at that port; a name that means one pod leads to that pod, whatever the
 * backends are. Whether a list is empty is asked of the list for a client of unknown place: a route is the same for everybody.
 *
 * Pure. Everything inside lives as long as the catalog and the name.
 */
#ifndef MODEL_ROUTE_H
#define MODEL_ROUTE_H

#include "model/access.h"
#include "model/name.h"

struct route_target {
    struct str service;          /* in the route's namespace */
    struct port_ref port;        /* as asked */
    uint16_t number;             /* what it comes down to; 0: as asked */
    const struct service *found; /* NULL: there is none */
    bool resolved;               /* the Service has such a port, or goes to that number of a host */
    const struct policy *policy; /* of the Cluster; never NULL */
    uint32_t written;            /* the weight in the resource */
    uint32_t weight;             /* in force; 0: it is left out */
    bool fading;         /* it lists endpoints that shut down, for want of ready ones */
    const char *problem; /* why its list is empty, or why it is left out; a static text or NULL */
};

#define ROUTE_TARGETS_MAX (2 * POLICY_BACKENDS_MAX)

struct route {
    struct str namespace_name;
    struct str hostname;         /* of one pod; else empty */
    bool names_missing; /* where clients are answered what is not there, too: it is named before it comes */
    struct str authority;        /* that its Clusters have in their names (model/xdstp.h); else empty */
    const struct policy *policy; /* of the route's own fields; never NULL */
    size_t len;                  /* at least one; one of them at least has a weight */
    struct route_target targets[ROUTE_TARGETS_MAX];
};

/* Gives a name that is a host its owner, and where it has no port, that of the owner's resource, if the Service has it. */
void route_set_owner(const struct sight *sight, struct name *name);
/* Of a name that is no host, or has its owner if there is one. */
void route_find(const struct sight *sight, const struct name *name, struct route *ret_route);
/* Without what a client can refuse: the same targets and weights, no other field of any policy. */
void route_make_plain(struct route *route);

/* The policy in force at a port of a Service; `port` NULL: at that number, whether or not it means a port of the Service. Never NULL. */
const struct policy *route_policy(const struct service *service, const struct service_port *port,
                                  uint16_t number);

#endif
