#include "model/list.h"

#include "base/hash.h"
#include "model/place.h"

#define NOT_LISTED UINT32_MAX

/* What becomes of each of port->all. */
struct choice {
    const struct listed *all;
    size_t all_len;
    uint16_t number;                 /* of the port: what backends have that leave theirs open */
    size_t len;                      /* those that are listed */
    uint32_t *marks;                 /* NOT_LISTED, or a rank; in the end an index of struct zones */
    unsigned priorities[LIST_RANKS]; /* of each rank */
    const struct backend **others;   /* NULL where nothing is joined */
};

/* ---- which ---- */

static void choose(struct choice *choice, const struct list_rules *rules,
                   bool (*is)(const struct backend *backend))
{
    bool (*keep)(const void *ctx, const struct backend *backend) = rules->keep;
    const void *ctx = rules->ctx;

    choice->len = 0;
    for (size_t i = 0; i < choice->all_len; i++) {
        const struct backend *backend = choice->all[i].backend;
        bool in = is(backend) && (!keep || keep(ctx, backend));

        choice->marks[i] = in ? 0 : NOT_LISTED;
        choice->len += in;
    }
}

static void rank(struct choice *choice, const struct list_rules *rules)
{
    for (size_t i = 0; i < choice->all_len; i++) {
        if (choice->marks[i] != NOT_LISTED)
            choice->marks[i] = rules->rank(rules->ctx, &choice->all[i]);
    }
}

static bool is_any(unused_arg const struct backend *backend)
{
    return true;
}

static void choose_unready(struct choice *choice, const struct list_rules *rules,
                           enum none_ready none_ready)
{
    switch (none_ready) {
    case NONE_READY_SERVING_TERMINATING:
        choose(choice, rules, backend_is_draining);
        break;
    case NONE_READY_ALL:
        choose(choice, rules, is_any);
        break;
    case NONE_READY_EMPTY:
    case NONE_READY_KINDS:
        break;
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

        if (pods->choice->marks[i] == NOT_LISTED || backend->endpoint->uid.len == 0)
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
        uint32_t found = choice->marks[i] == NOT_LISTED ? 0 : *pod_slot(pods, backend);

        if (found == 0 || choice->others[found - 1])
            continue;
        choice->others[found - 1] = backend;
        choice->marks[i] = NOT_LISTED;
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

/* ---- by priority ---- */

static void count_ranks(const struct choice *choice, size_t lens[LIST_RANKS])
{
    for (size_t i = 0; i < choice->all_len; i++) {
        if (choice->marks[i] != NOT_LISTED)
            lens[choice->marks[i]]++;
    }
}

/* Without gaps. */
static void set_priorities(struct choice *choice)
{
    size_t lens[LIST_RANKS] = {0};
    unsigned next = 0;

    count_ranks(choice, lens);
    for (size_t rank = 0; rank < LIST_RANKS; rank++) {
        choice->priorities[rank] = next;
        next += lens[rank] > 0;
    }
}

/* ---- a part of it ---- */

/* Whether a group has number `at` of `len`. */
static bool is_of_group(size_t at, size_t len, unsigned group, size_t size)
{
    size_t first = (group - 1) * len / PLACE_GROUPS;
    size_t most = max_u64(size, (len + PLACE_GROUPS - 1) / PLACE_GROUPS);

    return (at + len - first) % len < most;
}

static void cut(struct choice *choice, const struct list_rules *rules, size_t size)
{
    size_t lens[LIST_RANKS] = {0}, sizes[LIST_RANKS] = {0}, at[LIST_RANKS] = {0};

    count_ranks(choice, lens);
    for (size_t rank = 0; rank < LIST_RANKS; rank++)
        sizes[choice->priorities[rank]] += lens[rank];
    for (size_t i = 0; i < choice->all_len; i++) {
        uint32_t *mark = &choice->marks[rules->order[i]];
        unsigned priority = *mark == NOT_LISTED ? 0 : choice->priorities[*mark];

        if (*mark == NOT_LISTED || is_of_group(at[priority]++, sizes[priority], rules->group, size))
            continue;
        *mark = NOT_LISTED;
        choice->len--;
    }
}

/* ---- by locality: distinct ones by hashing, then a counting sort that keeps the order of addresses ---- */

struct zone {
    struct locality locality;
    unsigned rank;
    uint32_t index; /* in order of first appearance */
};

struct zones {
    struct zone *zones;
    size_t len, cap;
    uint32_t *slots; /* index + 1 */
    size_t mask;
};

/* Its own, or a new one. */
static struct zone *zone_get(struct zones *zones, struct str name, unsigned rank)
{
    size_t slot = (hash_key(name) + rank) & zones->mask;

    for (; zones->slots[slot] != 0; slot = (slot + 1) & zones->mask) {
        struct zone *zone = &zones->zones[zones->slots[slot] - 1];

        if (zone->rank == rank && str_eq(zone->locality.zone, name))
            return zone;
    }
    zones->zones = xgrow(zones->zones, &zones->cap, zones->len, sizeof(*zones->zones));
    zones->zones[zones->len] =
        (struct zone){.locality = {.zone = name}, .rank = rank, .index = (uint32_t)zones->len};
    zones->slots[slot] = (uint32_t)++zones->len;
    return &zones->zones[zones->len - 1];
}

/* `together`: all in one. */
static void count_zones(struct zones *zones, struct choice *choice, bool together)
{
    struct zone *zone = NULL;
    struct str last = {NULL, SIZE_MAX};
    size_t size = 16;

    while (size < 2 * choice->len)
        size *= 2;
    zones->mask = size - 1;
    zones->slots = xcalloc(size, sizeof(*zones->slots));
    for (size_t i = 0; i < choice->all_len; i++) {
        struct str name = together ? STR("") : choice->all[i].zone;
        uint32_t rank = choice->marks[i];

        if (rank == NOT_LISTED)
            continue;
        if (!zone || zone->rank != rank || name.len != last.len ||
            (name.ptr != last.ptr && !str_eq(name, last)))
            zone = zone_get(zones, name, rank);
        last = name;
        zone->locality.len++;
        choice->marks[i] = zone->index;
    }
}

static int cmp_zone(const void *a, const void *b)
{
    const struct locality *left = &((const struct zone *)a)->locality;
    const struct locality *right = &((const struct zone *)b)->locality;
    int order;

    if (left->priority != right->priority)
        return left->priority < right->priority ? -1 : 1;
    order = str_cmp(left->zone, right->zone);
    return order ? order : str_cmp(left->sub_zone, right->sub_zone);
}

/* In the order of localities, and of addresses within. `next` has a place for every one of them. */
static const struct listed *fill_items(const struct choice *choice, size_t *next,
                                       struct arena *arena)
{
    struct listed *items = arena_alloc(arena, choice->len * sizeof(*items));

    for (size_t i = 0; i < choice->all_len; i++) {
        struct listed *item;

        if (choice->marks[i] == NOT_LISTED)
            continue;
        item = &items[next[choice->marks[i]]++];
        *item = choice->all[i];
        item->other = choice->others ? choice->others[i] : NULL;
    }
    return items;
}

static void fill_list(struct zones *zones, const struct choice *choice,
                      const struct list_rules *rules, struct arena *arena,
                      struct backend_list *list)
{
    struct locality *localities = arena_alloc(arena, zones->len * sizeof(*localities));
    CLEANUP(freep) size_t *next = xcalloc(zones->len, sizeof(*next));
    size_t first = 0;

    for (size_t i = 0; i < zones->len; i++) {
        struct zone *zone = &zones->zones[i];

        zone->locality.priority = choice->priorities[zone->rank];
        zone->locality.sub_zone = zone->rank == 0 ? rules->sub_zone : STR("");
    }
    qsort(zones->zones, zones->len, sizeof(*zones->zones), cmp_zone);
    for (size_t i = 0; i < zones->len; i++) {
        const struct zone *zone = &zones->zones[i];

        localities[i] = zone->locality;
        localities[i].first = next[zone->index] = first;
        first += zone->locality.len;
    }
    /* All in one locality, none of them joined: their order is what it was. */
    *list = (struct backend_list){
        .len = choice->len,
        .items = zones->len == 1 && choice->len == choice->all_len
                     ? choice->all
                     : fill_items(choice, next, arena),
        .localities_len = zones->len,
        .localities = localities,
    };
}

void list_make(const struct service_port *port, const struct list_rules *given, struct arena *arena,
               struct backend_list *ret_list)
{
    static const struct list_rules none;
    const struct list_rules *rules = given ? given : &none;
    CLEANUP(freep) uint32_t *memory = xmalloc((port->all_len + 1) * sizeof(*memory));
    struct choice choice = {
        .all = port->all, .all_len = port->all_len, .number = port->number, .marks = memory};
    struct zones zones = {0};

    choose(&choice, rules, backend_is_ready);
    if (choice.len == 0)
        choose_unready(&choice, rules, port->policy->none_ready);
    *ret_list = (struct backend_list){0};
    if (choice.len == 0)
        return;
    join(&choice, port->prefers);
    if (rules->rank)
        rank(&choice, rules);
    if (rules->rank && port->ready > 0)
        set_priorities(&choice);
    if (rules->group != 0)
        cut(&choice, rules, port->policy->subset_size);
    count_zones(&zones, &choice, port->policy->lb == LB_RING_HASH);
    fill_list(&zones, &choice, rules, arena, ret_list);
    free(choice.others);
    free(zones.zones);
    free(zones.slots);
}
