/* grpc.health.v1.Health: the server and its one service serve until it drains. */
#include "server.h"
#include "wire/fields.h"

struct watcher {
    bool asked, known;
    uint64_t told; /* 0: nothing */
};

static bool is_known(struct str service)
{
    return service.len == 0 || str_eq(service, STR("grpc.testing.TestService"));
}

static enum code read_service(struct str message, struct str *ret_service, struct err *err)
{
    struct wire_reader reader = wire_reader(message);
    struct str service = STR("");
    struct wire_field field;

    while (wire_next(&reader, &field))
        if (field.number == HEALTH_CHECK_REQUEST_SERVICE && field.type == WIRE_BYTES)
            service = field.bytes;
    if (reader.failed || !wire_is_utf8(service))
        return fail(err, CODE_INVALID_ARGUMENT, "malformed HealthCheckRequest");
    *ret_service = service;
    return CODE_OK;
}

static uint64_t status_of(const struct testserver *server, bool known)
{
    if (!known)
        return HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVICE_UNKNOWN;
    return server->draining ? HEALTH_CHECK_RESPONSE_SERVING_STATUS_NOT_SERVING
                            : HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVING;
}

static void on_check(struct rpc *rpc, struct str message)
{
    struct buf reply = BUFFER_INIT(16);
    struct str service;
    struct err err = {0};

    if (read_service(message, &service, &err) != CODE_OK) {
        rpc_finish(rpc, err.code, err.msg);
    } else if (!is_known(service)) {
        rpc_finish(rpc, CODE_NOT_FOUND, "unknown service");
    } else {
        wire_put_varint(&reply, HEALTH_CHECK_RESPONSE_STATUS, status_of(rpc_server_ctx(rpc), true));
        rpc_reply(rpc, reply.ptr, reply.len);
    }
    buf_done(&reply);
}

static void on_no_message(struct rpc *rpc)
{
    rpc_finish(rpc, CODE_INVALID_ARGUMENT, "the request has no message");
}

const struct rpc_handler health_check_handler = {.on_message = on_check,
                                                 .on_half_close = on_no_message};

static void on_open(struct rpc *rpc)
{
    rpc_set_state(rpc, xcalloc(1, sizeof(struct watcher)));
}

static void on_watch(struct rpc *rpc, struct str message)
{
    struct watcher *watcher = rpc_state(rpc);
    struct str service;
    struct err err = {0};

    if (read_service(message, &service, &err) != CODE_OK) {
        rpc_finish(rpc, err.code, err.msg);
        return;
    }
    watcher->asked = true;
    watcher->known = is_known(service);
    rpc_wake(rpc, RPC_WAKE_ANSWER);
}

/* The watch lives on behind its one request. */
static void on_half_close(struct rpc *rpc)
{
    const struct watcher *watcher = rpc_state(rpc);

    if (!watcher->asked)
        on_no_message(rpc);
}

static bool on_pull(struct rpc *rpc, struct rpc_out *out)
{
    struct watcher *watcher = rpc_state(rpc);
    uint64_t status = status_of(rpc_server_ctx(rpc), watcher->known);

    if (!watcher->asked || watcher->told == status)
        return false;
    wire_put_varint(&out->head, HEALTH_CHECK_RESPONSE_STATUS, status);
    watcher->told = status;
    return true;
}

static void on_close(struct rpc *rpc, enum code code unused_arg)
{
    free(rpc_state(rpc));
}

const struct rpc_handler health_watch_handler = {.on_open = on_open,
                                                 .on_message = on_watch,
                                                 .on_half_close = on_half_close,
                                                 .on_pull = on_pull,
                                                 .on_close = on_close};
