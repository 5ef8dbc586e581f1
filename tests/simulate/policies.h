/*
 * What a LookasideService would say of each Service's lists, the same for a whole run: struct policy as data, read by the oracle, and given to
 * the product with every version of the Service that it makes.
 */
#ifndef SIMULATE_POLICIES_H
#define SIMULATE_POLICIES_H

#include "cluster.h"
#include "model/policy.h"

/* Half of all worlds have none. */
void policies_start(uint64_t seed);
void policies_done(void);
/* Of that Service. */
const struct policy *policies_of(unsigned service);
/* "shop/greeter PreferZone 2", for people. */
void policies_describe(unsigned service, char *text, size_t size);

/* The policy says who is near. */
static inline bool policy_prefers(const struct policy *policy)
{
    return policy->lb != LB_RING_HASH && (policy->locality == LOCALITY_PREFER_ZONE ||
                                          policy->locality == LOCALITY_PREFER_NODE);
}

#endif
