/* From calls to bytes: what nghttp2 has to say, and the messages between, in one write per
 * flush. */
#include "grpc/internal.h"

#define HEAD_COPY_MAX 512 /* message heads up to this size are copied behind their frame head */

#define NV(name, value)                                                                            \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,             \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE        \
    }

#define TRAILERS_MAX 3

static nghttp2_nv header_of(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

/* grpc-status, grpc-message, and the handler's own; `number` has room for the digits. */
static size_t trailers_of(const struct rpc *rpc, char number[12], nghttp2_nv out[TRAILERS_MAX])
{
    size_t len = 0;

    snprintf(number, 12, "%d", (int)rpc->code);
    out[len++] = header_of("grpc-status", number);
    if (rpc->message)
        out[len++] = header_of("grpc-message", rpc->message);
    if (rpc->trailer_name)
        out[len++] = header_of(rpc->trailer_name, rpc->trailer_value);
    return len;
}

/* ---- reading a call's message into frames ---- */

static void submit_trailers(nghttp2_session *session, struct rpc *rpc)
{
    nghttp2_nv headers[TRAILERS_MAX];
    char number[12];
    size_t len = trailers_of(rpc, number, headers);

    rpc->trailing = true;
    (void)nghttp2_submit_trailer(session, rpc->stream_id, headers, len);
}

static void end_response(nghttp2_session *session, struct rpc *rpc, uint32_t *flags)
{
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (rpc->http_status) {
        rpc->trailing = true;
        return;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    submit_trailers(session, rpc);
}

/* How much of the message, from where it stands, fits into `room` slices. */
static size_t fits_into(const struct rpc *rpc, size_t len, size_t room)
{
    size_t fits = 0;
    size_t inline_len = rpc->prefix_len + rpc->out.head.len;

    if (rpc->out.blobs_len - rpc->blob_index <= room)
        return len;
    if (rpc->out_off < inline_len)
        fits = inline_len - rpc->out_off;
    for (size_t i = rpc->blob_index; room > 0 && fits < len; i++, room--)
        fits += rpc->out.blobs[i]->len - (i == rpc->blob_index ? rpc->blob_off : 0);
    return min_size(fits, len);
}

/* The message is framed in full, and what it refers to stays until the write: the next one may go with it. */
static bool make_room(struct rpc *rpc)
{
    struct rpc_out *out = &rpc->out;

    if (!rpc->handler || !rpc->handler->on_pull || out->head.len > HEAD_COPY_MAX ||
        !gather_keep(&rpc->peer->server->gather, out->blobs, out->blobs_len))
        return false;
    out->blobs_len = 0;
    rpc->framed_len += rpc->out_len;
    rpc_clear_out(rpc);
    return true;
}

static ssize_t on_read(nghttp2_session *session, int32_t stream_id unused_arg,
                       uint8_t *buf unused_arg, size_t max, uint32_t *flags,
                       nghttp2_data_source *source, void *ctx unused_arg)
{
    struct rpc *rpc = source->ptr;
    size_t left, len;

    if (!rpc->sending && rpc->unwritten && !make_room(rpc))
        return NGHTTP2_ERR_DEFERRED;
    if (!rpc->sending && !rpc_pull(rpc)) {
        if (!rpc->finishing)
            return NGHTTP2_ERR_DEFERRED;
        end_response(session, rpc, flags);
        return 0;
    }
    left = rpc->out_len - rpc->out_off;
    len = fits_into(rpc, min_size(left, max), gather_slices_left(&rpc->peer->server->gather) - 4);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (len == left && rpc_exhausted(rpc))
        end_response(session, rpc, flags);
    return (ssize_t)len;
}

static size_t send_inline(struct gather *gather, struct rpc *rpc, size_t len)
{
    size_t off = rpc->out_off;
    size_t n;

    if (off < rpc->prefix_len) {
        n = min_size(rpc->prefix_len - off, len);
        gather_copy(gather, rpc->prefix + off, n);
        return n;
    }
    off -= rpc->prefix_len;
    n = min_size(rpc->out.head.len - off, len);
    if (n <= HEAD_COPY_MAX)
        gather_copy(gather, rpc->out.head.ptr + off, n);
    else
        gather_point(gather, rpc->out.head.ptr + off, n);
    return n;
}

static size_t send_blob(struct gather *gather, struct rpc *rpc, size_t len)
{
    struct blob *blob = rpc->out.blobs[rpc->blob_index];
    size_t n = min_size(blob->len - rpc->blob_off, len);

    if (n > 0)
        gather_blob(gather, blob, rpc->blob_off, n);
    rpc->blob_off += n;
    if (rpc->blob_off == blob->len) {
        rpc->blob_index++;
        rpc->blob_off = 0;
    }
    return n;
}

static int on_send_data(nghttp2_session *session unused_arg, nghttp2_frame *frame unused_arg,
                        const uint8_t *frame_head, size_t len, nghttp2_data_source *source,
                        void *ctx)
{
    struct peer *peer = ctx;
    struct rpc *rpc = source->ptr;
    struct gather *gather = &peer->server->gather;

    gather_copy(gather, frame_head, 9);
    rpc->peer->pinned -= len;
    rpc->bytes_sent += len;
    rpc->moved_us = loop_now_us(peer->server->loop);
    while (len > 0) {
        bool in_blobs = rpc->out_off >= rpc->prefix_len + rpc->out.head.len;
        size_t n = in_blobs ? send_blob(gather, rpc, len) : send_inline(gather, rpc, len);

        rpc->out_off += n;
        len -= n;
    }
    peer->spoke = true;
    if (rpc->out_off == rpc->out_len) {
        rpc->sending = false;
        rpc->framed++;
        if (!rpc->unwritten)
            list_append(&peer->written, &rpc->written_link);
        rpc->unwritten = true;
    }
    return gather_has_room(gather) ? 0 : NGHTTP2_ERR_PAUSE;
}

/* ---- starting and ending responses ---- */

static void submit_plain(nghttp2_session *session, struct rpc *rpc, nghttp2_data_provider *provider)
{
    char status[12];
    nghttp2_nv headers[2];
    size_t len = 1;

    snprintf(status, sizeof(status), "%u", rpc->http_status);
    headers[0] = header_of(":status", status);
    if (rpc->sending)
        headers[len++] = header_of("content-type", "text/plain; charset=utf-8");
    (void)nghttp2_submit_response(session, rpc->stream_id, headers, len,
                                  rpc->sending ? provider : NULL);
    rpc->trailing = !rpc->sending;
}

static void submit_status_only(nghttp2_session *session, struct rpc *rpc)
{
    nghttp2_nv headers[3 + TRAILERS_MAX] = {
        NV(":status", "200"),
        NV("content-type", "application/grpc"),
        NV("grpc-accept-encoding", "identity,gzip"),
    };
    char number[12];
    size_t len = 3 + trailers_of(rpc, number, headers + 3);

    rpc->trailing = true;
    (void)nghttp2_submit_response(session, rpc->stream_id, headers, len, NULL);
}

static void submit_headers(nghttp2_session *session, struct rpc *rpc,
                           nghttp2_data_provider *provider)
{
    nghttp2_nv headers[] = {
        NV(":status", "200"),
        NV("content-type", "application/grpc"),
        NV("grpc-accept-encoding", "identity,gzip"),
        {0}, /* the handler's, */
        {0}, /* and the encoding */
    };
    size_t len = 3;

    if (rpc->header_name)
        headers[len++] = header_of(rpc->header_name, rpc->header_value);
    if (rpc->offers_gzip)
        headers[len++] = header_of("grpc-encoding", "gzip");
    (void)nghttp2_submit_response(session, rpc->stream_id, headers, len, provider);
}

static void respond(nghttp2_session *session, struct rpc *rpc)
{
    nghttp2_data_provider provider = {.source = {.ptr = rpc}, .read_callback = on_read};

    if (!rpc->http_status && !rpc->sending && !rpc->finishing && !rpc->handler->on_pull)
        return; /* a unary call that has no answer yet */
    rpc->responded = true;
    if (rpc->http_status)
        submit_plain(session, rpc, &provider);
    else if (!rpc->sending && rpc_exhausted(rpc) && !rpc->header_name)
        submit_status_only(session, rpc);
    else
        submit_headers(session, rpc, &provider);
}

static bool window_open(const struct rpc *rpc)
{
    nghttp2_session *session = rpc->peer->session;

    return nghttp2_session_get_remote_window_size(session) > 0 &&
           nghttp2_session_get_stream_remote_window_size(session, rpc->stream_id) > 0;
}

/* Trailers cannot overtake a message that is out in part, nor a closed window. */
static bool must_reset(const struct rpc *rpc)
{
    return rpc->finishing && rpc->code != CODE_OK && (rpc->sending || !window_open(rpc));
}

static uint32_t reset_code(enum code code)
{
    switch (code) {
    case CODE_RESOURCE_EXHAUSTED:
        return NGHTTP2_ENHANCE_YOUR_CALM;
    case CODE_UNAVAILABLE:
        return NGHTTP2_REFUSED_STREAM;
    case CODE_INTERNAL:
        return NGHTTP2_INTERNAL_ERROR;
    default:
        return NGHTTP2_CANCEL;
    }
}

static void service(nghttp2_session *session, struct rpc *rpc)
{
    if (rpc->dead || rpc->trailing)
        return;
    if (!rpc->responded) {
        respond(session, rpc);
    } else if (must_reset(rpc)) {
        rpc->trailing = true;
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, rpc->stream_id,
                                        reset_code(rpc->code));
    } else {
        (void)nghttp2_session_resume_data(session, rpc->stream_id);
    }
}

static void on_end_sent(nghttp2_session *session, int32_t stream_id)
{
    struct rpc *rpc = nghttp2_session_get_stream_user_data(session, stream_id);

    if (!rpc)
        return;
    rpc->ended = true;
    if (!rpc->half_closed) /* the client need not send the rest */
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_NO_ERROR);
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct peer *peer = ctx;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        peer->spoke = true;
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
            on_end_sent(session, frame->hd.stream_id);
        break;
    case NGHTTP2_GOAWAY: /* nghttp2 has found an error that on_invalid_frame does not tell */
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR && !peer->blamed)
            peer_complain(peer, &peer->server->stats.protocol_errors,
                          nghttp2_http2_strerror(frame->goaway.error_code));
        break;
    default:
        break;
    }
    return 0;
}

void send_set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
}

/* ---- the flush ---- */

/* Asks for the next message at once, but only if it could go out: else it would be old when it
 * does. */
static void after_messages(struct rpc *rpc, bool at_once)
{
    struct peer *peer = rpc->peer;

    rpc->unwritten = false;
    rpc->messages_sent += rpc->framed;
    rpc->sent_us = loop_now_us(peer->server->loop);
    if (!rpc->http_status)
        counter_add(&peer->server->stats.messages_sent, rpc->framed);
    rpc->framed_len = 0;
    if (rpc->sending)
        rpc_not_late(rpc); /* another one has begun, which is looked at by itself */
    else
        rpc_clear_out(rpc);
    for (; rpc->framed > 0; rpc->framed--)
        if (rpc->handler && rpc->handler->on_written)
            rpc->handler->on_written(rpc);
    if (rpc->dead || rpc->trailing || rpc->sending || (at_once && rpc->asked && !rpc->finishing))
        return;
    if (!window_open(rpc) || rpc_pull(rpc) || rpc->finishing)
        rpc_queue(rpc, peer->dirty);
}

void peer_after_write(struct peer *peer, bool at_once)
{
    while (!list_empty(&peer->written)) {
        struct rpc *rpc = container_of(list_pop(&peer->written), struct rpc, written_link);

        after_messages(rpc, at_once);
    }
}

/* Fills the gather, which is empty; the number of bytes, or nghttp2's error. */
static ssize_t gather_frames(struct peer *peer, struct gather *gather)
{
    while (gather_has_room(gather)) {
        const uint8_t *ptr;
        ssize_t len = nghttp2_session_mem_send(peer->session, &ptr);

        if (len < 0)
            return len;
        if (len == 0)
            break;
        gather_copy(gather, ptr, (size_t)len);
    }
    return (ssize_t)gather->bytes;
}

static void write_gathered(struct peer *peer, const struct gather *gather)
{
    struct grpc_server *server = peer->server;

    if (gather->count == 0)
        return;
    peer->greeted = true;
    conn_writev(peer->conn, gather->slices, gather->count);
    counter_add(&server->stats.bytes_sent, gather->bytes);
    peer->backlog = conn_backlog(peer->conn);
    if (peer->backlog > 0) {
        peer->moved_us = loop_now_us(server->loop);
    } else {
        peer_after_write(peer, true);
    }
}

bool peer_flush(struct peer *peer)
{
    struct gather *gather = &peer->server->gather;
    ssize_t result;
    bool filled;

    if (!peer->session || conn_backlog(peer->conn) > 0)
        return true; /* on_drained brings it back */
    while (!list_empty(&peer->ready)) {
        struct rpc *rpc = container_of(list_pop(&peer->ready), struct rpc, ready_link);

        service(peer->session, rpc);
    }
    result = gather_frames(peer, gather);
    if (result < 0) {
        gather_reset(gather);
        peer_complain(peer, &peer->server->stats.protocol_errors, nghttp2_strerror((int)result));
        peer_close(peer, CODE_UNAVAILABLE);
        return false;
    }
    write_gathered(peer, gather);
    filled = !gather_has_room(gather);
    gather_reset(gather);
    peer_reap(peer);
    if (peer->stalled > 0)
        peer_watch(peer);
    if (peer_finished(peer))
        peer_linger(peer);
    else if (!list_empty(&peer->ready) ||
             (filled && nghttp2_session_want_write(peer->session)))
        peer_mark(peer, peer->dirty);
    return true;
}
