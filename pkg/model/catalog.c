#include "model/catalog.h"

#include <stdatomic.h>

#include "base/hash.h"

/* Sorted by namespace, then name. NULL stands for an empty leaf. */
struct leaf {
    atomic_uint refs;
    size_t len;
    const struct service *services[];
};

struct catalog {
    atomic_uint refs;
    uint64_t generation;
    size_t len;
    struct pairs *nodes, *hosts;
    struct leaf *leaves[CATALOG_LEAVES];
};

/* A leaf that the edit has touched: its copy, which grows. */
struct draft {
    bool touched;
    size_t len, cap;
    const struct service **services;
};

struct catalog_edit {
    const struct catalog *base;
    struct pairs *nodes, *hosts;
    struct draft drafts[CATALOG_LEAVES];
};

/* ---- order ---- */

struct key {
    struct str namespace_name, name;
};

static struct key key_of(const struct service *service)
{
    return (struct key){service->namespace_name, service->name};
}

static int cmp_key(struct key a, struct key b)
{
    int order = str_cmp(a.namespace_name, b.namespace_name);

    return order != 0 ? order : str_cmp(a.name, b.name);
}

static size_t leaf_index(struct key key)
{
    uint64_t hash = hash_mix(hash_content(key.namespace_name.ptr, key.namespace_name.len),
                             hash_content(key.name.ptr, key.name.len));

    return (size_t)(hash % CATALOG_LEAVES);
}

/* Where the key is, or would be. */
static size_t find(const struct service *const *services, size_t len, struct key key,
                   bool *ret_found)
{
    size_t low = 0, high = len;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = cmp_key(key_of(services[middle]), key);

        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- life ---- */

static struct leaf *leaf_ref(struct leaf *leaf)
{
    if (leaf)
        atomic_fetch_add_explicit(&leaf->refs, 1, memory_order_relaxed);
    return leaf;
}

static void leaf_unref(struct leaf *leaf)
{
    if (!leaf || atomic_fetch_sub_explicit(&leaf->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < leaf->len; i++)
        service_unref(leaf->services[i]);
    free(leaf);
}

const struct catalog *catalog_new_empty(void)
{
    struct catalog *catalog = xcalloc(1, sizeof(*catalog));

    atomic_init(&catalog->refs, 1);
    catalog->generation = 1;
    return catalog;
}

const struct catalog *catalog_ref(const struct catalog *catalog)
{
    atomic_fetch_add_explicit(&((struct catalog *)catalog)->refs, 1, memory_order_relaxed);
    return catalog;
}

void catalog_unref(const struct catalog *catalog)
{
    struct catalog *mine = (struct catalog *)catalog;

    if (!mine || atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < CATALOG_LEAVES; i++)
        leaf_unref(mine->leaves[i]);
    pairs_unref(mine->nodes);
    pairs_unref(mine->hosts);
    free(mine);
}

/* ---- reading ---- */

uint64_t catalog_generation(const struct catalog *catalog)
{
    return catalog->generation;
}

size_t catalog_len(const struct catalog *catalog)
{
    return catalog->len;
}

const struct service *catalog_find(const struct catalog *catalog, struct str namespace_name,
                                   struct str name)
{
    struct key key = {namespace_name, name};
    const struct leaf *leaf = catalog->leaves[leaf_index(key)];
    bool found = false;
    size_t at = leaf ? find(leaf->services, leaf->len, key, &found) : 0;

    return found ? leaf->services[at] : NULL;
}

void catalog_each(const struct catalog *catalog,
                  void (*visit)(void *ctx, const struct service *service), void *ctx)
{
    for (size_t i = 0; i < CATALOG_LEAVES; i++) {
        const struct leaf *leaf = catalog->leaves[i];

        for (size_t k = 0; leaf && k < leaf->len; k++)
            visit(ctx, leaf->services[k]);
    }
}

struct str catalog_node_zone(const struct catalog *catalog, struct str node)
{
    return pairs_find(catalog->nodes, node);
}

struct str catalog_host(const struct catalog *catalog, struct str host)
{
    return pairs_find(catalog->hosts, host);
}

bool catalog_same_hosts(const struct catalog *a, const struct catalog *b)
{
    return (a ? a->hosts : NULL) == (b ? b->hosts : NULL);
}

void catalog_diff_hosts(const struct catalog *a, const struct catalog *b,
                        void (*visit)(void *ctx, struct str host), void *ctx)
{
    if (!catalog_same_hosts(a, b))
        pairs_diff(a ? a->hosts : NULL, b ? b->hosts : NULL, visit, ctx);
}

bool catalog_same_nodes(const struct catalog *a, const struct catalog *b)
{
    return (a ? a->nodes : NULL) == (b ? b->nodes : NULL);
}

/* ---- editing ---- */

struct catalog_edit *catalog_edit_new(const struct catalog *base)
{
    struct catalog_edit *edit = xcalloc(1, sizeof(*edit));

    edit->base = catalog_ref(base);
    edit->nodes = pairs_ref(base->nodes);
    edit->hosts = pairs_ref(base->hosts);
    return edit;
}

static struct draft *draft_of(struct catalog_edit *edit, struct key key)
{
    size_t index = leaf_index(key);
    const struct leaf *leaf = edit->base->leaves[index];
    struct draft *draft = &edit->drafts[index];

    if (draft->touched)
        return draft;
    draft->touched = true;
    draft->len = leaf ? leaf->len : 0;
    draft->cap = draft->len + 1;
    draft->services = xmalloc(draft->cap * sizeof(const struct service *));
    for (size_t i = 0; i < draft->len; i++)
        draft->services[i] = service_ref(leaf->services[i]);
    return draft;
}

void catalog_put(struct catalog_edit *edit, const struct service *service)
{
    struct key key = key_of(service);
    struct draft *draft = draft_of(edit, key);
    bool found;
    size_t at = find(draft->services, draft->len, key, &found);

    if (found) {
        service_unref(draft->services[at]);
    } else {
        draft->services =
            xgrow(draft->services, &draft->cap, draft->len, sizeof(const struct service *));
        memmove(draft->services + at + 1, draft->services + at,
                (draft->len - at) * sizeof(const struct service *));
        draft->len++;
    }
    draft->services[at] = service;
}

void catalog_remove(struct catalog_edit *edit, struct str namespace_name, struct str name)
{
    struct key key = {namespace_name, name};
    struct draft *draft = draft_of(edit, key);
    bool found;
    size_t at = find(draft->services, draft->len, key, &found);

    if (!found)
        return;
    service_unref(draft->services[at]);
    memmove(draft->services + at, draft->services + at + 1,
            (draft->len - at - 1) * sizeof(const struct service *));
    draft->len--;
}

/* A table that says the same stays the same one. */
static void set_pairs(struct pairs **table, struct pairs *base, const struct pair *items, size_t len)
{
    struct pairs *next = pairs_new(items, len);

    if (pairs_equal(next, base)) {
        pairs_unref(next);
        next = pairs_ref(base);
    }
    pairs_unref(*table);
    *table = next;
}

void catalog_set_nodes(struct catalog_edit *edit, const struct pair *nodes, size_t len)
{
    set_pairs(&edit->nodes, edit->base->nodes, nodes, len);
}

void catalog_set_hosts(struct catalog_edit *edit, const struct pair *hosts, size_t len)
{
    set_pairs(&edit->hosts, edit->base->hosts, hosts, len);
}

static bool draft_changes(const struct draft *draft, const struct leaf *leaf)
{
    size_t len = leaf ? leaf->len : 0;

    if (!draft->touched)
        return false;
    return draft->len != len || (len > 0 && memcmp(draft->services, leaf->services,
                                                   len * sizeof(*draft->services)) != 0);
}

static void draft_done(struct draft *draft)
{
    for (size_t i = 0; i < draft->len; i++)
        service_unref(draft->services[i]);
    free(draft->services);
    *draft = (struct draft){0};
}

/* Moves the references from the draft. */
static struct leaf *leaf_from(struct draft *draft)
{
    struct leaf *leaf = NULL;

    if (draft->len > 0) {
        leaf = xmalloc(sizeof(*leaf) + draft->len * sizeof(const struct service *));
        atomic_init(&leaf->refs, 1);
        leaf->len = draft->len;
        memcpy(leaf->services, draft->services, draft->len * sizeof(const struct service *));
    }
    draft->len = 0;
    return leaf;
}

static const struct catalog *next_version(struct catalog_edit *edit)
{
    const struct catalog *base = edit->base;
    struct catalog *next = xcalloc(1, sizeof(*next));

    atomic_init(&next->refs, 1);
    next->generation = base->generation + 1;
    next->nodes = pairs_ref(edit->nodes);
    next->hosts = pairs_ref(edit->hosts);
    for (size_t i = 0; i < CATALOG_LEAVES; i++) {
        if (draft_changes(&edit->drafts[i], base->leaves[i]))
            next->leaves[i] = leaf_from(&edit->drafts[i]);
        else
            next->leaves[i] = leaf_ref(base->leaves[i]);
        next->len += next->leaves[i] ? next->leaves[i]->len : 0;
    }
    return next;
}

const struct catalog *catalog_edit_finish(struct catalog_edit *edit)
{
    const struct catalog *result = NULL;
    bool changed = edit->nodes != edit->base->nodes || edit->hosts != edit->base->hosts;

    for (size_t i = 0; i < CATALOG_LEAVES && !changed; i++)
        changed = draft_changes(&edit->drafts[i], edit->base->leaves[i]);
    result = changed ? next_version(edit) : catalog_ref(edit->base);
    for (size_t i = 0; i < CATALOG_LEAVES; i++)
        draft_done(&edit->drafts[i]);
    pairs_unref(edit->nodes);
    pairs_unref(edit->hosts);
    catalog_unref(edit->base);
    free(edit);
    return result;
}

/* ---- comparing ---- */

static void diff_leaves(const struct leaf *before, const struct leaf *after,
                        void (*visit)(void *ctx, const struct service *before,
                                      const struct service *after),
                        void *ctx)
{
    size_t i = 0, k = 0;
    size_t i_len = before ? before->len : 0;
    size_t k_len = after ? after->len : 0;

    while (i < i_len || k < k_len) {
        const struct service *old = i < i_len ? before->services[i] : NULL;
        const struct service *new = k < k_len ? after->services[k] : NULL;
        int order = !old ? 1 : !new ? -1 : old == new ? 0 : cmp_key(key_of(old), key_of(new));

        if (old != new)
            visit(ctx, order <= 0 ? old : NULL, order >= 0 ? new : NULL);
        i += order <= 0;
        k += order >= 0;
    }
}

void catalog_diff(const struct catalog *before, const struct catalog *after,
                  void (*visit)(void *ctx, const struct service *before,
                                const struct service *after),
                  void *ctx)
{
    if (before == after)
        return;
    for (size_t i = 0; i < CATALOG_LEAVES; i++) {
        const struct leaf *left = before ? before->leaves[i] : NULL;
        const struct leaf *right = after ? after->leaves[i] : NULL;

        if (left != right)
            diff_leaves(left, right, visit, ctx);
    }
}
