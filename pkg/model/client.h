/*
 * What stock clients cannot bear: by kind, what must not be sent to them, since it would crash or hang them. Other clients of the same
 * Service get it.
 *
 * Pure.
 */
#ifndef MODEL_CLIENT_H
#define MODEL_CLIENT_H

#include "model/policy.h"

/* Bits. */
enum client_fault {
    /* gRPC C-core 1.50 and 1.51, which call themselves 28 and 29, crash at the first call (grpc/grpc#31766). */
    CLIENT_FAULT_RING_HASH = 1,
    /* In grpc-java (seen with 1.85) a call never ends, whatever its deadline, whose endpoint has left the list, or whose Cluster has got
     * another policy, meanwhile: its tracer fails without the endpoint's tracker. */
    CLIENT_FAULT_OUTLIER_DETECTION = 2,
    /* In gRPC C-core a call's time counts from up to two seconds before it (grpc/grpc#40633; seen with 1.51 and 1.85): a shorter bound would
     * fail every call. */
    CLIENT_FAULT_EARLY_END = 4,
};
#define CLIENT_FAULTS_OF_CLUSTERS (CLIENT_FAULT_RING_HASH | CLIENT_FAULT_OUTLIER_DETECTION)
#define CLIENT_FAULTS_OF_ROUTES CLIENT_FAULT_EARLY_END
#define CLIENT_FAULTS_ALL (CLIENT_FAULTS_OF_CLUSTERS | CLIENT_FAULTS_OF_ROUTES)

#define CLIENT_EARLY_US 2000000

/* Of a client of that kind: "gRPC Java 1.85.0". */
unsigned client_faults(struct str agent);
/* The policy of a Cluster or route without what clients with these faults cannot bear; borrows from `policy`. */
void client_spare(const struct policy *policy, unsigned faults, struct policy *ret_policy);

#endif
