#include "model/service.h"

#include <stdatomic.h>

#include "model/arena.h"
#include "model/merge.h"

struct service_box {
    struct service service;
    atomic_uint refs;
    struct arena arena;
};

static struct service_box *box_of(const struct service *service)
{
    return container_of(service, struct service_box, service);
}

const struct service *service_ref(const struct service *service)
{
    atomic_fetch_add_explicit(&box_of(service)->refs, 1, memory_order_relaxed);
    return service;
}

void service_unref(const struct service *service)
{
    struct service_box *box;

    if (!service)
        return;
    box = box_of(service);
    if (atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < service->slices_len; i++)
        slice_unref(service->slices[i]);
    arena_done(&box->arena);
    free(box);
}

/* Where either side does not say whose it is, it is no leftover. */
const char *service_refuses_slice(const struct service *service, const struct slice *slice)
{
    if (slice->owner_uid.len > 0 && service->uid.len > 0 &&
        !str_eq(slice->owner_uid, service->uid))
        return "the slice is a leftover of an earlier Service of this name";
    return NULL;
}

static int cmp_slice_name(const void *a, const void *b)
{
    const struct slice *const *left = a;
    const struct slice *const *right = b;

    return str_cmp((*left)->name, (*right)->name);
}

static void take_slices(struct service *service, struct arena *arena,
                        const struct slice *const *slices, size_t len)
{
    service->slices = arena_alloc(arena, len * sizeof(const struct slice *));
    for (size_t i = 0; i < len; i++) {
        if (!service_refuses_slice(service, slices[i]))
            service->slices[service->slices_len++] = slice_ref(slices[i]);
    }
    qsort(service->slices, service->slices_len, sizeof(const struct slice *), cmp_slice_name);
}

/* ---- ports ---- */

struct port_list {
    struct service_port *ports;
    size_t len, cap;
};

static void port_list_add(struct port_list *list, struct str name, uint16_t number,
                          struct str app_protocol)
{
    list->ports = xgrow(list->ports, &list->cap, list->len, sizeof(*list->ports));
    list->ports[list->len++] = (struct service_port){
        .name = name, .number = number, .protocol = PROTOCOL_TCP, .app_protocol = app_protocol};
}

static bool port_list_has(const struct port_list *list, struct str name, uint16_t number)
{
    for (size_t i = 0; i < list->len; i++) {
        if (list->ports[i].number == number && str_eq(list->ports[i].name, name))
            return true;
    }
    return false;
}

/* A headless Service may have no ports: then its slices' ports are its ports. */
static void ports_of_slices(struct port_list *list, const struct service *service)
{
    for (size_t i = 0; i < service->slices_len && list->len < SERVICE_PORTS_MAX; i++) {
        const struct slice *slice = service->slices[i];

        if (slice->ports_len == 0 && !port_list_has(list, STR(""), 0))
            port_list_add(list, STR(""), 0, STR(""));
        for (size_t k = 0; k < slice->ports_len; k++) {
            const struct slice_port *port = &slice->ports[k];

            if (port->protocol == PROTOCOL_TCP && !port_list_has(list, port->name, port->number))
                port_list_add(list, port->name, port->number, port->app_protocol);
        }
    }
    if (list->len == 0)
        port_list_add(list, STR(""), 0, STR(""));
}

static int cmp_port(const void *a, const void *b)
{
    const struct service_port *left = a;
    const struct service_port *right = b;

    if (left->number != right->number)
        return left->number < right->number ? -1 : 1;
    return str_cmp(left->name, right->name);
}

static struct service_port *make_ports(struct service *service, const struct service_spec *spec,
                                       struct arena *arena)
{
    struct port_list list = {0};
    struct service_port *ports;

    if (spec->type == SERVICE_HEADLESS && spec->ports_len == 0)
        ports_of_slices(&list, service);
    for (size_t i = 0; i < spec->ports_len && spec->type != SERVICE_EXTERNAL_NAME; i++) {
        const struct service_spec_port *port = &spec->ports[i];

        if (port->protocol == PROTOCOL_TCP)
            port_list_add(&list, arena_text(arena, port->name), port->number,
                          arena_text(arena, port->app_protocol));
    }
    if (list.len > 1)
        qsort(list.ports, list.len, sizeof(*list.ports), cmp_port);
    ports = arena_alloc(arena, list.len * sizeof(*ports));
    if (list.len > 0)
        memcpy(ports, list.ports, list.len * sizeof(*ports));
    service->ports_len = list.len;
    service->ports = ports;
    free(list.ports);
    return ports;
}

/* ---- backends ---- */

/* Whether the slice's port is the Service's: by name, and by number too where the Service has no ports
 * and took this one from its slices. */
static bool port_matches(const struct service_port *port, const struct slice_port *slice_port,
                         bool own_ports)
{
    return slice_port->protocol == PROTOCOL_TCP && str_eq(slice_port->name, port->name) &&
           (own_ports || slice_port->number == port->number);
}

static void make_list(const struct service *service, struct service_port *port, bool own_ports,
                      struct arena *arena)
{
    /* A slice names a port once: at most one row for each slice, but for hand-made ones. */
    struct row *rows = NULL;
    size_t len = 0, cap = 0;
    bool differs = false;

    for (size_t i = 0; i < service->slices_len; i++) {
        const struct slice *slice = service->slices[i];
        bool any_port = slice->ports_len == 0 && service->type == SERVICE_HEADLESS &&
                        (own_ports || port->number == 0);

        for (size_t k = 0; k < slice->ports_len + any_port; k++) {
            uint16_t target = any_port ? 0 : slice->ports[k].number;

            if (!any_port && !port_matches(port, &slice->ports[k], own_ports))
                continue;
            differs = differs || (len > 0 && target != port->target);
            port->target = target;
            rows = xgrow(rows, &cap, len, sizeof(*rows));
            rows[len++] = (struct row){slice_backends(slice, k), slice->endpoints_len};
        }
    }
    if (differs)
        port->target = 0;
    merge_rows(rows, len, arena, port);
    free(rows);
}

const struct service *service_new(const struct service_spec *spec,
                                  const struct slice *const *slices, size_t slices_len,
                                  const struct service *before unused_arg)
{
    struct service_box *box = xcalloc(1, sizeof(*box));
    struct service *service = &box->service;
    struct service_port *ports;

    atomic_init(&box->refs, 1);
    *service = (struct service){
        .namespace_name = arena_text(&box->arena, spec->namespace_name),
        .name = arena_text(&box->arena, spec->name),
        .uid = arena_text(&box->arena, spec->uid),
        .type = spec->type,
        .received_us = spec->received_us,
    };
    take_slices(service, &box->arena, slices, slices_len);
    ports = make_ports(service, spec, &box->arena);
    for (size_t i = 0; i < service->ports_len; i++)
        make_list(service, &ports[i], spec->ports_len > 0, &box->arena);
    return service;
}

/* ---- carrying ---- */

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

/* Where the list of a port that is kept goes: by number, and by name where several have the number. */
static struct service_port *heir_of(struct service_port *ports, size_t len,
                                    const struct service_port *port)
{
    struct service_port *heir = NULL;

    for (size_t i = 0; i < len; i++) {
        if (ports[i].number == port->number && (!heir || str_eq(ports[i].name, port->name)))
            heir = &ports[i];
    }
    return heir;
}

static void carry_list(struct service_port *heir, const struct service_port *port)
{
    heir->target = port->target;
    heir->list = port->list;
    heir->ready = port->ready;
    heir->draining = port->draining;
    heir->total = port->total;
}

/* Fills `ports` with those of both, still with their owners' memory; returns how many. */
static size_t carry_ports(const struct service *before, const struct service *after,
                          const bool *keep, struct service_port *ports)
{
    size_t len = after->ports_len;

    if (len > 0)
        memcpy(ports, after->ports, len * sizeof(*ports));
    for (size_t i = 0; i < before->ports_len; i++) {
        const struct service_port *port = &before->ports[i];
        struct service_port *heir = heir_of(ports, after->ports_len, port);

        if (!keep[i])
            continue;
        if (heir) {
            carry_list(heir, port);
        } else {
            ports[len] = *port;
            ports[len++].gone = true;
        }
    }
    if (len > 1)
        qsort(ports, len, sizeof(*ports), cmp_port);
    return len;
}

static const void *arena_copy(struct arena *arena, const void *items, size_t size)
{
    void *copy = arena_alloc(arena, size);

    if (size > 0)
        memcpy(copy, items, size);
    return copy;
}

/* The zones' names lie in the slices. */
static void own_port(struct service_port *port, struct arena *arena)
{
    struct backend_list *list = &port->list;

    port->name = arena_text(arena, port->name);
    port->app_protocol = arena_text(arena, port->app_protocol);
    list->items = arena_copy(arena, list->items, list->len * sizeof(*list->items));
    list->localities =
        arena_copy(arena, list->localities, list->localities_len * sizeof(*list->localities));
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

/* Those in force, and those that something listed lies in, each once. */
static void own_slices(struct service *service, const struct service *after, struct arena *arena)
{
    CLEANUP(freep) const struct slice **all = NULL;
    size_t len = after->slices_len, kept = 0;

    for (size_t i = 0; i < service->ports_len; i++)
        len += service->ports[i].list.len;
    all = xmalloc((len + 1) * sizeof(const struct slice *));
    len = 0;
    for (size_t i = 0; i < after->slices_len; i++)
        all[len++] = after->slices[i];
    for (size_t i = 0; i < service->ports_len; i++) {
        for (size_t k = 0; k < service->ports[i].list.len; k++)
            all[len++] = service->ports[i].list.items[k].backend->slice;
    }
    sort_slices(all, len, cmp_pointer);
    for (size_t i = 0; i < len; i++) {
        if (i == 0 || all[i] != all[kept - 1])
            all[kept++] = all[i];
    }
    sort_slices(all, kept, cmp_slice_name);
    service->slices = arena_alloc(arena, kept * sizeof(const struct slice *));
    for (size_t i = 0; i < kept; i++)
        service->slices[service->slices_len++] = slice_ref(all[i]);
}

const struct service *service_carry(const struct service *before, const struct service *after,
                                    const bool *keep)
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
        .received_us = after->received_us,
    };
    service->ports_len = carry_ports(before, after, keep, ports);
    service->ports = ports;
    for (size_t i = 0; i < service->ports_len; i++)
        own_port(&ports[i], &box->arena);
    own_slices(service, after, &box->arena);
    return service;
}

/* ---- comparing ---- */

static bool backend_equal(const struct backend *a, const struct backend *b)
{
    return a == b || (a->port == b->port && str_eq(a->wire, b->wire) &&
                      endpoint_equal(a->endpoint, b->endpoint));
}

/* Localities follow from the order and the zones of the backends. */
static bool port_equal(const struct service_port *a, const struct service_port *b)
{
    if (a->number != b->number || a->protocol != b->protocol || a->target != b->target ||
        !str_eq(a->name, b->name) || !str_eq(a->app_protocol, b->app_protocol) ||
        a->ready != b->ready || a->draining != b->draining || a->total != b->total ||
        a->gone != b->gone || a->list.len != b->list.len)
        return false;
    for (size_t i = 0; i < a->list.len; i++) {
        if (!backend_equal(a->list.items[i].backend, b->list.items[i].backend))
            return false;
    }
    return true;
}

bool service_equal(const struct service *a, const struct service *b)
{
    if (a == b)
        return true;
    if (a->type != b->type || a->ports_len != b->ports_len ||
        !str_eq(a->namespace_name, b->namespace_name) || !str_eq(a->name, b->name))
        return false;
    for (size_t i = 0; i < a->ports_len; i++) {
        if (!port_equal(&a->ports[i], &b->ports[i]))
            return false;
    }
    return true;
}
