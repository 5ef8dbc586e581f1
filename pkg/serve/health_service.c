/* grpc.health.v1.Health: the whole server ("") and each service by name. Nothing listens before a replica is
 * ready, so there are two states: SERVING, and NOT_SERVING once draining began. */
#include "base/base.h"
#include "serve/services.h"
#include "serve/worker.h"
#include "wire/fields.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define LIST_MAX (16 * 1024)

struct health_stream {
    struct rpc *rpc;
    struct list link; /* worker's watchers */
    bool asked;
    bool known;
    bool sent;
    unsigned last;
};

static bool known_service(struct str service)
{
    struct str name = STR("");

    for (size_t i = 0; service.len > 0 && service_name_at(i, &name); i++)
        if (str_eq(name, service))
            return true;
    return service.len == 0;
}

static enum code parse_service(struct str message, struct str *ret_service, struct err *err)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;
    struct str service = STR("");

    while (wire_next(&reader, &field))
        if (field.number == HEALTH_CHECK_REQUEST_SERVICE && field.type == WIRE_BYTES)
            service = field.bytes;
    if (reader.failed)
        return fail(err, CODE_INVALID_ARGUMENT, "malformed HealthCheckRequest");
    if (!wire_is_utf8(service))
        return fail(err, CODE_INVALID_ARGUMENT, "service is not UTF-8");
    *ret_service = service;
    return CODE_OK;
}

static unsigned current_status(const struct worker *worker, bool known)
{
    if (!known)
        return HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVICE_UNKNOWN;
    return worker->draining ? HEALTH_CHECK_RESPONSE_SERVING_STATUS_NOT_SERVING
                            : HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVING;
}

/* ---- Check ---- */

static enum code check(const struct worker *worker, struct str message, struct buf *reply,
                       struct err *err)
{
    struct str service;
    enum code code = parse_service(message, &service, err);

    if (code != CODE_OK)
        return code;
    if (!known_service(service))
        return fail(err, CODE_NOT_FOUND,
                    "no service '%" STR_FMT
                    "'; grpc.health.v1.Health/List tells those that there are",
                    STR_ARG(service));
    wire_put_varint(reply, HEALTH_CHECK_RESPONSE_STATUS, current_status(worker, true));
    return CODE_OK;
}

static void check_on_message(struct rpc *rpc, struct str message)
{
    struct buf reply = BUFFER_INIT(16);
    struct err err = {0};

    if (check(rpc_server_ctx(rpc), message, &reply, &err) == CODE_OK)
        rpc_reply(rpc, reply.ptr, reply.len);
    else
        rpc_finish(rpc, err.code, err.msg);
    buf_done(&reply);
}

/* After a reply the call is finishing and this is not called. */
static void on_no_message(struct rpc *rpc)
{
    rpc_finish(rpc, CODE_INVALID_ARGUMENT, "the call ended without a message");
}

const struct rpc_handler health_check_handler = {
    .on_message = check_on_message,
    .on_half_close = on_no_message,
};

/* ---- List ---- */

static void put_status(struct buf *reply, struct str service, unsigned status)
{
    size_t entry = wire_open(reply, HEALTH_LIST_RESPONSE_STATUSES), value;

    wire_put_bytes(reply, WIRE_MAP_KEY, service);
    value = wire_open(reply, WIRE_MAP_VALUE);
    wire_put_varint(reply, HEALTH_CHECK_RESPONSE_STATUS, status);
    wire_close(reply, value);
    wire_close(reply, entry);
}

/* The request has no fields of ours. */
static bool is_message(struct str message)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;

    while (wire_next(&reader, &field))
        ;
    return !reader.failed;
}

static void list(struct rpc *rpc)
{
    unsigned status = current_status(rpc_server_ctx(rpc), true);
    struct buf reply = BUFFER_INIT(LIST_MAX);
    struct str service;

    put_status(&reply, STR(""), status);
    for (size_t i = 0; service_name_at(i, &service); i++)
        put_status(&reply, service, status);
    rpc_reply(rpc, reply.ptr, reply.len);
    buf_done(&reply);
}

static void list_on_message(struct rpc *rpc, struct str message)
{
    if (is_message(message))
        list(rpc);
    else
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "malformed HealthListRequest");
}

const struct rpc_handler health_list_handler = {
    .on_message = list_on_message,
    .on_half_close = on_no_message,
};

/* ---- Watch ---- */

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
    struct err err = {0};

    if (stream->asked) {
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "the call has more than one message");
        return;
    }
    if (parse_service(message, &service, &err) != CODE_OK) {
        rpc_finish(rpc, err.code, err.msg);
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
        on_no_message(rpc);
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
