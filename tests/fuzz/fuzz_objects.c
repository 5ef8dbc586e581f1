/*
 * Objects of any content into a controller, and every catalog that comes out obeys the rules of lists.
 *
 * A JSON array is a script: every element goes to one sink as its members "kind" ("Service",
 * "Endpoints", "Node" or EndpointSlice) and "verb" (upsert, remove, begin, list, end, abort, turn)
 * say. Any other text is a manifest file whose objects are upserted.
 */
#include "base/log.h"
#include "base/yaml.h"
#include "controller/controller.h"
#include "controller/manifest.h"
#include "controller/value.h"
#include "service_rules.h"

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
    must_hold(catalog_len(catalog) <= counter_get(&controller_stats(controller)->objects_services));
    catalog_unref(catalog);
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

static void apply(const struct json *item)
{
    const struct kube_sink *sink = controller_sink();
    struct str kind = json_text(json_get(item, "kind"));
    struct str verb = json_text(json_get(item, "verb"));
    struct controller_scope *scope = scopes[kind_of(kind)];

    if (str_eq(verb, STR("remove")))
        sink->remove(scope, item);
    else if (str_eq(verb, STR("begin")))
        sink->list_begin(scope);
    else if (str_eq(verb, STR("list")))
        sink->list_object(scope, item);
    else if (str_eq(verb, STR("end")))
        (void)sink->list_end(scope);
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
    json_free(json);
    stop();
    return 0;
}
