/* Which lists there are, over all places that a Service's endpoints speak of. */
#include "controller/explain_internal.h"

/* Backends that are looked at for it, so that a large Service does not keep the control thread. */
#define WORK_MAX (1000 * 1000)

struct views {
    struct view *items;
    size_t len, cap;
};

static int cmp_view(const void *a, const void *b)
{
    const struct view *left = a, *right = b;
    int order = (int)left->ipv4 - (int)right->ipv4;

    if (order == 0)
        order = (int)left->ipv6 - (int)right->ipv6;
    if (order == 0)
        order = str_cmp(left->zone, right->zone);
    if (order == 0)
        order = (int)left->group - (int)right->group;
    return order != 0 ? order : str_cmp(left->node, right->node);
}

static void add_view(struct views *views, struct view view)
{
    views->items = xgrow(views->items, &views->cap, views->len, sizeof(*views->items));
    views->items[views->len++] = view;
}

static void add_place(struct views *views, const struct explanation *explanation, struct str zone,
                      struct str node)
{
    struct place place = {.zone = zone, .node = node, .group = explanation->place.group};

    add_view(views, view_of(explanation->now.port, &place));
}

/* Where it is itself, and where its hints point. */
static void add_places_of(struct views *views, const struct explanation *explanation,
                          const struct endpoint *endpoint)
{
    const struct catalog *catalog = publisher_catalog(explanation->publisher);

    add_place(views, explanation, endpoint->zone, STR(""));
    add_place(views, explanation, endpoint->zone, endpoint->node);
    for (size_t i = 0; i < endpoint->zone_hints_len; i++)
        add_place(views, explanation, endpoint->zone_hints[i], STR(""));
    for (size_t i = 0; i < endpoint->node_hints_len; i++) {
        struct str node = endpoint->node_hints[i];

        add_place(views, explanation, catalog_node_zone(catalog, node), node);
    }
}

/* Each once; that of an unknown place, which is the smallest, comes first. With
 * internalTrafficPolicy Local, nodes without endpoints have one, too. */
static struct views collect(const struct explanation *explanation)
{
    const struct service_port *port = explanation->now.port;
    struct views views = {0};
    size_t kept = 0;

    add_place(&views, explanation, STR(""), STR(""));
    for (size_t i = 0; i < port->all_len && port->by_place; i++)
        add_places_of(&views, explanation, port->all[i].backend->endpoint);
    if (view_is_local(port) && port->by_place)
        add_view(&views, (struct view){.ipv4 = VIEW_LOCAL, .ipv6 = VIEW_LOCAL});
    qsort(views.items, views.len, sizeof(*views.items), cmp_view);
    for (size_t i = 0; i < views.len; i++) {
        if (i == 0 || !view_equal(&views.items[i], &views.items[kept - 1]))
            views.items[kept++] = views.items[i];
    }
    views.len = kept;
    return views;
}

/* How many there are of each. */
static void write_priorities(struct json_writer *writer, const struct backend_list *list)
{
    size_t at = 0;

    json_open_array(writer, "priorities");
    while (at < list->localities_len) {
        unsigned priority = list->localities[at].priority;
        size_t len = 0;

        for (; at < list->localities_len && list->localities[at].priority == priority; at++)
            len += list->localities[at].len;
        json_put_u64(writer, NULL, len);
    }
    json_close_array(writer);
}

static void write_view(struct json_writer *writer, const struct service_port *port,
                       const struct view *view)
{
    struct arena arena = {0};
    struct backend_list list;

    view_list(port, view, &arena, &list);
    json_open_object(writer, NULL);
    json_put_str(writer, "ipv4", str_of(view_kind_name(view->ipv4)));
    json_put_str(writer, "ipv6", str_of(view_kind_name(view->ipv6)));
    json_put_str(writer, "zone", view->zone);
    json_put_str(writer, "node", view->node);
    json_put_u64(writer, "endpoints", list.len);
    write_priorities(writer, &list);
    json_close_object(writer);
    arena_done(&arena);
}

void explain_write_views(const struct explanation *explanation, struct json_writer *writer)
{
    const struct service_port *port = explanation->now.port;
    struct views views = {0};
    size_t shown = 0;

    if (port) {
        views = collect(explanation);
        shown = min_size(views.len, EXPLAIN_VIEWS_MAX);
        shown = min_size(shown, 1 + WORK_MAX / (port->all_len + 1));
    }
    json_open_array(writer, "views");
    for (size_t i = 0; i < shown; i++)
        write_view(writer, port, &views.items[i]);
    json_close_array(writer);
    json_put_u64(writer, "views_left_out", views.len - shown);
    free(views.items);
}
