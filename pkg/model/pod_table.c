#include "model/pod_table.h"

#include <stdatomic.h>

#include "base/hash.h"

struct entry {
    struct pod_address address;
    struct blob *account; /* a reference */
};

/* Sorted by address. NULL stands for an empty leaf. */
struct leaf {
    atomic_uint refs;
    size_t len;
    struct entry entries[];
};

struct pod_table {
    atomic_uint refs;
    size_t len, clashes;
    struct leaf *leaves[POD_TABLE_LEAVES];
};

/* A leaf that the edit has touched: its copy, which changes. */
struct draft {
    bool touched;
    size_t len, cap;
    struct entry *entries;
};

struct pod_edit {
    const struct pod_table *base;
    struct draft drafts[POD_TABLE_LEAVES];
};

/* ---- addresses ---- */

struct pod_address pod_address_of(enum address_family family, const unsigned char *bytes)
{
    struct pod_address address = {{[10] = 0xFF, [11] = 0xFF}};

    if (family == FAMILY_IPV4)
        memcpy(address.bytes + 12, bytes, 4);
    else
        memcpy(address.bytes, bytes, 16);
    return address;
}

static bool is_own_v4(const unsigned char bytes[4])
{
    bool link_local = bytes[0] == 169 && bytes[1] == 254;

    return bytes[0] != 0 && bytes[0] != 127 && bytes[0] < 224 && !link_local;
}

static bool is_own_v6(const unsigned char bytes[16])
{
    static const unsigned char zero[15];
    bool link_local = bytes[0] == 0xFE && (bytes[1] & 0xC0) == 0x80;
    bool first = memcmp(bytes, zero, sizeof(zero)) == 0 && bytes[15] <= 1; /* :: and ::1 */
    bool mapped = memcmp(bytes, zero, 10) == 0 && bytes[10] == 0xFF && bytes[11] == 0xFF;

    return !first && !mapped && !link_local && bytes[0] != 0xFF;
}

bool pod_address_parse(struct str text, struct pod_address *ret_address)
{
    unsigned char bytes[16];

    if (endpoint_read_address(text, FAMILY_IPV4, bytes)) {
        *ret_address = pod_address_of(FAMILY_IPV4, bytes);
        return is_own_v4(bytes);
    }
    if (!endpoint_read_address(text, FAMILY_IPV6, bytes))
        return false;
    *ret_address = pod_address_of(FAMILY_IPV6, bytes);
    return is_own_v6(bytes);
}

static int cmp_address(const struct pod_address *a, const struct pod_address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static size_t leaf_index(const struct pod_address *address)
{
    return (size_t)(hash_content(address->bytes, sizeof(address->bytes)) % POD_TABLE_LEAVES);
}

/* The first entry that is not before the address. */
static size_t lower_bound(const struct entry *entries, size_t len,
                          const struct pod_address *address)
{
    size_t low = 0, high = len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (cmp_address(&entries[middle].address, address) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct entry *entries, size_t len, size_t at,
                  const struct pod_address *address)
{
    return at < len && cmp_address(&entries[at].address, address) == 0;
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
        blob_unref(leaf->entries[i].account);
    free(leaf);
}

const struct pod_table *pod_table_new_empty(void)
{
    struct pod_table *table = xcalloc(1, sizeof(*table));

    atomic_init(&table->refs, 1);
    return table;
}

const struct pod_table *pod_table_ref(const struct pod_table *table)
{
    atomic_fetch_add_explicit(&((struct pod_table *)table)->refs, 1, memory_order_relaxed);
    return table;
}

void pod_table_unref(const struct pod_table *table)
{
    struct pod_table *mine = (struct pod_table *)table;

    if (!mine || atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < POD_TABLE_LEAVES; i++)
        leaf_unref(mine->leaves[i]);
    free(mine);
}

/* ---- reading ---- */

size_t pod_table_len(const struct pod_table *table)
{
    return table->len;
}

size_t pod_table_clashes(const struct pod_table *table)
{
    return table->clashes;
}

/* Whose the address of the entries from `at` on is. */
static enum pod_owner owner_at(const struct entry *entries, size_t len, size_t at,
                               const struct pod_address *address, struct str *ret_account)
{
    if (!is_at(entries, len, at, address))
        return POD_OWNER_NONE;
    if (is_at(entries, len, at + 1, address))
        return POD_OWNER_SEVERAL;
    *ret_account = blob_str(entries[at].account);
    return POD_OWNER_ONE;
}

enum pod_owner pod_table_find(const struct pod_table *table, const struct pod_address *address,
                              struct str *ret_account)
{
    const struct leaf *leaf = table->leaves[leaf_index(address)];

    if (!leaf)
        return POD_OWNER_NONE;
    return owner_at(leaf->entries, leaf->len, lower_bound(leaf->entries, leaf->len, address),
                    address, ret_account);
}

/* ---- editing ---- */

struct pod_edit *pod_edit_new(const struct pod_table *base)
{
    struct pod_edit *edit = xcalloc(1, sizeof(*edit));

    edit->base = pod_table_ref(base);
    return edit;
}

static struct draft *draft_of(struct pod_edit *edit, const struct pod_address *address)
{
    size_t index = leaf_index(address);
    const struct leaf *leaf = edit->base->leaves[index];
    struct draft *draft = &edit->drafts[index];

    if (draft->touched)
        return draft;
    draft->touched = true;
    draft->len = leaf ? leaf->len : 0;
    draft->cap = draft->len + 1;
    draft->entries = xmalloc(draft->cap * sizeof(*draft->entries));
    for (size_t i = 0; i < draft->len; i++) {
        draft->entries[i] = leaf->entries[i];
        blob_ref(draft->entries[i].account);
    }
    return draft;
}

bool pod_edit_add(struct pod_edit *edit, const struct pod_address *address, struct blob *account)
{
    struct draft *draft = draft_of(edit, address);
    size_t at = lower_bound(draft->entries, draft->len, address);
    bool alone = !is_at(draft->entries, draft->len, at, address);

    draft->entries = xgrow(draft->entries, &draft->cap, draft->len, sizeof(*draft->entries));
    memmove(draft->entries + at + 1, draft->entries + at,
            (draft->len - at) * sizeof(*draft->entries));
    draft->entries[at] = (struct entry){*address, blob_ref(account)};
    draft->len++;
    return alone;
}

void pod_edit_remove(struct pod_edit *edit, const struct pod_address *address,
                     const struct blob *account)
{
    struct draft *draft = draft_of(edit, address);
    size_t at = lower_bound(draft->entries, draft->len, address);

    while (is_at(draft->entries, draft->len, at, address) && draft->entries[at].account != account)
        at++;
    if (!is_at(draft->entries, draft->len, at, address))
        return;
    blob_unref(draft->entries[at].account);
    memmove(draft->entries + at, draft->entries + at + 1,
            (draft->len - at - 1) * sizeof(*draft->entries));
    draft->len--;
}

/* Moves the references from the draft. */
static struct leaf *leaf_from(struct draft *draft)
{
    struct leaf *leaf = NULL;

    if (draft->len > 0) {
        leaf = xmalloc(sizeof(*leaf) + draft->len * sizeof(*draft->entries));
        atomic_init(&leaf->refs, 1);
        leaf->len = draft->len;
        memcpy(leaf->entries, draft->entries, draft->len * sizeof(*draft->entries));
    }
    free(draft->entries);
    return leaf;
}

static size_t count_clashes(const struct leaf *leaf)
{
    size_t clashes = 0;

    for (size_t i = 1; leaf && i < leaf->len; i++)
        clashes += cmp_address(&leaf->entries[i - 1].address, &leaf->entries[i].address) == 0;
    return clashes;
}

const struct pod_table *pod_edit_finish(struct pod_edit *edit)
{
    const struct pod_table *base = edit->base;
    struct pod_table *next = xcalloc(1, sizeof(*next));

    atomic_init(&next->refs, 1);
    next->len = base->len;
    next->clashes = base->clashes;
    for (size_t i = 0; i < POD_TABLE_LEAVES; i++) {
        const struct leaf *before = base->leaves[i];

        if (!edit->drafts[i].touched) {
            next->leaves[i] = leaf_ref(base->leaves[i]);
            continue;
        }
        next->leaves[i] = leaf_from(&edit->drafts[i]);
        next->len += (next->leaves[i] ? next->leaves[i]->len : 0) - (before ? before->len : 0);
        next->clashes += count_clashes(next->leaves[i]) - count_clashes(before);
    }
    pod_table_unref(base);
    free(edit);
    return next;
}

/* ---- comparing ---- */

/* Past all that have the address. */
static size_t skip(const struct leaf *leaf, size_t at, const struct pod_address *address)
{
    while (leaf && is_at(leaf->entries, leaf->len, at, address))
        at++;
    return at;
}

static const struct pod_address *address_at(const struct leaf *leaf, size_t at)
{
    return leaf && at < leaf->len ? &leaf->entries[at].address : NULL;
}

static enum pod_owner owner_in(const struct leaf *leaf, size_t at,
                               const struct pod_address *address, struct str *ret_account)
{
    return leaf ? owner_at(leaf->entries, leaf->len, at, address, ret_account) : POD_OWNER_NONE;
}

static void diff_leaves(const struct leaf *before, const struct leaf *after,
                        void (*visit)(void *ctx, const struct pod_address *address), void *ctx)
{
    size_t i = 0, k = 0;

    for (;;) {
        const struct pod_address *old = address_at(before, i), *new = address_at(after, k);
        const struct pod_address *address = !old                        ? new
                                            : !new                      ? old
                                            : cmp_address(old, new) < 0 ? old
                                                                        : new;
        struct str was = {0}, is = {0};
        bool one_was, one_is;

        if (!address)
            return;
        one_was = owner_in(before, i, address, &was) == POD_OWNER_ONE;
        one_is = owner_in(after, k, address, &is) == POD_OWNER_ONE;
        if (one_was != one_is || (one_is && !str_eq(was, is)))
            visit(ctx, address);
        i = skip(before, i, address);
        k = skip(after, k, address);
    }
}

void pod_table_diff(const struct pod_table *before, const struct pod_table *after,
                    void (*visit)(void *ctx, const struct pod_address *address), void *ctx)
{
    for (size_t i = 0; i < POD_TABLE_LEAVES; i++) {
        if (before->leaves[i] != after->leaves[i])
            diff_leaves(before->leaves[i], after->leaves[i], visit, ctx);
    }
}
