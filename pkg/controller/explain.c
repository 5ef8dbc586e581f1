#include "controller/explain_internal.h"

#include "controller/resource_internal.h"
#include "model/route.h"

/* ---- gathering ---- */

static int cmp_entry(const void *a, const void *b)
{
    const struct explain_entry *left = a, *right = b;

    return backend_cmp_address(left->backend, right->backend);
}

static void add_entries(struct explain_side *side, const struct listed *listed, unsigned priority)
{
    side->listed++;
    side->entries[side->entries_len++] =
        (struct explain_entry){listed->backend, false, false, priority};
    if (listed->other)
        side->entries[side->entries_len++] =
            (struct explain_entry){listed->other, true, false, priority};
}

static void add_locality(struct explain_side *side, const struct backend_list *list,
                         const struct locality *locality, struct str hostname)
{
    for (size_t i = 0; i < locality->len; i++) {
        const struct listed *listed = &list->items[locality->first + i];

        if (hostname.len == 0 || str_eq(listed->backend->endpoint->hostname, hostname))
            add_entries(side, listed, locality->priority);
    }
}

/* What a client of that place gets by that name. */
static void read_list(struct explanation *explanation, struct explain_side *side,
                      const struct place *place)
{
    static const struct place unknown;
    struct str hostname = explanation->name.hostname;
    struct backend_list list;

    side->view = view_of(side->port, hostname.len > 0 ? &unknown : place);
    view_list(side->port, &side->view, &explanation->arena, &list);
    side->entries = arena_alloc(&explanation->arena, 2 * list.len * sizeof(*side->entries));
    for (size_t i = 0; i < list.localities_len; i++)
        add_locality(side, &list, &list.localities[i], hostname);
    if (side->entries_len > 1)
        qsort(side->entries, side->entries_len, sizeof(*side->entries), cmp_entry);
}

static void look(struct explanation *explanation, struct explain_side *side,
                 const struct service *service)
{
    side->service = service;
    if (!service)
        return;
    side->port = service_find_port(service, &explanation->name.port, &side->problem);
    if (side->port && service->type != SERVICE_EXTERNAL_NAME)
        read_list(explanation, side, &explanation->place);
}

static void look_at_whole(struct explanation *explanation)
{
    struct place place = explanation->place;

    if (explanation->truth.view.group == 0)
        return;
    place.group = 0;
    explanation->whole.port = explanation->truth.port;
    read_list(explanation, &explanation->whole, &place);
}

static bool is_held(const struct explanation *explanation)
{
    const struct group *group = explanation->group;
    const struct service_port *port = explanation->now.port;

    if (!group || group->hold == HOLD_NONE)
        return false;
    if (group->held.ports_len == 0)
        return true; /* the Service as a whole */
    for (size_t i = 0; port && i < group->held.ports_len; i++) {
        if (group->held.ports[i].number == port->number)
            return true;
    }
    return false;
}

static void gather(struct explanation *explanation, const struct explain_query *query)
{
    const struct catalog *catalog = publisher_catalog(explanation->publisher);
    const struct name *name = &explanation->name;

    explanation->place = query->place;
    explanation->asked = query->asked;
    explanation->caller = query->caller;
    if (query->place.zone.len == 0 && query->place.node.len > 0)
        explanation->place.zone = catalog_node_zone(catalog, query->place.node);
    explanation->group = store_group(explanation->store, name->namespace_name, name->service);
    look(explanation, &explanation->now,
         catalog_find(catalog, name->namespace_name, name->service));
    if (explanation->group)
        look(explanation, &explanation->truth,
             publisher_build(explanation->publisher, explanation->group));
    look_at_whole(explanation);
    explanation->held = is_held(explanation);
}

static void explanation_done(struct explanation *explanation)
{
    service_unref(explanation->truth.service);
    arena_done(&explanation->arena);
}

/* ---- the name and what it leads to ---- */

static void write_asked_port(const struct port_ref *port, struct json_writer *writer)
{
    char text[21];
    size_t len;

    if (port->kind != PORT_NUMBER) {
        json_put_str(writer, "port_asked", port->kind == PORT_NAME ? port->name : STR(""));
        return;
    }
    len = str_format_u64(port->number, text);
    json_put_str(writer, "port_asked", str_make(text, len));
}

static void write_name(const struct explanation *explanation, struct str target,
                       struct json_writer *writer)
{
    const struct name *name = &explanation->name;

    json_put_str(writer, "target", target);
    json_put_str(writer, "namespace", name->namespace_name);
    json_put_str(writer, "service", name->service);
    json_put_str(writer, "hostname", name->hostname);
    write_asked_port(&name->port, writer);
    explain_write_form(explanation, writer);
}

/* Zones that would be preferred but for their short past. */
static void write_waiting(const struct service_port *port, struct json_writer *writer)
{
    json_open_array(writer, "waiting");
    for (size_t i = 0; i < port->waits_len; i++) {
        json_open_object(writer, NULL);
        json_put_str(writer, "zone", port->waits[i].zone);
        json_put_bool(writer, "enough", port->waits[i].enough);
        json_close_object(writer);
    }
    json_close_array(writer);
}

static void write_port(const struct service_port *port, struct json_writer *writer)
{
    json_open_object(writer, "port");
    json_put_u64(writer, "number", port->number);
    json_put_str(writer, "name", port->name);
    json_put_u64(writer, "target", port->target);
    json_put_str(writer, "app_protocol", port->app_protocol);
    json_put_bool(writer, "gone", port->gone);
    json_put_bool(writer, "by_place", port->by_place);
    json_put_bool(writer, "local", view_is_local(port));
    json_put_str(writer, "locality", str_of(locality_mode_name(view_mode(port))));
    json_put_u64(writer, "subset", view_is_cut(port) ? port->policy->subset_size : 0);
    write_waiting(port, writer);
    json_close_object(writer);
}

/* The number that Clusters are named by; 0: the port is not resolved. */
static uint16_t write_meaning(const struct explanation *explanation, struct json_writer *writer)
{
    const struct explain_side *now = &explanation->now;
    const char *problem = now->service ? now->problem : "there is no such Service";
    uint16_t number = 0;
    bool external = now->service && now->service->type == SERVICE_EXTERNAL_NAME;

    if (external &&
        service_external_target(now->service, &explanation->name.port, &number, &problem)) {
        json_open_object(writer, "port");
        json_put_u64(writer, "number", number);
        json_close_object(writer);
    } else if (now->port && !external) {
        number = now->port->number;
        write_port(now->port, writer);
    } else {
        json_put_str(writer, "problem", str_of(problem));
        return 0;
    }
    json_put_str(writer, "rule", str_of(explain_rule(explanation)));
    return number;
}

/* Those that a name could mean. */
static void write_ports(const struct service *service, struct json_writer *writer)
{
    json_open_array(writer, "ports");
    for (size_t i = 0; service && i < service->ports_len; i++) {
        if (service->ports[i].gone || service->ports[i].origin == PORT_PODS)
            continue;
        json_open_object(writer, NULL);
        json_put_u64(writer, "number", service->ports[i].number);
        json_put_str(writer, "name", service->ports[i].name);
        json_put_str(writer, "app_protocol", service->ports[i].app_protocol);
        json_close_object(writer);
    }
    json_close_array(writer);
}

static void write_service(const struct explanation *explanation, struct json_writer *writer)
{
    const struct explain_side *now = &explanation->now;
    const struct object *object = explanation->group ? store_service(explanation->group) : NULL;
    char cluster[NAME_TEXT_MAX + 8];
    uint16_t number;

    json_put_bool(writer, "found", object != NULL);
    json_put_bool(writer, "malformed", object && object->fault);
    json_put_str(writer, "fault", str_of(object ? object->fault : NULL));
    json_put_str(writer, "type",
                 now->service ? str_of(service_type_name(now->service->type)) : STR(""));
    json_put_str(writer, "external_name", now->service ? now->service->external_name : STR(""));
    write_ports(now->service, writer);
    number = write_meaning(explanation, writer);
    name_format_cluster(&explanation->name, number, cluster);
    json_put_str(writer, "cluster", str_of(cluster));
    explain_write_summary(explanation, writer);
}

static void write_place(const struct explanation *explanation, struct json_writer *writer)
{
    const struct explain_side *now = &explanation->now;

    json_open_object(writer, "place");
    json_put_str(writer, "zone", explanation->place.zone);
    json_put_str(writer, "node", explanation->place.node);
    json_put_u64(writer, "group", explanation->place.group);
    json_close_object(writer);
    json_open_object(writer, "view");
    json_put_str(writer, "ipv4", str_of(view_kind_name(now->view.ipv4)));
    json_put_str(writer, "ipv6", str_of(view_kind_name(now->view.ipv6)));
    json_put_u64(writer, "group", now->view.group);
    json_close_object(writer);
    json_put_bool(writer, "blind", now->port && view_is_blind(now->port, &explanation->place));
}

/* Times as a person at the terminal reads them. */
static void write_hold(const struct explanation *explanation, uint64_t now_us,
                       struct json_writer *writer)
{
    struct hold_info info;

    if (!explanation->group || !store_hold(explanation->group, &info))
        return;
    json_open_object(writer, "hold");
    json_put_str(writer, "name", str_of(hold_name(info.hold)));
    json_put_u64(writer, "since_ms", now_us > info.since_us ? (now_us - info.since_us) / 1000 : 0);
    if (info.until_us != 0)
        json_put_u64(writer, "until_ms",
                     info.until_us > now_us ? (info.until_us - now_us) / 1000 : 0);
    json_put_u64(writer, "doubted", info.doubted);
    json_put_bool(writer, "policy", info.policy);
    json_close_object(writer);
}

/* Not in force: at another port, or never accepted. */
static void write_resource(const struct explanation *explanation, struct json_writer *writer)
{
    const struct resource_sources sources = {explanation->store, explanation->publisher};
    const struct name *name = &explanation->name;
    const struct object *object =
        store_resource(explanation->store, name->namespace_name, name->service);
    const struct service_port *port = explanation->now.port;
    struct resource_status status;

    if (!object)
        return;
    resource_read(&sources, object, &status);
    json_open_object(writer, "resource");
    resource_write(&status, writer);
    json_put_bool(writer, "in_force",
                  status.policy &&
                      (!port || policy_is_port(&status.policy->port, port->name, port->number)));
    json_close_object(writer);
}

static void write_counts(const struct explanation *explanation, struct json_writer *writer)
{
    const struct service_port *port = explanation->now.port;

    json_put_u64(writer, "listed", explanation->now.listed);
    json_put_u64(writer, "ready", port ? port->ready : 0);
    json_put_u64(writer, "draining", port ? port->draining : 0);
    json_put_u64(writer, "total", port ? port->total : 0);
}

/* ---- slices ---- */

static void write_hints(const char *key, const struct str *hints, size_t len,
                        struct json_writer *writer)
{
    json_open_array(writer, key);
    for (size_t i = 0; i < len; i++)
        json_put_str(writer, NULL, hints[i]);
    json_close_array(writer);
}

static void write_reason(enum explain_reason reason, struct json_writer *writer)
{
    json_put_str(writer, "reason", str_of(explain_reason_name(reason)));
    json_put_str(writer, "why", str_of(explain_reason_text(reason)));
}

static void write_endpoint(const struct endpoint *endpoint, uint16_t port,
                           enum explain_reason reason, unsigned priority,
                           struct json_writer *writer)
{
    json_open_object(writer, NULL);
    json_put_str(writer, "address", endpoint->address);
    json_put_u64(writer, "port", port);
    json_put_str(writer, "pod", endpoint->pod);
    json_put_str(writer, "hostname", endpoint->hostname);
    json_put_str(writer, "node", endpoint->node);
    json_put_str(writer, "zone", endpoint->zone);
    json_put_bool(writer, "ready", endpoint->ready);
    json_put_bool(writer, "serving", endpoint->serving);
    json_put_bool(writer, "terminating", endpoint->terminating);
    write_hints("zone_hints", endpoint->zone_hints, endpoint->zone_hints_len, writer);
    write_hints("node_hints", endpoint->node_hints, endpoint->node_hints_len, writer);
    json_put_bool(writer, "in", explain_is_in(reason));
    if (priority > 0)
        json_put_u64(writer, "priority", priority);
    write_reason(reason, writer);
    json_close_object(writer);
}

/* The row's port as the name means it: one that the slice leaves open is the Service's or as asked. */
static uint16_t shown_port(const struct explanation *explanation, uint16_t port)
{
    const struct service_port *meant = explanation->now.port;

    if (port == 0 && meant)
        port = meant->number;
    return port != 0 ? port : explanation->name.port.number;
}

/* Whether the row is one of the port's, or of the port that a hold keeps. */
static bool counts(const struct explanation *explanation, const struct slice *slice, size_t row)
{
    const struct explain_side *side =
        explanation->truth.port ? &explanation->truth : &explanation->now;

    return side->port && side->service->type != SERVICE_EXTERNAL_NAME &&
           service_port_takes(side->port, side->service->type, slice, row);
}

/* At a port that counts. */
static void write_backend(const struct explanation *explanation, const struct object *object,
                          const struct backend *backend, struct json_writer *writer)
{
    enum explain_reason reason = explain_judge(explanation, object, backend);
    struct explain_entry *entry = explain_find(&explanation->now, backend);

    if (entry && explain_is_in(reason))
        entry->shown = true;
    write_endpoint(backend->endpoint, shown_port(explanation, backend->port), reason,
                   entry && explain_is_in(reason) ? entry->priority : 0, writer);
}

static void write_endpoints(const struct explanation *explanation, const struct object *object,
                            const struct slice *slice, struct json_writer *writer)
{
    bool any = false;

    for (size_t row = 0; row < slice_rows(slice); row++) {
        const struct backend *backends = slice_backends(slice, row);

        if (!counts(explanation, slice, row))
            continue;
        any = true;
        for (size_t i = 0; i < slice->endpoints_len; i++)
            write_backend(explanation, object, &backends[i], writer);
    }
    for (size_t i = 0; i < slice->endpoints_len && !any; i++)
        write_endpoint(&slice->endpoints[i], 0, explain_judge_portless(explanation, slice), 0,
                       writer);
}

static void write_slice_ports(const struct slice *slice, struct json_writer *writer)
{
    static const char *const protocols[] = {
        [PROTOCOL_TCP] = "TCP", [PROTOCOL_UDP] = "UDP", [PROTOCOL_SCTP] = "SCTP"};

    json_open_array(writer, "ports");
    for (size_t i = 0; i < slice->ports_len; i++) {
        json_open_object(writer, NULL);
        json_put_str(writer, "name", slice->ports[i].name);
        json_put_u64(writer, "number", slice->ports[i].number);
        json_put_str(writer, "protocol", str_of(protocols[slice->ports[i].protocol]));
        json_close_object(writer);
    }
    json_close_array(writer);
}

static void write_slice(const struct explanation *explanation, const struct object *object,
                        const struct slice *slice, struct json_writer *writer)
{
    const struct service *service = explanation->truth.service;
    const char *refused = service ? service_refuses_slice(service, slice) : NULL;

    json_open_object(writer, NULL);
    json_put_str(writer, "name", slice->name);
    json_put_str(writer, "family", slice->family == FAMILY_IPV4 ? STR("IPv4") : STR("IPv6"));
    json_put_str(writer, "source", str_of(value_kind_name(object->scope->kind)));
    json_put_u64(writer, "version", slice->resource_version);
    if (refused)
        json_put_str(writer, "refused", str_of(refused));
    json_put_bool(writer, "doubted", object->doubted_us != 0);
    json_put_bool(writer, "malformed", object->fault && !object->flawed);
    json_put_bool(writer, "flawed", object->flawed);
    json_put_str(writer, "fault", str_of(object->fault));
    write_slice_ports(slice, writer);
    json_open_array(writer, "endpoints");
    write_endpoints(explanation, object, slice, writer);
    json_close_array(writer);
    json_close_object(writer);
}

struct member {
    const struct object *object;
    const struct slice *slice;
};

static int cmp_member(const void *a, const void *b)
{
    const struct member *left = a, *right = b;

    return str_cmp(left->slice->name, right->slice->name);
}

static void write_slices(struct explanation *explanation, struct json_writer *writer)
{
    const struct group *group = explanation->group;
    struct member *members;
    size_t len = 0;

    json_open_array(writer, "slices");
    members = arena_alloc(&explanation->arena, (group ? group->slices_len : 0) * sizeof(*members));
    for (struct list *link = group ? group->slices.next : NULL; link && link != &group->slices;
         link = link->next) {
        const struct object *object = container_of(link, struct object, link);

        for (size_t i = 0; i < object->value.slices_len; i++)
            members[len++] = (struct member){object, object->value.slices[i]};
    }
    if (len > 1)
        qsort(members, len, sizeof(*members), cmp_member);
    for (size_t i = 0; i < len; i++)
        write_slice(explanation, members[i].object, members[i].slice, writer);
    json_close_array(writer);
}

/* ---- what is listed although no slice has it ---- */

static void write_kept(const struct explanation *explanation, struct json_writer *writer)
{
    const struct explain_side *now = &explanation->now;
    enum explain_reason reason = explain_staying(explanation);

    json_open_array(writer, "kept");
    for (size_t i = 0; i < now->entries_len; i++) {
        const struct backend *backend = now->entries[i].backend;

        if (now->entries[i].shown)
            continue;
        json_open_object(writer, NULL);
        json_put_str(writer, "address", backend->endpoint->address);
        json_put_u64(writer, "port", shown_port(explanation, backend->port));
        json_put_str(writer, "pod", backend->endpoint->pod);
        write_reason(reason, writer);
        json_close_object(writer);
    }
    json_close_array(writer);
}

enum code explain_write(const struct explain_sources *sources, const struct explain_query *query,
                        struct json_writer *writer, struct err *err)
{
    const struct name_context context = {query->default_namespace, query->cluster_domain,
                                         publisher_options(sources->publisher)->host_suffixes};
    struct explanation explanation = {.store = sources->store, .publisher = sources->publisher};
    enum code code = name_parse(query->target, &context, &explanation.name, err);

    if (code != CODE_OK)
        return code;
    route_set_owner(&(struct sight){.catalog = publisher_catalog(sources->publisher)},
                    &explanation.name);
    gather(&explanation, query);
    write_name(&explanation, query->target, writer);
    write_service(&explanation, writer);
    write_place(&explanation, writer);
    write_hold(&explanation, sources->now_us, writer);
    explain_write_access(&explanation, writer);
    write_resource(&explanation, writer);
    explain_write_route(&explanation, writer);
    write_counts(&explanation, writer);
    write_slices(&explanation, writer);
    write_kept(&explanation, writer);
    explain_write_views(&explanation, writer);
    explanation_done(&explanation);
    return CODE_OK;
}
