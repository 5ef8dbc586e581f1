#include "model/view.h"

#include "model/list.h"
#include "model/view_names.h"
#include "model/view_near.h"

/* ---- hints of one family ---- */

static bool is_named(struct str name, const struct str *hints, size_t len)
{
    for (size_t i = 0; i < len && name.len > 0; i++) {
        if (str_eq(hints[i], name))
            return true;
    }
    return false;
}

/* The hints of one kind over a family's ready endpoints. */
struct survey {
    bool complete; /* every one has some */
    bool differ;   /* not all have the same */
};

/* Ends at the first endpoint without hints: most Services have none. */
static bool family_depends(const struct listed *items, size_t len)
{
    struct survey zones = {.complete = true}, nodes = {.complete = true};
    const struct endpoint *first = NULL;

    for (size_t i = 0; i < len && (zones.complete || nodes.complete); i++) {
        const struct endpoint *endpoint = items[i].backend->endpoint;

        if (!endpoint->ready)
            continue;
        first = first ? first : endpoint;
        zones.complete = zones.complete && endpoint->zone_hints_len > 0;
        nodes.complete = nodes.complete && endpoint->node_hints_len > 0;
        zones.differ = zones.differ || !endpoint_same_zone_hints(endpoint, first);
        nodes.differ = nodes.differ || !endpoint_same_node_hints(endpoint, first);
    }
    return (nodes.complete && nodes.differ) || (zones.complete && zones.differ);
}

/* IPv4 comes first. */
static size_t count_ipv4(const struct service_port *port)
{
    size_t low = 0, high = port->all_len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (port->all[middle].backend->endpoint->family == FAMILY_IPV4)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- what the policy makes of it ---- */

enum locality_mode view_mode(const struct service_port *port)
{
    enum locality_mode mode = port->policy->locality;

    if (port->policy->lb == LB_RING_HASH && mode != LOCALITY_SERVICE)
        return LOCALITY_NONE;
    return mode;
}

bool view_is_local(const struct service_port *port)
{
    return port->local && view_mode(port) == LOCALITY_SERVICE;
}

bool view_is_cut(const struct service_port *port)
{
    const struct policy *policy = port->policy;

    return policy->subset_size > 0 && policy->lb != LB_RING_HASH &&
           port->list.len > policy->subset_size;
}

size_t view_ready_in(const struct service_port *port, struct str zone)
{
    size_t low = 0, high = port->ready > 0 ? port->list.localities_len : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct locality *locality = &port->list.localities[middle];
        int order = str_cmp(locality->zone, zone);

        if (order == 0)
            return locality->len;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

size_t view_zone_minimum(const struct service_port *port)
{
    return view_mode(port) == LOCALITY_PREFER_ZONE ? port->policy->minimum_per_zone : 1;
}

bool view_is_near(const struct service_port *port, const struct locality *locality)
{
    if (port->ready == 0 || locality->zone.len == 0 || locality->len < view_zone_minimum(port))
        return false;
    for (size_t i = 0; i < port->waits_len; i++) {
        if (str_eq(port->waits[i].zone, locality->zone))
            return false;
    }
    return true;
}

/* ---- views ---- */

/* By the Service's own fields. Is asked for every Service. */
static bool own_fields_depend(const struct service_port *port)
{
    size_t ipv4;

    if (port->local)
        return port->list.len > 0;
    ipv4 = count_ipv4(port);
    return family_depends(port->all, ipv4) ||
           family_depends(port->all + ipv4, port->all_len - ipv4);
}

static bool nearness_depends(const struct service_port *port)
{
    const struct backend_list *list = &port->list;

    for (size_t i = 0; i < list->localities_len; i++) {
        if (view_is_near(port, &list->localities[i]))
            return true;
    }
    for (size_t i = 0; i < list->len && view_mode(port) == LOCALITY_PREFER_NODE; i++) {
        if (list->items[i].backend->endpoint->node.len > 0)
            return true;
    }
    return false;
}

bool view_depends(const struct service_port *port)
{
    if (view_is_cut(port))
        return true;
    switch (view_mode(port)) {
    case LOCALITY_SERVICE:
        return own_fields_depend(port);
    case LOCALITY_PREFER_ZONE:
    case LOCALITY_PREFER_NODE:
        return nearness_depends(port);
    case LOCALITY_NONE:
    case LOCALITY_MODES:
        break;
    }
    return false;
}

bool view_is_blind(const struct service_port *port, const struct place *place)
{
    return view_is_local(port) && place->node.len == 0;
}

static enum view_kind family_kind(const struct view_hints *hints, const struct place *place)
{
    if (view_names_have(&hints->nodes, place->node))
        return VIEW_NODE;
    return view_names_have(&hints->zones, place->zone) ? VIEW_ZONE : VIEW_ALL;
}

/* All nodes without an endpoint have the same view: most nodes of a large cluster. */
static struct view local_view(const struct view_names *names, struct str node)
{
    struct view view = {.ipv4 = VIEW_LOCAL, .ipv6 = VIEW_LOCAL};
    size_t len;

    (void)view_names_local(names, node, &len);
    if (len > 0)
        view.node = node;
    return view;
}

static struct view hinted_view(const struct view_names *names, const struct place *place)
{
    struct view view = {.ipv4 = family_kind(&names->ipv4, place),
                        .ipv6 = family_kind(&names->ipv6, place)};

    if (view.ipv4 == VIEW_ZONE || view.ipv6 == VIEW_ZONE)
        view.zone = place->zone;
    if (view.ipv4 == VIEW_NODE || view.ipv6 == VIEW_NODE)
        view.node = place->node;
    return view;
}

/* Any other zone is all the same: clients may tell what they like. */
static struct str listed_zone(const struct service_port *port, struct str zone)
{
    for (size_t i = 0; i < port->list.localities_len; i++) {
        if (str_eq(port->list.localities[i].zone, zone))
            return zone;
    }
    return STR("");
}

static struct view near_view(const struct service_port *port, const struct place *place)
{
    const struct view_names *names = port->names;
    size_t len = 0;

    if (place->node.len > 0)
        (void)view_names_on_node(names, place->node, &len);
    if (len > 0)
        return (struct view){.ipv4 = VIEW_NEAR_NODE,
                             .ipv6 = VIEW_NEAR_NODE,
                             .zone = listed_zone(port, place->zone),
                             .node = place->node};
    if (view_names_have(&names->near_zones, place->zone))
        return (struct view){.ipv4 = VIEW_NEAR_ZONE, .ipv6 = VIEW_NEAR_ZONE, .zone = place->zone};
    return (struct view){.ipv4 = VIEW_ALL, .ipv6 = VIEW_ALL};
}

struct view view_of(const struct service_port *port, const struct place *place)
{
    struct view view = {.ipv4 = VIEW_ALL, .ipv6 = VIEW_ALL};

    if (!port->by_place)
        return view;
    if (view_is_local(port) && place->node.len > 0)
        return local_view(port->names, place->node);
    switch (view_mode(port)) {
    case LOCALITY_SERVICE:
        view = hinted_view(port->names, place); /* without any where it is blind */
        break;
    case LOCALITY_PREFER_ZONE:
    case LOCALITY_PREFER_NODE:
        view = near_view(port, place);
        break;
    case LOCALITY_NONE:
    case LOCALITY_MODES:
        break;
    }
    view.group = port->names->order ? place->group : 0;
    return view;
}

bool view_equal(const struct view *a, const struct view *b)
{
    return a->ipv4 == b->ipv4 && a->ipv6 == b->ipv6 && str_eq(a->zone, b->zone) &&
           str_eq(a->node, b->node) && a->group == b->group;
}

/* ---- lists ---- */

/* A family that goes by hints has a ready endpoint for the place: those that are not ready are not listed, whatever their hints. */
static bool keep(const void *ctx, const struct backend *backend)
{
    const struct view *view = ctx;
    const struct endpoint *endpoint = backend->endpoint;

    switch (endpoint->family == FAMILY_IPV4 ? view->ipv4 : view->ipv6) {
    case VIEW_NODE:
        return is_named(view->node, endpoint->node_hints, endpoint->node_hints_len);
    case VIEW_ZONE:
        return is_named(view->zone, endpoint->zone_hints, endpoint->zone_hints_len);
    case VIEW_ALL:
    case VIEW_LOCAL:
    case VIEW_NEAR_ZONE:
    case VIEW_NEAR_NODE:
    case VIEW_KINDS:
        break;
    }
    return true;
}

/* Both addresses of a pod are on one node. */
static unsigned rank(const void *ctx, const struct listed *listed)
{
    const struct view *view = ctx;
    bool is_zone = view->zone.len > 0 && str_eq(listed->zone, view->zone);

    if (view->ipv4 == VIEW_NEAR_ZONE)
        return is_zone ? 0 : 1;
    if (str_eq(listed->backend->endpoint->node, view->node))
        return 0;
    return is_zone ? 1 : 2;
}

static struct list_rules rules_of(const struct service_port *port, const struct view *view)
{
    struct list_rules rules = {.ctx = view};

    if (view->ipv4 == VIEW_NEAR_ZONE || view->ipv4 == VIEW_NEAR_NODE)
        rules.rank = rank;
    else if (view->ipv4 != VIEW_ALL || view->ipv6 != VIEW_ALL)
        rules.keep = keep;
    if (view->ipv4 == VIEW_NEAR_NODE)
        rules.sub_zone = view->node;
    if (view->group != 0) {
        rules.group = view->group;
        rules.order = port->names->order;
    }
    return rules;
}

/* Every node of a large cluster may ask: without a walk over all endpoints for each. */
static void local_list(const struct service_port *port, struct str node, struct arena *arena,
                       struct backend_list *ret_list)
{
    struct service_port own = *port;

    own.all = view_names_local(port->names, node, &own.all_len);
    list_make(&own, NULL, arena, ret_list);
}

void view_list(const struct service_port *port, const struct view *view, struct arena *arena,
               struct backend_list *ret_list)
{
    struct list_rules rules;

    if (view->ipv4 == VIEW_LOCAL) {
        local_list(port, view->node, arena, ret_list);
        return;
    }
    if (view_is_all(view)) {
        *ret_list = port->list;
        return;
    }
    if (view->group == 0 && (view->ipv4 == VIEW_NEAR_ZONE || view->ipv4 == VIEW_NEAR_NODE)) {
        view_near_list(port, view, arena, ret_list);
        return;
    }
    rules = rules_of(port, view);
    list_make(port, &rules, arena, ret_list);
}

const char *view_kind_name(enum view_kind kind)
{
    static const char *const names[VIEW_KINDS] = {
        [VIEW_ALL] = "all",     [VIEW_ZONE] = "zone",           [VIEW_NODE] = "node",
        [VIEW_LOCAL] = "local", [VIEW_NEAR_ZONE] = "near-zone", [VIEW_NEAR_NODE] = "near-node"};

    return names[kind];
}
