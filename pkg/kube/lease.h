/*
 * Being the one of several replicas: leader election over a Lease, as client-go does it.
 *
 * Whoever holds the Lease renews it every retry_ms; whoever does not looks at it as often, and takes it once it has seen no renewal for the duration that
 * the holder promised, by its own clock alone: what clocks of others say is only compared for being the same. Every write carries the resourceVersion that
 * it is based on, so that of two who take it one fails.
 *
 * Lost:    renew_ms after the last renewal that succeeded was *sent*, which is before anybody else can have seen it run out; or at once when somebody else
 *          is seen to hold it. A process that was stopped (SIGSTOP) finds it lost before it does anything else: lease_held() reads the clock.
 * Namesakes: a record is ours only with our acquireTime, so that two processes with one identity do not hold it both; one that was killed and
 *          started again waits like everybody else.
 * Threads: the client's loop. Callbacks are never inside a call of these functions, but for lease_release().
 */
#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

#include "base/metric.h"
#include "kube/client.h"

#define LEASE_DURATION_MS 15000
#define LEASE_RENEW_MS 10000
#define LEASE_RETRY_MS 2000
#define LEASE_RELEASE_MS 2000

struct lease;

struct lease_options {
    struct kube_client *client;
    const char *namespace_name;
    const char *name;
    const char *identity; /* not empty */
    /* 0: as above. retry < renew < duration, which is written in whole seconds. */
    uint64_t duration_ms, renew_ms, retry_ms;
    /* By turns, acquired first. */
    void (*on_acquired)(void *ctx);
    void (*on_lost)(void *ctx);
    void *ctx;
};

struct lease_stats {
    struct counter held;     /* gauge: 1 */
    struct counter acquired; /* terms that began */
    struct counter lost;     /* and those that ended without a release */
    struct counter errors;   /* requests that failed; conflicts are not counted */
};

/* Begins at once. Texts are copied. */
struct lease *lease_new(const struct lease_options *options) must_check;
/* Without a word to the server: others wait for the duration. NULL is fine. */
void lease_free(struct lease *lease);
/* Now, by the clock: to be asked before everything that only the holder does. */
bool lease_held(const struct lease *lease);
/* Gives it up for good: on_lost at once if it is held, then the server is told, so that others need not wait. on_done once, not inside this call, after
 * LEASE_RELEASE_MS at the latest. */
void lease_release(struct lease *lease, void (*on_done)(void *ctx), void *ctx);
/* Who holds it, as last seen; empty: nobody, or not known. */
struct str lease_holder(const struct lease *lease);
const struct lease_stats *lease_stats(const struct lease *lease);

#endif
