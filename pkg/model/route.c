#include "model/route.h"

static const struct policy *policy_of_number(const struct service *service, uint16_t number)
{
    for (size_t i = 0; i < service->ports_len; i++) {
        if (service->ports[i].number == number && !service->ports[i].gone)
            return service->ports[i].policy;
    }
    return NULL;
}

/* A resource for one port of a Service says nothing about names that mean another, or none. */
const struct policy *route_policy(const struct service *service, const struct service_port *port,
                                  uint16_t number)
{
    const struct policy *policy;

    if (!service)
        return policy_default();
    policy = port ? port->policy : policy_of_number(service, number);
    if (policy)
        return policy;
    return policy_is_port(&service->policy->port, STR(""), number) ? service->policy
                                                                   : policy_default();
}

static bool has_port(const struct service *service, const struct port_ref *port)
{
    const char *reason;
    uint16_t number;

    if (service->type == SERVICE_EXTERNAL_NAME)
        return service_external_target(service, port, &number, &reason);
    return service_find_port(service, port, &reason) != NULL;
}

void route_set_owner(const struct sight *sight, struct name *name)
{
    const struct service *owner;

    if (name->form != NAME_HOST)
        return;
    name_set_owner(name, catalog_host(sight->catalog, name->host));
    owner = sight_find(sight, name->namespace_name, name->service);
    /* What is hidden has no hosts. */
    if (!owner && catalog_find(sight->catalog, name->namespace_name, name->service))
        name_set_owner(name, STR(""));
    if (owner && name->port.kind == PORT_NONE && has_port(owner, &owner->policy->port))
        name->port = owner->policy->port;
}

/* ---- one target ---- */

static void find_external(const struct route *route, struct route_target *target)
{
    if (route->hostname.len > 0)
        target->problem = "a Service of type ExternalName has no pods";
    else if (!service_external_target(target->found, &target->port, &target->number,
                                      &target->problem))
        target->number = 0;
    target->resolved = target->number != 0;
    target->policy = route_policy(target->found, NULL, target->number);
}

static void find_listed(struct route_target *target)
{
    const struct service_port *port =
        service_find_port(target->found, &target->port, &target->problem);

    target->policy = route_policy(target->found, port, target->port.number);
    target->resolved = port != NULL;
    target->number = port ? port->number : 0;
    target->fading = port && port->list.len > 0 && port->ready == 0 && !port->carried &&
                     target->policy->none_ready == NONE_READY_SERVING_TERMINATING;
    if (port && port->list.len == 0)
        target->problem = "it has no endpoints";
}

/* `service` and `port` are set: fills in the rest but for weights. */
static void find_target(const struct sight *sight, const struct route *route,
                        struct route_target *target)
{
    target->found = sight_find(sight, route->namespace_name, target->service);
    target->policy = policy_default();
    target->resolved = target->fading = false;
    target->number = 0;
    target->problem = NULL;
    if (!target->found)
        target->problem = "there is no such Service";
    else if (target->found->type == SERVICE_EXTERNAL_NAME)
        find_external(route, target);
    else
        find_listed(target);
}

/* The one dialled, by number, else the default: where a Service has neither, the former. */
static void find_target_dialled(const struct sight *sight, const struct route *route,
                                const struct port_ref *dialled, struct route_target *target)
{
    struct route_target fallback;

    target->port = *dialled;
    find_target(sight, route, target);
    if (!target->found || target->resolved || dialled->kind == PORT_NONE)
        return;
    fallback = *target;
    fallback.port = (struct port_ref){.kind = PORT_NONE};
    find_target(sight, route, &fallback);
    if (fallback.resolved)
        *target = fallback;
}

/* ---- weights ---- */

static bool same_list(const struct route_target *a, const struct route_target *b)
{
    return str_eq(a->service, b->service) && a->number == b->number &&
           (a->number != 0 || (a->port.kind == b->port.kind && a->port.number == b->port.number &&
                               str_eq(a->port.name, b->port.name)));
}

/* A client keeps one weight for each Cluster. */
static void merge_twins(struct route *route)
{
    for (size_t i = 1; i < route->len; i++) {
        struct route_target *target = &route->targets[i];

        for (size_t k = 0; k < i && target->weight > 0; k++) {
            if (!same_list(&route->targets[k], target))
                continue;
            route->targets[k].weight += target->weight;
            target->weight = 0;
            target->problem = "an earlier backend is the same";
        }
    }
}

static bool can_take_over(const struct route_target *target)
{
    return target->weight > 0 && !target->problem && !target->fading;
}

/* Those that are empty give their share away, if there is somebody to take it; those that are about to be do so while calls still end there. */
static void redistribute(struct route *route, const struct policy_backend *backends)
{
    bool any = false, ready = false;

    for (size_t i = 0; i < route->len; i++) {
        any = any || (route->targets[i].weight > 0 && !route->targets[i].problem);
        ready = ready || can_take_over(&route->targets[i]);
    }
    for (size_t i = 0; i < route->len && any; i++) {
        struct route_target *target = &route->targets[i];

        if (backends[i].fail_when_empty || (!target->problem && !(ready && target->fading)))
            continue;
        target->weight = 0;
        if (!target->problem)
            target->problem = "its last endpoints are shutting down";
    }
}

/* What the resource writes of it, and what that comes down to. */
static void find_backend(const struct sight *sight, const struct route *route,
                         const struct policy_backend *backend, const struct port_ref *dialled,
                         struct route_target *target)
{
    target->service = backend->service;
    target->port = backend->port;
    target->written = target->weight = backend->weight;
    if (backend->port.kind == PORT_NONE)
        find_target_dialled(sight, route, dialled, target);
    else
        find_target(sight, route, target);
}

static void split(const struct sight *sight, const struct policy_backend *backends, size_t len,
                  const struct port_ref *dialled, struct route *route)
{
    route->len = len;
    for (size_t i = 0; i < len; i++)
        find_backend(sight, route, &backends[i], dialled, &route->targets[i]);
    redistribute(route, backends);
    merge_twins(route);
}

/* ---- what is to come ---- */

static void add_announced(const struct route_target *target, struct route *route)
{
    for (size_t i = 0; i < route->len; i++) {
        if (same_list(&route->targets[i], target))
            return;
    }
    route->targets[route->len] = *target;
    route->targets[route->len].weight = 0;
    if (!target->problem)
        route->targets[route->len].problem =
            "it is new: clients hear of it before it gets calls, within seconds";
    route->len++;
}

static void announce(const struct sight *sight, const struct port_ref *dialled, struct route *route)
{
    const struct policy *policy = route->policy;
    struct route_target target;

    for (size_t i = 0; i < policy->announced_len; i++) {
        find_backend(sight, route, &policy->announced[i], dialled, &target);
        add_announced(&target, route);
    }
}

/* ---- the route ---- */

static void find_route(const struct sight *sight, const struct port_ref *dialled,
                       struct route *route)
{
    const struct policy *policy = route->policy;

    if (policy_splits(policy->backends, policy->backends_len))
        split(sight, policy->backends, policy->backends_len, dialled, route);
    announce(sight, dialled, route);
}

void route_find(const struct sight *sight, const struct name *name, struct route *ret_route)
{
    struct route_target *own = &ret_route->targets[0];
    struct port_ref dialled = name->port;

    ret_route->namespace_name = name->namespace_name;
    ret_route->hostname = name->hostname;
    ret_route->authority = STR("");
    ret_route->names_missing = false;
    *own =
        (struct route_target){.service = name->service, .port = dialled, .written = 1, .weight = 1};
    if (name->form == NAME_HOST && name->service.len == 0)
        own->service = name->host; /* nobody's: its Cluster is called by it */
    find_target(sight, ret_route, own);
    ret_route->policy = own->policy;
    ret_route->len = 1;
    if (own->number != 0)
        dialled = (struct port_ref){.kind = PORT_NUMBER, .number = own->number};
    if (name->hostname.len == 0)
        find_route(sight, &dialled, ret_route);
}

void route_make_plain(struct route *route)
{
    route->policy = policy_default();
    for (size_t i = 0; i < route->len; i++)
        route->targets[i].policy = policy_default();
}
