/* What the admin port shows: health and metrics, and the table of all pages. */
#include "pages.h"

#include "controller/preview.h"

#define PAGE_METRICS_MAX (16 * 1024 * 1024)
#define REASON_MAX 1024

static void show_healthz(void *ctx unused_arg, struct admin_request *request)
{
    admin_reply(request, 200, "text/plain", STR("ok\n"));
}

static void show_readyz(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;
    struct buf reason = BUFFER_INIT(REASON_MAX);

    if (app->phase == APP_SERVING) {
        admin_reply(request, 200, "text/plain", STR("ok\n"));
        return;
    }
    if (app->phase == APP_SYNCING) {
        buf_add_str(&reason, STR("not synced: "));
        (void)source_synced(app->source, &reason);
    } else {
        buf_add_str(&reason, STR("shutting down"));
    }
    buf_add_char(&reason, '\n');
    admin_reply(request, 503, "text/plain", buf_str(&reason));
    buf_done(&reason);
}

/* ---- metrics ---- */

/* `by_hold` has one for each kind. */
static void write_by_hold(struct buf *out, const char *name, const struct counter *by_hold)
{
    for (enum hold hold = HOLD_NONE + 1; hold < HOLD_KINDS; hold++) {
        struct buf label = BUFFER_INIT(128);

        metric_label(&label, "hold", str_of(hold_name(hold)));
        metric_write_u64(out, name, buf_cstr(&label), counter_get(&by_hold[hold]));
        buf_done(&label);
    }
}

static void write_objects(const struct app *app, struct buf *out)
{
    const struct controller_stats *stats = controller_stats(app->controller);

    metric_write_head(out, "lookaside_build_info", "gauge", "1; the version is a label.");
    metric_write_u64(out, "lookaside_build_info", "version=\"" LOOKASIDE_VERSION "\"", 1);
    metric_write_head(out, "lookaside_ready", "gauge",
                      "1 once the sources are synced and clients are served.");
    metric_write_u64(out, "lookaside_ready", NULL, app->phase == APP_SERVING);
    metric_write_head(out, "lookaside_objects", "gauge", "Objects held, by kind.");
    metric_write_u64(out, "lookaside_objects", "kind=\"Service\"",
                     counter_get(&stats->objects_services));
    metric_write_u64(out, "lookaside_objects", "kind=\"EndpointSlice\"",
                     counter_get(&stats->objects_slices));
    metric_write_u64(out, "lookaside_objects", "kind=\"Endpoints\"",
                     counter_get(&stats->objects_endpoints));
    metric_write_u64(out, "lookaside_objects", "kind=\"Node\"", counter_get(&stats->objects_nodes));
    metric_write_u64(out, "lookaside_objects", "kind=\"LookasideService\"",
                     counter_get(&stats->objects_policies));
    metric_write_head(out, "lookaside_bad_objects_total", "counter",
                      "Versions of objects that were malformed: skipped, or something of them.");
    metric_write_u64(out, "lookaside_bad_objects_total", NULL, counter_get(&stats->bad_objects));
    metric_write_head(out, "lookaside_services", "gauge", "Services published.");
    metric_write_u64(out, "lookaside_services", NULL, counter_get(&stats->services));
    metric_write_head(out, "lookaside_endpoints", "gauge",
                      "Endpoints published, over all Services and ports.");
    metric_write_u64(out, "lookaside_endpoints", NULL, counter_get(&stats->endpoints));
    metric_write_head(out, "lookaside_holds", "gauge",
                      "Services whose last list is kept on purpose, by hold.");
    write_by_hold(out, "lookaside_holds", stats->held);
    metric_write_head(out, "lookaside_holds_total", "counter", "Holds that began, by hold.");
    write_by_hold(out, "lookaside_holds_total", stats->holds_begun);
    metric_write_head(out, "lookaside_rebuilds_total", "counter",
                      "Services built anew from their slices.");
    metric_write_u64(out, "lookaside_rebuilds_total", NULL, counter_get(&stats->rebuilds));
    metric_write_head(out, "lookaside_publications_total", "counter",
                      "Catalogs published to the serving loops.");
    metric_write_u64(out, "lookaside_publications_total", NULL, counter_get(&stats->publications));
}

static void write_admin(const struct app *app, struct buf *out)
{
    metric_write_head(out, "lookaside_admin_refused_total", "counter",
                      "Connections to the admin port that passed its limits.");
    metric_write_u64(out, "lookaside_admin_refused_total", NULL, admin_refused(app->admin));
}

static void write_tls(const struct app *app, struct buf *out)
{
    const struct keypair_stats *stats = keypair_stats(app->keypair);

    metric_write_head(out, "lookaside_tls_certificate_expiry_timestamp_seconds", "gauge",
                      "When the certificate in use expires, in seconds since 1970.");
    metric_write_u64(out, "lookaside_tls_certificate_expiry_timestamp_seconds", NULL,
                     counter_get(&stats->expiry_s));
    metric_write_head(out, "lookaside_tls_certificate_ends_soon", "gauge",
                      "1 when less than a fifth of the life of the certificate in use is left, and "
                      "less than a week.");
    metric_write_u64(out, "lookaside_tls_certificate_ends_soon", NULL,
                     counter_get(&stats->ends_soon));
    metric_write_head(out, "lookaside_tls_certificate_loads_total", "counter",
                      "Certificates and keys read from their files, by what came of it.");
    metric_write_u64(out, "lookaside_tls_certificate_loads_total", "result=\"used\"",
                     counter_get(&stats->loads));
    metric_write_u64(out, "lookaside_tls_certificate_loads_total", "result=\"refused\"",
                     counter_get(&stats->failures));
}

/* `loads` NULL: clients report none. */
static void reply_metrics(const struct app *app, struct admin_request *request,
                          const struct load_table *loads)
{
    struct buf out = BUFFER_INIT(PAGE_METRICS_MAX);

    write_objects(app, &out);
    source_write_metrics(app->source, &out);
    serve_write_metrics(app->serve, &out);
    write_admin(app, &out);
    if (app->keypair)
        write_tls(app, &out);
    if (app->report)
        report_write_metrics(app->report, &out);
    if (app->token_keys)
        token_keys_write_metrics(app->token_keys, &out);
    if (app->pods)
        pods_write_metrics(app->pods, &out);
    if (app->rebalance)
        rebalance_write_metrics(app->rebalance, &out);
    if (loads)
        serve_write_load_metrics(loads, &out);
    admin_reply(request, buf_failed(&out) ? 500 : 200, "text/plain; version=0.0.4; charset=utf-8",
                buf_str(&out));
    buf_done(&out);
}

static void on_loads(void *ctx, const struct load_table *loads)
{
    reply_metrics(admin_ctx(ctx), ctx, loads);
}

static void show_metrics(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;

    if (app->options->load_reports)
        serve_collect_loads(app->serve, on_loads, request);
    else
        reply_metrics(app, request, NULL);
}

/* ---- counts ---- */

static void on_counts(void *ctx, struct buf *json)
{
    admin_reply(ctx, buf_failed(json) ? 507 : 200, "application/json", buf_str(json));
}

/* Not for operators alone: the replica that writes the statuses asks the others. */
static void show_counts(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;

    serve_count_streams(app->serve, on_counts, request);
}

/* For the other replicas. One that ends has clients that leave anyhow: what it holds says nothing. */
static void show_stream_count(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;
    struct buf out = BUFFER_INIT(REBALANCE_ANSWER_MAX);

    if (app->phase != APP_SERVING) {
        admin_reply(request, 503, "text/plain", STR("not serving\n"));
        return;
    }
    rebalance_write_answer(app->replica, serve_list_streams(app->serve), &out);
    admin_reply(request, 200, "application/json", buf_str(&out));
    buf_done(&out);
}

const struct admin_route app_pages[] = {
    {"GET", "/healthz", "200 while the process lives", false, show_healthz, 0},
    {"GET", "/readyz", "200 while clients are served, else 503 and the reason", false, show_readyz,
     0},
    {"GET", "/metrics", "Prometheus text", false, show_metrics, 0},
    {"GET", "/counts",
     "how many subscriptions there are to lists of each Service, and its load, JSON", false,
     show_counts, 0},
    {"GET", REBALANCE_PATH, "how many streams this replica holds, JSON", false, show_stream_count,
     0},
    {"GET", "/debug/services", "every Service with its backends, JSON", true, show_services, 0},
    {"GET", "/debug/resources",
     "every LookasideService: what is in force, what is not in order, and this replica's clients, "
     "JSON",
     true, show_resources, 0},
    {"GET", "/debug/streams",
     "every stream: what it asked, was sent and accepted, JSON; ?service=NAMESPACE/NAME: its own",
     true, show_streams, 0},
    {"GET", "/debug/load",
     "what clients report of their calls to each Service, by zone and the clients' namespace, JSON",
     true, show_load, 0},
    {"GET", "/debug/explain",
     "?target=&zone=&node=&namespace=: why a client there gets the list that it gets, JSON", true,
     show_explain, 0},
    {"POST", "/debug/release",
     "?namespace=&name=: ends the hold that keeps that Service's last list", true, release_hold, 0},
    {"POST", "/debug/diff",
     "a List of manifests as JSON: what applying them would change in what is published, JSON; "
     "nothing changes",
     true, show_diff, PREVIEW_BYTES_MAX},
};
const size_t app_pages_len = ARRAY_LEN(app_pages);
