#include "model/view.h"

#include "model/list.h"
#include "model/view_names.h"

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

/* ---- views ---- */

bool view_depends(const struct service_port *port)
{
    size_t ipv4;

    if (port->local)
        return port->ready + port->draining > 0;
    ipv4 = count_ipv4(port);
    return family_depends(port->all, ipv4) ||
           family_depends(port->all + ipv4, port->all_len - ipv4);
}

bool view_is_blind(const struct service_port *port, const struct place *place)
{
    return port->local && place->node.len == 0;
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

struct view view_of(const struct service_port *port, const struct place *place)
{
    struct view view = {.ipv4 = VIEW_ALL, .ipv6 = VIEW_ALL};

    if (!port->by_place || view_is_blind(port, place))
        return view;
    if (port->local)
        return local_view(port->names, place->node);
    view.ipv4 = family_kind(&port->names->ipv4, place);
    view.ipv6 = family_kind(&port->names->ipv6, place);
    if (view.ipv4 == VIEW_ZONE || view.ipv6 == VIEW_ZONE)
        view.zone = place->zone;
    if (view.ipv4 == VIEW_NODE || view.ipv6 == VIEW_NODE)
        view.node = place->node;
    return view;
}

bool view_equal(const struct view *a, const struct view *b)
{
    return a->ipv4 == b->ipv4 && a->ipv6 == b->ipv6 && str_eq(a->zone, b->zone) &&
           str_eq(a->node, b->node);
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
    case VIEW_KINDS:
        break;
    }
    return true;
}

/* Every node of a large cluster may ask: without a walk over all endpoints for each. */
static void local_list(const struct service_port *port, struct str node, struct arena *arena,
                       struct backend_list *ret_list)
{
    struct service_port own = *port;

    own.all = view_names_local(port->names, node, &own.all_len);
    list_make(&own, NULL, NULL, arena, ret_list);
}

void view_list(const struct service_port *port, const struct view *view, struct arena *arena,
               struct backend_list *ret_list)
{
    if (view->ipv4 == VIEW_LOCAL)
        local_list(port, view->node, arena, ret_list);
    else if (view->ipv4 == VIEW_ALL && view->ipv6 == VIEW_ALL)
        *ret_list = port->list;
    else
        list_make(port, keep, view, arena, ret_list);
}

const char *view_kind_name(enum view_kind kind)
{
    static const char *const names[VIEW_KINDS] = {
        [VIEW_ALL] = "all", [VIEW_ZONE] = "zone", [VIEW_NODE] = "node", [VIEW_LOCAL] = "local"};

    return names[kind];
}
