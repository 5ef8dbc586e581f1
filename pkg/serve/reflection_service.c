/* grpc.reflection.v1.ServerReflection, and v1alpha: what the method table serves.
 *
 * A client may ask ahead: its requests wait, as they came, until their answers are pulled; more of them
 * than WAITING_MAX bytes end the stream. */
#include "protocol/reflection.h"
#include "serve/services.h"
#include "serve/worker.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define WAITING_MAX (16 * 1024)
#define REQUEST_FIELD 1 /* the requests that wait are fields of one number */

struct reflection_stream {
    struct buf waiting;
};

static void on_open(struct rpc *rpc)
{
    struct reflection_stream *stream = xcalloc(1, sizeof(*stream));

    buf_init(&stream->waiting, WAITING_MAX);
    rpc_set_state(rpc, stream);
}

static enum code keep(struct buf *waiting, struct str message, struct err *err)
{
    enum code code = reflection_check(message, err);

    if (code != CODE_OK)
        return code;
    wire_put_bytes(waiting, REQUEST_FIELD, message);
    if (buf_failed(waiting))
        return fail(err, CODE_RESOURCE_EXHAUSTED,
                    "more than %d bytes of requests wait for their answers: read some before you "
                    "ask on",
                    WAITING_MAX);
    return CODE_OK;
}

static void on_message(struct rpc *rpc, struct str message)
{
    struct reflection_stream *stream = rpc_state(rpc);
    struct worker *worker = rpc_server_ctx(rpc);
    struct err err = {0};

    counter_add(&worker->stats.requests, 1);
    if (keep(&stream->waiting, message, &err) == CODE_OK) {
        rpc_wake(rpc, RPC_WAKE_ANSWER);
        return;
    }
    counter_add(&worker->stats.refused_streams, 1);
    rpc_finish(rpc, err.code, err.msg);
}

static bool on_pull(struct rpc *rpc, struct rpc_out *out)
{
    struct reflection_stream *stream = rpc_state(rpc);
    struct wire_reader reader = wire_reader(buf_str(&stream->waiting));
    struct str names[SERVICES_MAX];
    struct reflection_services services = {names, 0};
    struct wire_field request;

    if (!wire_next(&reader, &request))
        return false;
    while (services.len < SERVICES_MAX && service_name_at(services.len, &names[services.len]))
        services.len++;
    reflection_answer(request.bytes, &services, &out->head);
    buf_consume(&stream->waiting, stream->waiting.len - (size_t)(reader.end - reader.ptr));
    return true;
}

static void on_close(struct rpc *rpc, enum code code unused_arg)
{
    struct reflection_stream *stream = rpc_state(rpc);

    buf_done(&stream->waiting);
    free(stream);
}

const struct rpc_handler reflection_handler = {
    .on_open = on_open,
    .on_message = on_message,
    .on_pull = on_pull,
    .on_close = on_close,
};
