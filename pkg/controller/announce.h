/*
 * Backends that clients have not heard of are announced before they get calls: for a moment they are in the route without a share, so that
 * clients know them when their weights come into force. grpc-go fails the calls that meet a Cluster which it has just heard of (UNAVAILABLE,
 * "unknown cluster selected for RPC"; seen with 1.85).
 *
 * Until then the policy that is published stays in force, in all its fields. A further new backend meanwhile makes it begin anew, up to a
 * bound. One that is named with weight 0 has been announced so; but its calls, too, begin a moment after that. Clients that come from another
 * replica, or before the first publication, know what they know: nobody waits for them. A backend whose Service is not there yet is named by
 * the route all the same (encode/listener.c), where its Cluster's name is known. Pure.
 */
#ifndef CONTROLLER_ANNOUNCE_H
#define CONTROLLER_ANNOUNCE_H

#include "model/service.h"

#define ANNOUNCE_US (1000 * 1000)
#define ANNOUNCE_MOST_US (5 * 1000 * 1000)

/* Of one Service. {0}-initialised. */
struct announcement {
    uint64_t first_us; /* when it began */
    uint64_t until_us; /* 0: nothing is announced */
    uint64_t idle_us; /* when a backend that gets no calls was named for the first time last; 0: none was */
};

/* What is to be published of the policy `wanted` in place of the Service `published` (NULL: nothing is; then there is nobody to tell). One
 * reference. */
const struct policy *announce_policy(struct announcement *state, const struct service *published, const struct policy *wanted,
                                     uint64_t now_us) must_check;

#endif
