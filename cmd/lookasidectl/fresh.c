#include "fresh.h"

#include "controller/controller.h"
#include "controller/source.h"

/* As the servers have it by default: what is deleted meanwhile stays here as long as there. */
#define DELETION_GRACE_MS 5000

struct fresh {
    struct fresh_options options;
    struct kube_config *config;
    struct kube_client *client;
    struct controller *controller;
    struct source *source;
};

static void on_publish(void *ctx, const struct catalog *catalog)
{
    struct fresh *fresh = ctx;

    catalog_unref(catalog); /* the controller keeps one, too */
    fresh->options.on_catalog(fresh->options.ctx);
}

static enum code load_config(struct fresh *fresh, struct err *err)
{
    const struct fresh_options *options = &fresh->options;

    if (options->kubeconfig)
        return kube_config_load(options->kubeconfig, options->context, &fresh->config, err);
    if (kube_config_in_cluster(&fresh->config, err) != CODE_OK && err->code == CODE_NOT_FOUND)
        return fail(err, CODE_NOT_FOUND,
                    "nothing to compare with: give --kubeconfig FILE or --directory DIR (neither "
                    "was given, and this is not a pod)");
    return err->code;
}

static enum code start_source(struct fresh *fresh, struct loop *loop, struct err *err)
{
    const struct fresh_options *options = &fresh->options;
    struct source_kube_options kube = {
        .namespaces = options->namespaces,
        .endpoints = options->endpoints,
        .nodes = options->nodes,
    };
    enum code code;

    if (options->directory)
        return source_directory_new(loop, fresh->controller, options->directory, &fresh->source,
                                    err);
    code = load_config(fresh, err);
    if (code == CODE_OK)
        code = kube_client_new(loop, fresh->config, &fresh->client, err);
    kube.client = fresh->client;
    if (code == CODE_OK)
        code = source_kube_new(loop, fresh->controller, &kube, &fresh->source, err);
    return code;
}

enum code fresh_new(struct loop *loop, const struct fresh_options *options,
                    struct fresh **ret_fresh, struct err *err)
{
    struct fresh *fresh = xcalloc(1, sizeof(*fresh));
    const struct controller_options controller = {
        .loop = loop,
        .publish = on_publish,
        .ctx = fresh,
        .deletion_grace_ms = DELETION_GRACE_MS,
    };
    enum code code;

    fresh->options = *options;
    fresh->controller = controller_new(&controller);
    *ret_fresh = fresh; /* for on_catalog */
    code = start_source(fresh, loop, err);
    if (code != CODE_OK) {
        fresh_free(fresh);
        *ret_fresh = NULL;
    }
    return code;
}

void fresh_free(struct fresh *fresh)
{
    if (!fresh)
        return;
    source_free(fresh->source);
    kube_client_free(fresh->client);
    controller_free(fresh->controller);
    kube_config_free(fresh->config);
    free(fresh);
}

const struct catalog *fresh_catalog(const struct fresh *fresh)
{
    return controller_catalog(fresh->controller);
}

bool fresh_synced(const struct fresh *fresh, struct buf *ret_reason)
{
    return source_synced(fresh->source, ret_reason);
}

uint64_t fresh_bad_objects(const struct fresh *fresh)
{
    return counter_get(&controller_stats(fresh->controller)->bad_objects);
}
