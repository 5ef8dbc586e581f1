/*
 * One question to every replica behind the replicas' own Service: GET of a path at each one's admin port.
 *
 * Lists the EndpointSlices of that Service (by a request, not from the store: neither --namespaces nor --publish need include Lookaside itself) and asks each endpoint
 * that is ready, or serves while it ends, the one who asks among them: at the port named `admin`, else at the first; a pod with addresses of both families once.
 *
 * Threads: the control loop.
 * Limits:  REPLICAS_MAX are asked; of an answer `answer_max` bytes count.
 */
#ifndef CONTROLLER_REPLICA_ROUND_H
#define CONTROLLER_REPLICA_ROUND_H

#include "base/json.h"
#include "kube/client.h"

#define REPLICAS_MAX 100
#define REPLICAS_TIMEOUT_MS 2000

struct replica_round;

struct replica_round_result {
    const char *problem; /* NULL: none; else nobody was asked, and why */
    size_t asked, unanswered;
    const char *silent; /* those that did not answer, "a, b"; "": all did */
};

struct replica_round_options {
    struct loop *loop;
    struct kube_client *client;
    const char *namespace_name, *service; /* borrowed for life, as is path */
    const char *path;
    size_t answer_max;
    uint64_t timeout_ms; /* of each answer; 0: REPLICAS_TIMEOUT_MS */
    bool only_ready;     /* only those that new connections are given to */
    /* An answer, borrowed. Whether it is one that counts. */
    bool (*on_answer)(void *ctx, const struct json *answer);
    /* The round is over; borrowed. The next may begin here. */
    void (*on_done)(void *ctx, const struct replica_round_result *result);
    void *ctx;
};

struct replica_round *replica_round_new(const struct replica_round_options *options) must_check;
void replica_round_free(struct replica_round *round); /* NULL is fine */
/* Not while one is under way. */
void replica_round_start(struct replica_round *round);
bool replica_round_under_way(const struct replica_round *round);
/* on_done does not come. */
void replica_round_cancel(struct replica_round *round);

#endif
