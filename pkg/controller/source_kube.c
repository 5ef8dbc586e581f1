#include "controller/source_internal.h"

#include "base/log.h"
#include "kube/reflector.h"
#include "model/name.h"

/* One resource of one namespace, or of all. */
struct collection {
    struct source_kube *source;
    char *path;
    const char *resource;
    char *namespace_name;           /* "": all */
    struct controller_scope *scope; /* NULL: of pods */
    struct pods_scope *pods;        /* NULL: of all others */
    struct reflector *reflector;
    enum reflector_need need;
    bool synced;
};

struct source_kube {
    struct source base;
    bool policies_required;
    struct loop *loop;
    struct controller *controller;
    struct pods *pods; /* NULL: they are not read */
    uint64_t started_us;
    struct collection *collections;
    size_t len;
    size_t synced;
};

/* What is asked of the API server: of every namespace, but nodes, which live in none. */
static const struct resource {
    enum object_kind kind;
    const char *name;
    const char *api;
    enum reflector_need need;
    const char *forbidden_advice;
} services = {OBJECT_SERVICE, "services", "/api/v1", NEED_REQUIRED, NULL},
  slices = {OBJECT_SLICE, "endpointslices", "/apis/discovery.k8s.io/v1", NEED_REQUIRED, NULL},
  endpoints = {OBJECT_ENDPOINTS, "endpoints", "/api/v1", NEED_REQUIRED, NULL},
  nodes = {OBJECT_NODE, "nodes", "/api/v1", NEED_IF_EASY, NULL},
  pods = {OBJECT_KINDS, "pods", "/api/v1", NEED_REQUIRED,
          "grant list and watch, or switch --identify-pods off"},
  policies = {OBJECT_POLICY, "lookasideservices", "/apis/lookaside.dev/v1alpha1", NEED_IF_SERVED,
              "grant list and watch, or install without the CRD"};

/* A server that starts may refuse what it allows once it has read its own rules. */
#define FORBIDDEN_MS 30000

/* Of one namespace. */
#define RESOURCES_MAX 4

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
        pods_scope_free(collection->pods);
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

/* What fails here is no reason to call the view old. */
static bool is_aside(const struct collection *collection)
{
    return collection->need == NEED_IF_EASY ||
           counter_get(&reflector_stats(collection->reflector)->absent) > 0;
}

static uint64_t kube_staleness_us(const struct source *source)
{
    const struct source_kube *kube = kube_of(source);
    uint64_t oldest = 0;

    for (size_t i = 0; i < kube->len; i++) {
        if (!is_aside(&kube->collections[i]))
            oldest = max_u64(oldest, collection_staleness_us(&kube->collections[i]));
    }
    return oldest;
}

static void kube_problem(const struct source *source, struct buf *ret_problem)
{
    const struct source_kube *kube = kube_of(source);

    for (size_t i = 0; i < kube->len; i++) {
        const char *problem = reflector_problem(kube->collections[i].reflector);

        if (!*problem || is_aside(&kube->collections[i]))
            continue;
        buf_printf(ret_problem, "%s", problem);
        return;
    }
}

static const struct counter *counter_at(const struct collection *collection, size_t offset)
{
    const char *stats = (const void *)reflector_stats(collection->reflector);

    return (const void *)(stats + offset);
}

/* A family, or the samples of one value of its label. */
static void write_samples(const struct source_kube *kube, struct buf *out, const char *name,
                          struct source_label label, size_t offset)
{
    for (size_t i = 0; i < kube->len; i++) {
        const struct collection *collection = &kube->collections[i];

        source_write_u64(out, name, collection->resource, collection->namespace_name, label,
                         counter_get(counter_at(collection, offset)));
    }
}

static void write_lists(const struct source_kube *kube, struct buf *out)
{
    static const char lists[] = "lookaside_source_lists_total";
    static const char relists[] = "lookaside_source_relists_total";

    metric_write_head(out, lists, "counter", "Complete lists read, by the way that they came.");
    write_samples(kube, out, lists, (struct source_label){"kind", "paged"},
                  offsetof(struct reflector_stats, lists_paged));
    write_samples(kube, out, lists, (struct source_label){"kind", "streamed"},
                  offsetof(struct reflector_stats, lists_streamed));
    metric_write_head(out, relists, "counter",
                      "Lists that became necessary although there was one, by cause.");
    for (size_t i = 0; i < RELIST_CAUSES; i++)
        write_samples(kube, out, relists, (struct source_label){"cause", relist_cause_name(i)},
                      offsetof(struct reflector_stats, relists) + i * sizeof(struct counter));
}

static void write_staleness(const struct source_kube *kube, struct buf *out)
{
    source_write_staleness_head(out);
    for (size_t i = 0; i < kube->len; i++)
        source_write_staleness(out, kube->collections[i].resource,
                               kube->collections[i].namespace_name,
                               collection_staleness_us(&kube->collections[i]));
}

static void kube_write_metrics(const struct source *source, struct buf *out)
{
    static const struct {
        const char *name;
        const char *type;
        size_t offset;
        const char *help;
    } families[] = {
        {"lookaside_source_streams_refused_total", "counter",
         offsetof(struct reflector_stats, streams_refused),
         "Streamed lists that were not to be had, so that pages were read."},
        {"lookaside_source_watches_total", "counter", offsetof(struct reflector_stats, watches),
         "Watches opened, streamed lists among them."},
        {"lookaside_source_reconnects_total", "counter",
         offsetof(struct reflector_stats, reconnects),
         "Watches that were lost, or given up for a new connection."},
        {"lookaside_source_events_total", "counter", offsetof(struct reflector_stats, events),
         "Objects added, modified or deleted, as told by watches."},
        {"lookaside_source_bookmarks_total", "counter", offsetof(struct reflector_stats, bookmarks),
         "Bookmarks of watches."},
        {"lookaside_source_probes_total", "counter", offsetof(struct reflector_stats, probes),
         "Comparisons with the newest version of the server."},
        {"lookaside_source_errors_total", "counter", offsetof(struct reflector_stats, errors),
         "Requests that failed, and errors inside watches."},
        {"lookaside_source_bad_objects_total", "counter",
         offsetof(struct reflector_stats, bad_objects), "Objects without a name."},
        {"lookaside_source_malformed_total", "counter", offsetof(struct reflector_stats, malformed),
         "Pages and watch lines that were not what the API serves."},
        {"lookaside_source_absent", "gauge", offsetof(struct reflector_stats, absent),
         "1 while an optional resource is not there, or not for us."},
    };
    const struct source_kube *kube = kube_of(source);

    write_lists(kube, out);
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        metric_write_head(out, families[i].name, families[i].type, families[i].help);
        write_samples(kube, out, families[i].name, (struct source_label){0}, families[i].offset);
    }
    write_staleness(kube, out);
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

/* Where its objects go. */
static void set_sink(struct collection *collection, const struct resource *resource,
                     struct reflector_options *options)
{
    struct source_kube *kube = collection->source;

    if (resource == &pods) {
        collection->pods = pods_scope_new(kube->pods, resource->name);
        options->sink = pods_sink();
        options->sink_ctx = collection->pods;
    } else {
        collection->scope = controller_scope_new(kube->controller, resource->kind, resource->name);
        options->sink = controller_sink();
        options->sink_ctx = collection->scope;
    }
}

static enum code start_collection(struct source_kube *kube, struct kube_client *client,
                                  const struct resource *resource, const char *namespace_name,
                                  struct err *err)
{
    struct collection *collection = &kube->collections[kube->len++];
    struct buf path = BUFFER_INIT(512);
    struct reflector_options options = {
        .on_synced = on_synced,
        .ctx = collection,
        .label = resource->name,
        .need = resource->need,
        .forbidden_advice = resource->forbidden_advice,
        .forbidden_ms = kube->policies_required ? 0 : FORBIDDEN_MS,
    };
    size_t len;

    buf_printf(&path, "%s%s%s/%s", resource->api, *namespace_name ? "/namespaces/" : "",
               namespace_name, resource->name);
    *collection = (struct collection){
        .source = kube,
        .path = buf_take(&path, &len),
        .resource = resource->name,
        .namespace_name = xstrdup(namespace_name),
        .need = resource->need,
    };
    options.path = collection->path;
    set_sink(collection, resource, &options);
    return reflector_new(client, &options, &collection->reflector, err);
}

static enum code start_namespace(struct source_kube *kube,
                                 const struct source_kube_options *options,
                                 const char *namespace_name, struct err *err)
{
    enum code code;

    for (size_t i = 0; i < kube->len; i++) {
        if (strcmp(kube->collections[i].namespace_name, namespace_name) == 0)
            return CODE_OK; /* named twice */
    }
    code = start_collection(kube, options->client, &services, namespace_name, err);
    if (code != CODE_OK)
        return code;
    code = start_collection(kube, options->client, options->endpoints ? &endpoints : &slices,
                            namespace_name, err);
    if (code == CODE_OK && options->pods)
        code = start_collection(kube, options->client, &pods, namespace_name, err);
    if (code != CODE_OK)
        return code;
    return start_collection(kube, options->client, &policies, namespace_name, err);
}

static const struct source_ops kube_ops = {kube_free, kube_synced, kube_staleness_us, kube_problem,
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
    enum code code = CODE_OK;
    size_t len = 0;

    kube->base.ops = &kube_ops;
    kube->policies_required = options->policies_required;
    kube->loop = loop;
    kube->controller = controller;
    kube->pods = options->pods;
    kube->started_us = loop_now_us(loop);
    for (; namespaces[len]; len++) {
        if (some && !name_is_label(str_of(namespaces[len])))
            return fail(err, CODE_INVALID_ARGUMENT, "'%.64s' is no namespace", namespaces[len]);
    }
    kube->collections = xcalloc(len * RESOURCES_MAX + 1, sizeof(*kube->collections));
    for (size_t i = 0; i < len && code == CODE_OK; i++)
        code = start_namespace(kube, options, namespaces[i], err);
    if (code == CODE_OK && options->nodes)
        code = start_collection(kube, options->client, &nodes, "", err);
    if (code != CODE_OK)
        return code;
    *ret_source = TAKE(source);
    return CODE_OK;
}
