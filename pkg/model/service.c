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

int service_cmp_port(const void *a, const void *b)
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
    for (size_t i = 0; i < spec->ports_len; i++) {
        const struct service_spec_port *port = &spec->ports[i];

        if (port->protocol == PROTOCOL_TCP)
            port_list_add(&list, arena_text(arena, port->name), port->number,
                          arena_text(arena, port->app_protocol));
    }
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

bool service_port_takes(const struct service_port *port, enum service_type type, bool own_ports,
                        const struct slice *slice, size_t row)
{
    const struct slice_port *slice_port;

    if (slice->ports_len == 0)
        return type == SERVICE_HEADLESS && (own_ports || port->number == 0);
    slice_port = &slice->ports[row];
    return slice_port->protocol == PROTOCOL_TCP && str_eq(slice_port->name, port->name) &&
           (own_ports || slice_port->number == port->number);
}

/* The rows of all slices at this port; also finds the port's target. The caller frees the result. */
static struct row *collect_rows(const struct service *service, struct service_port *port,
                                bool own_ports, size_t *ret_len)
{
    /* A slice names a port once: at most one row for each slice, but for hand-made ones. */
    struct row *rows = NULL;
    size_t len = 0, cap = 0;
    bool differs = false;

    for (size_t i = 0; i < service->slices_len; i++) {
        const struct slice *slice = service->slices[i];

        for (size_t k = 0; k < slice_rows(slice); k++) {
            uint16_t target = slice->ports_len > 0 ? slice->ports[k].number : 0;

            if (!service_port_takes(port, service->type, own_ports, slice, k))
                continue;
            differs = differs || (len > 0 && target != port->target);
            port->target = target;
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

static void make_backends(const struct service *service, struct service_port *port,
                          const struct service_spec *spec, const struct service *last,
                          struct arena *arena)
{
    const struct service_port *before =
        last ? service_heir(last->ports, last->ports_len, port) : NULL;
    size_t len;
    CLEANUP(freep) struct row *rows = collect_rows(service, port, spec->ports_len > 0, &len);

    port->prefers = spec->prefers ? spec->prefers : FAMILY_IPV4;
    port->local = spec->local;
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
    if (a->number != b->number || a->protocol != b->protocol || a->target != b->target ||
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
