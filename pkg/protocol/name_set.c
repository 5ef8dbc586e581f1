#include "protocol/name_set.h"

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Most clients repeat their names in one order, and ours is often it. */
static bool is_sorted(const struct str *names, size_t len)
{
    for (size_t i = 1; i < len; i++) {
        if (str_cmp(names[i - 1], names[i]) > 0)
            return false;
    }
    return true;
}

size_t names_sort(struct str *names, size_t len)
{
    size_t kept = 0;

    if (!is_sorted(names, len))
        qsort(names, len, sizeof(*names), by_name);
    for (size_t i = 0; i < len; i++) {
        if (kept == 0 || !str_eq(names[kept - 1], names[i]))
            names[kept++] = names[i];
    }
    return kept;
}

static bool is_equal(const struct name_set *set, const struct str *names, size_t len,
                     const struct name_set_ops *ops)
{
    if (set->len != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!str_eq(ops->name(set->items[i]), names[i]))
            return false;
    }
    return true;
}

/* Merges both sorted sides into `items`; what stays in the set is taken out of the old array. */
static size_t merge(struct name_set *old, void **items, const struct str *names, size_t len,
                    const struct name_set_ops *ops, void *ctx)
{
    size_t added = 0;
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        int order = -1;

        while (at < old->len && (order = str_cmp(ops->name(old->items[at]), names[i])) < 0)
            at++;
        if (at < old->len && order == 0) {
            items[i] = TAKE(old->items[at]);
            at++;
        } else {
            items[i] = ops->add(ctx, names[i]);
            added++;
        }
    }
    return added;
}

size_t name_set_replace(struct name_set *set, const struct str *names, size_t len,
                        const struct name_set_ops *ops, void *ctx)
{
    struct name_set old = *set;
    size_t added;

    if (is_equal(set, names, len, ops))
        return 0;
    set->items = len > 0 ? xmalloc(len * sizeof(*set->items)) : NULL;
    set->len = len;
    added = merge(&old, set->items, names, len, ops, ctx);
    for (size_t i = 0; i < old.len; i++) {
        if (old.items[i])
            ops->remove(ctx, old.items[i]);
    }
    free(old.items);
    return added;
}

size_t name_set_add(struct name_set *set, const struct str *names, size_t len,
                    const struct name_set_ops *ops, void *ctx)
{
    struct name_set old = *set;
    size_t at = 0, added = 0;

    if (len == 0)
        return 0;
    set->items = xmalloc((old.len + len) * sizeof(*set->items));
    set->len = 0;
    for (size_t i = 0; i < len; i++) {
        while (at < old.len && str_cmp(ops->name(old.items[at]), names[i]) < 0)
            set->items[set->len++] = old.items[at++];
        if (at < old.len && str_eq(ops->name(old.items[at]), names[i]))
            continue;
        set->items[set->len++] = ops->add(ctx, names[i]);
        added++;
    }
    while (at < old.len)
        set->items[set->len++] = old.items[at++];
    free(old.items);
    return added;
}

size_t name_set_remove(struct name_set *set, const struct str *names, size_t len,
                       const struct name_set_ops *ops, void *ctx)
{
    size_t kept = 0, at = 0, had = set->len;

    for (size_t i = 0; i < had && len > 0; i++) {
        void *item = set->items[i];

        while (at < len && str_cmp(names[at], ops->name(item)) < 0)
            at++;
        if (at < len && str_eq(names[at], ops->name(item)))
            ops->remove(ctx, item);
        else
            set->items[kept++] = item;
    }
    if (len > 0)
        set->len = kept;
    if (set->len == 0)
        free(TAKE(set->items));
    return had - set->len;
}

void *name_set_find(const struct name_set *set, struct str name, const struct name_set_ops *ops)
{
    size_t low = 0;
    size_t high = set->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(ops->name(set->items[middle]), name);

        if (order == 0)
            return set->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void name_set_clear(struct name_set *set, const struct name_set_ops *ops, void *ctx)
{
    name_set_replace(set, NULL, 0, ops, ctx);
}
