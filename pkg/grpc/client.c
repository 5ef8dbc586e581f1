#include "grpc/client.h"

#include <nghttp2/nghttp2.h>

#include "base/secret_file.h"
#include "grpc/header.h"
#include "grpc/message.h"
#include "grpc/rpc.h"
#include "net/conn.h"

#define CLIENT_WINDOW (4 * 1024 * 1024)     /* of a stream and of the connection */
#define CLIENT_QUEUE_MAX (64 * 1024 * 1024) /* bytes that wait in one call; our own */
#define CLIENT_WRITE_MAX (256 * 1024)       /* of one write */
#define ERROR_KEPT_MAX 256
#define REQUEST_HEADERS_MAX 9

struct grpc_client {
    struct loop *loop;
    struct conn *conn;
    nghttp2_session *session;
    struct list calls;
    struct list ended; /* streams that are closed; on_end is still to come */
    struct deferred flush;
    struct buf out;
    char *authority;
    char *authorization; /* or NULL */
    const char *scheme;
    char failure[ERROR_KEPT_MAX]; /* why there is no connection; empty while there is */
    bool connected, heard; /* heard: the server has said something */
};

struct grpc_call {
    struct list link; /* client.calls or client.ended */
    struct grpc_client *client;
    const struct grpc_call_handler *handler;
    void *ctx;
    struct timer *deadline; /* or NULL */
    struct message_reader reader;
    struct buf queue; /* prefixed messages that are to be sent */
    int32_t stream_id;
    unsigned http_status;
    enum code code;
    char message[GRPC_STATUS_MESSAGE_MAX];
    bool last;      /* queue ends with the end of the stream */
    bool answered;  /* grpc-status came, or we decided */
    bool cancelled; /* no callbacks any more */
};

static void schedule_flush(struct grpc_client *client)
{
    deferred_schedule(client->loop, &client->flush);
}

/* ---- ends of calls ---- */

static void call_free(struct grpc_call *call)
{
    list_remove(&call->link);
    timer_free(call->deadline);
    message_reader_done(&call->reader);
    buf_done(&call->queue);
    free(call);
}

/* The first reason counts. */
static void call_decide(struct grpc_call *call, enum code code, const char *message)
{
    if (call->answered)
        return;
    call->answered = true;
    call->code = code;
    snprintf(call->message, sizeof(call->message), "%s", message);
}

/* on_end comes from the end of the turn, outside of nghttp2. */
static void call_end(struct grpc_call *call)
{
    list_remove(&call->link);
    list_append(&call->client->ended, &call->link);
    if (call->stream_id > 0)
        nghttp2_session_set_stream_user_data(call->client->session, call->stream_id, NULL);
    schedule_flush(call->client);
}

static void deliver_ends(struct grpc_client *client)
{
    while (!list_empty(&client->ended)) {
        struct grpc_call *call = container_of(client->ended.next, struct grpc_call, link);
        const struct grpc_call_handler *handler = call->handler;
        bool silent = call->cancelled;
        void *ctx = call->ctx;
        enum code code = call->code;
        char message[GRPC_STATUS_MESSAGE_MAX];

        memcpy(message, call->message, sizeof(message));
        call_free(call);
        if (!silent && handler->on_end)
            handler->on_end(ctx, code, message);
    }
}

static void reset_stream(struct grpc_call *call)
{
    if (call->stream_id > 0)
        (void)nghttp2_submit_rst_stream(call->client->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                        NGHTTP2_CANCEL);
}

static void call_fail(struct grpc_call *call, enum code code, const char *message)
{
    call_decide(call, code, message);
    reset_stream(call);
    call_end(call);
}

static void fail_all(struct grpc_client *client, const char *why)
{
    snprintf(client->failure, sizeof(client->failure), "%s", why);
    list_for_each_safe (node, &client->calls) {
        struct grpc_call *call = container_of(node, struct grpc_call, link);

        call_decide(call, CODE_UNAVAILABLE, why);
        call_end(call);
    }
}

/* ---- nghttp2's callbacks ---- */

static struct grpc_call *call_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static void on_status(struct grpc_call *call, struct str value)
{
    uint64_t code;

    if (!str_to_u64(value, CODE_UNAUTHENTICATED, &code))
        code = CODE_UNKNOWN;
    call->code = (enum code)code;
    call->answered = true;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_ptr,
                     size_t name_len, const uint8_t *value_ptr, size_t value_len,
                     uint8_t flags unused_arg, void *ctx unused_arg)
{
    struct grpc_call *call = call_of(session, frame->hd.stream_id);
    struct str name = str_make(name_ptr, name_len);
    struct str value = str_make(value_ptr, value_len);
    uint64_t status;

    if (!call)
        return 0;
    if (str_eq(name, STR(":status")) && str_to_u64(value, 999, &status))
        call->http_status = (unsigned)status;
    else if (str_eq(name, STR("grpc-status")))
        on_status(call, value);
    else if (str_eq(name, STR("grpc-message")))
        grpc_message_decode(value, call->message, sizeof(call->message));
    else if (str_eq(name, STR("grpc-encoding")))
        call->reader.gzip = str_eq(value, STR("gzip"));
    return 0;
}

static bool on_message(void *ctx, struct str message)
{
    struct grpc_call *call = ctx;

    if (!call->cancelled && call->handler->on_message)
        call->handler->on_message(call->ctx, message);
    return !call->cancelled;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags unused_arg, int32_t stream_id,
                         const uint8_t *ptr, size_t len, void *ctx unused_arg)
{
    struct grpc_call *call = call_of(session, stream_id);
    struct err err = {0};
    enum code code;

    if (!call || call->http_status != 200)
        return 0;
    code = message_reader_feed(&call->reader, str_make(ptr, len), on_message, call, &err);
    if (code != CODE_OK)
        call_fail(call, code, err.msg);
    return 0;
}

/* What a reset, or an answer that is no gRPC, means to the caller. */
static enum code code_of_reset(uint32_t h2_error)
{
    switch (h2_error) {
    case NGHTTP2_CANCEL:
        return CODE_CANCELLED;
    case NGHTTP2_REFUSED_STREAM:
        return CODE_UNAVAILABLE;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return CODE_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return CODE_PERMISSION_DENIED;
    default:
        return CODE_INTERNAL;
    }
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t h2_error,
                           void *ctx unused_arg)
{
    struct grpc_call *call = call_of(session, stream_id);
    char why[ERROR_KEPT_MAX];

    if (!call)
        return 0;
    if (h2_error != NGHTTP2_NO_ERROR)
        snprintf(why, sizeof(why), "the server reset the stream: %s",
                 nghttp2_http2_strerror(h2_error));
    else if (call->http_status != 200)
        snprintf(why, sizeof(why), "the server answered with HTTP status %u", call->http_status);
    else
        snprintf(why, sizeof(why), "the server ended the stream without a status");
    call_decide(call, h2_error ? code_of_reset(h2_error) : CODE_UNKNOWN, why);
    call_end(call);
    return 0;
}

/* A request that could not be sent, as after the server's GOAWAY, has no stream that could
 * close. */
static int on_frame_not_sent(nghttp2_session *session unused_arg, const nghttp2_frame *frame,
                             int error, void *ctx)
{
    struct grpc_client *client = ctx;

    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    list_for_each (node, &client->calls) {
        struct grpc_call *call = container_of(node, struct grpc_call, link);

        if (call->stream_id != frame->hd.stream_id)
            continue;
        call_decide(call, CODE_UNAVAILABLE, nghttp2_strerror(error));
        call_end(call);
        break;
    }
    return 0;
}

static ssize_t on_read(nghttp2_session *session unused_arg, int32_t stream_id unused_arg,
                       uint8_t *out, size_t max, uint32_t *flags, nghttp2_data_source *source,
                       void *ctx unused_arg)
{
    struct grpc_call *call = source->ptr;
    size_t len = min_size(call->queue.len, max);

    if (len == 0)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(out, call->queue.ptr, len);
    buf_consume(&call->queue, len);
    if (call->queue.len == 0 && call->last)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

static int new_session(struct grpc_client *client)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, CLIENT_WINDOW},
    };
    int result = nghttp2_session_callbacks_new(&callbacks);

    if (result != 0)
        return result;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    result = nghttp2_session_client_new(&client->session, callbacks, client);
    nghttp2_session_callbacks_del(callbacks);
    if (result == 0)
        result = nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, settings,
                                         ARRAY_LEN(settings));
    if (result == 0)
        result = nghttp2_session_set_local_window_size(client->session, NGHTTP2_FLAG_NONE, 0,
                                                       CLIENT_WINDOW);
    return result;
}

/* ---- the connection ---- */

static void disconnect(struct grpc_client *client, const char *why)
{
    conn_free(TAKE(client->conn));
    client->connected = false;
    fail_all(client, why);
    schedule_flush(client);
}

/* What the session has to say, up to CLIENT_WRITE_MAX; false when it is broken. */
static bool collect(struct grpc_client *client)
{
    buf_reset(&client->out);
    while (client->out.len < CLIENT_WRITE_MAX) {
        const uint8_t *ptr;
        ssize_t len = nghttp2_session_mem_send(client->session, &ptr);

        if (len < 0)
            return false;
        if (len == 0)
            break;
        (void)buf_append(&client->out, ptr, (size_t)len);
    }
    return true;
}

static void write_out(struct grpc_client *client)
{
    while (client->connected && conn_backlog(client->conn) == 0) {
        if (!collect(client)) {
            disconnect(client, "HTTP/2 failed");
            return;
        }
        if (client->out.len == 0)
            return;
        conn_writev(client->conn,
                    &(struct conn_slice){.ptr = client->out.ptr, .len = client->out.len}, 1);
    }
}

static void on_flush(void *ctx)
{
    struct grpc_client *client = ctx;

    write_out(client);
    if (client->connected && !nghttp2_session_want_read(client->session) &&
        !nghttp2_session_want_write(client->session))
        disconnect(client, "the server closed the connection");
    deliver_ends(client);
}

static void on_data(void *ctx, const void *ptr, size_t len)
{
    struct grpc_client *client = ctx;
    ssize_t taken = nghttp2_session_mem_recv(client->session, ptr, len);

    client->heard = true;
    if (taken < 0)
        disconnect(client, nghttp2_strerror((int)taken));
    else
        schedule_flush(client);
}

static void on_drained(void *ctx)
{
    struct grpc_client *client = ctx;

    client->connected = true;
    schedule_flush(client);
}

/* A server that hangs up at once has heard, as a rule, TLS where it expects none, or none where it
 * expects TLS; or it wants no connection more. */
static void on_closed(void *ctx, enum code code, const char *reason)
{
    struct grpc_client *client = ctx;
    char text[ERROR_KEPT_MAX];

    if (code != CODE_OK || client->heard) {
        disconnect(client, reason);
        return;
    }
    snprintf(text, sizeof(text),
             "%s before it said anything: does it %s TLS at this port, or has it too many "
             "connections?",
             reason, strcmp(client->scheme, "https") == 0 ? "serve" : "want");
    disconnect(client, text);
}

enum code grpc_client_new(const struct grpc_client_options *options,
                          struct grpc_client **ret_client, struct err *err)
{
    static const struct conn_handler handler = {on_data, on_drained, on_closed};
    struct grpc_client *client = xcalloc(1, sizeof(*client));
    enum code code;

    client->loop = options->loop;
    client->authority = xstrdup(options->authority);
    client->authorization = options->authorization ? xstrdup(options->authorization) : NULL;
    client->scheme = options->tls ? "https" : "http";
    list_init(&client->calls);
    list_init(&client->ended);
    deferred_init(&client->flush, on_flush, client);
    buf_init(&client->out, CLIENT_WRITE_MAX + 64 * 1024);
    code = conn_connect(client->loop, options->server, options->connect_timeout_ms, &handler,
                        client, &client->conn, err);
    if (code == CODE_OK && options->tls)
        conn_start_tls(client->conn, options->tls, options->server_name, NULL);
    if (code == CODE_OK && new_session(client) != 0)
        code = fail(err, CODE_RESOURCE_EXHAUSTED, "cannot start HTTP/2");
    if (code != CODE_OK)
        grpc_client_free(client);
    else
        *ret_client = client;
    return code;
}

void grpc_client_free(struct grpc_client *client)
{
    if (!client)
        return;
    while (!list_empty(&client->calls))
        call_free(container_of(client->calls.next, struct grpc_call, link));
    while (!list_empty(&client->ended))
        call_free(container_of(client->ended.next, struct grpc_call, link));
    deferred_cancel(&client->flush);
    conn_free(client->conn);
    nghttp2_session_del(client->session);
    buf_done(&client->out);
    free(client->authority);
    secret_free(client->authorization);
    free(client);
}

/* ---- calls ---- */

static void on_deadline(void *ctx)
{
    call_fail(ctx, CODE_DEADLINE_EXCEEDED, "deadline exceeded");
}

static nghttp2_nv header_of(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static void submit(struct grpc_call *call, const char *path, uint64_t deadline_ms)
{
    char timeout[16] = "";
    nghttp2_nv headers[REQUEST_HEADERS_MAX] = {
        header_of(":method", "POST"),
        header_of(":scheme", call->client->scheme),
        header_of(":path", path),
        header_of(":authority", call->client->authority),
        header_of("te", "trailers"),
        header_of("content-type", "application/grpc"),
        header_of("user-agent", "lookaside/" LOOKASIDE_VERSION),
    };
    size_t len = REQUEST_HEADERS_MAX - 2;
    nghttp2_data_provider provider = {.source = {.ptr = call}, .read_callback = on_read};

    if (deadline_ms) {
        grpc_timeout_format(deadline_ms, timeout);
        headers[len++] = header_of("grpc-timeout", timeout);
    }
    if (call->client->authorization) {
        headers[len] = header_of("authorization", call->client->authorization);
        headers[len++].flags = NGHTTP2_NV_FLAG_NO_INDEX;
    }
    call->stream_id =
        nghttp2_submit_request(call->client->session, NULL, headers, len, &provider, call);
    if (call->stream_id < 0)
        call_fail(call, CODE_UNAVAILABLE, nghttp2_strerror(call->stream_id));
}

struct grpc_call *grpc_call_start(struct grpc_client *client, const char *path,
                                  uint64_t deadline_ms, const struct grpc_call_handler *handler,
                                  void *ctx)
{
    struct grpc_call *call = xcalloc(1, sizeof(*call));

    call->client = client;
    call->handler = handler;
    call->ctx = ctx;
    message_reader_init(&call->reader, RPC_REPLY_MAX);
    buf_init(&call->queue, CLIENT_QUEUE_MAX);
    list_append(&client->calls, &call->link);
    if (deadline_ms) {
        call->deadline = timer_new(client->loop, on_deadline, call);
        timer_start(call->deadline, deadline_ms);
    }
    if (*client->failure)
        call_fail(call, CODE_UNAVAILABLE, client->failure);
    else
        submit(call, path, deadline_ms);
    schedule_flush(client);
    return call;
}

void grpc_call_send(struct grpc_call *call, const void *ptr, size_t len, bool last)
{
    unsigned char prefix[MESSAGE_PREFIX_SIZE];

    if (call->answered || call->last)
        return;
    message_prefix(prefix, len);
    if (buf_append(&call->queue, prefix, sizeof(prefix)) != CODE_OK ||
        buf_append(&call->queue, ptr, len) != CODE_OK) {
        call_fail(call, CODE_RESOURCE_EXHAUSTED, "too many bytes wait to be sent");
        return;
    }
    call->last = last;
    (void)nghttp2_session_resume_data(call->client->session, call->stream_id);
    schedule_flush(call->client);
}

void grpc_call_cancel(struct grpc_call *call)
{
    if (call->cancelled)
        return;
    call->cancelled = true;
    call_fail(call, CODE_CANCELLED, "cancelled");
}
