#include "controller/doubt.h"

/* A further list agrees, or a watch does, or it is known. */
static bool is_over(const struct controller_scope *scope, const struct object *object)
{
    return object->deleted == scope->list || object->leaving_us != 0 ||
           (object->doubted_us != 0 &&
            scope->list_began_us >= object->doubted_us + KUBE_SINK_DOUBT_MS * 1000);
}

static bool is_lacking(const struct controller_scope *scope, const struct object *object)
{
    return object->seen != scope->list;
}

/* More than half of its endpoints: what is replaced by as many others is no loss. */
static bool is_halved(const struct object *object)
{
    return object->has_next && 2 * value_endpoints(object->next) < value_endpoints(object->value);
}

bool doubt_concerns(const struct controller_scope *scope, const struct object *object)
{
    if (value_is_empty(object->value) || is_over(scope, object))
        return false;
    return is_lacking(scope, object) || is_halved(object);
}

/* What the list takes of the object is known to be gone. */
static bool is_settled(const struct controller_scope *scope, const struct object *object)
{
    return (is_lacking(scope, object) || is_halved(object)) && is_over(scope, object);
}

/* Of what is in force: how much there is, and how much the list would remove. */
struct sum {
    size_t total, removed;
};

static bool is_too_much(struct sum sum)
{
    return 2 * sum.removed > sum.total;
}

static struct sum sum_services(const struct controller_scope *scope)
{
    const struct object *object, *next;
    struct sum sum = {0, 0};

    HASH_ITER(hh, scope->objects, object, next)
    {
        if (value_is_empty(object->value) || is_settled(scope, object))
            continue;
        sum.total++;
        sum.removed += is_lacking(scope, object);
    }
    return sum;
}

/* ---- endpoints ---- */

/* As far as the objects' names tell: endpoints may be in others of the list. */
static struct sum sum_endpoints(const struct controller_scope *scope)
{
    const struct object *object, *next;
    struct sum sum = {0, 0};

    HASH_ITER(hh, scope->objects, object, next)
    {
        size_t len = value_endpoints(object->value);

        if (is_settled(scope, object))
            continue;
        sum.total += len;
        sum.removed += is_lacking(scope, object) || object->has_next ? len : 0;
    }
    return sum;
}

/* Endpoints of Services as hashes. */
struct keys {
    uint64_t *items;
    size_t len, cap;
};

static uint64_t key_of_service(const struct slice *slice)
{
    return hash_mix(hash_key(slice->namespace_name), hash_key(slice->service));
}

static void add_keys(struct keys *keys, struct value value)
{
    for (size_t i = 0; i < value.slices_len; i++) {
        const struct slice *slice = value.slices[i];
        uint64_t service = key_of_service(slice);

        for (size_t k = 0; k < slice->endpoints_len; k++) {
            keys->items = xgrow(keys->items, &keys->cap, keys->len, sizeof(*keys->items));
            keys->items[keys->len++] = hash_mix(service, hash_key(slice->endpoints[k].address));
        }
    }
}

static int cmp_key(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static bool has_key(const struct keys *keys, uint64_t key)
{
    return keys->len > 0 && bsearch(&key, keys->items, keys->len, sizeof(key), cmp_key) != NULL;
}

static size_t count_missing(const struct keys *keys, struct value value)
{
    size_t missing = 0;

    for (size_t i = 0; i < value.slices_len; i++) {
        const struct slice *slice = value.slices[i];
        uint64_t service = key_of_service(slice);

        for (size_t k = 0; k < slice->endpoints_len; k++)
            missing += !has_key(keys, hash_mix(service, hash_key(slice->endpoints[k].address)));
    }
    return missing;
}

/* Of what sum_endpoints() takes for removed, what no object of the list has. */
static size_t count_removed(const struct controller_scope *scope)
{
    const struct object *object, *next;
    struct keys listed = {0};
    size_t removed = 0;

    HASH_ITER(hh, scope->objects, object, next)
    {
        if (!is_lacking(scope, object))
            add_keys(&listed, object->has_next ? object->next : object->value);
    }
    if (listed.len > 1)
        qsort(listed.items, listed.len, sizeof(*listed.items), cmp_key);
    HASH_ITER(hh, scope->objects, object, next)
    {
        if ((is_lacking(scope, object) || object->has_next) && !is_settled(scope, object))
            removed += count_missing(&listed, object->value);
    }
    free(listed.items);
    return removed;
}

bool doubt_arises(const struct controller_scope *scope)
{
    struct sum sum;

    switch (scope->kind) {
    case OBJECT_SERVICE:
    case OBJECT_POLICY:
        return is_too_much(sum_services(scope));
    case OBJECT_SLICE:
    case OBJECT_ENDPOINTS:
        sum = sum_endpoints(scope);
        if (!is_too_much(sum))
            return false;
        sum.removed = count_removed(scope);
        return is_too_much(sum);
    case OBJECT_NODE: /* places, not backends */
    case OBJECT_KINDS:
        break;
    }
    return false;
}
