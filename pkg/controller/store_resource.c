/* LookasideServices in the store: who hears of them, and how they are found. */
#include "controller/publish.h"
#include "controller/store_internal.h"

void store_tell_resource(const struct store *store, const struct object *object)
{
    struct str name = str_of(object->key);
    struct str namespace_name = str_cut(&name, '/');

    publisher_resource_changed(store->publisher, namespace_name, name);
}

static void tell_referrer(void *ctx, const struct object *object)
{
    store_tell_resource(ctx, object);
}

void store_tell_referrers(struct store *store, const struct group *group)
{
    if (group)
        refer_index_each(&store->referrers, group->key, tell_referrer, store);
}

void store_drop_rejection(struct object *object)
{
    if (!object->rejection)
        return;
    free(object->rejection->uid);
    free(TAKE(object->rejection));
}

static struct rejection *rejection_new(const struct json *json)
{
    const struct json *metadata = json_get(json, "metadata");
    struct rejection *rejection = xcalloc(1, sizeof(*rejection));

    rejection->uid = str_dup(json_text(json_get(metadata, "uid")));
    if (json_read_u64(metadata, "", "generation", UINT64_MAX, 0, &rejection->generation, NULL) !=
        CODE_OK)
        rejection->generation = 0;
    return rejection;
}

bool store_is_another(const struct policy *policy, const struct json *json)
{
    return !str_eq(policy->uid, json_text(json_get(json_get(json, "metadata"), "uid")));
}

void store_set_rejection(struct controller_scope *scope, struct object *object,
                         const struct json *json, bool refused)
{
    if (scope->kind != OBJECT_POLICY || (!refused && !object->rejection))
        return;
    store_drop_rejection(object);
    object->rejection = refused ? rejection_new(json) : NULL;
    store_tell_resource(scope->store, object);
}

/* One that leaves is behind the others (controller/store_leave.c). */
const struct object *store_policy(const struct group *group)
{
    const struct object *partial = NULL;

    list_for_each (link, &group->policies) {
        const struct object *object = container_of(link, struct object, link);

        if (value_is_accepted(object->value))
            return object;
        partial = partial ? partial : object;
    }
    return partial;
}

const struct object *store_resource(const struct store *store, struct str namespace_name,
                                    struct str name)
{
    const struct group *group = store_group(store, namespace_name, name);
    size_t len;
    CLEANUP(freep) char *key = NULL;

    if (group && store_policy(group))
        return store_policy(group);
    key = store_key(namespace_name, name, &len);
    list_for_each (link, &store->scopes) {
        const struct controller_scope *scope = container_of(link, struct controller_scope, link);
        const struct object *object = NULL;

        if (scope->kind == OBJECT_POLICY)
            HASH_FIND(hh, scope->objects, key, len, object);
        if (object && object->rejection)
            return object;
    }
    return NULL;
}

/* Of one name in several scopes, the one that counts. */
void store_each_resource(const struct store *store,
                         void (*visit)(void *ctx, const struct object *object), void *ctx)
{
    list_for_each (link, &store->scopes) {
        const struct controller_scope *scope = container_of(link, struct controller_scope, link);
        const struct object *object, *next;

        if (scope->kind != OBJECT_POLICY)
            continue;
        HASH_ITER(hh, scope->objects, object, next)
        {
            if (object->group ? store_policy(object->group) == object : object->rejection != NULL)
                visit(ctx, object);
        }
    }
}
