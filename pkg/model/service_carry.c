#include "model/service_box.h"

size_t service_listed(const struct service *service, uint16_t number)
{
    size_t most = 0;

    for (size_t i = 0; service && i < service->ports_len; i++) {
        if (service->ports[i].number == number && service->ports[i].list.len > most)
            most = service->ports[i].list.len;
    }
    return most;
}

bool service_empties(const struct service_port *port, const struct service *after)
{
    return port->list.len > 0 && service_listed(after, port->number) == 0;
}

const struct service_port *service_heir(const struct service_port *ports, size_t len,
                                        const struct service_port *port)
{
    for (size_t i = 0; i < len; i++) {
        if (ports[i].number == port->number)
            return &ports[i];
    }
    return NULL;
}

/* In place of the lists of its number: ports of one number list the same. */
static void carry_list(struct service_port *ports, size_t len, const struct service_port *kept)
{
    for (size_t i = 0; i < len; i++) {
        struct service_port carried = *kept;

        if (ports[i].number != kept->number)
            continue;
        carried.name = ports[i].name;
        carried.origin = ports[i].origin;
        carried.app_protocol = ports[i].app_protocol;
        ports[i] = carried;
    }
}

/* What the earlier version still lists of what was lost, and is not about to leave. */
static bool is_lost(const struct service_port *lost, const struct service_port *before,
                    const struct backend *backend)
{
    const struct listed *was = service_port_find(lost, backend);

    return was && service_port_lists(lost, was->backend) && service_port_lists(before, backend) &&
           !backend->endpoint->terminating;
}

/* Of one that both versions have. */
static bool is_worse(const struct backend *now, const struct backend *before)
{
    return backend_is_ready(before) && !backend_is_ready(now) && !now->endpoint->terminating;
}

static void add_item(struct service_port *port, struct listed *all, const struct listed *item)
{
    all[port->all_len++] = (struct listed){item->backend, NULL, item->zone};
    port->ready += backend_is_ready(item->backend);
    port->draining += backend_is_draining(item->backend);
    port->total++;
}

/* The port as it is now (NULL: it is gone), with what was lost as it was before. Both are sorted alike. */
static struct service_port carry_lost(const struct service_port *lost,
                                      const struct service_port *before,
                                      const struct service_port *now, struct arena *arena)
{
    struct service_port port = now ? *now : *before;
    size_t now_len = now ? now->all_len : 0, at = 0;
    struct listed *all = arena_alloc(arena, (before->all_len + now_len) * sizeof(*all));

    port.all_len = port.ready = port.draining = port.total = 0;
    for (size_t i = 0; i < before->all_len; i++) {
        const struct listed *old = &before->all[i];
        int order = 1;

        for (; at < now_len; at++) {
            order = backend_cmp_at(now->all[at].backend, old->backend, before->number);
            if (order >= 0)
                break;
            add_item(&port, all, &now->all[at]);
        }
        if (at == now_len || order > 0) {
            if (is_lost(lost, before, old->backend))
                add_item(&port, all, old);
            continue;
        }
        add_item(&port, all,
                 is_worse(now->all[at].backend, old->backend) &&
                         is_lost(lost, before, old->backend)
                     ? old
                     : &now->all[at]);
        at++;
    }
    for (; at < now_len; at++)
        add_item(&port, all, &now->all[at]);
    port.all = all;
    return port;
}

/* A number that no port had meant what is taken as it is given: a new port of it keeps that until it
 * lists something. */
static void carry_given(const struct service *before, const struct service *after,
                        const struct service_port *as_given, struct service_port *ports)
{
    struct service_port kept = *as_given;

    kept.gone = kept.was_default = false;
    for (size_t i = 0; i < after->ports_len; i++) {
        const struct service_port *port = &after->ports[i];

        kept.number = port->number;
        if (port->list.len == 0 && !service_heir(before->ports, before->ports_len, port))
            carry_list(ports, after->ports_len, &kept);
    }
}

/* What a name without a port means. */
static const struct service_port *default_port(const struct service *service)
{
    const char *unused;

    return service_find_port(service, &(struct port_ref){.kind = PORT_NONE}, &unused);
}

/* Fills `ports` with those of both, still with their owners' memory; returns how many. */
static size_t carry_ports(const struct service *before, const struct service *after,
                          const struct service_keep *keep, struct arena *arena,
                          struct service_port *ports)
{
    const struct service_port *chosen = default_port(before), *next = default_port(after);
    size_t len = after->ports_len;

    if (len > 0)
        memcpy(ports, after->ports, len * sizeof(*ports));
    for (size_t i = 0; i < before->ports_len; i++) {
        const struct service_port *port = &before->ports[i];
        const struct service_port *heir = service_heir(after->ports, after->ports_len, port);
        struct service_port kept = *port;

        if (!keep[i].stays)
            continue;
        if (keep[i].lost)
            kept = carry_lost(keep[i].lost, port, heir, arena);
        kept.carried = true;
        kept.gone = !heir;
        kept.was_default =
            chosen && chosen->number == kept.number &&
            (!next || (next->number != kept.number && next->list.len == 0));
        if (kept.gone)
            ports[len++] = kept;
        else
            carry_list(ports, after->ports_len, &kept);
        if (kept.number == 0)
            carry_given(before, after, &kept, ports);
    }
    return len;
}

static void *arena_copy(struct arena *arena, const void *items, size_t size)
{
    void *copy = arena_alloc(arena, size);

    if (size > 0)
        memcpy(copy, items, size);
    return copy;
}

/* Zones that their endpoints say themselves lie in the slices; others lie with the service that was first to keep them. */
static struct listed *own_items(struct arena *arena, const struct listed *items, size_t len)
{
    struct listed *copies = arena_copy(arena, items, len * sizeof(*copies));
    struct str zone = STR("");

    for (size_t i = 0; i < len; i++) {
        if (str_eq(copies[i].zone, copies[i].backend->endpoint->zone)) {
            copies[i].zone = copies[i].backend->endpoint->zone;
            continue;
        }
        if (!str_eq(zone, copies[i].zone))
            zone = arena_text(arena, copies[i].zone);
        copies[i].zone = zone;
    }
    return copies;
}

/* Zones that waited in the list before go on waiting; that of a carried port is the earlier version's. */
static void own_port(const struct service *service, const struct service *last,
                     struct service_port *port, uint64_t now_us, struct arena *arena)
{
    const struct service_port *earlier =
        port->carried ? service_heir(last->ports, last->ports_len, port) : NULL;
    struct service_port before = earlier ? *earlier : *port;

    port->name = arena_text(arena, port->name);
    port->app_protocol = arena_text(arena, port->app_protocol);
    port->all = own_items(arena, port->all, port->all_len);
    port->policy = service_policy_at(service, port);
    service_list_port(port, &before, now_us, arena);
}

static int cmp_pointer(const void *a, const void *b)
{
    const struct slice *const *left = a;
    const struct slice *const *right = b;

    return (*left > *right) - (*left < *right);
}

static void sort_slices(const struct slice **slices, size_t len,
                        int (*compare)(const void *a, const void *b))
{
    if (len > 1)
        qsort(slices, len, sizeof(*slices), compare);
}

/* Those in force, and those that something carried lies in, each once. What is listed is among `all`. */
static void own_slices(struct service *service, const struct service *after, struct arena *arena)
{
    CLEANUP(freep) const struct slice **all = NULL;
    size_t len = after->slices_len, kept = 0;

    for (size_t i = 0; i < service->ports_len; i++)
        len += service->ports[i].all_len;
    all = xmalloc((len + 1) * sizeof(const struct slice *));
    len = 0;
    for (size_t i = 0; i < after->slices_len; i++)
        all[len++] = after->slices[i];
    for (size_t i = 0; i < service->ports_len; i++) {
        for (size_t k = 0; k < service->ports[i].all_len; k++)
            all[len++] = service->ports[i].all[k].backend->slice;
    }
    sort_slices(all, len, cmp_pointer);
    for (size_t i = 0; i < len; i++) {
        if (i == 0 || all[i] != all[kept - 1])
            all[kept++] = all[i];
    }
    sort_slices(all, kept, service_cmp_slice_name);
    service->slices = arena_alloc(arena, kept * sizeof(const struct slice *));
    for (size_t i = 0; i < kept; i++)
        service->slices[service->slices_len++] = slice_ref(all[i]);
}

const struct service *service_carry(const struct service *before, const struct service *after,
                                    const struct service_keep *keep, uint64_t now_us)
{
    struct service_box *box = xcalloc(1, sizeof(*box));
    struct service *service = &box->service;
    struct service_port *ports =
        arena_alloc(&box->arena, (before->ports_len + after->ports_len) * sizeof(*ports));

    atomic_init(&box->refs, 1);
    *service = (struct service){
        .namespace_name = arena_text(&box->arena, after->namespace_name),
        .name = arena_text(&box->arena, after->name),
        .uid = arena_text(&box->arena, after->uid),
        .type = after->type,
        .policy = policy_ref(after->policy),
        .received_us = after->received_us,
    };
    if (service->type == SERVICE_EXTERNAL_NAME)
        service->external_name = arena_text(&box->arena, after->external_name);
    service->ports_len = carry_ports(before, after, keep, &box->arena, ports);
    service->ports = ports;
    if (service->ports_len > 1)
        qsort(ports, service->ports_len, sizeof(*ports), service_cmp_port);
    for (size_t i = 0; i < service->ports_len; i++)
        own_port(service, before, &ports[i], now_us, &box->arena);
    service->due_us = service_due(service);
    own_slices(service, after, &box->arena);
    return service;
}
