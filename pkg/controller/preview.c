#include "controller/decode_policy.h"
#include "controller/preview_internal.h"
#include "controller/resource_internal.h"
#include "controller/store_internal.h"

static const enum object_kind kinds[] = {OBJECT_SERVICE, OBJECT_SLICE, OBJECT_POLICY};

/* A controller's store and publisher, for one catalog. */
struct side {
    struct store store;
    struct publisher *publisher;
    struct controller_stats stats;
    struct controller_scope *scopes[OBJECT_KINDS];
};

/* A Service's name; the text is a store's. */
struct service_name {
    struct str namespace_name, name;
};

struct preview {
    const struct preview_sources *sources;
    uint64_t now_us;
    struct side now, then;
    struct service_name *touched; /* that the manifests are about: sorted, each once */
    size_t touched_len, touched_cap;
};

/* ---- both sides ---- */

static void side_init(struct side *side, const struct controller_options *live)
{
    const struct controller_options options = {
        .loop = live->loop,
        .mode = live->mode,
        .reports_load = live->reports_load,
        .identifies = live->identifies,
        .default_access = live->default_access,
        .host_suffixes = live->host_suffixes,
    };

    side->publisher = publisher_new(&options, &side->store, &side->stats);
    store_init(&side->store, side->publisher, &side->stats);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        side->scopes[kinds[i]] = store_scope_new(&side->store, live->loop, kinds[i], "preview");
}

static void side_done(struct side *side)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        controller_scope_free(side->scopes[kinds[i]]);
    store_done(&side->store);
    publisher_free(side->publisher);
}

/* ---- what the manifests say ---- */

static void keep_first(void *ctx, const char *text)
{
    struct err *err = ctx;

    if (err->code == CODE_OK)
        fail(err, CODE_INVALID_ARGUMENT, "%s", text);
}

static enum code check(const struct manifest_object *object, const struct object_meta *meta,
                       struct err *err)
{
    struct value value = {0};
    struct err fault = {0};
    enum code code;

    if (object->kind == OBJECT_POLICY) {
        policy_check(object->json, meta, keep_first, &fault);
        return fault.code == CODE_OK ? CODE_OK
                                     : fail(err, fault.code, "%s: %s", object->key, fault.msg);
    }
    code = value_decode(object->kind, object->json, meta, &value, &fault);
    value_done(&value);
    return code == CODE_OK ? CODE_OK
                           : fail(err, code, "%s %s", value_kind_name(object->kind), fault.msg);
}

/* One that is there keeps its age, whatever the file says; a new one has the least. */
static void set_age(const struct preview *preview, struct object *object)
{
    struct str name = str_of(object->key);
    struct str namespace_name = str_cut(&name, '/');
    const struct object *live = store_resource(preview->sources->store, namespace_name, name);

    if (preview->now_us != 0)
        object->value.created_us =
            live && live->value.policy ? live->value.created_us : preview->now_us;
}

static enum code apply_one(struct preview *preview, const struct manifest_object *object,
                           struct err *err)
{
    struct controller_scope *scope = preview->then.scopes[object->kind];
    struct object_meta meta;
    struct object *applied;
    enum code code;

    if (!scope)
        return CODE_OK;
    if ((code = decode_meta(object->json, &meta, err)) != CODE_OK ||
        (code = check(object, &meta, err)) != CODE_OK)
        return code;
    controller_sink()->upsert(scope, object->json);
    applied = store_object(scope, &meta);
    if (!applied->group) /* a slice of no Service */
        return CODE_OK;
    if (object->kind == OBJECT_POLICY)
        set_age(preview, applied);
    preview->touched = xgrow(preview->touched, &preview->touched_cap, preview->touched_len,
                             sizeof(*preview->touched));
    preview->touched[preview->touched_len++] =
        (struct service_name){applied->group->namespace_name, applied->group->name};
    return CODE_OK;
}

static int cmp_name(const void *a, const void *b)
{
    const struct service_name *left = a, *right = b;
    int order = str_cmp(left->namespace_name, right->namespace_name);

    return order != 0 ? order : str_cmp(left->name, right->name);
}

static enum code apply(struct preview *preview, const struct manifest *manifest, struct err *err)
{
    enum code code = CODE_OK;

    if (manifest->len > PREVIEW_OBJECTS_MAX)
        return fail(err, CODE_INVALID_ARGUMENT, "%zu objects are more than %d: give fewer at once",
                    manifest->len, PREVIEW_OBJECTS_MAX);
    for (size_t i = 0; i < manifest->len && code == CODE_OK; i++)
        code = apply_one(preview, &manifest->objects[i], err);
    if (preview->touched_len > 1)
        qsort(preview->touched, preview->touched_len, sizeof(*preview->touched), cmp_name);
    return code;
}

/* ---- what else they concern ---- */

static void copy_object(struct preview *preview, const struct object *object)
{
    store_copy(preview->now.scopes[object->scope->kind], object);
    store_copy(preview->then.scopes[object->scope->kind], object);
}

/* v1 Endpoints give slices, too. */
static void copy_slices(struct preview *preview, const struct object *object)
{
    store_copy(preview->now.scopes[OBJECT_SLICE], object);
    store_copy(preview->then.scopes[OBJECT_SLICE], object);
}

/* Objects that the manifests have stay theirs. */
static void copy_service(struct preview *preview, struct str namespace_name, struct str name)
{
    const struct group *group = store_group(preview->sources->store, namespace_name, name);

    if (!group)
        return;
    list_for_each (link, &group->services)
        copy_object(preview, container_of(link, struct object, link));
    list_for_each (link, &group->policies)
        copy_object(preview, container_of(link, struct object, link));
    list_for_each (link, &group->slices)
        copy_slices(preview, container_of(link, struct object, link));
}

static void copy_backends(struct preview *preview, const struct policy *policy)
{
    for (size_t i = 0; policy && i < policy->backends_len; i++)
        copy_service(preview, policy->namespace_name, policy->backends[i].service);
}

static bool is_touched(const struct preview *preview, struct str namespace_name, struct str name)
{
    const struct service_name wanted = {namespace_name, name};

    return bsearch(&wanted, preview->touched, preview->touched_len, sizeof(wanted), cmp_name);
}

/* Of a LookasideService that is there: its Service, where one that it leads to is touched. */
static void copy_referrer(void *ctx, const struct object *object)
{
    struct preview *preview = ctx;
    const struct policy *policy = object->value.policy;
    bool refers = false;

    if (!policy)
        return;
    for (size_t i = 0; i < policy->backends_len; i++)
        refers = refers ||
                 is_touched(preview, policy->namespace_name, policy->backends[i].service);
    if (policy->hosts_len > 0)
        copy_object(preview, object);
    if (!refers)
        return;
    copy_service(preview, policy->namespace_name, policy->name);
    copy_backends(preview, policy);
}

static const struct policy *policy_in(const struct store *store, const struct service_name *name)
{
    const struct object *object = store_resource(store, name->namespace_name, name->name);

    return object ? object->value.policy : NULL;
}

static void copy_concerned(struct preview *preview)
{
    for (size_t i = 0; i < preview->touched_len; i++) {
        const struct service_name *name = &preview->touched[i];

        copy_service(preview, name->namespace_name, name->name);
        copy_backends(preview, policy_in(preview->sources->store, name));
        copy_backends(preview, policy_in(&preview->then.store, name));
    }
    store_each_resource(preview->sources->store, copy_referrer, preview);
}

/* ---- the answer ---- */

static void write_resources(const struct preview *preview, const struct manifest *manifest,
                            struct json_writer *writer)
{
    const struct resource_sources sources = {&preview->then.store, preview->then.publisher};

    json_open_array(writer, "resources");
    for (size_t i = 0; i < manifest->len; i++) {
        struct resource_status status;
        struct object_meta meta;

        if (manifest->objects[i].kind != OBJECT_POLICY ||
            decode_meta(manifest->objects[i].json, &meta, NULL) != CODE_OK)
            continue;
        resource_read(&sources, store_resource(sources.store, meta.namespace_name, meta.name),
                      &status);
        json_open_object(writer, NULL);
        resource_write(&status, writer);
        json_close_object(writer);
    }
    json_close_array(writer);
}

enum code preview_write(const struct preview_sources *sources, const struct manifest *manifest,
                        uint64_t now_us, struct json_writer *writer, struct err *err)
{
    struct preview preview = {.sources = sources, .now_us = now_us};
    const struct controller_options *live = publisher_options(sources->publisher);
    enum code code;

    side_init(&preview.now, live);
    side_init(&preview.then, live);
    publisher_set_owners(preview.now.publisher, publisher_catalog(sources->publisher));
    publisher_set_owners(preview.then.publisher, publisher_catalog(sources->publisher));
    code = apply(&preview, manifest, err);
    if (code == CODE_OK) {
        copy_concerned(&preview);
        publisher_start(preview.now.publisher);
        publisher_start(preview.then.publisher);
        preview_write_diff(publisher_catalog(preview.now.publisher),
                           publisher_catalog(preview.then.publisher), writer);
        write_resources(&preview, manifest, writer);
    }
    side_done(&preview.now);
    side_done(&preview.then);
    free(preview.touched);
    return code;
}
