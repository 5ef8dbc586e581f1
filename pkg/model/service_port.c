#include "model/service.h"

/* The one port number that `matches`; NULL when there is none or more than one, which *ret_many tells.
 * `gone`: among the ports that are gone, else among the Service's own. */
static const struct service_port *only(const struct service *service,
                                       bool (*matches)(const struct service_port *port,
                                                       struct str name),
                                       struct str name, bool gone, bool *ret_many)
{
    const struct service_port *found = NULL;

    *ret_many = false;
    for (size_t i = 0; i < service->ports_len; i++) {
        const struct service_port *port = &service->ports[i];

        if (port->gone != gone || port->origin == PORT_PODS || !matches(port, name))
            continue;
        *ret_many = found && found->number != port->number;
        if (*ret_many)
            return NULL;
        found = port;
    }
    return found;
}

static bool is_any(unused_arg const struct service_port *port, unused_arg struct str name)
{
    return true;
}

static bool has_name(const struct service_port *port, struct str name)
{
    return str_eq(port->name, name);
}

static bool speaks_grpc(const struct service_port *port, unused_arg struct str name)
{
    return str_eq(port->app_protocol, STR("grpc")) ||
           str_eq(port->app_protocol, STR("kubernetes.io/h2c"));
}

/* A number is taken as it is given where no port has it, not even one that is gone. */
static const struct service_port *find_number(const struct service *service, uint16_t number,
                                              bool gone)
{
    const struct service_port *as_given = NULL;
    bool named = false;

    for (size_t i = 0; i < service->ports_len; i++) {
        const struct service_port *port = &service->ports[i];

        if (port->number == number && port->gone == gone)
            return port;
        named = named || port->number == number;
        if (port->number == 0 && port->gone == gone)
            as_given = port;
    }
    return named ? NULL : as_given;
}

static const struct service_port *find_default(const struct service *service,
                                               const char **ret_reason)
{
    bool many;
    const struct service_port *port = only(service, is_any, STR(""), false, &many);

    if (port && port->number == 0) {
        *ret_reason = "the Service has no ports of its own: the name must give a number";
        return NULL;
    }
    if (port)
        return port;
    if (!many) {
        *ret_reason = "the Service has no TCP port";
        return NULL;
    }
    port = only(service, has_name, STR("grpc"), false, &many);
    if (!port && !many)
        port = only(service, speaks_grpc, STR(""), false, &many);
    if (!port)
        *ret_reason = many ? "several ports speak gRPC: the name must say which"
                           : "several ports and none is marked as gRPC: the name must say which";
    return port;
}

static const struct service_port *find(const struct service *service, const struct port_ref *ref,
                                       bool gone, const char **ret_reason)
{
    const struct service_port *port = NULL;
    bool many = false;

    switch (ref->kind) {
    case PORT_NONE:
        return find_default(service, ret_reason);
    case PORT_NUMBER:
        port = find_number(service, ref->number, gone);
        break;
    case PORT_NAME:
        port = only(service, has_name, ref->name, gone, &many);
        break;
    }
    if (!port)
        *ret_reason =
            many ? "slices give this name to several ports: the name must give a number"
            : service->type == SERVICE_HEADLESS && ref->kind == PORT_NUMBER
                ? "neither the Service nor one of its pods has such a TCP port"
                : "the Service has no such TCP port";
    return port;
}

/* What the name meant before. */
static const struct service_port *find_kept(const struct service *service,
                                            const struct port_ref *ref)
{
    const char *unused;

    if (ref->kind != PORT_NONE)
        return find(service, ref, true, &unused);
    for (size_t i = 0; i < service->ports_len; i++) {
        if (service->ports[i].was_default)
            return &service->ports[i];
    }
    return NULL;
}

const struct service_port *service_find_port(const struct service *service,
                                             const struct port_ref *ref, const char **ret_reason)
{
    const struct service_port *port, *kept;

    *ret_reason = NULL;
    if (service->ports_len == 0) {
        *ret_reason = "the Service has no TCP port";
        return NULL;
    }
    port = find(service, ref, false, ret_reason);
    if (port && port->list.len > 0 && !port->carried)
        return port;
    kept = find_kept(service, ref);
    if (kept)
        *ret_reason = NULL;
    return kept ? kept : port;
}

bool service_external_target(const struct service *service, const struct port_ref *ref,
                             uint16_t *ret_port, const char **ret_reason)
{
    const struct service_port *port;
    bool has_own = false;

    *ret_reason = NULL;
    if (service->type != SERVICE_EXTERNAL_NAME) {
        *ret_reason = "the Service is no ExternalName";
        return false;
    }
    if (ref->kind == PORT_NUMBER) {
        *ret_port = ref->number;
        return true;
    }
    for (size_t i = 0; i < service->ports_len; i++)
        has_own = has_own || !service->ports[i].gone;
    if (ref->kind == PORT_NONE && !has_own) {
        *ret_reason = "the Service is an ExternalName without ports: the name must give a number";
        return false;
    }
    if (!has_own) {
        *ret_reason = "the Service has no TCP port";
        return false;
    }
    port = find(service, ref, false, ret_reason);
    if (port)
        *ret_port = port->number;
    return port != NULL;
}

const struct listed *service_port_find(const struct service_port *port,
                                       const struct backend *backend)
{
    size_t low = 0, high = port->all_len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = backend_cmp_at(port->all[middle].backend, backend, port->number);

        if (order == 0)
            return &port->all[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool service_port_lists(const struct service_port *port, const struct backend *backend)
{
    enum none_ready none_ready = port->policy->none_ready;

    if (backend_is_ready(backend))
        return true;
    if (port->ready > 0 || none_ready == NONE_READY_EMPTY)
        return false;
    return none_ready == NONE_READY_ALL || backend_is_draining(backend);
}
