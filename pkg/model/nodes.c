#include "model/nodes.h"

#include <stdatomic.h>

struct nodes {
    atomic_uint refs;
    size_t len;
    struct node_zone items[]; /* sorted by node; then their text */
};

static int cmp_item(const void *a, const void *b)
{
    const struct node_zone *left = a;
    const struct node_zone *right = b;
    int order = str_cmp(left->node, right->node);

    return order != 0 ? order : str_cmp(left->zone, right->zone);
}

/* In place; returns how many of them are left, and how much text they have. */
static size_t keep_useful(struct node_zone *items, size_t len, size_t *ret_text_len)
{
    size_t kept = 0;

    *ret_text_len = 0;
    if (len > 1)
        qsort(items, len, sizeof(*items), cmp_item);
    for (size_t i = 0; i < len; i++) {
        if (items[i].node.len == 0 || items[i].zone.len == 0 ||
            (kept > 0 && str_eq(items[kept - 1].node, items[i].node)))
            continue;
        items[kept++] = items[i];
        *ret_text_len += items[i].node.len + items[i].zone.len;
    }
    return kept;
}

static struct str put_text(char **at, struct str text)
{
    struct str copy = str_make(*at, text.len);

    memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

struct nodes *nodes_new(const struct node_zone *items, size_t len)
{
    CLEANUP(freep) struct node_zone *sorted = xmalloc((len + 1) * sizeof(*sorted));
    struct nodes *nodes;
    size_t text_len;
    char *text;

    if (len > 0)
        memcpy(sorted, items, len * sizeof(*sorted));
    len = keep_useful(sorted, len, &text_len);
    if (len == 0)
        return NULL;
    nodes = xmalloc(sizeof(*nodes) + len * sizeof(nodes->items[0]) + text_len);
    text = (char *)&nodes->items[len];
    atomic_init(&nodes->refs, 1);
    nodes->len = len;
    for (size_t i = 0; i < len; i++) {
        nodes->items[i].node = put_text(&text, sorted[i].node);
        nodes->items[i].zone = put_text(&text, sorted[i].zone);
    }
    return nodes;
}

struct nodes *nodes_ref(struct nodes *nodes)
{
    if (nodes)
        atomic_fetch_add_explicit(&nodes->refs, 1, memory_order_relaxed);
    return nodes;
}

void nodes_unref(struct nodes *nodes)
{
    if (nodes && atomic_fetch_sub_explicit(&nodes->refs, 1, memory_order_acq_rel) == 1)
        free(nodes);
}

bool nodes_equal(const struct nodes *a, const struct nodes *b)
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

struct str nodes_zone(const struct nodes *nodes, struct str node)
{
    size_t low = 0, high = nodes ? nodes->len : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(nodes->items[middle].node, node);

        if (order == 0)
            return nodes->items[middle].zone;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return STR("");
}
