#include "model/merge.h"

#include <endian.h>

#include "base/hash.h"

/* What backend_cmp_address compares, as numbers next to each other: a merge that follows pointers
 * costs five times as much. */
struct item {
    uint64_t high, low; /* address */
    uint32_t family;
    uint32_t port;
    const struct backend *backend;
};

static struct item item_of(const struct backend *backend)
{
    const struct endpoint *endpoint = backend->endpoint;
    uint64_t words[2];

    memcpy(words, endpoint->bytes, sizeof(words));
    return (struct item){
        .high = be64toh(words[0]),
        .low = be64toh(words[1]),
        .family = endpoint->family,
        .port = backend->port,
        .backend = backend,
    };
}

static bool same_address(const struct item *a, const struct item *b)
{
    return a->high == b->high && a->low == b->low && a->family == b->family;
}

static bool item_less(const struct item *a, const struct item *b)
{
    if (a->family != b->family)
        return a->family < b->family;
    if (a->high != b->high)
        return a->high < b->high;
    if (a->low != b->low)
        return a->low < b->low;
    return a->port < b->port;
}

static void merge_two(const struct item *left, const struct item *middle, const struct item *end,
                      struct item *out)
{
    const struct item *right = middle;

    while (left < middle && right < end)
        *out++ = item_less(right, left) ? *right++ : *left++;
    memcpy(out, left, (size_t)(middle - left) * sizeof(*out));
    memcpy(out + (middle - left), right, (size_t)(end - right) * sizeof(*out));
}

/* Merges neighbours until one run is left. ends[i] is the end of run i. Returns where the result lies. */
static struct item *merge_runs(struct item *items, struct item *spare, size_t *ends, size_t runs)
{
    while (runs > 1) {
        struct item *swap = spare;
        size_t from = 0, merged = 0;

        for (size_t i = 0; i < runs; i += 2) {
            size_t middle = ends[i];
            size_t end = i + 1 < runs ? ends[i + 1] : middle;

            merge_two(items + from, items + middle, items + end, spare + from);
            ends[merged++] = from = end;
        }
        spare = items;
        items = swap;
        runs = merged;
    }
    return items;
}

/* Which of two backends with the same address and port counts: true for `b`. */
static bool counts_more(const struct backend *b, const struct backend *a)
{
    const struct slice *mine = b->slice;
    const struct slice *other = a->slice;

    if (mine->resource_version != other->resource_version)
        return mine->resource_version > other->resource_version;
    return str_cmp(mine->name, other->name) > 0;
}

/* In place; returns the new length. A backend that takes whatever port is asked for (0, which sorts
 * first) gives way to the same address with a port of its own: on the wire they could be the same. */
static size_t remove_duplicates(struct item *items, size_t len)
{
    size_t kept = 0;

    for (size_t i = 0; i < len; i++) {
        struct item *last = kept > 0 ? &items[kept - 1] : NULL;

        if (!last || !same_address(last, &items[i]) ||
            (last->port != items[i].port && last->port != 0))
            items[kept++] = items[i];
        else if (last->port != items[i].port || counts_more(items[i].backend, last->backend))
            *last = items[i];
    }
    return kept;
}

/* Keeps those that are listed; returns their number. */
static size_t choose(struct item *items, size_t len, struct service_port *port)
{
    size_t kept = 0;

    port->total = len;
    for (size_t i = 0; i < len; i++) {
        port->ready += backend_is_ready(items[i].backend);
        port->draining += backend_is_draining(items[i].backend);
    }
    for (size_t i = 0; i < len; i++) {
        if (port->ready > 0 ? backend_is_ready(items[i].backend)
                            : backend_is_draining(items[i].backend))
            items[kept++] = items[i];
    }
    return kept;
}

/* ---- by zone: distinct zones by hashing, then a counting sort that keeps the order of addresses ---- */

struct zone {
    struct str name;
    size_t len;
    size_t index; /* in order of first appearance */
};

struct zones {
    struct zone *zones;
    size_t len, cap;
    uint32_t *slots; /* index + 1 */
    size_t mask;
};

static size_t zone_index(struct zones *zones, struct str name)
{
    size_t slot = hash_key(name) & zones->mask;

    for (; zones->slots[slot] != 0; slot = (slot + 1) & zones->mask) {
        if (str_eq(zones->zones[zones->slots[slot] - 1].name, name))
            return zones->slots[slot] - 1;
    }
    zones->zones = xgrow(zones->zones, &zones->cap, zones->len, sizeof(*zones->zones));
    zones->zones[zones->len] = (struct zone){name, 0, zones->len};
    zones->slots[slot] = (uint32_t)++zones->len;
    return zones->len - 1;
}

/* Counts the zones and notes each item's zone in `family`, which is no longer needed. */
static void count_zones(struct zones *zones, struct item *items, size_t len)
{
    const struct endpoint *last = NULL;
    size_t size = 16, index = 0;

    while (size < 2 * len)
        size *= 2;
    zones->mask = size - 1;
    zones->slots = xcalloc(size, sizeof(*zones->slots));
    for (size_t i = 0; i < len; i++) {
        const struct endpoint *endpoint = items[i].backend->endpoint;

        if (!last || !str_eq(endpoint->zone, last->zone))
            index = zone_index(zones, endpoint->zone);
        zones->zones[index].len++;
        items[i].family = (uint32_t)index;
        last = endpoint;
    }
}

static int cmp_zone(const void *a, const void *b)
{
    const struct zone *left = a;
    const struct zone *right = b;

    return str_cmp(left->name, right->name);
}

static void fill_list(struct zones *zones, const struct item *items, size_t len,
                      struct arena *arena, struct backend_list *list)
{
    struct locality *localities = arena_alloc(arena, zones->len * sizeof(*localities));
    struct listed *listed = arena_alloc(arena, len * sizeof(*listed));
    CLEANUP(freep) size_t *next = xcalloc(zones->len + 1, sizeof(*next));
    size_t first = 0;

    qsort(zones->zones, zones->len, sizeof(*zones->zones), cmp_zone);
    for (size_t i = 0; i < zones->len; i++) {
        const struct zone *zone = &zones->zones[i];

        localities[i] = (struct locality){zone->name, first, zone->len};
        next[zone->index] = first;
        first += zone->len;
    }
    for (size_t i = 0; i < len; i++)
        listed[next[items[i].family]++] =
            (struct listed){items[i].backend, NULL, items[i].backend->endpoint->zone};
    *list = (struct backend_list){len, listed, zones->len, localities};
}

static void order_by_zone(struct item *items, size_t len, struct arena *arena,
                          struct backend_list *list)
{
    struct zones zones = {0};

    if (len == 0)
        return;
    count_zones(&zones, items, len);
    fill_list(&zones, items, len, arena, list);
    free(zones.zones);
    free(zones.slots);
}

void merge_rows(const struct row *rows, size_t rows_len, struct arena *arena,
                struct service_port *port)
{
    size_t len = 0;
    CLEANUP(freep) struct item *memory = NULL;
    CLEANUP(freep) size_t *ends = xcalloc(rows_len + 1, sizeof(*ends));
    struct item *items;

    for (size_t i = 0; i < rows_len; i++)
        len += rows[i].len;
    memory = xmalloc((2 * len + 1) * sizeof(*memory));
    len = 0;
    for (size_t i = 0; i < rows_len; i++) {
        for (size_t k = 0; k < rows[i].len; k++)
            memory[len++] = item_of(&rows[i].backends[k]);
        ends[i] = len;
    }
    items = merge_runs(memory, memory + len, ends, rows_len);
    len = remove_duplicates(items, len);
    len = choose(items, len, port);
    order_by_zone(items, len, arena, &port->list);
}
