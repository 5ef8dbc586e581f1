/*
 * How many clients listen to each Service over all replicas, and what they call it: the one that writes the statuses asks the others.
 *
 * Every REPLICAS_EVERY_MS it asks GET /counts at each replica (replica_round.h). Who has not answered within REPLICAS_TIMEOUT_MS is named, and counts for nothing
 * until the next round. Without a Service of the replicas only this process is asked.
 *
 * Threads: the control loop.
 * Limits:  of an answer REPLICAS_ANSWER_MAX bytes count.
 */
#ifndef CONTROLLER_REPLICAS_H
#define CONTROLLER_REPLICAS_H

#include "base/metric.h"
#include "controller/replica_round.h"

#define REPLICAS_EVERY_MS 30000
#define REPLICAS_ANSWER_MAX (4 * 1024 * 1024)

struct replicas;

struct replicas_options {
    struct loop *loop;
    struct kube_client *client;
    const char *namespace_name, *service; /* borrowed; NULL: only this process */
    /* Counts this process: on_done(done_ctx, ...) once, as GET /counts answers. */
    void (*count_own)(void *ctx, void (*on_done)(void *done_ctx, struct buf *json), void *done_ctx);
    /* A round is over. */
    void (*on_counted)(void *ctx);
    void *ctx;
    uint64_t every_ms, timeout_ms; /* 0: REPLICAS_EVERY_MS, REPLICAS_TIMEOUT_MS */
};

struct replicas_stats {
    struct counter asked, unanswered; /* gauges: of the last round */
    struct counter rounds, failures;  /* rounds that found no replicas to ask are failures */
};

/* Silent until replicas_set_active(). */
struct replicas *replicas_new(const struct replicas_options *options) must_check;
/* Not while count_own may still answer. NULL is fine. */
void replicas_free(struct replicas *replicas);
/* True: a round begins at once. False: what was counted is forgotten. */
void replicas_set_active(struct replicas *replicas, bool active);

/* As of the last round. */
uint64_t replicas_clients(const struct replicas *replicas, struct str namespace_name, struct str name);
/* What clients report that they call it, in calls of a second that ended, and those of them that failed. */
void replicas_load(const struct replicas *replicas, struct str namespace_name, struct str name, double *ret_calls, double *ret_failed);
/* Those that did not answer, "a, b"; "": all did. */
const char *replicas_uncounted(const struct replicas *replicas);
const struct replicas_stats *replicas_stats(const struct replicas *replicas);

#endif
