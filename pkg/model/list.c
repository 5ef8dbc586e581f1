#include "model/list.h"

#include "base/hash.h"

#define NOT_LISTED UINT32_MAX

/* What becomes of each of port->all. */
struct choice {
    const struct listed *all;
    size_t all_len;
    uint16_t number;               /* of the port: what backends have that leave theirs open */
    size_t len;                    /* those that are listed */
    uint32_t *zones;               /* an index of struct zones, or NOT_LISTED */
    const struct backend **others; /* NULL where nothing is joined */
};

/* ---- which ---- */

static void choose(struct choice *choice, list_keep_fn *keep, const void *ctx,
                   bool (*is)(const struct backend *backend))
{
    choice->len = 0;
    for (size_t i = 0; i < choice->all_len; i++) {
        const struct backend *backend = choice->all[i].backend;
        bool listed = is(backend) && (!keep || keep(ctx, backend));

        choice->zones[i] = listed ? 0 : NOT_LISTED;
        choice->len += listed;
    }
}

/* ---- by pod: an index of the preferred family by pod and target port ---- */

struct pods {
    const struct choice *choice;
    uint32_t *slots; /* index in choice->all + 1 */
    size_t mask;
};

static bool same_pod(const struct backend *a, const struct backend *b, uint16_t number)
{
    return backend_port_at(a, number) == backend_port_at(b, number) &&
           str_eq(a->endpoint->uid, b->endpoint->uid);
}

/* Where the pod's backend is, or would be. */
static uint32_t *pod_slot(const struct pods *pods, const struct backend *backend)
{
    const struct choice *choice = pods->choice;
    uint16_t port = backend_port_at(backend, choice->number);
    size_t slot = hash_mix(hash_key(backend->endpoint->uid), port) & pods->mask;

    while (pods->slots[slot] &&
           !same_pod(choice->all[pods->slots[slot] - 1].backend, backend, choice->number))
        slot = (slot + 1) & pods->mask;
    return &pods->slots[slot];
}

/* Of a pod with two addresses of one family, the first is joined. */
static void index_pods(const struct pods *pods, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct backend *backend = pods->choice->all[i].backend;
        uint32_t *slot;

        if (pods->choice->zones[i] == NOT_LISTED || backend->endpoint->uid.len == 0)
            continue;
        slot = pod_slot(pods, backend);
        if (!*slot)
            *slot = (uint32_t)i + 1;
    }
}

static void join_pods(const struct pods *pods, struct choice *choice, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct backend *backend = choice->all[i].backend;
        uint32_t found = choice->zones[i] == NOT_LISTED ? 0 : *pod_slot(pods, backend);

        if (found == 0 || choice->others[found - 1])
            continue;
        choice->others[found - 1] = backend;
        choice->zones[i] = NOT_LISTED;
        choice->len--;
    }
}

/* Of a pod that is chosen in both families, only the preferred one stays and carries the other. */
static void join(struct choice *choice, enum address_family prefers)
{
    CLEANUP(freep) uint32_t *slots = NULL;
    struct pods pods = {.choice = choice, .mask = 15};
    size_t len = choice->all_len, ipv4 = 0;

    while (ipv4 < len && choice->all[ipv4].backend->endpoint->family == FAMILY_IPV4)
        ipv4++;
    if (ipv4 == 0 || ipv4 == len)
        return;
    while (pods.mask < 2 * len)
        pods.mask = 2 * pods.mask + 1;
    pods.slots = slots = xcalloc(pods.mask + 1, sizeof(*slots));
    choice->others = xcalloc(len, sizeof(const struct backend *));
    if (prefers == FAMILY_IPV6) {
        index_pods(&pods, ipv4, len);
        join_pods(&pods, choice, 0, ipv4);
    } else {
        index_pods(&pods, 0, ipv4);
        join_pods(&pods, choice, ipv4, len);
    }
}

/* ---- by zone: distinct zones by hashing, then a counting sort that keeps the order of addresses ---- */

struct zone {
    struct str name;
    size_t len;
    uint32_t index; /* in order of first appearance */
};

struct zones {
    struct zone *zones;
    size_t len, cap;
    uint32_t *slots; /* index + 1 */
    size_t mask;
};

static uint32_t zone_index(struct zones *zones, struct str name)
{
    size_t slot = hash_key(name) & zones->mask;

    for (; zones->slots[slot] != 0; slot = (slot + 1) & zones->mask) {
        if (str_eq(zones->zones[zones->slots[slot] - 1].name, name))
            return zones->slots[slot] - 1;
    }
    zones->zones = xgrow(zones->zones, &zones->cap, zones->len, sizeof(*zones->zones));
    zones->zones[zones->len] = (struct zone){name, 0, (uint32_t)zones->len};
    zones->slots[slot] = (uint32_t)++zones->len;
    return zones->slots[slot] - 1;
}

static void count_zones(struct zones *zones, struct choice *choice)
{
    struct str last = {NULL, SIZE_MAX};
    uint32_t index = 0;
    size_t size = 16;

    while (size < 2 * choice->len)
        size *= 2;
    zones->mask = size - 1;
    zones->slots = xcalloc(size, sizeof(*zones->slots));
    for (size_t i = 0; i < choice->all_len; i++) {
        struct str name = choice->all[i].zone;

        if (choice->zones[i] == NOT_LISTED)
            continue;
        if (name.len != last.len || (name.ptr != last.ptr && !str_eq(name, last)))
            index = zone_index(zones, name);
        last = name;
        zones->zones[index].len++;
        choice->zones[i] = index;
    }
}

static int cmp_zone(const void *a, const void *b)
{
    const struct zone *left = a;
    const struct zone *right = b;

    return str_cmp(left->name, right->name);
}

/* In the order of zones, and of addresses within. `next` has a place for every zone. */
static const struct listed *fill_items(const struct choice *choice, size_t *next,
                                       struct arena *arena)
{
    struct listed *items = arena_alloc(arena, choice->len * sizeof(*items));

    for (size_t i = 0; i < choice->all_len; i++) {
        struct listed *item;

        if (choice->zones[i] == NOT_LISTED)
            continue;
        item = &items[next[choice->zones[i]]++];
        *item = choice->all[i];
        item->other = choice->others ? choice->others[i] : NULL;
    }
    return items;
}

static void fill_list(struct zones *zones, const struct choice *choice, struct arena *arena,
                      struct backend_list *list)
{
    struct locality *localities = arena_alloc(arena, zones->len * sizeof(*localities));
    CLEANUP(freep) size_t *next = xcalloc(zones->len, sizeof(*next));
    size_t first = 0;

    qsort(zones->zones, zones->len, sizeof(*zones->zones), cmp_zone);
    for (size_t i = 0; i < zones->len; i++) {
        const struct zone *zone = &zones->zones[i];

        localities[i] = (struct locality){zone->name, first, zone->len};
        next[zone->index] = first;
        first += zone->len;
    }
    /* All of one zone, none of them joined: their order is what it was. */
    *list = (struct backend_list){
        .len = choice->len,
        .items = zones->len == 1 && choice->len == choice->all_len
                     ? choice->all
                     : fill_items(choice, next, arena),
        .localities_len = zones->len,
        .localities = localities,
    };
}

void list_make(const struct service_port *port, list_keep_fn *keep, const void *ctx,
               struct arena *arena, struct backend_list *ret_list)
{
    CLEANUP(freep) uint32_t *memory = xmalloc((port->all_len + 1) * sizeof(*memory));
    struct choice choice = {
        .all = port->all, .all_len = port->all_len, .number = port->number, .zones = memory};
    struct zones zones = {0};

    choose(&choice, keep, ctx, backend_is_ready);
    if (choice.len == 0)
        choose(&choice, keep, ctx, backend_is_draining);
    *ret_list = (struct backend_list){0};
    if (choice.len == 0)
        return;
    join(&choice, port->prefers);
    count_zones(&zones, &choice);
    fill_list(&zones, &choice, arena, ret_list);
    free(choice.others);
    free(zones.zones);
    free(zones.slots);
}
