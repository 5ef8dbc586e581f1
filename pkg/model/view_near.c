#include "model/view_near.h"

#include "base/hash.h"
#include "model/view_names.h"

/* port->list being split. */
struct split {
    const struct backend_list *whole;
    const struct view_on_node *own; /* what of it is on the client's node */
    size_t own_len;
    struct str node;
    struct listed *items;
    size_t items_len;
    struct locality *localities;
    size_t len;
};

static void find_own(const struct service_port *port, const struct view *view, struct split *split)
{
    if (view->ipv4 == VIEW_NEAR_NODE)
        split->own = view_names_on_node(port->names, view->node, &split->own_len);
}

/* The first of the node's own that is not before that place in the list. */
static size_t first_own(const struct split *split, size_t index)
{
    size_t low = 0, high = split->own_len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (split->own[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void copy(struct split *split, size_t first, size_t len)
{
    if (len > 0)
        memcpy(split->items + split->items_len, split->whole->items + first,
               len * sizeof(*split->items));
    split->items_len += len;
}

/* What of a locality is the node's own, or what is not; none: no locality. */
static void add(struct split *split, const struct locality *locality, bool own, unsigned priority)
{
    size_t first = split->items_len, at = locality->first, end = at + locality->len;

    for (size_t i = first_own(split, at); i < split->own_len && split->own[i].index < end; i++) {
        size_t index = split->own[i].index;

        copy(split, own ? index : at, own ? 1 : index - at);
        at = index + 1;
    }
    if (!own)
        copy(split, at, end - at);
    if (split->items_len > first)
        split->localities[split->len++] = (struct locality){
            .zone = locality->zone,
            .sub_zone = own ? split->node : STR(""),
            .priority = priority,
            .first = first,
            .len = split->items_len - first,
        };
}

static unsigned next_priority(const struct split *split)
{
    return split->len > 0 ? split->localities[split->len - 1].priority + 1 : 0;
}

static bool is_in(const struct locality *locality, struct str zone)
{
    return zone.len > 0 && str_eq(locality->zone, zone);
}

/* The node, the rest of its zone, the others. */
static void split_by_distance(struct split *split, struct str zone)
{
    const struct backend_list *whole = split->whole;
    unsigned last;

    for (size_t i = 0; i < whole->localities_len; i++)
        add(split, &whole->localities[i], true, 0);
    for (size_t i = 0; i < whole->localities_len; i++)
        if (is_in(&whole->localities[i], zone))
            add(split, &whole->localities[i], false, next_priority(split));
    last = next_priority(split);
    for (size_t i = 0; i < whole->localities_len; i++)
        if (!is_in(&whole->localities[i], zone))
            add(split, &whole->localities[i], false, last);
}

/* Where no endpoint is ready, none goes before another. */
static void split_evenly(struct split *split)
{
    const struct backend_list *whole = split->whole;

    for (size_t i = 0; i < whole->localities_len; i++) {
        add(split, &whole->localities[i], false, 0);
        add(split, &whole->localities[i], true, 0);
    }
}

void view_near_list(const struct service_port *port, const struct view *view, struct arena *arena,
                    struct backend_list *ret_list)
{
    const struct backend_list *whole = &port->list;
    struct split split = {.whole = whole, .node = view->node};

    find_own(port, view, &split);
    split.items = arena_alloc(arena, whole->len * sizeof(*split.items));
    split.localities = arena_alloc(arena, 2 * whole->localities_len * sizeof(*split.localities));
    if (port->ready > 0)
        split_by_distance(&split, view->zone);
    else
        split_evenly(&split);
    *ret_list = (struct backend_list){
        .len = split.items_len,
        .items = split.items,
        .localities_len = split.len,
        .localities = split.localities,
    };
}

static uint64_t mix_text(uint64_t hash, struct str text)
{
    return hash_mix(hash, hash_content(text.ptr, text.len));
}

/* Whether the zone has some of those that are not on the node, and others have some, too. */
static bool zone_matters(const struct split *split, struct str zone)
{
    size_t others = split->whole->len - split->own_len, near = 0;

    for (size_t i = 0; i < split->whole->localities_len; i++) {
        const struct locality *locality = &split->whole->localities[i];

        if (is_in(locality, zone))
            near = locality->len - (first_own(split, locality->first + locality->len) -
                                    first_own(split, locality->first));
    }
    return near > 0 && near < others;
}

uint64_t view_near_hash(const struct service_port *port, const struct view *view)
{
    struct split split = {.whole = &port->list};
    uint64_t hash = mix_text(0, view->node);
    bool has_priorities;

    find_own(port, view, &split);
    has_priorities = port->ready > 0 && split.own_len < split.whole->len;
    for (size_t i = 0; i < split.own_len; i++)
        hash = hash_mix(hash, backend_hash(port->list.items[split.own[i].index].backend));
    hash = hash_mix(hash, has_priorities);
    return has_priorities && zone_matters(&split, view->zone) ? mix_text(hash, view->zone) : hash;
}
