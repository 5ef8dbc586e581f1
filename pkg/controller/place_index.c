#include "controller/place_index.h"

#include "controller/store.h"

struct address {
    unsigned char bytes[16];
    unsigned char family;
};

struct place_entry {
    UT_hash_handle hh;
    struct address address;
    uint32_t len;
    size_t cap;
    union {
        const struct object *one; /* len 1, by far the most */
        const struct object **many;
    } by;
};

/* ---- the addresses of a value, sorted, each once ---- */

struct addresses {
    struct address *items;
    size_t len;
};

static struct address address_of(const struct endpoint *endpoint)
{
    struct address address = {.family = (unsigned char)endpoint->family};

    memcpy(address.bytes, endpoint->bytes, sizeof(address.bytes));
    return address;
}

static int cmp_address(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct address));
}

/* The first row of one slice is in this order already. */
static struct addresses collect(struct value value)
{
    struct addresses all = {xmalloc((value_endpoints(value) + 1) * sizeof(*all.items)), 0};
    size_t kept = 0;

    for (size_t i = 0; i < value.slices_len; i++) {
        const struct backend *row = slice_backends(value.slices[i], 0);

        for (size_t k = 0; k < value.slices[i]->endpoints_len; k++)
            all.items[all.len++] = address_of(row[k].endpoint);
    }
    if (value.slices_len > 1)
        qsort(all.items, all.len, sizeof(*all.items), cmp_address);
    for (size_t i = 0; i < all.len; i++) {
        if (i == 0 || cmp_address(&all.items[i], &all.items[kept - 1]) != 0)
            all.items[kept++] = all.items[i];
    }
    all.len = kept;
    return all;
}

/* ---- entries ---- */

static struct place_entry *find(const struct place_index *index, const struct address *address)
{
    struct place_entry *entry;

    HASH_FIND(hh, index->entries, address, sizeof(*address), entry);
    return entry;
}

static void add(struct place_index *index, const struct object *object,
                const struct address *address)
{
    struct place_entry *entry = find(index, address);

    if (!entry) {
        entry = xcalloc(1, sizeof(*entry));
        entry->address = *address;
        entry->len = 1;
        entry->by.one = object;
        HASH_ADD(hh, index->entries, address, sizeof(entry->address), entry);
        return;
    }
    if (entry->len == 1) {
        const struct object *one = entry->by.one;

        entry->cap = 4;
        entry->by.many = xmalloc(entry->cap * sizeof(*entry->by.many));
        entry->by.many[0] = one;
    }
    entry->by.many = xgrow(entry->by.many, &entry->cap, entry->len, sizeof(*entry->by.many));
    entry->by.many[entry->len++] = object;
}

static void drop_one_of_many(struct place_entry *entry, const struct object *object)
{
    const struct object **many = entry->by.many;
    size_t at = 0;

    while (at < entry->len && many[at] != object)
        at++;
    if (at == entry->len)
        return;
    many[at] = many[--entry->len];
    if (entry->len > 1)
        return;
    entry->by.one = many[0];
    free(many);
}

static void drop(struct place_index *index, const struct object *object,
                 const struct address *address)
{
    struct place_entry *entry = find(index, address);

    if (entry && entry->len > 1) {
        drop_one_of_many(entry, object);
    } else if (entry && entry->by.one == object) {
        HASH_DELETE(hh, index->entries, entry);
        free(entry);
    }
}

void place_index_change(struct place_index *index, const struct object *object, struct value after)
{
    struct addresses old = collect(object->value), new = collect(after);
    size_t i = 0, k = 0;

    while (i < old.len || k < new.len) {
        int order = i == old.len   ? 1
                    : k == new.len ? -1
                                   : cmp_address(&old.items[i], &new.items[k]);

        if (order < 0)
            drop(index, object, &old.items[i]);
        if (order > 0)
            add(index, object, &new.items[k]);
        i += order <= 0;
        k += order >= 0;
    }
    free(old.items);
    free(new.items);
}

/* ---- asking ---- */

/* What is known so far, and which slice says so. */
struct answer {
    struct place place;
    const struct slice *node_from, *zone_from;
};

static bool is_newer(const struct slice *slice, const struct slice *than)
{
    int order;

    if (!than || slice->resource_version != than->resource_version)
        return !than || slice->resource_version > than->resource_version;
    order = str_cmp(slice->namespace_name, than->namespace_name);
    return order != 0 ? order > 0 : str_cmp(slice->name, than->name) > 0;
}

static void take(struct answer *answer, const struct slice *slice, const struct endpoint *endpoint)
{
    if (endpoint->node.len > 0 && is_newer(slice, answer->node_from)) {
        answer->place.node = endpoint->node;
        answer->node_from = slice;
    }
    if (endpoint->zone.len > 0 && is_newer(slice, answer->zone_from)) {
        answer->place.zone = endpoint->zone;
        answer->zone_from = slice;
    }
}

/* Where in the first row the address is, or would be. */
static size_t lower_bound(const struct slice *slice, const struct address *address)
{
    const struct backend *row = slice_backends(slice, 0);
    size_t low = 0, high = slice->endpoints_len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(row[middle].endpoint->bytes, address->bytes, sizeof(address->bytes)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void ask(struct answer *answer, const struct object *object, const struct address *address)
{
    for (size_t i = 0; i < object->value.slices_len; i++) {
        const struct slice *slice = object->value.slices[i];
        const struct backend *row = slice_backends(slice, 0);

        if (slice->family != (enum address_family)address->family)
            continue;
        for (size_t k = lower_bound(slice, address); k < slice->endpoints_len; k++) {
            if (memcmp(row[k].endpoint->bytes, address->bytes, sizeof(address->bytes)) != 0)
                break;
            take(answer, slice, row[k].endpoint);
        }
    }
}

bool place_index_find(const struct place_index *index, enum address_family family,
                      const unsigned char bytes[16], struct place *ret_place)
{
    struct address address = {.family = (unsigned char)family};
    struct answer answer = {{STR(""), STR(""), 0}, NULL, NULL};
    const struct place_entry *entry;

    memcpy(address.bytes, bytes, sizeof(address.bytes));
    entry = find(index, &address);
    for (size_t i = 0; entry && i < entry->len; i++)
        ask(&answer, entry->len == 1 ? entry->by.one : entry->by.many[i], &address);
    if (answer.place.node.len == 0 && answer.place.zone.len == 0)
        return false;
    *ret_place = answer.place;
    return true;
}
