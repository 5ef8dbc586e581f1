/* What is published and who listens, for people and lookasidectl: JSON. */
#include "base/json.h"
#include "model/name.h"
#include "pages.h"

#define TEXT_MAX 1024
#define PROBLEM_MAX 4096
#define PAGE_DUMP_MAX (1024 * 1024 * 1024)

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
    json_put_bool(writer, "byPlace", port->by_place);
    json_put_bool(writer, "local", view_is_local(port));
    json_put_str(writer, "locality", str_of(locality_mode_name(view_mode(port))));
    json_put_u64(writer, "subset", view_is_cut(port) ? port->policy->subset_size : 0);
    json_open_array(writer, "endpoints");
    for (size_t i = 0; i < port->list.len; i++)
        put_backend(writer, port->list.items[i].backend);
    json_close_array(writer);
    json_close_object(writer);
}

static void put_hold(struct json_writer *writer, const struct app *app,
                     const struct service *service)
{
    uint64_t now_us = loop_now_us(app->loop);
    struct hold_info info;

    if (!controller_hold_info(app->controller, service->namespace_name, service->name, &info))
        return;
    json_put_str(writer, "hold", str_of(hold_name(info.hold)));
    json_put_u64(writer, "holdSinceMs",
                 now_us > info.since_us ? (now_us - info.since_us) / 1000 : 0);
    if (info.until_us) /* else until a further list agrees */
        json_put_u64(writer, "holdUntilMs",
                     info.until_us > now_us ? (info.until_us - now_us) / 1000 : 0);
}

static void put_service(struct json_writer *writer, const struct app *app,
                        const struct service *service)
{
    json_open_object(writer, NULL);
    json_put_str(writer, "namespace", service->namespace_name);
    json_put_str(writer, "name", service->name);
    json_put_str(writer, "type", str_of(service_type_name(service->type)));
    json_put_u64(writer, "slices", service->slices_len);
    if (!access_is_open(service, app->options->default_access))
        json_put_bool(writer, "restricted", true); /* not everybody sees it */
    put_hold(writer, app, service);
    json_open_array(writer, "ports");
    for (size_t i = 0; i < service->ports_len; i++)
        if (service->ports[i].origin != PORT_PODS)
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

void show_services(void *ctx, struct admin_request *request)
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
    for (size_t i = 0; i < sort.len; i++)
        put_service(&writer, app, sort.items[i]);
    json_close_array(&writer);
    json_close_object(&writer);
    buf_add_char(&out, '\n');
    admin_reply(request, buf_failed(&out) ? 500 : 200, "application/json", buf_str(&out));
    buf_done(&out);
    free(sort.items);
}

/* ---- streams ---- */

static void on_streams(void *ctx, struct buf *json)
{
    if (buf_failed(json))
        admin_reply(ctx, 507, "text/plain", STR("the dump is too large\n"));
    else
        admin_reply(ctx, 200, "application/json", buf_str(json));
}

/* "namespace/name"; not given: all. */
static bool read_filter(struct admin_request *request, struct stream_filter *ret_filter)
{
    struct str rest = str_of(admin_argument(request, "service"));

    *ret_filter = (struct stream_filter){0};
    if (!rest.ptr)
        return true;
    ret_filter->namespace_name = str_cut(&rest, '/');
    ret_filter->service = rest;
    return name_is_label(ret_filter->namespace_name) && name_is_label(rest);
}

void show_streams(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;
    struct stream_filter filter;

    if (read_filter(request, &filter))
        serve_dump_streams(app->serve, &filter, on_streams, request);
    else
        admin_reply(request, 400, "text/plain", STR("service: expected NAMESPACE/NAME\n"));
}

/* ---- load ---- */

static void on_loads(void *ctx, const struct load_table *loads)
{
    struct buf out = BUFFER_INIT(PAGE_DUMP_MAX);
    struct json_writer writer = json_writer(&out);

    json_open_object(&writer, NULL);
    serve_write_loads(loads, &writer);
    json_close_object(&writer);
    buf_add_char(&out, '\n');
    admin_reply(ctx, buf_failed(&out) ? 507 : 200, "application/json", buf_str(&out));
    buf_done(&out);
}

void show_load(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;

    if (app->options->load_reports)
        serve_collect_loads(app->serve, on_loads, request);
    else
        page_refuse(request, 404, "load reports are switched off: see --load-reports");
}

/* ---- reasons ---- */

static struct str argument(struct admin_request *request, const char *name)
{
    const char *value = admin_argument(request, name);

    return value ? str_of(value) : STR("");
}

/* --namespaces may leave the Service out. */
static bool is_watched(const struct app *app, const struct explain_query *query)
{
    const struct text_list *namespaces = &app->options->namespaces;
    const struct name_context context = {query->default_namespace, query->cluster_domain,
                                         (const char *const *)app->options->host_suffixes.items};
    struct name name;

    if (namespaces->len == 0 || name_parse(query->target, &context, &name, NULL) != CODE_OK ||
        name.form == NAME_HOST)
        return true;
    for (size_t i = 0; i < namespaces->len; i++)
        if (str_eq(str_of(namespaces->items[i]), name.namespace_name))
            return true;
    return false;
}

static enum code explain(const struct app *app, const struct explain_query *query, struct buf *out,
                         struct err *err)
{
    struct json_writer writer = json_writer(out);
    struct buf problem = BUFFER_INIT(PROBLEM_MAX);
    enum code code;

    json_open_object(&writer, NULL);
    code = controller_explain(app->controller, query, &writer, err);
    json_put_bool(&writer, "watched", is_watched(app, query));
    json_put_u64(&writer, "staleness_ms", source_staleness_us(app->source) / 1000);
    source_problem(app->source, &problem);
    if (problem.len > 0)
        json_put_str(&writer, "source_problem", buf_str(&problem));
    buf_done(&problem);
    json_close_object(&writer);
    buf_add_char(out, '\n');
    return code;
}

/* 0: not given, or none. */
static unsigned read_group(struct admin_request *request)
{
    uint64_t group = 0;

    return str_to_u64(argument(request, "group"), PLACE_GROUPS, &group) ? (unsigned)group : 0;
}

void page_refuse(struct admin_request *request, unsigned status, const char *reason)
{
    struct buf text = BUFFER_INIT(TEXT_MAX);

    buf_printf(&text, "%s\n", reason);
    admin_reply(request, status, "text/plain", buf_str(&text));
    buf_done(&text);
}

void show_explain(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;
    struct explain_query query = {
        .target = argument(request, "target"),
        .default_namespace = argument(request, "namespace"),
        .cluster_domain = str_of(app->options->cluster_domain),
        .place = {.zone = argument(request, "zone"),
                  .node = argument(request, "node"),
                  .group = read_group(request)},
    };
    CLEANUP(account_freep) struct service_account *account =
        account_of_text(argument(request, "account"), ACCOUNT_BY_TOKEN);
    bool is_nobody = str_eq(argument(request, "account"), STR("nobody"));
    struct buf out = BUFFER_INIT(PAGE_DUMP_MAX);
    struct err err = {0};

    query.asked = account || is_nobody;
    /* A name of one label is of the namespace that is known of the client, before what it says. */
    if (account) {
        query.caller = (struct caller){account->namespace_name, account->name};
        if (options_identify(app->options))
            query.default_namespace = account->namespace_name;
    }
    if (query.default_namespace.len == 0)
        query.default_namespace = str_of(app_default_namespace(app));
    if (query.target.len == 0)
        page_refuse(request, 400, "expected the argument target, as a client would dial it");
    else if (!query.asked && argument(request, "account").len > 0)
        page_refuse(request, 400, "account: expected NAMESPACE/NAME of a service account, or nobody");
    else if (app->phase == APP_SYNCING)
        page_refuse(request, 503, "not synced yet: see /readyz");
    else if (explain(app, &query, &out, &err) != CODE_OK)
        page_refuse(request, 400, err.msg);
    else
        admin_reply(request, buf_failed(&out) ? 500 : 200, "application/json", buf_str(&out));
    buf_done(&out);
}

/* ---- holds ---- */

/* Replies itself when an argument is missing or malformed. */
static bool read_service(struct admin_request *request, struct str *ret_namespace,
                         struct str *ret_name)
{
    *ret_namespace = str_of(admin_argument(request, "namespace"));
    *ret_name = str_of(admin_argument(request, "name"));
    if (name_is_label(*ret_namespace) && name_is_label(*ret_name))
        return true;
    admin_reply(request, 400, "text/plain",
                STR("expected the arguments namespace and name, of a Service\n"));
    return false;
}

void release_hold(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;
    struct buf text = BUFFER_INIT(TEXT_MAX);
    struct str namespace_name, name;
    const char *hold;

    if (!read_service(request, &namespace_name, &name))
        return;
    hold = controller_hold(app->controller, namespace_name, name);
    if (hold && controller_release(app->controller, namespace_name, name)) {
        buf_printf(&text, "released %" STR_FMT "/%" STR_FMT " from the hold '%s'\n",
                   STR_ARG(namespace_name), STR_ARG(name), hold);
        admin_reply(request, 200, "text/plain", buf_str(&text));
    } else {
        buf_printf(&text, "no hold is in force for %" STR_FMT "/%" STR_FMT "\n",
                   STR_ARG(namespace_name), STR_ARG(name));
        admin_reply(request, 404, "text/plain", buf_str(&text));
    }
    buf_done(&text);
}
