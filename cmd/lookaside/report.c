#include "report.h"

#include <unistd.h>

#include "base/log.h"
#include "controller/replicas.h"
#include "controller/status.h"
#include "kube/lease.h"

#define LEASE_NAME "lookaside"

struct report {
    struct report_options options;
    char identity[OPTIONS_IDENTITY_MAX + 1];
    char *lease_namespace, *lease_name;       /* owned */
    char *replicas_namespace, *replicas_name; /* owned; NULL: this replica alone */
    struct budget *budget;
    struct lease *lease; /* NULL: not started, or nobody competes */
    struct events *events;
    struct status_writer *status; /* NULL: it is not asked for; then so are the others */
    struct replicas *replicas;
    struct timer *stopped; /* tells so where there is no Lease to give up */
    bool writing;
    void (*on_stopped)(void *ctx);
    void *stopped_ctx;
};

/* ---- by turns ---- */

static void set_writing(struct report *report, bool writing)
{
    report->writing = writing;
    if (!report->status)
        return;
    status_set_active(report->status, writing);
    replicas_set_active(report->replicas, writing);
    if (writing)
        budget_wake(report->budget);
}

static void on_acquired(void *ctx)
{
    set_writing(ctx, true);
}

static void on_lost(void *ctx)
{
    set_writing(ctx, false);
}

/* The Lease itself is asked: a process that was stopped wakes up with old news. */
static bool may_write(void *ctx)
{
    const struct report *report = ctx;

    return report->writing && (!report->lease || lease_held(report->lease));
}

/* ---- what is written ---- */

static bool read_status(void *ctx, struct str namespace_name, struct str name,
                        struct resource_status *ret_status)
{
    const struct report *report = ctx;

    return controller_resource_status(report->options.controller, namespace_name, name, ret_status);
}

static uint64_t count_clients(void *ctx, struct str namespace_name, struct str name)
{
    const struct report *report = ctx;

    return replicas_clients(report->replicas, namespace_name, name);
}

static void load_of(void *ctx, struct str namespace_name, struct str name, double *ret_calls,
                    double *ret_failed)
{
    const struct report *report = ctx;

    replicas_load(report->replicas, namespace_name, name, ret_calls, ret_failed);
}

static const char *uncounted(void *ctx)
{
    const struct report *report = ctx;

    return replicas_uncounted(report->replicas);
}

static void count_own(void *ctx, void (*on_done)(void *done_ctx, struct buf *json), void *done_ctx)
{
    const struct report *report = ctx;

    serve_count_streams(report->options.serve, on_done, done_ctx);
}

static void on_counted(void *ctx)
{
    const struct report *report = ctx;

    status_touch_all(report->status);
}

/* ---- life ---- */

static void name_things(struct report *report)
{
    const struct options *options = report->options.options;

    if (options->identity)
        snprintf(report->identity, sizeof(report->identity), "%s", options->identity);
    else if (gethostname(report->identity, sizeof(report->identity) - 1) != 0 || !*report->identity)
        snprintf(report->identity, sizeof(report->identity), "lookaside");
    if (options->lease) {
        options_split(options->lease, &report->lease_namespace, &report->lease_name);
    } else {
        report->lease_namespace = xstrdup(report->options.namespace_name);
        report->lease_name = xstrdup(LEASE_NAME);
    }
    if (options->replicas_service)
        options_split(options->replicas_service, &report->replicas_namespace,
                      &report->replicas_name);
}

static void make_writers(struct report *report)
{
    report->events = events_new(&(struct events_options){
        .client = report->options.client, .budget = report->budget, .identity = report->identity});
    report->replicas = replicas_new(&(struct replicas_options){
        .loop = report->options.loop,
        .client = report->options.client,
        .namespace_name = report->replicas_namespace,
        .service = report->replicas_name,
        .count_own = count_own,
        .on_counted = on_counted,
        .ctx = report,
    });
    report->status = status_new(&(struct status_options){
        .client = report->options.client,
        .budget = report->budget,
        .events = report->events,
        .read = read_status,
        .clients = count_clients,
        .load = report->options.options->load_reports ? load_of : NULL,
        .uncounted = uncounted,
        .ctx = report,
    });
}

static void on_nothing_to_stop(void *ctx)
{
    struct report *report = ctx;

    report->on_stopped(report->stopped_ctx);
}

struct report *report_new(const struct report_options *options)
{
    struct report *report = xcalloc(1, sizeof(*report));

    report->options = *options;
    name_things(report);
    report->stopped = timer_new(options->loop, on_nothing_to_stop, report);
    report->budget = budget_new(
        &(struct budget_options){.loop = options->loop, .may = may_write, .ctx = report});
    if (options->options->status)
        make_writers(report);
    return report;
}

void report_free(struct report *report)
{
    if (!report)
        return;
    lease_free(report->lease);
    status_free(report->status);
    replicas_free(report->replicas);
    events_free(report->events);
    budget_free(report->budget);
    timer_free(report->stopped);
    free(report->lease_namespace);
    free(report->lease_name);
    free(report->replicas_namespace);
    free(report->replicas_name);
    free(report);
}

void report_start(struct report *report)
{
    if (!report->options.options->leader_election) {
        set_writing(report, true);
        return;
    }
    report->lease = lease_new(&(struct lease_options){
        .client = report->options.client,
        .namespace_name = report->lease_namespace,
        .name = report->lease_name,
        .identity = report->identity,
        .on_acquired = on_acquired,
        .on_lost = on_lost,
        .ctx = report,
    });
}

void report_stop(struct report *report, void (*on_done)(void *ctx), void *ctx)
{
    report->on_stopped = on_done;
    report->stopped_ctx = ctx;
    if (report->lease) {
        lease_release(report->lease, on_done, ctx);
        return;
    }
    set_writing(report, false);
    timer_start(report->stopped, 0);
}

void report_changed(struct report *report, struct str namespace_name, struct str name)
{
    if (report->status)
        status_touch(report->status, namespace_name, name);
}

void report_seen(struct report *report, const struct json *object)
{
    if (report->status)
        status_observe(report->status, object);
}

/* ---- metrics ---- */

static void write_family(struct buf *out, const char *name, const char *type, const char *help,
                         const struct counter *value)
{
    metric_write_head(out, name, type, help);
    metric_write_u64(out, name, NULL, counter_get(value));
}

static void write_lease(const struct report *report, struct buf *out)
{
    static const struct lease_stats none;
    const struct lease_stats *stats = report->lease ? lease_stats(report->lease) : &none;

    write_family(out, "lookaside_leader", "gauge", "1 while this replica holds the Lease.",
                 &stats->held);
    write_family(out, "lookaside_leader_acquired_total", "counter",
                 "Times that this replica has come to hold the Lease.", &stats->acquired);
    write_family(out, "lookaside_leader_lost_total", "counter",
                 "Times that it was lost without being given up.", &stats->lost);
    write_family(out, "lookaside_lease_errors_total", "counter",
                 "Requests of the Lease that failed, conflicts aside.", &stats->errors);
}

static void write_result(struct buf *out, const char *name, const char *result,
                         const struct counter *value)
{
    struct buf label = BUFFER_INIT(128);

    metric_label(&label, "result", str_of(result));
    metric_write_u64(out, name, buf_cstr(&label), counter_get(value));
    buf_done(&label);
}

static void write_status(const struct report *report, struct buf *out)
{
    static const char writes[] = "lookaside_status_writes_total";
    const struct status_stats *stats = status_stats(report->status);

    metric_write_head(out, writes, "counter",
                      "Statuses of LookasideServices sent to the API server, by what came of it.");
    for (enum status_result result = 0; result < STATUS_RESULTS; result++)
        write_result(out, writes, status_result_name(result), &stats->results[result]);
    metric_write_head(out, "lookaside_status_pending", "gauge",
                      "Statuses that wait for their turn, or for an answer.");
    metric_write_u64(out, "lookaside_status_pending", NULL, status_pending(report->status));
}

static void write_events(const struct report *report, struct buf *out)
{
    static const char events[] = "lookaside_events_total";
    const struct events_stats *stats = events_stats(report->events);

    metric_write_head(out, events, "counter", "Events sent to the API server, by what came of it.");
    write_result(out, events, "written", &stats->written);
    write_result(out, events, "refused", &stats->refused);
    write_result(out, events, "failed", &stats->failed);
    write_result(out, events, "dropped", &stats->dropped);
}

void report_write_metrics(const struct report *report, struct buf *out)
{
    const struct replicas_stats *stats;

    write_lease(report, out);
    if (!report->status)
        return;
    write_status(report, out);
    write_events(report, out);
    stats = replicas_stats(report->replicas);
    write_family(out, "lookaside_replicas", "gauge",
                 "Replicas asked for their clients in the last round, by the one that writes.",
                 &stats->asked);
    write_family(out, "lookaside_replicas_unanswered", "gauge", "Those that did not answer.",
                 &stats->unanswered);
    write_family(out, "lookaside_replicas_failures_total", "counter",
                 "Rounds that found no replicas to ask.", &stats->failures);
}
