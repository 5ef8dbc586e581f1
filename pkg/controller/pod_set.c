#include "controller/pod_set.h"

#include "base/hash.h"

#define SLOTS_MIN 16

static uint32_t hash_of(struct str namespace_name, struct str name)
{
    return (uint32_t)hash_mix(hash_key(namespace_name), hash_key(name));
}

/* ---- a pod ---- */

static char *text_of(const struct pod *pod)
{
    return (char *)(uintptr_t)(pod->addresses + pod->len);
}

struct pod *pod_new(struct pod_account *account, struct str name,
                    const struct pod_address *addresses, size_t len)
{
    struct pod *pod = xmalloc(sizeof(*pod) + len * sizeof(*addresses) + name.len);

    pod->account = account;
    pod->len = (uint8_t)len;
    pod->name_len = (uint8_t)name.len;
    if (len > 0)
        memcpy(pod->addresses, addresses, len * sizeof(*addresses));
    memcpy(text_of(pod), name.ptr, name.len);
    pod->hash = hash_of(pod_namespace(pod), name);
    return pod;
}

struct str pod_namespace(const struct pod *pod)
{
    return str_slice(blob_str(pod->account->text), 0, pod->account->namespace_len);
}

struct str pod_name(const struct pod *pod)
{
    return str_make(text_of(pod), pod->name_len);
}

bool pod_equal(const struct pod *a, const struct pod *b)
{
    return a->account == b->account && a->len == b->len &&
           memcmp(a->addresses, b->addresses, a->len * sizeof(*a->addresses)) == 0;
}

/* ---- the set: open addressing, without gaps between a pod's own slot and the one that it has ---- */

/* Where the pod is, or would be. */
static size_t slot_of(const struct pod_set *set, uint32_t hash, struct str namespace_name,
                      struct str name)
{
    size_t at = hash & (set->cap - 1);

    while (set->slots[at] &&
           (set->slots[at]->hash != hash || !str_eq(pod_name(set->slots[at]), name) ||
            !str_eq(pod_namespace(set->slots[at]), namespace_name)))
        at = (at + 1) & (set->cap - 1);
    return at;
}

struct pod *pod_set_find(const struct pod_set *set, struct str namespace_name, struct str name)
{
    if (set->len == 0)
        return NULL;
    return set->slots[slot_of(set, hash_of(namespace_name, name), namespace_name, name)];
}

static void place(struct pod_set *set, struct pod *pod)
{
    size_t at = pod->hash & (set->cap - 1);

    while (set->slots[at])
        at = (at + 1) & (set->cap - 1);
    set->slots[at] = pod;
}

static void grow(struct pod_set *set)
{
    struct pod_set old = *set;

    set->cap = old.cap ? 2 * old.cap : SLOTS_MIN;
    set->slots = xcalloc(set->cap, sizeof(struct pod *));
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i])
            place(set, old.slots[i]);
    free(old.slots);
}

void pod_set_put(struct pod_set *set, struct pod *pod)
{
    if (4 * (set->len + 1) > 3 * set->cap)
        grow(set);
    place(set, pod);
    set->len++;
}

/* What lies behind the gap, and would not be found beyond it, moves into it. */
static void close_gap(struct pod_set *set, size_t gap)
{
    size_t mask = set->cap - 1;

    for (size_t at = (gap + 1) & mask; set->slots[at]; at = (at + 1) & mask) {
        size_t own = set->slots[at]->hash & mask;

        if (((at - own) & mask) < ((at - gap) & mask))
            continue;
        set->slots[gap] = set->slots[at];
        set->slots[at] = NULL;
        gap = at;
    }
}

struct pod *pod_set_take(struct pod_set *set, struct str namespace_name, struct str name)
{
    struct pod *pod;
    size_t at;

    if (set->len == 0)
        return NULL;
    at = slot_of(set, hash_of(namespace_name, name), namespace_name, name);
    pod = TAKE(set->slots[at]);
    if (!pod)
        return NULL;
    set->len--;
    close_gap(set, at);
    return pod;
}

void pod_set_done(struct pod_set *set)
{
    free(set->slots);
    *set = (struct pod_set){0};
}
