/*
 * What is known of a client that refuses what a policy makes of a Listener or Cluster.
 */
#ifndef MODEL_REFUSAL_H
#define MODEL_REFUSAL_H

#include "model/policy.h"

#define REFUSAL_AGENT_MAX 128
#define REFUSAL_PEER_MAX 128

struct refusal {
    const struct policy *policy; /* that was refused */
    struct str agent;            /* the client's kind: "gRPC Go 1.85.0" */
    struct str peer;             /* its address, without the port */
    struct str message;          /* its words, any bytes */
};

#endif
