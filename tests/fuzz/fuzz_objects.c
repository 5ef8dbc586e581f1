/*
 * Objects of any content into a controller, and every catalog that comes out obeys the rules of lists.
 *
 * A JSON array is a script: every element goes to one sink as its members "kind" ("Service",
 * "Endpoints", "Node" or EndpointSlice) and "verb" (upsert, remove, begin, list, end, abort, turn,
 * sync, release) say. Any other text is a manifest file whose objects are upserted. Whatever is
 * published at a turn and at the end is explained, and the explanation has all that is listed.
 */
#include "base/log.h"
#include "base/yaml.h"
#include "controller/controller.h"
#include "controller/manifest.h"
#include "controller/value.h"
#include "service_rules.h"
#include "sink_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct controller *controller;
static struct controller_scope *scopes[OBJECT_KINDS];

static void check_service(unused_arg void *ctx, const struct service *service)
{
    rules_check_service(service);
}

static void on_publish(unused_arg void *ctx, const struct catalog *catalog)
{
    catalog_each(catalog, check_service, NULL);
    catalog_unref(catalog);
}

/* ---- explanations ---- */

static bool is_listed(const struct service_port *port, const struct json *item)
{
    struct str address = json_text(json_get(item, "address"));

    for (size_t i = 0; i < port->list.len; i++) {
        const struct listed *listed = &port->list.items[i];

        if (str_eq(listed->backend->endpoint->address, address) ||
            (listed->other && str_eq(listed->other->endpoint->address, address)))
            return true;
    }
    return false;
}

/* How many of an array are in; `always`: they do not say so. */
static size_t count_in(const struct service_port *port, const struct json *items, bool always)
{
    size_t count = 0;

    for (const struct json *item = json_first(items); item; item = json_next(item)) {
        if (!always && !json_bool(json_get(item, "in")))
            continue;
        must_hold(is_listed(port, item));
        must_hold(json_text(json_get(item, "why")).len > 0);
        count++;
    }
    return count;
}

static size_t count_listed(const struct service_port *port)
{
    size_t count = port->list.len;

    for (size_t i = 0; i < port->list.len; i++)
        count += port->list.items[i].other != NULL;
    return count;
}

static void check_explanation(const struct service_port *port, const struct json *answer)
{
    const struct json *slices = json_get(answer, "slices");
    size_t in = count_in(port, json_get(answer, "kept"), true);

    for (const struct json *slice = json_first(slices); slice; slice = json_next(slice))
        in += count_in(port, json_get(slice, "endpoints"), false);
    must_hold(in >= count_listed(port));
    must_hold((size_t)json_number(json_get(answer, "listed")) == port->list.len);
}

static void explain(const struct service *service, const struct service_port *port)
{
    struct buf target = BUFFER_INIT(1024), out = BUFFER_INIT(64 << 20);
    struct json_writer writer = json_writer(&out);
    struct json *answer = NULL;
    struct explain_query query = {.default_namespace = STR("x"), .cluster_domain = STR("y")};

    buf_printf(&target, "%" STR_FMT ".%" STR_FMT ".svc:%u", STR_ARG(service->name),
               STR_ARG(service->namespace_name), (unsigned)port->number);
    query.target = buf_str(&target);
    json_open_object(&writer, NULL);
    if (controller_explain(controller, &query, &writer, NULL) == CODE_OK) {
        json_close_object(&writer);
        must_hold(json_parse(buf_str(&out), &answer, NULL) == CODE_OK);
        check_explanation(port, answer);
    }
    json_free(answer);
    buf_done(&target);
    buf_done(&out);
}

/* The ports that a number means without doubt. */
static void explain_service(unused_arg void *ctx, const struct service *service)
{
    const char *unused;

    for (size_t i = 0; i < service->ports_len; i++) {
        const struct port_ref ref = {.kind = PORT_NUMBER, .number = service->ports[i].number};

        if (ref.number != 0 && service->type != SERVICE_EXTERNAL_NAME &&
            service_find_port(service, &ref, &unused) == &service->ports[i])
            explain(service, &service->ports[i]);
    }
}

static void explain_all(void)
{
    catalog_each(controller_catalog(controller), explain_service, NULL);
}

/* ---- what goes in ---- */

static enum object_kind kind_of(struct str name)
{
    for (enum object_kind kind = 0; kind < OBJECT_KINDS; kind++) {
        if (str_eq(name, str_of(value_kind_name(kind))))
            return kind;
    }
    return OBJECT_SLICE;
}

static void turn(void)
{
    loop_turn(loop, 0);
    explain_all();
}

static void apply(const struct json *item)
{
    const struct kube_sink *sink = controller_sink();
    struct str kind = json_text(json_get(item, "kind"));
    struct str verb = json_text(json_get(item, "verb"));
    struct controller_scope *scope = scopes[kind_of(kind)];

    if (str_eq(verb, STR("turn")))
        turn();
    else if (str_eq(verb, STR("sync")))
        controller_set_synced(controller);
    else if (str_eq(verb, STR("release")))
        (void)controller_release(controller, json_text(json_get(item, "namespace")),
                                 json_text(json_get(item, "name")));
    else if (!sink_script_apply(sink, scope, verb, item))
        sink->upsert(scope, item);
}

static void apply_manifest(struct str text)
{
    struct manifest manifest = {0};
    struct err err = {0};

    if (manifest_parse(text, false, &manifest, &err) == CODE_OK) {
        for (size_t i = 0; i < manifest.len; i++) {
            struct json *tombstone = manifest_tombstone(manifest.objects[i].key);

            must_hold(manifest_key_kind(manifest.objects[i].key) == manifest.objects[i].kind);
            controller_sink()->upsert(scopes[manifest.objects[i].kind], manifest.objects[i].json);
            json_free(tombstone);
        }
    } else {
        must_hold(str_starts_with(str_of(err.msg), STR("line ")) ||
                  err.code != CODE_INVALID_ARGUMENT);
    }
    manifest_done(&manifest);
}

static void start(void)
{
    struct controller_options options = {.publish = on_publish, .deletion_grace_ms = 1000};

    if (!loop)
        must_hold(loop_new(&loop, NULL) == CODE_OK);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    options.loop = loop;
    controller = controller_new(&options);
    for (enum object_kind kind = 0; kind < OBJECT_KINDS; kind++)
        scopes[kind] = controller_scope_new(controller, kind, value_kind_name(kind));
}

static void stop(void)
{
    const struct controller_stats *stats = controller_stats(controller);

    for (enum object_kind kind = 0; kind < OBJECT_KINDS; kind++)
        controller_scope_free(scopes[kind]);
    must_hold(counter_get(&stats->objects_services) == 0);
    must_hold(counter_get(&stats->objects_slices) == 0);
    must_hold(counter_get(&stats->objects_endpoints) == 0);
    must_hold(counter_get(&stats->objects_nodes) == 0);
    controller_free(controller);
    loop_turn(loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make(data, size);
    struct json *json = NULL;

    start();
    if (json_parse(text, &json, NULL) == CODE_OK && json_type(json) == JSON_ARRAY) {
        for (const struct json *item = json_first(json); item; item = json_next(item))
            apply(item);
    } else {
        apply_manifest(text);
    }
    controller_set_synced(controller);
    explain_all();
    json_free(json);
    stop();
    return 0;
}
