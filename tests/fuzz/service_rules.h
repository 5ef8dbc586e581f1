/*
 * What must hold for every Service that comes out of the model, whatever went in: the rules of lists, and who is in the list of which place,
 * by a second and naive reading of them.
 */
#ifndef FUZZ_SERVICE_RULES_H
#define FUZZ_SERVICE_RULES_H

#include "model/view.h"
#include "must_hold.h"

static const struct place rules_places[] = {
    {STR_INIT(""), STR_INIT("")},    {STR_INIT("a"), STR_INIT("")},
    {STR_INIT("b"), STR_INIT("")},   {STR_INIT(""), STR_INIT("n1")},
    {STR_INIT("a"), STR_INIT("n2")}, {STR_INIT("c"), STR_INIT("n3")},
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

static inline bool rules_may(const struct service_port *port, const struct endpoint *endpoint,
                             const struct place *place)
{
    if (port->local)
        return place->node.len == 0 || str_eq(endpoint->node, place->node);
    return !endpoint->ready || rules_is_for(port, endpoint, place);
}

#define RULES_NAIVE_MAX 64 /* more endpoints than that are not looked at one by one */

/* Which of port->all the place's list has, as themselves or as another's other address; returns how many. */
static inline size_t rules_who(const struct service_port *port, const struct place *place,
                               bool in[RULES_NAIVE_MAX])
{
    size_t ready = 0, draining = 0;

    for (size_t i = 0; i < port->all_len; i++) {
        in[i] = rules_may(port, port->all[i].backend->endpoint, place);
        ready += in[i] && backend_is_ready(port->all[i].backend);
        draining += in[i] && backend_is_draining(port->all[i].backend);
    }
    for (size_t i = 0; i < port->all_len; i++)
        in[i] = in[i] && (ready > 0 ? backend_is_ready : backend_is_draining)(port->all[i].backend);
    return ready > 0 ? ready : draining;
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

/* In order, each address once; returns those that it has, the caller's to free. */
static inline struct rules_listing rules_check_list(const struct service_port *port,
                                                    const struct backend_list *list)
{
    struct rules_listing listing = {.backends = xmalloc((2 * list->len + 1) * sizeof(void *))};
    size_t at = 0;

    for (size_t i = 0; i < list->localities_len; i++) {
        const struct locality *locality = &list->localities[i];

        must_hold(locality->len > 0 && locality->first == at);
        must_hold(i == 0 || str_cmp(list->localities[i - 1].zone, locality->zone) < 0);
        for (; at < locality->first + locality->len; at++) {
            must_hold(str_eq(list->items[at].zone, locality->zone));
            must_hold(at == locality->first || backend_cmp_address(list->items[at - 1].backend,
                                                                   list->items[at].backend) < 0);
            rules_check_item(port, &list->items[at], &listing);
        }
    }
    must_hold(at == list->len);
    rules_check_unique(&listing);
    return listing;
}

static inline void rules_check_view(const struct service_port *port, const struct place *place)
{
    struct view view = view_of(port, place);
    bool in[RULES_NAIVE_MAX];
    struct backend_list list;
    struct rules_listing listing;
    struct arena arena = {0};

    view_list(port, &view, &arena, &list);
    listing = rules_check_list(port, &list);
    if (view.ipv4 == VIEW_ALL && view.ipv6 == VIEW_ALL)
        must_hold(list.items == port->list.items && list.len == port->list.len);
    else
        must_hold(port->by_place);
    if (port->all_len <= RULES_NAIVE_MAX) {
        must_hold(listing.len == rules_who(port, place, in));
        for (size_t i = 0; i < listing.len; i++)
            must_hold(in[service_port_find(port, listing.backends[i]) - port->all]);
        rules_check_joined(port, &list);
    }
    free(listing.backends);
    arena_done(&arena);
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
    must_hold(listing.len == (port->ready > 0 ? port->ready : port->draining));
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
