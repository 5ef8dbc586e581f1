/* Sentences about a name and its list. */
#include "controller/explain_internal.h"
#include "controller/route_text.h"

#define SENTENCE_MAX 2048

static void put_sentence(struct json_writer *writer, const char *key, struct buf *text)
{
    json_put_str(writer, key, buf_str(text));
    buf_done(text);
}

/* ---- how the name was read ---- */

void explain_write_form(const struct explanation *explanation, struct json_writer *writer)
{
    static const char *const forms[] = {
        [NAME_ONE_LABEL] = "SERVICE, in the client's own namespace",
        [NAME_TWO_LABELS] = "SERVICE.NAMESPACE",
        [NAME_THREE_LABELS] = "POD.SERVICE.NAMESPACE, one pod by its hostname",
        [NAME_SVC] = "a name under svc",
        [NAME_SVC_DOMAIN] = "a name under svc and the cluster domain",
        [NAME_HOST] = "a host that a LookasideService claims",
    };
    const struct name *name = &explanation->name;
    struct buf text = BUFFER_INIT(SENTENCE_MAX);

    buf_printf(&text, "%s: ", forms[name->form]);
    if (name->service.len == 0) {
        buf_add_str(&text, STR("nobody does"));
        put_sentence(writer, "form", &text);
        return;
    }
    if (name->hostname.len > 0)
        buf_printf(&text, "pod %" STR_FMT " of ", STR_ARG(name->hostname));
    buf_printf(&text, "Service %" STR_FMT " in namespace %" STR_FMT, STR_ARG(name->service),
               STR_ARG(name->namespace_name));
    put_sentence(writer, "form", &text);
}

/* ---- by which rule the port was found ---- */

static const char *rule_without_port(const struct service *service, const struct service_port *port)
{
    bool only = true;

    for (size_t i = 0; i < service->ports_len; i++)
        only = only && (service->ports[i].gone || service->ports[i].origin == PORT_PODS ||
                        service->ports[i].number == port->number);
    if (only)
        return "the name says no port, and the Service has only this TCP port";
    if (str_eq(port->name, STR("grpc")))
        return "the name says no port: of several, the one named grpc";
    return "the name says no port: of several, the only one whose appProtocol is gRPC's";
}

const char *explain_rule(const struct explanation *explanation)
{
    const struct explain_side *now = &explanation->now;
    const struct port_ref *ref = &explanation->name.port;

    if (now->service->type == SERVICE_EXTERNAL_NAME)
        return "the Service is an ExternalName: the client resolves its host name itself";
    if (now->port->gone)
        return "the Service no longer has this port; a hold keeps its last list";
    if (ref->kind == PORT_NAME)
        return "the Service's port of that name";
    if (ref->kind == PORT_NONE)
        return rule_without_port(now->service, now->port);
    if (now->port->number == 0)
        return "no port has that number: it is taken as it is, where slices name no ports";
    switch (now->port->origin) {
    case PORT_OWN:
        break;
    case PORT_SLICES:
        return "the Service has no ports: the pods' own port of that number";
    case PORT_PODS:
        return "no port of the Service has that number, but the pods' own port has (headless "
               "Service)";
    }
    return "the Service's port of that number";
}

/* ---- the answer ---- */

static void add_no_service(const struct explanation *explanation, struct buf *text)
{
    if (explanation->name.service.len == 0) {
        buf_printf(text,
                   "no LookasideService has the host %" STR_FMT
                   " in spec.hosts: the list is empty, and calls fail until one has",
                   STR_ARG(explanation->name.host));
        return;
    }
    buf_printf(text,
               "there is no Service %" STR_FMT " in namespace %" STR_FMT
               ": the list is empty, and calls fail until it is created",
               STR_ARG(explanation->name.service), STR_ARG(explanation->name.namespace_name));
}

static void add_external(const struct explanation *explanation, struct buf *text)
{
    const struct service *service = explanation->now.service;
    const char *problem;
    uint16_t port;

    if (service_external_target(service, &explanation->name.port, &port, &problem))
        buf_printf(text, "clients resolve %" STR_FMT " themselves and connect to port %u",
                   STR_ARG(service->external_name), (unsigned)port);
    else
        buf_printf(text, "the list is empty: %s", problem);
}

static void add_by_place(const struct explanation *explanation, struct buf *text)
{
    const struct view *view = &explanation->now.view;

    if (view->ipv4 == VIEW_NEAR_NODE)
        buf_printf(text, ", those on node %" STR_FMT " first", STR_ARG(view->node));
    else if (view->ipv4 == VIEW_NEAR_ZONE)
        buf_printf(text, ", those in zone %" STR_FMT " first", STR_ARG(view->zone));
    else if (view->ipv4 == VIEW_LOCAL && view->node.len > 0)
        buf_printf(text, ", those on node %" STR_FMT, STR_ARG(view->node));
    else if (view->node.len > 0)
        buf_printf(text, ", those whose hints name node %" STR_FMT, STR_ARG(view->node));
    else if (view->zone.len > 0)
        buf_printf(text, ", those whose hints name zone %" STR_FMT, STR_ARG(view->zone));
    if (view->group != 0)
        buf_printf(text, ", the part of group %u", view->group);
    else if (view_is_cut(explanation->now.port) && view->ipv4 != VIEW_LOCAL)
        buf_printf(text, ", of which each client gets a part");
}

static const char *why_empty(const struct explanation *explanation)
{
    const struct service_port *port = explanation->now.port;

    if (port->total == 0)
        return "no slice has endpoints at this port";
    if (port->ready + port->draining == 0 ||
        (port->ready == 0 && port->policy->none_ready == NONE_READY_EMPTY))
        return "none of its endpoints is ready";
    if (explanation->name.hostname.len > 0)
        return "no endpoint that could be listed has this hostname";
    if (explanation->now.view.ipv4 == VIEW_LOCAL)
        return "internalTrafficPolicy is Local, and no ready endpoint is on the client's node";
    return "none of its endpoints can be listed";
}

static void add_list(const struct explanation *explanation, struct buf *text)
{
    const struct explain_side *now = &explanation->now;
    size_t total = max_u64(now->port->total, now->entries_len);

    if (now->listed == 0) {
        buf_printf(text, "the list is empty: %s", why_empty(explanation));
        return;
    }
    buf_printf(text, "%zu of %zu endpoint%s %s listed", now->entries_len, total,
               total == 1 ? "" : "s", now->entries_len == 1 ? "is" : "are");
    if (now->entries_len > now->listed)
        buf_printf(text, " (%zu backend%s: the two addresses of a pod are one)", now->listed,
                   now->listed == 1 ? "" : "s");
    add_by_place(explanation, text);
    if (now->port->ready == 0)
        buf_add_str(text, now->port->policy->none_ready == NONE_READY_ALL
                              ? STR("; none is ready, so all are listed (whenNoneReady is All)")
                              : STR("; none is ready, but these are terminating and still serve"));
}

/* Of the Service's own endpoints, when its calls go elsewhere. */
static void add_split(const struct explanation *explanation, struct buf *text)
{
    struct route route;

    explain_find_route(explanation, &route);
    if (!route_is_split(&route))
        return;
    buf_add_str(text, STR("a LookasideService shares out the calls of xDS clients: "));
    route_add_text(text, &route);
    buf_printf(text, "; of %" STR_FMT "'s own, ", STR_ARG(explanation->name.service));
}

void explain_write_summary(const struct explanation *explanation, struct json_writer *writer)
{
    const struct explain_side *now = &explanation->now;
    struct buf text = BUFFER_INIT(SENTENCE_MAX);

    explain_add_unseen(explanation, &text);
    if (now->service && explanation->name.hostname.len == 0)
        add_split(explanation, &text);
    if (!now->service)
        add_no_service(explanation, &text);
    else if (now->service->type == SERVICE_EXTERNAL_NAME)
        add_external(explanation, &text);
    else if (!now->port)
        buf_printf(&text, "the list is empty: %s", now->problem);
    else
        add_list(explanation, &text);
    if (now->service && !explanation->truth.service)
        buf_add_str(&text, STR("; the Service is deleted, and a hold keeps its last list"));
    else if (explanation->held)
        buf_add_str(&text, STR("; a hold keeps this list for now"));
    else if (explanation->group && explanation->group->doubted > 0)
        buf_add_str(&text, STR("; the API server's last list lacked objects of this Service, "
                               "which stay until a second list agrees"));
    explain_add_access(explanation, &text);
    put_sentence(writer, "summary", &text);
}
