#include "controller/source_internal.h"

#include "base/log.h"
#include "kube/reflector.h"
#include "model/name.h"


/* One resource of one namespace, or of all. */
struct collection {
    struct source_kube *source;
    char *path;
    const char *resource;
    char *namespace_name; /* "": all */
    struct controller_scope *scope;
    struct reflector *reflector;
    bool synced;
};

struct source_kube {
    struct source base;
    struct loop *loop;
    struct controller *controller;
    uint64_t started_us;
    struct collection *collections;
    size_t len;
    size_t synced;
};

static const struct {
    enum object_kind kind;
    const char *resource;
    const char *api;
} resources[] = {
    {OBJECT_SERVICE, "services", "/api/v1"},
    {OBJECT_SLICE, "endpointslices", "/apis/discovery.k8s.io/v1"},
};

static struct source_kube *kube_of(const struct source *source)
{
    return container_of(source, struct source_kube, base);
}

static void kube_free(struct source *source)
{
    struct source_kube *kube = kube_of(source);

    for (size_t i = kube->len; i-- > 0;) {
        struct collection *collection = &kube->collections[i];

        reflector_free(collection->reflector);
        controller_scope_free(collection->scope);
        free(collection->path);
        free(collection->namespace_name);
    }
    free(kube->collections);
    free(kube);
}

static bool kube_synced(const struct source *source, struct buf *ret_reason)
{
    const struct source_kube *kube = kube_of(source);
    bool first = true;

    for (size_t i = 0; i < kube->len && ret_reason; i++) {
        const struct collection *collection = &kube->collections[i];

        if (collection->synced)
            continue;
        buf_printf(ret_reason, "%s%s", first ? "" : "; ",
                   reflector_last_error(collection->reflector));
        if (*collection->namespace_name)
            buf_printf(ret_reason, " (namespace %s)", collection->namespace_name);
        first = false;
    }
    return kube->synced == kube->len;
}

static uint64_t collection_staleness_us(const struct collection *collection)
{
    const struct source_kube *kube = collection->source;
    uint64_t contact = counter_get(&reflector_stats(collection->reflector)->last_contact_us);
    uint64_t now = loop_now_us(kube->loop);

    if (contact == 0)
        contact = kube->started_us;
    return now > contact ? now - contact : 0;
}

static uint64_t kube_staleness_us(const struct source *source)
{
    const struct source_kube *kube = kube_of(source);
    uint64_t oldest = 0;

    for (size_t i = 0; i < kube->len; i++)
        oldest = max_u64(oldest, collection_staleness_us(&kube->collections[i]));
    return oldest;
}

static void kube_write_metrics(const struct source *source, struct buf *out)
{
    static const struct {
        const char *name;
        size_t offset;
        const char *help;
    } families[] = {
        {"lookaside_source_lists_total", offsetof(struct reflector_stats, lists),
         "Complete lists read."},
        {"lookaside_source_relists_total", offsetof(struct reflector_stats, relists_gone),
         "Lists because the resource version was too old (410)."},
        {"lookaside_source_watches_total", offsetof(struct reflector_stats, watches),
         "Watches opened."},
        {"lookaside_source_events_total", offsetof(struct reflector_stats, events),
         "Objects added, modified or deleted, as told by watches."},
        {"lookaside_source_bookmarks_total", offsetof(struct reflector_stats, bookmarks),
         "Bookmarks of watches."},
        {"lookaside_source_errors_total", offsetof(struct reflector_stats, errors),
         "Requests that failed, and errors inside watches."},
        {"lookaside_source_bad_objects_total", offsetof(struct reflector_stats, bad_objects),
         "Objects without a name."},
        {"lookaside_source_malformed_total", offsetof(struct reflector_stats, malformed),
         "Pages and watch lines that were not what the API serves."},
    };
    const struct source_kube *kube = kube_of(source);

    for (size_t f = 0; f < ARRAY_LEN(families); f++) {
        metric_write_head(out, families[f].name, "counter", families[f].help);
        for (size_t i = 0; i < kube->len; i++) {
            const struct collection *collection = &kube->collections[i];
            const void *stats = reflector_stats(collection->reflector);
            const struct counter *counter =
                (const void *)((const char *)stats + families[f].offset);

            source_write_u64(out, families[f].name, collection->resource,
                             collection->namespace_name, counter_get(counter));
        }
    }
    source_write_staleness_head(out);
    for (size_t i = 0; i < kube->len; i++)
        source_write_staleness(out, kube->collections[i].resource,
                               kube->collections[i].namespace_name,
                               collection_staleness_us(&kube->collections[i]));
}

static void on_synced(void *ctx)
{
    struct collection *collection = ctx;
    struct source_kube *kube = collection->source;

    if (collection->synced)
        return;
    collection->synced = true;
    if (++kube->synced < kube->len)
        return;
    log_info(LOG_CONTROLLER, "all objects listed",
             KV_U64("ms", (loop_now_us(kube->loop) - kube->started_us) / 1000));
    controller_set_synced(kube->controller);
}

static enum code start_collection(struct source_kube *kube, struct kube_client *client,
                                  size_t resource, const char *namespace_name, struct err *err)
{
    struct collection *collection = &kube->collections[kube->len++];
    struct buf path = BUFFER_INIT(512);
    struct reflector_options options = {
        .sink = controller_sink(),
        .on_synced = on_synced,
        .ctx = collection,
        .label = resources[resource].resource,
    };
    size_t len;

    buf_printf(&path, "%s%s%s/%s", resources[resource].api, *namespace_name ? "/namespaces/" : "",
               namespace_name, resources[resource].resource);
    *collection = (struct collection){
        .source = kube,
        .path = buf_take(&path, &len),
        .resource = resources[resource].resource,
        .namespace_name = xstrdup(namespace_name),
        .scope = controller_scope_new(kube->controller, resources[resource].kind,
                                      resources[resource].resource),
    };
    options.path = collection->path;
    options.sink_ctx = collection->scope;
    return reflector_new(client, &options, &collection->reflector, err);
}

static enum code start_namespace(struct source_kube *kube, struct kube_client *client,
                                 const char *namespace_name, struct err *err)
{
    for (size_t i = 0; i < kube->len; i++) {
        if (strcmp(kube->collections[i].namespace_name, namespace_name) == 0)
            return CODE_OK; /* named twice */
    }
    for (size_t i = 0; i < ARRAY_LEN(resources); i++) {
        enum code code = start_collection(kube, client, i, namespace_name, err);

        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

static const struct source_ops kube_ops = {kube_free, kube_synced, kube_staleness_us,
                                           kube_write_metrics};

static void source_freep(struct source **source)
{
    source_free(*source);
}

enum code source_kube_new(struct loop *loop, struct controller *controller,
                          const struct source_kube_options *options, struct source **ret_source,
                          struct err *err)
{
    static const char *const all[] = {"", NULL};
    bool some = options->namespaces && options->namespaces[0];
    const char *const *namespaces = some ? options->namespaces : all;
    struct source_kube *kube = xcalloc(1, sizeof(*kube));
    CLEANUP(source_freep) struct source *source = &kube->base;
    size_t len = 0;

    kube->base.ops = &kube_ops;
    kube->loop = loop;
    kube->controller = controller;
    kube->started_us = loop_now_us(loop);
    for (; namespaces[len]; len++) {
        if (some && !name_is_label(str_of(namespaces[len])))
            return fail(err, CODE_INVALID_ARGUMENT, "'%.64s' is no namespace", namespaces[len]);
    }
    kube->collections = xcalloc(len * ARRAY_LEN(resources), sizeof(*kube->collections));
    for (size_t i = 0; i < len; i++) {
        enum code code = start_namespace(kube, options->client, namespaces[i], err);

        if (code != CODE_OK)
            return code;
    }
    *ret_source = TAKE(source);
    return CODE_OK;
}
