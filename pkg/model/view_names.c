#include "model/view_names.h"

#include "base/hash.h"
#include "model/view.h"

/* ---- a set of names ---- */

/* Always at least one slot is free. */
static struct str *slot_of(const struct view_name_set *set, struct str name)
{
    size_t slot = hash_key(name) & set->mask;

    while (set->slots[slot].len > 0 && !str_eq(set->slots[slot], name))
        slot = (slot + 1) & set->mask;
    return &set->slots[slot];
}

bool view_names_have(const struct view_name_set *set, struct str name)
{
    return set->len > 0 && name.len > 0 && slot_of(set, name)->len > 0;
}

static void grow(struct view_name_set *set)
{
    struct view_name_set next = {.mask = 2 * set->mask + 1, .len = set->len};

    next.slots = xcalloc(next.mask + 1, sizeof(*next.slots));
    for (size_t i = 0; set->slots && i <= set->mask; i++) {
        if (set->slots[i].len > 0)
            *slot_of(&next, set->slots[i]) = set->slots[i];
    }
    free(set->slots);
    *set = next;
}

static void add(struct view_name_set *set, struct str name)
{
    struct str *slot;

    if (name.len == 0)
        return;
    if (2 * set->len >= set->mask)
        grow(set);
    slot = slot_of(set, name);
    set->len += slot->len == 0;
    *slot = name;
}

static void clear(struct view_name_set *set)
{
    free(set->slots);
    *set = (struct view_name_set){0};
}

/* From the heap to the arena. */
static void settle(struct view_name_set *set, struct arena *arena)
{
    size_t size = (set->mask + 1) * sizeof(*set->slots);
    struct str *slots;

    if (set->len == 0) {
        clear(set);
        return;
    }
    slots = arena_alloc(arena, size);
    memcpy(slots, set->slots, size);
    free(set->slots);
    set->slots = slots;
}

/* ---- hints ---- */

/* False: an endpoint has none. */
static bool add_hints(struct view_name_set *set, const struct str *hints, size_t len)
{
    for (size_t i = 0; i < len; i++)
        add(set, hints[i]);
    return len > 0;
}

static void read_hints(const struct service_port *port, enum address_family family,
                       struct view_hints *hints)
{
    bool zones = true, nodes = true; /* all have some */

    for (size_t i = 0; i < port->all_len && (zones || nodes); i++) {
        const struct endpoint *endpoint = port->all[i].backend->endpoint;

        if (endpoint->family != family || !endpoint->ready)
            continue;
        zones = zones && add_hints(&hints->zones, endpoint->zone_hints, endpoint->zone_hints_len);
        nodes = nodes && add_hints(&hints->nodes, endpoint->node_hints, endpoint->node_hints_len);
    }
    if (!zones)
        clear(&hints->zones);
    if (!nodes)
        clear(&hints->nodes);
}

/* ---- local ---- */

static struct str node_of(const struct listed *listed)
{
    return listed->backend->endpoint->node;
}

static int cmp_local(const void *a, const void *b)
{
    const struct listed *left = a;
    const struct listed *right = b;
    int order = str_cmp(node_of(left), node_of(right));

    return order ? order : backend_cmp_address(left->backend, right->backend);
}

/* While another node's are ready, too. */
static bool can_be_listed(const struct service_port *port, const struct backend *backend)
{
    switch (port->policy->none_ready) {
    case NONE_READY_SERVING_TERMINATING:
        return backend_is_ready(backend) || backend_is_draining(backend);
    case NONE_READY_ALL:
        return true;
    case NONE_READY_EMPTY:
    case NONE_READY_KINDS:
        break;
    }
    return backend_is_ready(backend);
}

static void read_local(const struct service_port *port, struct view_names *names,
                       struct arena *arena)
{
    names->local = arena_alloc(arena, port->all_len * sizeof(*names->local));
    for (size_t i = 0; i < port->all_len; i++) {
        const struct backend *backend = port->all[i].backend;

        if (backend->endpoint->node.len > 0 && can_be_listed(port, backend))
            names->local[names->local_len++] = port->all[i];
    }
    if (names->local_len > 1)
        qsort(names->local, names->local_len, sizeof(*names->local), cmp_local);
}

/* The first of a node that is not before that one. */
static size_t lower_bound(const struct view_names *names, struct str node)
{
    size_t low = 0, high = names->local_len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (str_cmp(node_of(&names->local[middle]), node) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct listed *view_names_local(const struct view_names *names, struct str node,
                                      size_t *ret_len)
{
    size_t first = lower_bound(names, node);
    size_t end = first;

    while (end < names->local_len && str_eq(node_of(&names->local[end]), node))
        end++;
    *ret_len = end - first;
    return names->local + first;
}

/* ---- who is near ---- */

static void read_near_zones(const struct service_port *port, struct view_names *names)
{
    for (size_t i = 0; i < port->list.localities_len; i++) {
        if (view_is_near(port, &port->list.localities[i]))
            add(&names->near_zones, port->list.localities[i].zone);
    }
}

/* By hash, which is cheaper to compare than names, but as good. */
static int cmp_node(const struct view_on_node *a, uint64_t hash, struct str node)
{
    if (a->hash != hash)
        return a->hash < hash ? -1 : 1;
    return str_cmp(a->node, node);
}

static int cmp_on_node(const void *a, const void *b)
{
    const struct view_on_node *left = a, *right = b;
    int order = cmp_node(left, right->hash, right->node);

    return order ? order : (left->index > right->index) - (left->index < right->index);
}

static void read_on_nodes(const struct service_port *port, struct view_names *names,
                          struct arena *arena)
{
    names->on_nodes = arena_alloc(arena, port->list.len * sizeof(*names->on_nodes));
    for (size_t i = 0; i < port->list.len; i++) {
        struct str node = node_of(&port->list.items[i]);

        if (node.len > 0)
            names->on_nodes[names->on_nodes_len++] =
                (struct view_on_node){hash_key(node), node, (uint32_t)i};
    }
    if (names->on_nodes_len > 1)
        qsort(names->on_nodes, names->on_nodes_len, sizeof(*names->on_nodes), cmp_on_node);
}

const struct view_on_node *view_names_on_node(const struct view_names *names, struct str node,
                                              size_t *ret_len)
{
    uint64_t hash = hash_key(node);
    size_t low = 0, high = names->on_nodes_len, end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (cmp_node(&names->on_nodes[middle], hash, node) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; end < names->on_nodes_len; end++)
        if (cmp_node(&names->on_nodes[end], hash, node) != 0)
            break;
    *ret_len = end - low;
    return *ret_len > 0 ? names->on_nodes + low : NULL;
}

static void read_near(const struct service_port *port, struct view_names *names,
                      struct arena *arena)
{
    read_near_zones(port, names);
    settle(&names->near_zones, arena);
    if (view_mode(port) == LOCALITY_PREFER_NODE)
        read_on_nodes(port, names, arena);
}

/* ---- an order to cut lists by ---- */

struct place_in_order {
    uint64_t hash;
    uint32_t index;
};

/* By hash, then as they were: no two have the same address and port. */
static int cmp_order(const void *a, const void *b)
{
    const struct place_in_order *left = a, *right = b;

    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    return (left->index > right->index) - (left->index < right->index);
}

static void read_order(const struct service_port *port, struct view_names *names,
                       struct arena *arena)
{
    CLEANUP(freep) struct place_in_order *places = xmalloc(port->all_len * sizeof(*places));

    for (size_t i = 0; i < port->all_len; i++)
        places[i] = (struct place_in_order){backend_hash(port->all[i].backend), (uint32_t)i};
    qsort(places, port->all_len, sizeof(*places), cmp_order);
    names->order = arena_alloc(arena, port->all_len * sizeof(*names->order));
    for (size_t i = 0; i < port->all_len; i++)
        names->order[i] = places[i].index;
}

/* ---- all of it ---- */

static void read_own_fields(const struct service_port *port, struct view_names *names,
                            struct arena *arena)
{
    if (view_is_local(port)) {
        read_local(port, names, arena);
        return;
    }
    read_hints(port, FAMILY_IPV4, &names->ipv4);
    read_hints(port, FAMILY_IPV6, &names->ipv6);
    settle(&names->ipv4.zones, arena);
    settle(&names->ipv4.nodes, arena);
    settle(&names->ipv6.zones, arena);
    settle(&names->ipv6.nodes, arena);
}

const struct view_names *view_names_new(const struct service_port *port, struct arena *arena)
{
    struct view_names *names = arena_alloc(arena, sizeof(*names));

    switch (view_mode(port)) {
    case LOCALITY_SERVICE:
        read_own_fields(port, names, arena);
        break;
    case LOCALITY_PREFER_ZONE:
    case LOCALITY_PREFER_NODE:
        read_near(port, names, arena);
        break;
    case LOCALITY_NONE:
    case LOCALITY_MODES:
        break;
    }
    if (view_is_cut(port))
        read_order(port, names, arena);
    return names;
}
