#include "model/service_box.h"

#include "model/list.h"
#include "model/merge.h"
#include "model/view.h"
#include "model/view_names.h"
#include "model/zone_wait.h"

const struct service *service_ref(const struct service *service)
{
    atomic_fetch_add_explicit(&service_box_of(service)->refs, 1, memory_order_relaxed);
    return service;
}

void service_unref(const struct service *service)
{
    struct service_box *box;

    if (!service)
        return;
    box = service_box_of(service);
    if (atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < service->slices_len; i++)
        slice_unref(service->slices[i]);
    policy_unref(service->policy);
    arena_done(&box->arena);
    free(box);
}

/* Where either side does not say whose it is, it is no leftover. */
const char *service_type_name(enum service_type type)
{
    static const char *const names[] = {
        [SERVICE_CLUSTER_IP] = "ClusterIP",
        [SERVICE_HEADLESS] = "Headless",
        [SERVICE_EXTERNAL_NAME] = "ExternalName",
    };

    return names[type];
}

const char *service_refuses_slice(const struct service *service, const struct slice *slice)
{
    if (service->type == SERVICE_EXTERNAL_NAME)
        return "the Service is an ExternalName: it has no endpoints of its own";
    if (slice->owner_uid.len > 0 && service->uid.len > 0 && !str_eq(slice->owner_uid, service->uid))
        return "the slice is a leftover of an earlier Service of this name";
    return NULL;
}

int service_cmp_slice_name(const void *a, const void *b)
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
    qsort(service->slices, service->slices_len, sizeof(const struct slice *),
          service_cmp_slice_name);
}

/* ---- ports ---- */

const struct policy *service_policy_at(const struct service *service,
                                       const struct service_port *port)
{
    return policy_is_port(&service->policy->port, port->name, port->number) ? service->policy
                                                                            : policy_default();
}

struct port_list {
    struct service_port *ports;
    size_t len, cap;
};

static void port_list_add(struct port_list *list, const struct service_port *port)
{
    list->ports = xgrow(list->ports, &list->cap, list->len, sizeof(*list->ports));
    list->ports[list->len] = *port;
    list->ports[list->len++].protocol = PROTOCOL_TCP;
}

static bool port_list_has(const struct port_list *list, const struct service_port *port)
{
    for (size_t i = 0; i < list->len; i++) {
        const struct service_port *other = &list->ports[i];

        if (other->number == port->number &&
            (port->origin == PORT_PODS || (str_eq(other->name, port->name) &&
                                           str_eq(other->app_protocol, port->app_protocol))))
            return true;
    }
    return false;
}

/* A port of a slice, NULL: of one that has none, as a port of the Service. */
static void port_list_add_slices(struct port_list *list, enum port_origin origin,
                                 const struct slice_port *slice_port)
{
    struct service_port port = {.origin = origin};

    if (slice_port) {
        port.number = slice_port->number;
        port.name = origin == PORT_SLICES ? slice_port->name : STR("");
        port.app_protocol = origin == PORT_SLICES ? slice_port->app_protocol : STR("");
    }
    if (!port_list_has(list, &port))
        port_list_add(list, &port);
}

/* A slice without endpoints says nothing of pods: the EndpointSlice controller keeps one, without
 * ports, for a Service that has none. */
static void ports_of_slices(struct port_list *list, enum port_origin origin,
                            const struct service *service)
{
    for (size_t i = 0; i < service->slices_len && list->len < SERVICE_PORTS_MAX; i++) {
        const struct slice *slice = service->slices[i];

        if (origin == PORT_PODS && slice->endpoints_len == 0)
            continue;
        if (slice->ports_len == 0)
            port_list_add_slices(list, origin, NULL);
        for (size_t k = 0; k < slice->ports_len; k++) {
            if (slice->ports[k].protocol == PROTOCOL_TCP)
                port_list_add_slices(list, origin, &slice->ports[k]);
        }
    }
    if (list->len == 0 && origin == PORT_SLICES)
        port_list_add_slices(list, origin, NULL);
}

int service_cmp_port(const void *a, const void *b)
{
    const struct service_port *left = a;
    const struct service_port *right = b;
    int order = (left->number > right->number) - (left->number < right->number);

    if (order == 0)
        order = str_cmp(left->name, right->name);
    return order != 0 ? order : str_cmp(left->app_protocol, right->app_protocol);
}

static struct service_port *make_ports(struct service *service, const struct service_spec *spec,
                                       struct arena *arena)
{
    struct port_list list = {0};
    struct service_port *ports;

    for (size_t i = 0; i < spec->ports_len; i++) {
        const struct service_spec_port *port = &spec->ports[i];

        if (port->protocol == PROTOCOL_TCP)
            port_list_add(&list, &(struct service_port){
                                     .name = arena_text(arena, port->name),
                                     .number = port->number,
                                     .app_protocol = arena_text(arena, port->app_protocol)});
    }
    if (spec->type == SERVICE_HEADLESS)
        ports_of_slices(&list, spec->ports_len > 0 ? PORT_PODS : PORT_SLICES, service);
    if (list.len > 1)
        qsort(list.ports, list.len, sizeof(*list.ports), service_cmp_port);
    ports = arena_alloc(arena, list.len * sizeof(*ports));
    if (list.len > 0)
        memcpy(ports, list.ports, list.len * sizeof(*ports));
    service->ports_len = list.len;
    service->ports = ports;
    free(list.ports);
    return ports;
}

/* ---- backends ---- */

/* A slice may have a number under several names: its backends are the same. */
static bool is_first_of_number(const struct slice *slice, size_t row)
{
    for (size_t i = 0; i < row; i++) {
        if (slice->ports[i].protocol == PROTOCOL_TCP &&
            slice->ports[i].number == slice->ports[row].number)
            return false;
    }
    return true;
}

bool service_port_takes(const struct service_port *port, enum service_type type,
                        const struct slice *slice, size_t row)
{
    const struct slice_port *slice_port;

    if (slice->ports_len == 0)
        return type == SERVICE_HEADLESS;
    slice_port = &slice->ports[row];
    if (slice_port->protocol != PROTOCOL_TCP)
        return false;
    if (port->origin == PORT_OWN)
        return str_eq(slice_port->name, port->name);
    return (slice_port->number == port->number || slice_port->number == 0) &&
           is_first_of_number(slice, row);
}

/* The rows of all slices at this port; also finds the port's target. The caller frees the result. */
static struct row *collect_rows(const struct service *service, struct service_port *port,
                                size_t *ret_len)
{
    /* A slice names a port once: at most one row for each slice, but for hand-made ones. */
    struct row *rows = NULL;
    size_t len = 0, cap = 0;
    bool differs = false;

    for (size_t i = 0; i < service->slices_len; i++) {
        const struct slice *slice = service->slices[i];

        for (size_t k = 0; k < slice_rows(slice); k++) {
            uint16_t target = slice->ports_len > 0 ? slice->ports[k].number : 0;

            if (!service_port_takes(port, service->type, slice, k))
                continue;
            differs = differs || (port->target && target && target != port->target);
            port->target = target ? target : port->target;
            rows = xgrow(rows, &cap, len, sizeof(*rows));
            rows[len++] = (struct row){slice_backends(slice, k), slice->endpoints_len};
        }
    }
    if (differs)
        port->target = 0;
    *ret_len = len;
    return rows;
}

void service_list_port(struct service_port *port, const struct service_port *before,
                       uint64_t now_us, struct arena *arena)
{
    list_make(port, NULL, arena, &port->list);
    zone_wait_make(port, before, now_us, arena);
    port->by_place = view_depends(port);
    port->names = port->by_place ? view_names_new(port, arena) : NULL;
}

uint64_t service_due(const struct service *service)
{
    uint64_t due_us = 0;

    for (size_t i = 0; i < service->ports_len; i++) {
        uint64_t of_port = zone_wait_due(&service->ports[i]);

        if (of_port != 0 && (due_us == 0 || of_port < due_us))
            due_us = of_port;
    }
    return due_us;
}

/* Where nobody named the number before, it was taken as it is given. */
static const struct service_port *earlier_port(const struct service *last,
                                               const struct service_port *port)
{
    static const struct service_port as_given;
    const struct service_port *earlier;

    if (!last)
        return NULL;
    earlier = service_heir(last->ports, last->ports_len, port);
    return earlier ? earlier : service_heir(last->ports, last->ports_len, &as_given);
}

static void make_backends(const struct service *service, struct service_port *port,
                          const struct service_spec *spec, const struct service *last,
                          struct arena *arena)
{
    const struct service_port *before = earlier_port(last, port);
    size_t len;
    CLEANUP(freep) struct row *rows = collect_rows(service, port, &len);

    port->prefers = spec->prefers ? spec->prefers : FAMILY_IPV4;
    port->local = spec->local && spec->type != SERVICE_HEADLESS;
    port->policy = service_policy_at(service, port);
    merge_rows(rows, len, before, arena, port);
    service_list_port(port, before, spec->now_us, arena);
}

const struct service *service_new(const struct service_spec *spec,
                                  const struct slice *const *slices, size_t slices_len,
                                  const struct service *before)
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
        .policy = policy_ref(spec->policy ? spec->policy : policy_default()),
        .received_us = spec->received_us,
    };
    if (spec->type == SERVICE_EXTERNAL_NAME)
        service->external_name = arena_text(&box->arena, spec->external_name);
    take_slices(service, &box->arena, slices, slices_len);
    ports = make_ports(service, spec, &box->arena);
    for (size_t i = 0; i < service->ports_len; i++)
        make_backends(service, &ports[i], spec, before, &box->arena);
    service->due_us = service_due(service);
    return service;
}

/* ---- comparing ---- */

static bool backend_equal(const struct backend *a, const struct backend *b)
{
    return a == b || (a->port == b->port && str_eq(a->wire, b->wire) &&
                      endpoint_equal(a->endpoint, b->endpoint));
}

static bool items_equal(const struct listed *a, const struct listed *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!backend_equal(a[i].backend, b[i].backend) || !str_eq(a[i].zone, b[i].zone) ||
            (a[i].other == NULL) != (b[i].other == NULL) ||
            (a[i].other && !backend_equal(a[i].other, b[i].other)))
            return false;
    }
    return true;
}

static bool waits_equal(const struct service_port *a, const struct service_port *b)
{
    if (a->waits_len != b->waits_len)
        return false;
    for (size_t i = 0; i < a->waits_len; i++) {
        if (a->waits[i].enough != b->waits[i].enough || !str_eq(a->waits[i].zone, b->waits[i].zone))
            return false;
    }
    return true;
}

/* Localities follow from the policy, and the order and the zones of the items. What is not listed counts only where other places may get
 * other lists. */
static bool port_equal(const struct service_port *a, const struct service_port *b)
{
    if (a->number != b->number || a->origin != b->origin || a->protocol != b->protocol ||
        a->target != b->target ||
        !str_eq(a->name, b->name) || !str_eq(a->app_protocol, b->app_protocol) ||
        a->ready != b->ready || a->draining != b->draining || a->total != b->total ||
        a->gone != b->gone || a->was_default != b->was_default || a->by_place != b->by_place ||
        a->local != b->local ||
        a->prefers != b->prefers || a->list.len != b->list.len ||
        !waits_equal(a, b) || !items_equal(a->list.items, b->list.items, a->list.len))
        return false;
    return !a->by_place || (a->all_len == b->all_len && items_equal(a->all, b->all, a->all_len));
}

bool service_equal(const struct service *a, const struct service *b)
{
    if (a == b)
        return true;
    if (a->type != b->type || a->ports_len != b->ports_len ||
        !str_eq(a->namespace_name, b->namespace_name) || !str_eq(a->name, b->name) ||
        !str_eq(a->external_name, b->external_name) || !policy_equal(a->policy, b->policy))
        return false;
    for (size_t i = 0; i < a->ports_len; i++) {
        if (!port_equal(&a->ports[i], &b->ports[i]))
            return false;
    }
    return true;
}
