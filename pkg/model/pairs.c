#include "model/pairs.h"

#include <stdatomic.h>

struct pairs {
    atomic_uint refs;
    size_t len;
    struct pair items[]; /* sorted by key; then their text */
};

static int cmp_item(const void *a, const void *b)
{
    const struct pair *left = a;
    const struct pair *right = b;
    int order = str_cmp(left->key, right->key);

    return order != 0 ? order : str_cmp(left->value, right->value);
}

/* In place; returns how many of them are left, and how much text they have. */
static size_t keep_useful(struct pair *items, size_t len, size_t *ret_text_len)
{
    size_t kept = 0;

    *ret_text_len = 0;
    if (len > 1)
        qsort(items, len, sizeof(*items), cmp_item);
    for (size_t i = 0; i < len; i++) {
        if (items[i].key.len == 0 || items[i].value.len == 0 ||
            (kept > 0 && str_eq(items[kept - 1].key, items[i].key)))
            continue;
        items[kept++] = items[i];
        *ret_text_len += items[i].key.len + items[i].value.len;
    }
    return kept;
}

struct pairs *pairs_new(const struct pair *items, size_t len)
{
    CLEANUP(freep) struct pair *sorted = xmalloc((len + 1) * sizeof(*sorted));
    struct pairs *pairs;
    size_t text_len;
    char *text;

    if (len > 0)
        memcpy(sorted, items, len * sizeof(*sorted));
    len = keep_useful(sorted, len, &text_len);
    if (len == 0)
        return NULL;
    pairs = xmalloc(sizeof(*pairs) + len * sizeof(pairs->items[0]) + text_len);
    text = (char *)&pairs->items[len];
    atomic_init(&pairs->refs, 1);
    pairs->len = len;
    for (size_t i = 0; i < len; i++) {
        pairs->items[i].key = str_put(&text, sorted[i].key);
        pairs->items[i].value = str_put(&text, sorted[i].value);
    }
    return pairs;
}

struct pairs *pairs_ref(struct pairs *pairs)
{
    if (pairs)
        atomic_fetch_add_explicit(&pairs->refs, 1, memory_order_relaxed);
    return pairs;
}

void pairs_unref(struct pairs *pairs)
{
    if (pairs && atomic_fetch_sub_explicit(&pairs->refs, 1, memory_order_acq_rel) == 1)
        free(pairs);
}

bool pairs_equal(const struct pairs *a, const struct pairs *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++) {
        if (cmp_item(&a->items[i], &b->items[i]) != 0)
            return false;
    }
    return true;
}

struct str pairs_find(const struct pairs *pairs, struct str key)
{
    size_t low = 0, high = pairs ? pairs->len : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(pairs->items[middle].key, key);

        if (order == 0)
            return pairs->items[middle].value;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return STR("");
}

void pairs_diff(const struct pairs *a, const struct pairs *b, void (*visit)(void *ctx, struct str key),
                void *ctx)
{
    size_t i = 0, k = 0, a_len = a ? a->len : 0, b_len = b ? b->len : 0;

    while (i < a_len || k < b_len) {
        int order = i == a_len ? 1 : k == b_len ? -1 : str_cmp(a->items[i].key, b->items[k].key);

        if (order != 0 || !str_eq(a->items[i].value, b->items[k].value))
            visit(ctx, order > 0 ? b->items[k].key : a->items[i].key);
        i += order <= 0;
        k += order >= 0;
    }
}
