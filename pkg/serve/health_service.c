/* grpc.health.v1.Health: the whole server ("") and each service by name; NOT_SERVING once draining began. */
#include "base/base.h"
#include "serve/services.h"
#include "serve/worker.h"
#include "wire/fields.h"
#include "wire/reader.h"
#include "wire/writer.h"

struct health_stream {
    struct rpc *rpc;
    struct list link; /* worker's watchers */
    bool asked;
    bool known;
    bool sent;
    unsigned last;
};

/* A service is known when a method path of the table starts with it. */
static bool known_service(struct str service)
{
    if (service.len == 0)
        return true;
    for (size_t i = 0; i < service_methods_len; i++) {
        struct str path = str_slice(service_methods[i].path, 1, service_methods[i].path.len);

        if (str_eq(str_cut(&path, '/'), service))
            return true;
    }
    return false;
}

static bool parse_service(struct str message, struct str *ret_service)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;

    *ret_service = STR("");
    while (wire_next(&reader, &field))
        if (field.number == HEALTH_CHECK_REQUEST_SERVICE && field.type == WIRE_BYTES)
            *ret_service = field.bytes;
    return !reader.failed;
}

static unsigned current_status(const struct worker *worker, bool known)
{
    if (!known)
        return HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVICE_UNKNOWN;
    return worker->draining ? HEALTH_CHECK_RESPONSE_SERVING_STATUS_NOT_SERVING
                            : HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVING;
}

static void check_on_message(struct rpc *rpc, struct str message)
{
    struct buf reply = BUFFER_INIT(16);
    struct str service;

    if (!parse_service(message, &service)) {
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "malformed HealthCheckRequest");
    } else if (!known_service(service)) {
        rpc_finish(rpc, CODE_NOT_FOUND, "unknown service");
    } else {
        wire_put_varint(&reply, HEALTH_CHECK_RESPONSE_STATUS,
                        current_status(rpc_server_ctx(rpc), true));
        rpc_reply(rpc, reply.ptr, reply.len);
    }
    buf_done(&reply);
}

/* After a reply the call is finishing and this is not called. */
static void check_on_half_close(struct rpc *rpc)
{
    rpc_finish(rpc, CODE_INVALID_ARGUMENT, "no HealthCheckRequest");
}

const struct rpc_handler health_check_handler = {
    .on_message = check_on_message,
    .on_half_close = check_on_half_close,
};

static void watch_on_open(struct rpc *rpc)
{
    struct worker *worker = rpc_server_ctx(rpc);
    struct health_stream *stream = xcalloc(1, sizeof(*stream));

    stream->rpc = rpc;
    list_init(&stream->link);
    list_append(&worker->health_watchers, &stream->link);
    rpc_set_state(rpc, stream);
}

static void watch_on_message(struct rpc *rpc, struct str message)
{
    struct health_stream *stream = rpc_state(rpc);
    struct str service;

    if (!parse_service(message, &service)) {
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "malformed HealthCheckRequest");
        return;
    }
    stream->asked = true;
    stream->known = known_service(service);
    rpc_wake(rpc, RPC_WAKE_ANSWER);
}

/* The one request is also the end of the client's sending; the watch lives on. */
static void watch_on_half_close(struct rpc *rpc)
{
    const struct health_stream *stream = rpc_state(rpc);

    if (!stream->asked)
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "no HealthCheckRequest");
}

static bool watch_on_pull(struct rpc *rpc, struct rpc_out *out)
{
    struct health_stream *stream = rpc_state(rpc);
    unsigned status = current_status(rpc_server_ctx(rpc), stream->known);

    if (!stream->asked || (stream->sent && stream->last == status))
        return false;
    wire_put_varint(&out->head, HEALTH_CHECK_RESPONSE_STATUS, status);
    stream->sent = true;
    stream->last = status;
    return true;
}

static void watch_on_close(struct rpc *rpc, enum code code unused_arg)
{
    struct health_stream *stream = rpc_state(rpc);

    list_remove(&stream->link);
    free(stream);
}

const struct rpc_handler health_watch_handler = {
    .on_open = watch_on_open,
    .on_message = watch_on_message,
    .on_half_close = watch_on_half_close,
    .on_pull = watch_on_pull,
    .on_close = watch_on_close,
};

void health_watchers_wake(struct worker *worker)
{
    list_for_each (node, &worker->health_watchers)
        rpc_wake(container_of(node, struct health_stream, link)->rpc, RPC_WAKE_UPDATE);
}
