#include "controller/controller.h"

#include "base/log.h"
#include "controller/explain_internal.h"
#include "controller/preview_internal.h"
#include "controller/publish.h"
#include "controller/refusal.h"
#include "controller/resource_internal.h"
#include "controller/store.h"

struct controller {
    struct loop *loop;
    struct store store;
    struct publisher *publisher;
    struct controller_stats stats;
};

struct controller *controller_new(const struct controller_options *options)
{
    struct controller *controller = xcalloc(1, sizeof(*controller));

    controller->loop = options->loop;
    controller->publisher = publisher_new(options, &controller->store, &controller->stats);
    store_init(&controller->store, controller->publisher, &controller->stats);
    return controller;
}

void controller_free(struct controller *controller)
{
    if (!controller)
        return;
    store_done(&controller->store);
    publisher_free(controller->publisher);
    free(controller);
}

struct controller_scope *controller_scope_new(struct controller *controller, enum object_kind kind,
                                              const char *label)
{
    return store_scope_new(&controller->store, controller->loop, kind, label);
}

void controller_scope_set_place(struct controller_scope *scope, const char *file, size_t line)
{
    scope->file = file;
    scope->line = line;
}

void controller_set_synced(struct controller *controller)
{
    publisher_start(controller->publisher);
}

const struct catalog *controller_catalog(const struct controller *controller)
{
    return publisher_catalog(controller->publisher);
}

bool controller_hold_info(const struct controller *controller, struct str namespace_name,
                          struct str name, struct hold_info *ret_info)
{
    const struct group *group = store_group(&controller->store, namespace_name, name);

    return group && store_hold(group, ret_info);
}

const char *controller_hold(const struct controller *controller, struct str namespace_name,
                            struct str name)
{
    struct hold_info info;

    return controller_hold_info(controller, namespace_name, name, &info) ? hold_name(info.hold)
                                                                         : NULL;
}

bool controller_release(struct controller *controller, struct str namespace_name, struct str name)
{
    struct group *group = store_group(&controller->store, namespace_name, name);
    struct hold_info info;

    if (!group || !store_hold(group, &info))
        return false;
    log_info(LOG_CONTROLLER, "released by an operator", KV_STR("service", group->key),
             KV_STR("hold", hold_name(info.hold)));
    store_release(group);
    publisher_release(controller->publisher, group);
    return true;
}

bool controller_place_of(const struct controller *controller, enum address_family family,
                         const unsigned char bytes[16], struct place *ret_place)
{
    return place_index_find(&controller->store.places, family, bytes, ret_place);
}

bool controller_resource_status(const struct controller *controller, struct str namespace_name,
                                struct str name, struct resource_status *ret_status)
{
    const struct resource_sources sources = {&controller->store, controller->publisher};
    const struct object *object = store_resource(&controller->store, namespace_name, name);

    if (!object || object->leaving_us != 0)
        return false;
    resource_read(&sources, object, ret_status);
    return true;
}

void controller_resource_faults(const struct controller *controller, struct str namespace_name,
                                struct str name,
                                void (*visit)(void *ctx, const struct resource_fault *fault),
                                void *ctx)
{
    const struct resource_sources sources = {&controller->store, controller->publisher};
    const struct object *object = store_resource(&controller->store, namespace_name, name);

    if (object)
        resource_each_fault(&sources, object, visit, ctx);
}

void controller_each_resource(const struct controller *controller,
                              void (*visit)(void *ctx, const struct resource_status *status),
                              void *ctx)
{
    const struct resource_sources sources = {&controller->store, controller->publisher};

    resource_each(&sources, visit, ctx);
}

/* NULL: it is not published. */
static const struct policy *policy_in_force(const struct controller *controller,
                                            struct str namespace_name, struct str name)
{
    const struct service *service =
        catalog_find(publisher_catalog(controller->publisher), namespace_name, name);

    return service ? service->policy : NULL;
}

/* Of what is published, which may be an older version that asked for the same, the one that is known now; NULL: it is another. */
static const struct policy *policy_refused(const struct controller *controller,
                                           const struct group *group,
                                           const struct refusal *refusal)
{
    const struct object *object = group ? store_policy(group) : NULL;
    const struct policy *published =
        group ? policy_in_force(controller, group->namespace_name, group->name) : NULL;

    if (!object || !published || !policy_same_spec(published, refusal->policy) ||
        !policy_same_spec(object->value.policy, refusal->policy))
        return NULL;
    return object->value.policy;
}

void controller_report_refusal(struct controller *controller, const struct refusal *refusal)
{
    const struct policy *refused = refusal->policy;
    struct group *group = store_group(&controller->store, refused->namespace_name, refused->name);
    struct refusal known = *refusal;
    bool enough;

    known.policy = policy_refused(controller, group, refusal);
    if (!known.policy)
        return;
    enough = refusals_add(&group->refusals, &known);
    publisher_resource_changed(controller->publisher, refused->namespace_name, refused->name);
    if (!enough)
        return;
    log_warn(LOG_CONTROLLER, "a kind of client refuses the policy, and is served without it",
             KV_STR("service", group->key), KV_TEXT("agent", refusal->agent),
             KV_TEXT("reason", refusal->message));
    publisher_touch(controller->publisher, group, loop_now_us(controller->loop));
}

enum code controller_explain(const struct controller *controller, const struct explain_query *query,
                             struct json_writer *writer, struct err *err)
{
    const struct explain_sources sources = {
        .store = &controller->store,
        .publisher = controller->publisher,
        .now_us = loop_now_us(controller->loop),
    };

    return explain_write(&sources, query, writer, err);
}

enum code controller_preview(const struct controller *controller, const struct manifest *manifest,
                             uint64_t now_us, struct json_writer *writer, struct err *err)
{
    const struct preview_sources sources = {&controller->store, controller->publisher};

    return preview_write(&sources, manifest, now_us, writer, err);
}

const struct controller_stats *controller_stats(const struct controller *controller)
{
    return &controller->stats;
}
