/*
 * A policy's load balancing as fields of a Cluster, in the forms that clients of every language accept: who does not know a policy
 * balances round robin.
 *
 * Pure.
 */
#ifndef ENCODE_BALANCING_H
#define ENCODE_BALANCING_H

#include "base/buf.h"
#include "model/policy.h"

/* Cluster.lb_policy: only RingHash is said there, since clients validate it whatever else they read; the others in a list of policies. */
void encode_lb_policy(struct buf *out, const struct policy *policy);
/* Cluster.ring_hash_lb_config */
void encode_ring(struct buf *out, const struct policy *policy);
/* Cluster.load_balancing_policy */
void encode_policy_list(struct buf *out, const struct policy *policy);

#endif
