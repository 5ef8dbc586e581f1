/*
 * One LoadReportingService/StreamLoadStats stream as a pure state machine. The client's first message says who it is; it is answered once, with the
 * interval and that all Clusters are wanted, and reports from then on. What clients break on is never said: an interval below a second, a list of
 * Clusters, a second response.
 *
 * A report is read twice: nothing of it is told before all of it was read. Nothing is kept or allocated for it.
 *
 * Threads: everything on one loop. Owns: a copy of the client's namespace.
 * Limits:  LOAD_CLUSTERS_MAX, LOAD_LOCALITIES_MAX, LOAD_DROPS_MAX, LOAD_METRICS_MAX, LOAD_TEXT_MAX, LOAD_COUNT_MAX. Sums of metrics that are no numbers,
 *          or beyond LOAD_SUM_MAX, are left out.
 * Errors:  RESOURCE_EXHAUSTED for a limit, INVALID_ARGUMENT for what is no LoadStatsRequest; both end the stream.
 */
#ifndef PROTOCOL_LOAD_STATS_H
#define PROTOCOL_LOAD_STATS_H

#include "base/buf.h"
#include "base/err.h"

#define LOAD_CLUSTERS_MAX 10000  /* of a report */
#define LOAD_LOCALITIES_MAX 1000 /* of a Cluster, as the next */
#define LOAD_DROPS_MAX 100
#define LOAD_METRICS_MAX 1000 /* of a locality */
#define LOAD_TEXT_MAX 1024
#define LOAD_COUNT_MAX (UINT64_C(1) << 40)
#define LOAD_SUM_MAX 1e18
#define LOAD_INTERVAL_MIN_MS 1000

struct load_session;

/* Calls to backends of one place. Numbers are since the report before, but for in_progress. */
struct load_calls {
    struct str zone;
    uint64_t succeeded, failed, issued, in_progress;
};

/* What backends told of themselves at the end of calls. */
struct load_metric {
    struct str name; /* without "named_metrics." */
    uint64_t calls;
    double sum;
};

/* What a report says, in its order; text is borrowed during the call. */
struct load_host {
    /* A report begins. What it does not speak of has no calls in progress. */
    void (*report)(void *ctx);
    /* What follows is of that Cluster. */
    void (*cluster)(void *ctx, struct str name);
    /* May come twice for one zone: they add up. */
    void (*calls)(void *ctx, const struct load_calls *calls);
    /* Of the zone that was told last. */
    void (*metric)(void *ctx, const struct load_metric *metric);
    /* Calls that never left the client; category "": none is told. */
    void (*dropped)(void *ctx, struct str category, uint64_t calls);
    /* There is something to send. */
    void (*wake)(void *ctx);
};

struct load_session *load_session_new(const struct load_host *host, void *ctx, uint64_t interval_ms) must_check;
void load_session_free(struct load_session *session); /* NULL is fine */
enum code load_session_request(struct load_session *session, struct str message, struct err *err) must_check;
/* The LoadStatsResponse, behind the first request and once; false: there is nothing to say. */
bool load_session_next(struct load_session *session, struct buf *out) must_check;
/* The client's, as its Node tells; empty: it does not. */
struct str load_session_namespace(const struct load_session *session);

#endif
