/*
 * What must hold for every Service that comes out of the model, whatever went in: the rules of lists, and who is in the list of which place,
 * by a second and naive reading of them.
 */
#ifndef FUZZ_SERVICE_RULES_H
#define FUZZ_SERVICE_RULES_H

#include "model/view.h"
#include "must_hold.h"

static const struct place rules_places[] = {
    {STR_INIT(""), STR_INIT(""), 0},   {STR_INIT("a"), STR_INIT(""), 0},
    {STR_INIT("b"), STR_INIT(""), 5},  {STR_INIT(""), STR_INIT("n1"), 64},
    {STR_INIT("a"), STR_INIT("n2"), 1}, {STR_INIT("c"), STR_INIT("n3"), 0},
};

/* ---- who is in: naive ---- */

static inline bool rules_names(const struct str *names, size_t len, struct str name)
{
    for (size_t i = 0; i < len; i++)
        if (name.len > 0 && str_eq(names[i], name))
            return true;
    return false;
}

static inline bool rules_zone_hinted(const struct endpoint *endpoint, struct str zone)
{
    return rules_names(endpoint->zone_hints, endpoint->zone_hints_len, zone);
}

static inline bool rules_node_hinted(const struct endpoint *endpoint, struct str node)
{
    return rules_names(endpoint->node_hints, endpoint->node_hints_len, node);
}

/* Whether hints leave a ready endpoint to the place: if all ready ones of its family say nodes and one says this one, by node; and so on. */
static inline bool rules_is_for(const struct service_port *port, const struct endpoint *endpoint,
                                const struct place *place)
{
    bool all_nodes = true, all_zones = true, node = false, zone = false;

    for (size_t i = 0; i < port->all_len; i++) {
        const struct endpoint *other = port->all[i].backend->endpoint;

        if (!other->ready || other->family != endpoint->family)
            continue;
        all_nodes = all_nodes && other->node_hints_len > 0;
        all_zones = all_zones && other->zone_hints_len > 0;
        node = node || rules_node_hinted(other, place->node);
        zone = zone || rules_zone_hinted(other, place->zone);
    }
    if (all_nodes && node)
        return rules_node_hinted(endpoint, place->node);
    return !all_zones || !zone || rules_zone_hinted(endpoint, place->zone);
}

/* What the policy says of near and far; a ring has neither. */
static inline enum locality_mode rules_mode(const struct service_port *port)
{
    const struct policy *policy = port->policy;

    if (policy->lb == LB_RING_HASH && policy->locality != LOCALITY_SERVICE)
        return LOCALITY_NONE;
    return policy->locality;
}

static inline bool rules_may(const struct service_port *port, const struct endpoint *endpoint,
                             const struct place *place)
{
    if (rules_mode(port) != LOCALITY_SERVICE)
        return true;
    if (port->local)
        return place->node.len == 0 || str_eq(endpoint->node, place->node);
    return !endpoint->ready || rules_is_for(port, endpoint, place);
}

#define RULES_NAIVE_MAX 64 /* more endpoints than that are not looked at one by one */

/* Whether it is listed where some or none is ready. */
static inline bool rules_condition(const struct service_port *port, const struct backend *backend,
                                   bool some)
{
    if (some)
        return backend_is_ready(backend);
    if (port->policy->none_ready == NONE_READY_SERVING_TERMINATING)
        return backend_is_draining(backend);
    return port->policy->none_ready == NONE_READY_ALL;
}

/* Which of port->all the place's list has if it is not cut, as themselves or as another's other address; returns how many. */
static inline size_t rules_who(const struct service_port *port, const struct place *place,
                               bool in[RULES_NAIVE_MAX])
{
    size_t ready = 0, len = 0;

    for (size_t i = 0; i < port->all_len; i++) {
        in[i] = rules_may(port, port->all[i].backend->endpoint, place);
        ready += in[i] && backend_is_ready(port->all[i].backend);
    }
    for (size_t i = 0; i < port->all_len; i++) {
        in[i] = in[i] && rules_condition(port, port->all[i].backend, ready > 0);
        len += in[i];
    }
    return len;
}

/* ---- who is near: naive ---- */

/* Of the list of everybody. */
static inline size_t rules_pods_in(const struct service_port *port, struct str zone)
{
    size_t count = 0;

    for (size_t i = 0; i < port->list.len; i++)
        count += str_eq(port->list.items[i].zone, zone);
    return count;
}

static inline bool rules_has_enough(const struct service_port *port, struct str zone)
{
    bool by_zone = rules_mode(port) == LOCALITY_PREFER_ZONE;
    size_t minimum = by_zone ? port->policy->minimum_per_zone : 1;

    return port->ready > 0 && zone.len > 0 && rules_pods_in(port, zone) >= minimum;
}

/* NULL: it does not. */
static inline const struct zone_wait *rules_wait(const struct service_port *port, struct str zone)
{
    for (size_t i = 0; i < port->waits_len; i++)
        if (str_eq(port->waits[i].zone, zone))
            return &port->waits[i];
    return NULL;
}

static inline bool rules_prefers(const struct service_port *port)
{
    return rules_mode(port) == LOCALITY_PREFER_ZONE || rules_mode(port) == LOCALITY_PREFER_NODE;
}

static inline bool rules_is_near(const struct service_port *port, struct str zone)
{
    return rules_prefers(port) && rules_has_enough(port, zone) && !rules_wait(port, zone);
}

static inline bool rules_lists_node(const struct service_port *port, struct str node)
{
    bool found = false;

    for (size_t i = 0; i < port->list.len && node.len > 0; i++)
        found = found || str_eq(port->list.items[i].backend->endpoint->node, node);
    return found && rules_mode(port) == LOCALITY_PREFER_NODE;
}

/* How far; only the order counts. */
static inline unsigned rules_distance(const struct service_port *port, const struct listed *item,
                                      const struct place *place)
{
    bool same_zone = place->zone.len > 0 && str_eq(item->zone, place->zone);
    bool node = rules_lists_node(port, place->node);

    if (port->ready == 0)
        return 0;
    if (node && str_eq(item->backend->endpoint->node, place->node))
        return 0;
    if (same_zone && (node || rules_is_near(port, place->zone)))
        return 1;
    return 2;
}

/* ---- lists ---- */

struct rules_listing {
    size_t len;
    const struct backend **backends; /* others too */
};

static inline int rules_cmp(const void *a, const void *b)
{
    return backend_cmp_address(*(const struct backend *const *)a,
                               *(const struct backend *const *)b);
}

static inline bool rules_same_address(const struct backend *a, const struct backend *b)
{
    return a->endpoint->family == b->endpoint->family &&
           memcmp(a->endpoint->bytes, b->endpoint->bytes, sizeof(a->endpoint->bytes)) == 0;
}

static inline void rules_check_backend(const struct service_port *port,
                                       const struct backend *backend, struct rules_listing *listing)
{
    const struct listed *known = service_port_find(port, backend);

    must_hold(known && known->backend == backend && !known->other);
    must_hold((backend->wire.len > 0) == (backend->port != 0));
    listing->backends[listing->len++] = backend;
}

/* A slice that leaves it open takes the one that is asked for. */
static inline uint16_t rules_port_in(const struct service_port *port, const struct backend *backend)
{
    return backend->port ? backend->port : port->number;
}

static inline void rules_check_item(const struct service_port *port, const struct listed *item,
                                    struct rules_listing *listing)
{
    rules_check_backend(port, item->backend, listing);
    must_hold(str_eq(item->zone, service_port_find(port, item->backend)->zone));
    if (!item->other)
        return;
    rules_check_backend(port, item->other, listing);
    must_hold(item->backend->endpoint->family == port->prefers);
    must_hold(item->other->endpoint->family != port->prefers);
    must_hold(item->backend->endpoint->uid.len > 0);
    must_hold(str_eq(item->backend->endpoint->uid, item->other->endpoint->uid));
    must_hold(rules_port_in(port, item->backend) == rules_port_in(port, item->other));
}

/* No address and port twice, also when somebody asks for those that have no port of their own. */
static inline void rules_check_unique(struct rules_listing *listing)
{
    if (listing->len > 0)
        qsort(listing->backends, listing->len, sizeof(*listing->backends), rules_cmp);
    for (size_t i = 1; i < listing->len; i++) {
        const struct backend *one = listing->backends[i - 1], *two = listing->backends[i];

        must_hold(backend_cmp_address(one, two) < 0);
        must_hold(!rules_same_address(one, two) || (one->port != 0 && two->port != 0));
    }
}

static inline bool rules_same_pod(const struct service_port *port, const struct backend *a,
                                  const struct backend *b)
{
    return a->endpoint->uid.len > 0 && str_eq(a->endpoint->uid, b->endpoint->uid) &&
           rules_port_in(port, a) == rules_port_in(port, b);
}

/* Of a pod that is listed in both families, a pair is joined. */
static inline void rules_check_joined(const struct service_port *port,
                                      const struct backend_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        const struct backend *one = list->items[i].backend;
        bool both = false, joined = false;

        for (size_t k = 0; k < list->len; k++) {
            const struct backend *two = list->items[k].backend;

            both = both || (rules_same_pod(port, one, two) &&
                            one->endpoint->family != two->endpoint->family);
            joined = joined || (rules_same_pod(port, one, two) && list->items[k].other);
        }
        must_hold(!both || joined);
    }
}

static inline int rules_cmp_locality(const struct locality *a, const struct locality *b)
{
    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    return str_eq(a->zone, b->zone) ? str_cmp(a->sub_zone, b->sub_zone) : str_cmp(a->zone, b->zone);
}

/* What clients refuse: gaps between priorities, a locality twice, whatever the priority. */
static inline void rules_check_localities(const struct service_port *port,
                                          const struct backend_list *list)
{
    must_hold(port->policy->lb != LB_RING_HASH || list->localities_len <= 1);
    for (size_t i = 0; i < list->localities_len; i++) {
        const struct locality *one = &list->localities[i];

        must_hold(i > 0 || one->priority == 0);
        must_hold(i == 0 || one->priority - list->localities[i - 1].priority <= 1);
        must_hold(i == 0 || rules_cmp_locality(&list->localities[i - 1], one) < 0);
        must_hold(port->policy->lb != LB_RING_HASH || one->zone.len == 0);
        for (size_t k = 0; k < i; k++)
            must_hold(!str_eq(one->zone, list->localities[k].zone) ||
                      !str_eq(one->sub_zone, list->localities[k].sub_zone));
    }
}

/* In order, each address once; returns those that it has, the caller's to free. */
static inline struct rules_listing rules_check_list(const struct service_port *port,
                                                    const struct backend_list *list)
{
    struct rules_listing listing = {.backends = xmalloc((2 * list->len + 1) * sizeof(void *))};
    size_t at = 0;

    rules_check_localities(port, list);
    for (size_t i = 0; i < list->localities_len; i++) {
        const struct locality *locality = &list->localities[i];

        must_hold(locality->len > 0 && locality->first == at);
        for (; at < locality->first + locality->len; at++) {
            must_hold(port->policy->lb == LB_RING_HASH ||
                      str_eq(list->items[at].zone, locality->zone));
            must_hold(at == locality->first || backend_cmp_address(list->items[at - 1].backend,
                                                                   list->items[at].backend) < 0);
            rules_check_item(port, &list->items[at], &listing);
        }
    }
    must_hold(at == list->len);
    rules_check_unique(&listing);
    return listing;
}

/* ---- who is where ---- */

/* The nearer, the lower; an endpoint on a client's node has a locality of its own, whoever else there is. */
static inline void rules_check_distances(const struct service_port *port,
                                         const struct place *place,
                                         const struct backend_list *list)
{
    bool node = rules_lists_node(port, place->node);
    unsigned last = 0;

    for (size_t i = 0; i < list->localities_len; i++) {
        const struct locality *locality = &list->localities[i];
        unsigned distance = rules_distance(port, &list->items[locality->first], place);

        must_hold(i == 0 || distance >= last);
        must_hold(i == 0 || (distance > last) ==
                                (locality->priority > list->localities[i - 1].priority));
        last = distance;
        for (size_t k = locality->first; k < locality->first + locality->len; k++) {
            bool own = node && str_eq(list->items[k].backend->endpoint->node, place->node);

            must_hold(rules_distance(port, &list->items[k], place) == distance);
            must_hold(str_eq(locality->sub_zone, own ? place->node : STR("")));
        }
    }
}

/* ---- parts ---- */

#define RULES_PRIORITIES 3

static inline void rules_count(const struct backend_list *list, size_t lens[RULES_PRIORITIES])
{
    memset(lens, 0, RULES_PRIORITIES * sizeof(*lens));
    for (size_t i = 0; i < list->localities_len; i++) {
        must_hold(list->localities[i].priority < RULES_PRIORITIES);
        lens[list->localities[i].priority] += list->localities[i].len;
    }
}

/* Adds to what the groups before it have, of port->all. */
static inline void rules_check_part(const struct service_port *port, const struct view *view,
                                    const size_t whole[RULES_PRIORITIES], bool *had)
{
    size_t lens[RULES_PRIORITIES];
    struct backend_list list;
    struct arena arena = {0};

    view_list(port, view, &arena, &list);
    rules_count(&list, lens);
    for (size_t i = 0; i < RULES_PRIORITIES; i++) {
        size_t share = (whole[i] + PLACE_GROUPS - 1) / PLACE_GROUPS;
        size_t most = share > port->policy->subset_size ? share : port->policy->subset_size;

        must_hold(lens[i] == (whole[i] < most ? whole[i] : most));
    }
    for (size_t i = 0; i < list.len; i++)
        had[service_port_find(port, list.items[i].backend) - port->all] = true;
    arena_done(&arena);
}

/* Every group has as many, and all together have everything. */
static inline void rules_check_parts(const struct service_port *port, struct view view)
{
    size_t lens[RULES_PRIORITIES], count = 0;
    CLEANUP(freep) bool *had = xcalloc(port->all_len + 1, sizeof(*had));
    struct backend_list list;
    struct arena arena = {0};

    view.group = 0;
    view_list(port, &view, &arena, &list);
    rules_count(&list, lens);
    for (view.group = 1; view.group <= PLACE_GROUPS; view.group++)
        rules_check_part(port, &view, lens, had);
    for (size_t i = 0; i < port->all_len; i++)
        count += had[i];
    must_hold(count == list.len);
    arena_done(&arena);
}

static inline void rules_check_members(const struct service_port *port, const struct place *place,
                                       const struct rules_listing *listing, bool whole)
{
    bool in[RULES_NAIVE_MAX];
    size_t len = rules_who(port, place, in);

    must_hold(whole ? listing->len == len : listing->len <= len);
    for (size_t i = 0; i < listing->len; i++)
        must_hold(in[service_port_find(port, listing->backends[i]) - port->all]);
}

static inline void rules_check_view(const struct service_port *port, const struct place *place)
{
    struct view view = view_of(port, place);
    struct backend_list list;
    struct rules_listing listing;
    struct arena arena = {0};

    view_list(port, &view, &arena, &list);
    listing = rules_check_list(port, &list);
    if (view_is_all(&view))
        must_hold(list.items == port->list.items && list.len == port->list.len);
    else
        must_hold(port->by_place);
    must_hold(view.group == 0 || view.group == place->group);
    rules_check_distances(port, place, &list);
    if (port->all_len <= RULES_NAIVE_MAX) {
        rules_check_members(port, place, &listing, view.group == 0);
        if (view.group == 0)
            rules_check_joined(port, &list);
    }
    free(listing.backends);
    arena_done(&arena);
    if (view.group != 0)
        rules_check_parts(port, view);
}

/* ---- which backends a number means: naive ---- */

#define RULES_MEMBERS_MAX 256

struct rules_members {
    struct rules_member {
        const struct endpoint *endpoint;
        uint16_t port;
        bool given; /* the port is the client's: the slice leaves it open */
    } items[RULES_MEMBERS_MAX];
    size_t len;
};

static inline bool rules_same_host(const struct endpoint *a, const struct endpoint *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* Each once; what leaves its port open gives way to the same address with a port of its own. */
static inline void rules_add(struct rules_members *members, struct rules_member member)
{
    for (size_t i = 0; i < members->len; i++) {
        struct rules_member *other = &members->items[i];

        if (!rules_same_host(other->endpoint, member.endpoint))
            continue;
        if (other->given && !member.given)
            *other = member;
        if (other->given || member.given || other->port == member.port)
            return;
    }
    must_hold(members->len < RULES_MEMBERS_MAX);
    members->items[members->len++] = member;
}

/* `own` is the Service's port of that number; NULL: it has none. */
static inline void rules_add_slice(struct rules_members *members, const struct service_spec *spec,
                                   const struct service_spec_port *own, const struct slice *slice,
                                   uint16_t number)
{
    bool headless = spec->type == SERVICE_HEADLESS;

    for (size_t i = 0; i < slice->endpoints_len; i++) {
        const struct endpoint *endpoint = &slice->endpoints[i];

        if (headless && slice->ports_len == 0)
            rules_add(members, (struct rules_member){endpoint, number, true});
        for (size_t k = 0; k < slice->ports_len; k++) {
            const struct slice_port *port = &slice->ports[k];
            uint16_t at = port->number ? port->number : number;

            if (port->protocol == PROTOCOL_TCP &&
                (own ? str_eq(port->name, own->name) : headless && at == number))
                rules_add(members, (struct rules_member){endpoint, at, port->number == 0});
        }
    }
}

static inline bool rules_has_member(const struct rules_members *members,
                                    const struct backend *backend, uint16_t number)
{
    for (size_t i = 0; i < members->len; i++)
        if (rules_same_host(members->items[i].endpoint, backend->endpoint) &&
            members->items[i].port == (backend->port ? backend->port : number))
            return true;
    return false;
}

/* Of a Service as it was made of these, with nothing carried. */
static inline void rules_check_number(const struct service *service,
                                      const struct service_spec *spec,
                                      const struct slice *const *slices, size_t len,
                                      uint16_t number)
{
    const struct port_ref ref = {.kind = PORT_NUMBER, .number = number};
    const struct service_spec_port *own = NULL;
    const struct service_port *port;
    struct rules_members members = {.len = 0};
    const char *unused;

    for (size_t i = 0; i < spec->ports_len; i++)
        if (spec->ports[i].protocol == PROTOCOL_TCP && spec->ports[i].number == number)
            own = &spec->ports[i];
    for (size_t i = 0; i < len && spec->type != SERVICE_EXTERNAL_NAME; i++)
        if (slices[i]->owner_uid.len == 0 || spec->uid.len == 0 ||
            str_eq(slices[i]->owner_uid, spec->uid))
            rules_add_slice(&members, spec, own, slices[i], number);
    port = service_find_port(service, &ref, &unused);
    must_hold((port ? port->all_len : 0) == members.len);
    for (size_t i = 0; i < members.len; i++)
        must_hold(rules_has_member(&members, port->all[i].backend, number));
}

/* ---- Services ---- */

static inline void rules_check_all(const struct service_port *port)
{
    size_t ready = 0, draining = 0;

    for (size_t i = 0; i < port->all_len; i++) {
        must_hold(i == 0 ||
                  backend_cmp_address(port->all[i - 1].backend, port->all[i].backend) < 0);
        ready += backend_is_ready(port->all[i].backend);
        draining += backend_is_draining(port->all[i].backend);
    }
    must_hold(ready == port->ready && draining == port->draining && port->all_len == port->total);
}

static inline void rules_check_port(const struct service_port *port)
{
    struct rules_listing listing;

    must_hold(port->protocol == PROTOCOL_TCP);
    must_hold(port->prefers == FAMILY_IPV4 || port->prefers == FAMILY_IPV6);
    rules_check_all(port);
    listing = rules_check_list(port, &port->list);
    must_hold(listing.len == (port->ready > 0                                              ? port->ready
                              : port->policy->none_ready == NONE_READY_SERVING_TERMINATING ? port->draining
                              : port->policy->none_ready == NONE_READY_ALL                 ? port->total
                                                                                           : 0));
    free(listing.backends);
    for (size_t i = 0; i < ARRAY_LEN(rules_places); i++)
        rules_check_view(port, &rules_places[i]);
}

static inline void rules_check_service(const struct service *service)
{
    for (size_t i = 0; i < service->ports_len; i++) {
        must_hold(i == 0 || service->ports[i - 1].number <= service->ports[i].number);
        must_hold(service->type != SERVICE_EXTERNAL_NAME || service->ports[i].carried ||
                  service->ports[i].total == 0);
        must_hold(service->type != SERVICE_HEADLESS || service->ports[i].carried ||
                  !service->ports[i].local);
        rules_check_port(&service->ports[i]);
    }
    for (size_t i = 1; i < service->slices_len; i++)
        must_hold(str_cmp(service->slices[i - 1]->name, service->slices[i]->name) <= 0);
    must_hold((service->type == SERVICE_EXTERNAL_NAME) == (service->external_name.len > 0));
}

#endif
