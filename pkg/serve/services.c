#include "serve/services.h"

#include "serve/call_dump.h"
#include "serve/worker.h"

const struct rpc_method service_methods[] = {
    {STR_INIT("/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"),
     &xds_handlers[0]},
    {STR_INIT("/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"),
     &xds_handlers[1]},
    {STR_INIT("/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners"),
     &xds_handlers[2]},
    {STR_INIT("/envoy.service.listener.v3.ListenerDiscoveryService/DeltaListeners"),
     &xds_handlers[3]},
    {STR_INIT("/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes"), &xds_handlers[4]},
    {STR_INIT("/envoy.service.route.v3.RouteDiscoveryService/DeltaRoutes"), &xds_handlers[5]},
    {STR_INIT("/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters"),
     &xds_handlers[6]},
    {STR_INIT("/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters"), &xds_handlers[7]},
    {STR_INIT("/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints"),
     &xds_handlers[8]},
    {STR_INIT("/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints"),
     &xds_handlers[9]},
    {STR_INIT("/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"), &load_handler},
    {STR_INIT("/lookaside.v1.BackendDiscovery/Watch"), &native_watch_handler},
    {STR_INIT("/lookaside.v1.BackendDiscovery/List"), &native_list_handler},
    {STR_INIT("/grpc.lb.v1.LoadBalancer/BalanceLoad"), &grpclb_handler},
    {STR_INIT("/grpc.health.v1.Health/Check"), &health_check_handler},
    {STR_INIT("/grpc.health.v1.Health/List"), &health_list_handler},
    {STR_INIT("/grpc.health.v1.Health/Watch"), &health_watch_handler},
    {STR_INIT("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), &reflection_handler},
    {STR_INIT("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
     &reflection_handler},
};
const size_t service_methods_len = ARRAY_LEN(service_methods);

/* The part of a method's path that names the service. */
static struct str service_of(const struct rpc_method *method)
{
    struct str path = str_slice(method->path, 1, method->path.len);

    return str_cut(&path, '/');
}

/* The methods of a service stand together. */
bool service_name_at(size_t index, struct str *ret_name)
{
    struct str name = STR("");

    for (size_t i = 0; i < service_methods_len; i++) {
        if (str_eq(service_of(&service_methods[i]), name))
            continue;
        name = service_of(&service_methods[i]);
        if (index-- > 0)
            continue;
        *ret_name = name;
        return true;
    }
    return false;
}

static const struct rpc_handler *handler_of(struct str path)
{
    for (size_t i = 0; i < service_methods_len; i++)
        if (str_eq(service_methods[i].path, path))
            return service_methods[i].handler;
    return NULL;
}

const struct stream_kind *service_stream_kind(const struct rpc *rpc)
{
    const struct rpc_handler *handler = handler_of(rpc_path(rpc));

    for (size_t i = 0; i < XDS_HANDLERS; i++)
        if (&xds_handlers[i] == handler)
            return i % 2 ? &xds_delta_stream_kind : &xds_stream_kind;
    if (handler == &grpclb_handler)
        return &grpclb_stream_kind;
    return handler == &native_watch_handler ? &native_stream_kind : NULL;
}

static void dump_place(struct rpc *rpc, const struct stream_kind *kind, struct json_writer *writer)
{
    const struct worker *worker = rpc_server_ctx(rpc);
    struct place said = kind->place(rpc);
    struct place place = topic_table_place(worker->topics, &said);

    json_open_object(writer, "place");
    json_put_str(writer, "zone", place.zone);
    json_put_str(writer, "node", place.node);
    json_put_u64(writer, "group", place.group);
    json_close_object(writer);
}

void service_dump(struct rpc *rpc, const struct dump_filter *filter, struct json_writer *writer)
{
    const struct stream_kind *kind = service_stream_kind(rpc);

    if (!kind || !(filter->all || kind->listens(rpc, filter->interest)))
        return;
    json_open_object(writer, NULL);
    json_put_u64(writer, "id", rpc_id(rpc));
    json_put_str(writer, "protocol", str_of(kind->protocol));
    call_dump(rpc, writer);
    dump_place(rpc, kind, writer);
    kind->dump(rpc, filter, writer);
    json_close_object(writer);
}

/* "zone"; where the address families differ in what they follow, both: "node/zone". A family that
 * follows nothing goes without saying. */
void service_dump_view(const struct subscriber *subscriber, struct json_writer *writer)
{
    const struct view *view = &subscriber->content->view;
    struct buf text = BUFFER_INIT(64);

    buf_add_str(&text, str_of(view_kind_name(view->ipv4 != VIEW_ALL ? view->ipv4 : view->ipv6)));
    if (view->ipv4 != VIEW_ALL && view->ipv6 != VIEW_ALL && view->ipv4 != view->ipv6)
        buf_printf(&text, "/%s", view_kind_name(view->ipv6));
    json_put_str(writer, "view", buf_str(&text));
    if (view->group != 0)
        json_put_u64(writer, "group", view->group);
    buf_done(&text);
}

void service_dump_hidden(const struct subscriber *subscriber, struct json_writer *writer)
{
    uint64_t hidden = subscriber->content ? subscriber->content->hidden : 0;

    if (hidden != 0)
        json_put_bool(writer, hidden & TOPIC_HIDDEN_OWN ? "hidden" : "backendHidden", true);
}
