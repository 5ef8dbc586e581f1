/*
 * Objects of any content into a controller, and every catalog that comes out obeys the rules of lists.
 *
 * A JSON array is a script: every element goes to one sink as its members "kind" ("Service" or
 * EndpointSlice) and "verb" (upsert, remove, begin, list, end, abort, turn) say. Any other text is a
 * manifest file whose objects are upserted.
 */
#include "base/log.h"
#include "base/yaml.h"
#include "controller/controller.h"
#include "controller/manifest.h"
#include "must_hold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct controller *controller;
static struct controller_scope *scopes[OBJECT_KINDS];

/* ---- what must hold ---- */

static void check_list(const struct service_port *port)
{
    const struct backend_list *list = &port->list;
    size_t at = 0, ready = 0;

    for (size_t i = 0; i < list->localities_len; i++) {
        const struct locality *locality = &list->localities[i];

        must_hold(locality->len > 0 && locality->first == at);
        must_hold(i == 0 || str_cmp(list->localities[i - 1].zone, locality->zone) < 0);
        for (; at < locality->first + locality->len; at++) {
            const struct backend *backend = list->items[at].backend;

            must_hold(str_eq(backend->endpoint->zone, locality->zone));
            must_hold(at == locality->first ||
                      backend_cmp_address(list->items[at - 1].backend, backend) < 0);
            must_hold((backend->wire.len > 0) == (backend->port != 0));
            ready += backend_is_ready(backend);
        }
    }
    must_hold(at == list->len && port->ready + port->draining <= port->total);
    must_hold(list->len == (port->ready > 0 ? port->ready : port->draining));
    must_hold(ready == port->ready);
}

static void check_service(unused_arg void *ctx, const struct service *service)
{
    for (size_t i = 0; i < service->ports_len; i++) {
        must_hold(service->ports[i].protocol == PROTOCOL_TCP);
        must_hold(i == 0 || service->ports[i - 1].number <= service->ports[i].number);
        check_list(&service->ports[i]);
    }
    for (size_t i = 1; i < service->slices_len; i++)
        must_hold(str_cmp(service->slices[i - 1]->name, service->slices[i]->name) <= 0);
    must_hold(service->type != SERVICE_EXTERNAL_NAME || service->ports_len == 0);
}

static void on_publish(unused_arg void *ctx, const struct catalog *catalog)
{
    catalog_each(catalog, check_service, NULL);
    must_hold(catalog_len(catalog) <= counter_get(&controller_stats(controller)->objects_services));
    catalog_unref(catalog);
}

/* ---- what goes in ---- */

static void apply(const struct json *item)
{
    const struct kube_sink *sink = controller_sink();
    struct str kind = json_text(json_get(item, "kind"));
    struct str verb = json_text(json_get(item, "verb"));
    struct controller_scope *scope =
        scopes[str_eq(kind, STR("Service")) ? OBJECT_SERVICE : OBJECT_SLICE];

    if (str_eq(verb, STR("remove")))
        sink->remove(scope, item);
    else if (str_eq(verb, STR("begin")))
        sink->list_begin(scope);
    else if (str_eq(verb, STR("list")))
        sink->list_object(scope, item);
    else if (str_eq(verb, STR("end")))
        sink->list_end(scope);
    else if (str_eq(verb, STR("abort")))
        sink->list_abort(scope);
    else if (str_eq(verb, STR("turn")))
        loop_turn(loop, 0);
    else
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
    struct controller_options options = {.publish = on_publish};

    if (!loop)
        must_hold(loop_new(&loop, NULL) == CODE_OK);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    options.loop = loop;
    controller = controller_new(&options);
    scopes[OBJECT_SERVICE] = controller_scope_new(controller, OBJECT_SERVICE, "services");
    scopes[OBJECT_SLICE] = controller_scope_new(controller, OBJECT_SLICE, "slices");
}

static void stop(void)
{
    const struct controller_stats *stats = controller_stats(controller);

    controller_scope_free(scopes[OBJECT_SLICE]);
    controller_scope_free(scopes[OBJECT_SERVICE]);
    must_hold(counter_get(&stats->objects_services) == 0);
    must_hold(counter_get(&stats->objects_slices) == 0);
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
    json_free(json);
    stop();
    return 0;
}
