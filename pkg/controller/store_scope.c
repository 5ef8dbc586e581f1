/* A store as a whole: its scopes, copies of what is in it, the nodes. */
#include "controller/store_internal.h"

#include <assert.h>

void store_init(struct store *store, struct publisher *publisher, struct controller_stats *stats)
{
    *store = (struct store){.publisher = publisher, .stats = stats};
    list_init(&store->scopes);
}

void store_done(struct store *store)
{
    struct group *group, *next;

    assert(list_empty(&store->scopes));
    HASH_ITER(hh, store->groups, group, next)
    {
        store_drop_group(store, group);
    }
}

struct controller_scope *store_scope_new(struct store *store, struct loop *loop,
                                         enum object_kind kind, const char *label)
{
    struct controller_scope *scope = xcalloc(1, sizeof(*scope));

    scope->store = store;
    scope->loop = loop;
    scope->kind = kind;
    scope->label = xstrdup(label);
    list_init(&scope->link);
    list_append(&store->scopes, &scope->link);
    if (kind == OBJECT_POLICY)
        store_leave_init(scope);
    return scope;
}

void store_copy(struct controller_scope *scope, const struct object *object)
{
    struct str name = str_of(object->key);
    struct str namespace_name = str_cut(&name, '/');
    const struct object_meta meta = {.namespace_name = namespace_name, .name = name};
    struct object *copy;

    if (value_is_empty(object->value) || object->value.node)
        return;
    copy = store_object(scope, &meta);
    if (value_is_empty(copy->value))
        store_set_value(scope, copy, value_copy(object->value), loop_now_us(scope->loop));
}

struct pair *store_nodes(const struct store *store, size_t *ret_len)
{
    struct pair *nodes = NULL;
    size_t len = 0, cap = 0;

    list_for_each (link, &store->scopes) {
        const struct controller_scope *scope = container_of(link, struct controller_scope, link);
        const struct object *object, *next;

        if (scope->kind != OBJECT_NODE)
            continue;
        HASH_ITER(hh, scope->objects, object, next)
        {
            if (!object->value.node || object->value.node->zone.len == 0)
                continue;
            nodes = xgrow(nodes, &cap, len, sizeof(*nodes));
            nodes[len++] = (struct pair){object->value.node->name, object->value.node->zone};
        }
    }
    *ret_len = len;
    return nodes;
}
