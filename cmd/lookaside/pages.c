/* What the admin port shows. */
#include "app.h"
#include "base/json.h"

#define PAGE_METRICS_MAX (16 * 1024 * 1024)
#define PAGE_DUMP_MAX (1024 * 1024 * 1024)
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
    metric_write_head(out, "lookaside_bad_objects_total", "counter",
                      "Objects skipped because they were malformed.");
    metric_write_u64(out, "lookaside_bad_objects_total", NULL, counter_get(&stats->bad_objects));
    metric_write_head(out, "lookaside_services", "gauge", "Services published.");
    metric_write_u64(out, "lookaside_services", NULL, counter_get(&stats->services));
    metric_write_head(out, "lookaside_endpoints", "gauge",
                      "Endpoints published, over all Services and ports.");
    metric_write_u64(out, "lookaside_endpoints", NULL, counter_get(&stats->endpoints));
    metric_write_head(out, "lookaside_holds", "gauge",
                      "Services whose last list is kept on purpose, by hold.");
    metric_write_u64(out, "lookaside_holds", "hold=\"deletion\"",
                     counter_get(&stats->held_deletion));
    metric_write_u64(out, "lookaside_holds", "hold=\"service-change\"",
                     counter_get(&stats->held_service_change));
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

static void show_metrics(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;
    struct buf out = BUFFER_INIT(PAGE_METRICS_MAX);

    write_objects(app, &out);
    source_write_metrics(app->source, &out);
    serve_write_metrics(app->serve, &out);
    write_admin(app, &out);
    admin_reply(request, buf_failed(&out) ? 500 : 200, "text/plain; version=0.0.4; charset=utf-8",
                buf_str(&out));
    buf_done(&out);
}

/* ---- services ---- */

static void put_backend(struct json_writer *writer, const struct backend *backend)
{
    const struct endpoint *endpoint = backend->endpoint;

    json_open_object(writer, NULL);
    json_put_str(writer, "address", endpoint->address);
    json_put_u64(writer, "port", backend->port);
    json_put_str(writer, "zone", endpoint->zone);
    json_put_str(writer, "node", endpoint->node);
    json_put_str(writer, "pod", endpoint->pod);
    json_put_str(writer, "slice", backend->slice->name);
    json_put_bool(writer, "draining", backend_is_draining(backend));
    json_close_object(writer);
}

static void put_port(struct json_writer *writer, const struct service_port *port)
{
    json_open_object(writer, NULL);
    json_put_u64(writer, "number", port->number);
    json_put_str(writer, "name", port->name);
    json_put_u64(writer, "ready", port->ready);
    json_put_u64(writer, "draining", port->draining);
    json_put_u64(writer, "total", port->total);
    json_open_array(writer, "endpoints");
    for (size_t i = 0; i < port->list.len; i++)
        put_backend(writer, port->list.items[i].backend);
    json_close_array(writer);
    json_close_object(writer);
}

static const char *service_type_name(enum service_type type)
{
    switch (type) {
    case SERVICE_HEADLESS:
        return "Headless";
    case SERVICE_EXTERNAL_NAME:
        return "ExternalName";
    case SERVICE_CLUSTER_IP:
        break;
    }
    return "ClusterIP";
}

/* `hold` is NULL when none is in force. */
static void put_service(struct json_writer *writer, const struct service *service, const char *hold)
{
    json_open_object(writer, NULL);
    json_put_str(writer, "namespace", service->namespace_name);
    json_put_str(writer, "name", service->name);
    json_put_str(writer, "type", str_of(service_type_name(service->type)));
    json_put_u64(writer, "slices", service->slices_len);
    if (hold)
        json_put_str(writer, "hold", str_of(hold));
    json_open_array(writer, "ports");
    for (size_t i = 0; i < service->ports_len; i++)
        put_port(writer, &service->ports[i]);
    json_close_array(writer);
    json_close_object(writer);
}

struct service_sort {
    const struct service **items;
    size_t len, cap;
};

static void collect_service(void *ctx, const struct service *service)
{
    struct service_sort *sort = ctx;

    sort->items = xgrow(sort->items, &sort->cap, sort->len, sizeof(*sort->items));
    sort->items[sort->len++] = service;
}

static int by_name(const void *a, const void *b)
{
    const struct service *left = *(const struct service *const *)a,
                         *right = *(const struct service *const *)b;
    int order = str_cmp(left->namespace_name, right->namespace_name);

    return order ? order : str_cmp(left->name, right->name);
}

static void show_services(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;
    struct service_sort sort = {0};
    struct buf out = BUFFER_INIT(PAGE_DUMP_MAX);
    struct json_writer writer = json_writer(&out);

    catalog_each(controller_catalog(app->controller), collect_service, &sort);
    if (sort.len)
        qsort(sort.items, sort.len, sizeof(*sort.items), by_name);
    json_open_object(&writer, NULL);
    json_open_array(&writer, "services");
    for (size_t i = 0; i < sort.len; i++) {
        const struct service *service = sort.items[i];

        put_service(&writer, service,
                    controller_hold(app->controller, service->namespace_name, service->name));
    }
    json_close_array(&writer);
    json_close_object(&writer);
    buf_add_char(&out, '\n');
    admin_reply(request, buf_failed(&out) ? 500 : 200, "application/json", buf_str(&out));
    buf_done(&out);
    free(sort.items);
}

static void on_streams(void *ctx, struct buf *json)
{
    if (buf_failed(json))
        admin_reply(ctx, 507, "text/plain", STR("the dump is too large\n"));
    else
        admin_reply(ctx, 200, "application/json", buf_str(json));
}

static void show_streams(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;

    serve_dump_streams(app->serve, &(struct stream_filter){0}, on_streams, request);
}

const struct admin_route app_pages[] = {
    {"GET", "/healthz", "200 while the process lives", false, show_healthz},
    {"GET", "/readyz", "200 while clients are served, else 503 and the reason", false, show_readyz},
    {"GET", "/metrics", "Prometheus text", false, show_metrics},
    {"GET", "/debug/services", "every Service with its backends, JSON", true, show_services},
    {"GET", "/debug/streams", "every stream: what it asked, was sent and accepted, JSON", true,
     show_streams},
};
const size_t app_pages_len = ARRAY_LEN(app_pages);
