#include "serve/services.h"

#include "serve/worker.h"

const struct rpc_method service_methods[] = {
    {STR_INIT("/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"),
     &xds_sotw_handler},
    {STR_INIT("/lookaside.v1.BackendDiscovery/Watch"), &native_watch_handler},
    {STR_INIT("/grpc.health.v1.Health/Check"), &health_check_handler},
    {STR_INIT("/grpc.health.v1.Health/Watch"), &health_watch_handler},
};
const size_t service_methods_len = ARRAY_LEN(service_methods);

static const struct {
    const struct rpc_handler *handler;
    const char *name;
    void (*dump)(struct rpc *rpc, struct json_writer *writer);
} dumpers[] = {
    {&xds_sotw_handler, "xds", xds_stream_dump},
    {&native_watch_handler, "native", native_stream_dump},
};

static const struct rpc_handler *handler_of(struct str path)
{
    for (size_t i = 0; i < service_methods_len; i++)
        if (str_eq(service_methods[i].path, path))
            return service_methods[i].handler;
    return NULL;
}

void service_dump(struct rpc *rpc, struct json_writer *writer)
{
    const struct rpc_handler *handler = handler_of(rpc_path(rpc));
    const struct worker *worker = rpc_server_ctx(rpc);
    char peer[ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(dumpers); i++) {
        if (dumpers[i].handler != handler)
            continue;
        address_format(rpc_peer(rpc), peer);
        json_open_object(writer, NULL);
        json_put_u64(writer, "id", rpc_id(rpc));
        json_put_str(writer, "protocol", str_of(dumpers[i].name));
        json_put_str(writer, "peer", str_of(peer));
        json_put_u64(writer, "loop", worker->options.index);
        json_put_u64(writer, "ageSeconds",
                     (loop_now_us(worker->loop) - rpc_opened_us(rpc)) / 1000000);
        json_put_u64(writer, "bytesSent", rpc_bytes_sent(rpc));
        json_put_bool(writer, "stalled", rpc_stalled(rpc));
        dumpers[i].dump(rpc, writer);
        json_close_object(writer);
    }
}
