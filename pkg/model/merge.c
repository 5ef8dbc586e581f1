#include "model/merge.h"

#include <endian.h>

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

/* ---- zones ---- */

/* Address and port are the same already. */
static bool lives_on(const struct backend *before, const struct backend *now)
{
    return before == now || str_eq(before->endpoint->uid, now->endpoint->uid);
}

/* Mostly it is the very same. */
static bool same_text(struct str a, struct str b)
{
    return (a.ptr == b.ptr && a.len == b.len) || str_eq(a, b);
}

/* Both are sorted by address and port, at that number too: what leaves its port open is the only one
 * of its address. Text that lies elsewhere than in the backend's own slice is copied. */
static void keep_zones(struct listed *items, size_t len, uint16_t number,
                       const struct service_port *before, struct arena *arena)
{
    struct str kept = STR("");
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        const struct backend *backend = items[i].backend;
        int order = -1;

        for (; at < before->all_len && order < 0; at += order < 0)
            order = before->all[at].backend == backend
                        ? 0
                        : backend_cmp_at(before->all[at].backend, backend, number);
        if (order != 0 || same_text(before->all[at].zone, items[i].zone) ||
            !lives_on(before->all[at].backend, backend))
            continue;
        if (!str_eq(kept, before->all[at].zone))
            kept = arena_text(arena, before->all[at].zone);
        items[i].zone = kept;
    }
}

/* ---- the result ---- */

static struct listed *fill_all(const struct item *items, size_t len, struct arena *arena,
                               struct service_port *port)
{
    struct listed *all = arena_alloc(arena, len * sizeof(*all));

    for (size_t i = 0; i < len; i++) {
        const struct backend *backend = items[i].backend;

        all[i] = (struct listed){backend, NULL, backend->endpoint->zone};
        port->ready += backend_is_ready(backend);
        port->draining += backend_is_draining(backend);
    }
    port->total = port->all_len = len;
    port->all = all;
    return all;
}

void merge_rows(const struct row *rows, size_t rows_len, const struct service_port *before,
                struct arena *arena, struct service_port *port)
{
    size_t len = 0;
    CLEANUP(freep) struct item *memory = NULL;
    CLEANUP(freep) size_t *ends = xcalloc(rows_len + 1, sizeof(*ends));
    struct item *items;
    struct listed *all;

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
    all = fill_all(items, len, arena, port);
    if (before)
        keep_zones(all, len, port->number, before, arena);
}
