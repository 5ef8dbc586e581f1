/*
 * Services as xDS resources: each result is one encoded `resources` field of a DiscoveryResponse
 * (tag, length, Any), ready to be concatenated behind the response's head. What clients refuse, and
 * the safe forms: xDS protocol and gRFC A27, A28, A30, A31, A32, A37, A42, A44, A47, A48, A50, A52, A58, A62, A64, A85.
 *
 * Pure; equal input gives equal bytes on every replica.
 */
#ifndef ENCODE_XDS_H
#define ENCODE_XDS_H

#include "base/blob.h"
#include "base/buf.h"
#include "model/route.h"

/* An API listener `name` (as the client spelled it) with an inline route for every domain: to one Cluster, or to several by weight, with
 * what the route's policy says of calls. */
struct blob *encode_listener(struct str name, const struct route *route) must_check;
/* That route by itself: a RouteConfiguration of the Listener's name. */
struct blob *encode_route(struct str name, const struct route *route) must_check;
/* EDS over ADS with what the policy says of balancing; of policy_default() that is round robin without a limit on concurrent requests
 * (absent would mean 1024). `reports_load`: clients report their load to the server that they have it from, with all that backends say of
 * themselves. */
struct blob *encode_cluster(struct str name, const struct policy *policy, bool reports_load) must_check;
/* LOGICAL_DNS: the client resolves `host` itself (an ExternalName Service). Otherwise as encode_cluster(). */
struct blob *encode_cluster_dns(struct str name, struct str host, uint16_t port, const struct policy *policy, bool reports_load) must_check;
/* `list` NULL or empty: an assignment without localities. `asked_port` stands in for backends of
 * port 0. With `hostname` not empty only the backends of that pod. */
struct blob *encode_assignment(struct str name, const struct backend_list *list,
                               uint16_t asked_port, struct str hostname) must_check;
/* slice_wire_fn: one backend as an lb_endpoints field. */
void encode_backend(struct buf *out, const struct endpoint *endpoint, uint16_t port);

#endif
