/* From bytes to calls: nghttp2's receiving callbacks. They only change calls and put them on the
 * ready list. */
#include "base/utf8.h"
#include "grpc/facts.h"
#include "grpc/header.h"
#include "grpc/internal.h"

#define HEADER_OVERHEAD 32 /* per header, as SETTINGS_MAX_HEADER_LIST_SIZE counts */

static struct rpc *rpc_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static uint64_t now_of(const struct peer *peer)
{
    return loop_now_us(peer->server->loop);
}

static void too_much(struct peer *peer, enum grpc_limit limit, const char *why)
{
    peer_condemn(peer, NGHTTP2_ENHANCE_YOUR_CALM, &peer->server->stats.limit_hits[limit], why);
}

static void count_reset(struct peer *peer)
{
    const struct grpc_limits *limits = &peer->server->limits;

    if (!rate_take(&peer->resets, now_of(peer), limits->resets_per_second))
        too_much(peer, GRPC_LIMIT_RESETS, "too many stream resets");
}

static void count_control(struct peer *peer)
{
    const struct grpc_limits *limits = &peer->server->limits;

    if (!rate_take(&peer->controls, now_of(peer), limits->controls_per_second))
        too_much(peer, GRPC_LIMIT_CONTROL_FRAMES, "too many control frames");
}

/* HEADERS of a stream. nghttp2 takes one that was left out for one that is closed, and ignores
 * those: opened late it is an error of the connection (RFC 9113, 5.1.1), and so it is to us when
 * the client itself has closed it (5.1). */
static void note_stream(struct peer *peer, int32_t stream_id)
{
    struct counter *errors = &peer->server->stats.protocol_errors;
    int64_t expected = peer->newest ? (int64_t)peer->newest + 2 : 1;

    if (stream_id >= peer->skipped_from && stream_id < peer->skipped_to)
        peer_condemn(peer, NGHTTP2_PROTOCOL_ERROR, errors, "HEADERS: the stream was left out");
    if (stream_id > 0 && stream_id == peer->over)
        peer_condemn(peer, NGHTTP2_STREAM_CLOSED, errors, "HEADERS: the stream is closed");
    if (stream_id <= peer->newest)
        return;
    if (stream_id > expected) {
        peer->skipped_from = (int32_t)expected;
        peer->skipped_to = stream_id;
    }
    peer->newest = stream_id;
}

static void on_ping(struct peer *peer, bool ack)
{
    const struct grpc_limits *limits = &peer->server->limits;

    if (ack) {
        peer_ping_answered(peer);
        return;
    }
    /* Clients measure the round trip with a ping behind data: those are free. */
    if (peer->spoke) {
        peer->spoke = false;
        return;
    }
    if (!rate_take(&peer->pings, now_of(peer), limits->pings_per_second))
        too_much(peer, GRPC_LIMIT_PINGS, GRPC_TOO_MANY_PINGS);
}

/* What is about to come. nghttp2 ignores PRIORITY: nothing else tells of it. */
static int on_begin_frame(nghttp2_session *session unused_arg, const nghttp2_frame_hd *hd,
                          void *ctx)
{
    struct peer *peer = ctx;

    if (hd->type == NGHTTP2_HEADERS)
        note_stream(peer, hd->stream_id);
    else if (hd->type == NGHTTP2_RST_STREAM)
        count_reset(peer); /* here also of a stream that is closed */
    else if (hd->type == NGHTTP2_PRIORITY && hd->stream_id == 0)
        peer_condemn(peer, NGHTTP2_PROTOCOL_ERROR, &peer->server->stats.protocol_errors,
                     "PRIORITY: stream_id == 0");
    else if (hd->type == NGHTTP2_PRIORITY)
        count_control(peer);
    return 0;
}

/* ---- headers ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct peer *peer = ctx;

    if (peer->verdict)
        return NGHTTP2_ERR_CALLBACK_FAILURE; /* the connection ends: nothing more is read */
    peer->authority = 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id,
                                             rpc_new(peer, frame->hd.stream_id));
    return 0;
}

static void on_method(struct rpc *rpc, struct str value)
{
    rpc->post = str_eq(value, STR("POST"));
    rpc->head = str_eq(value, STR("HEAD"));
    rpc->get = rpc->head || str_eq(value, STR("GET"));
}

static void on_path(struct rpc *rpc, struct str value)
{
    const struct rpc_method *method = server_find_method(rpc->peer->server, value);

    if (method) {
        rpc->handler = method->handler;
        rpc->path = method->path;
        return;
    }
    rpc->healthz = str_eq(str_slice(value, 0, str_find(value, '?')), STR("/healthz"));
    rpc->unknown_path = str_dup(str_slice(value, 0, PATH_KEPT_MAX));
}

static void on_encoding(struct rpc *rpc, struct str value)
{
    if (str_eq(value, STR("gzip")))
        rpc->reader.gzip = true;
    else if (!str_eq(value, STR("identity")))
        rpc_abort(rpc, CODE_UNIMPLEMENTED,
                  "grpc-encoding '%" STR_FMT "' is not known: use gzip or identity",
                  STR_ARG(str_slice(value, 0, 32)));
}

static void on_accept_encoding(struct rpc *rpc, struct str value)
{
    while (value.ptr)
        rpc->takes_gzip |= str_eq(str_trim(str_cut(&value, ',')), STR("gzip"));
}

static void on_timeout_header(struct rpc *rpc, struct str value)
{
    if (!grpc_timeout_parse(value, &rpc->timeout_us))
        rpc_abort(rpc, CODE_INTERNAL,
                  "malformed grpc-timeout '%" STR_FMT
                  "': it is up to 8 digits and H, M, S, m, u or n",
                  STR_ARG(str_slice(value, 0, 32)));
    rpc->timeout_us = max_u64(rpc->timeout_us, 1); /* 0 means "none" to us, "now" to the client */
}

static void on_agent(struct rpc *rpc, struct str value)
{
    rpc->agent = grpc_agent_is_node(value) ? RPC_AGENT_NODE : RPC_AGENT_OTHER;
    if (!rpc->agent_text)
        rpc->agent_text = str_dup(utf8_cut(value, FACTS_AGENT_MAX));
}

/* Two of them may be two clients: whose call it is would be anybody's guess. */
static void on_authorization(struct rpc *rpc, struct str value)
{
    if (rpc->authorization)
        rpc_abort(rpc, CODE_UNAUTHENTICATED, "more than one authorization header");
    else
        rpc->authorization = str_dup(value);
}

static void on_request_header(struct rpc *rpc, struct str name, struct str value)
{
    if (str_eq(name, STR(":method")))
        on_method(rpc, value);
    else if (str_eq(name, STR(":path")))
        on_path(rpc, value);
    else if (str_eq(name, STR("content-type")))
        rpc->grpc = grpc_content_type(value);
    else if (str_eq(name, STR("grpc-encoding")))
        on_encoding(rpc, value);
    else if (str_eq(name, STR("grpc-accept-encoding")))
        on_accept_encoding(rpc, value);
    else if (str_eq(name, STR("grpc-timeout")))
        on_timeout_header(rpc, value);
    else if (str_eq(name, STR("user-agent")))
        on_agent(rpc, value);
    else if (rpc->peer->server->authenticate && str_eq(name, STR("authorization")))
        on_authorization(rpc, value);
    else
        rpc_keep_metadata(rpc, name, value);
}

/* Without regard to case; never 0. */
static uint64_t fold(struct str host)
{
    uint64_t folded = 1;

    for (size_t i = 0; i < host.len; i++)
        folded = folded * 31 + (unsigned char)(host.ptr[i] | 0x20);
    return folded ? folded : 1;
}

/* What nghttp2 leaves to us of RFC 9113, 8.3.1: no userinfo, and a Host that is the authority. */
static bool names_one_host(struct peer *peer, struct str name, struct str value)
{
    if (str_eq(name, STR(":authority"))) {
        peer->authority = fold(value);
        return str_find(value, '@') == value.len;
    }
    return !peer->authority || !str_eq(name, STR("host")) || fold(value) == peer->authority;
}

/* Counted when the stream is closed. */
static int malformed(nghttp2_session *session, const struct rpc *rpc)
{
    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, rpc->stream_id,
                                    NGHTTP2_PROTOCOL_ERROR);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len,
                     uint8_t flags unused_arg, void *ctx)
{
    struct peer *peer = ctx;
    struct rpc *rpc = rpc_of(session, frame->hd.stream_id);
    struct str said = str_make(name, name_len), value_said = str_make(value, value_len);
    size_t limit = peer->server->limits.header_list, before;

    if (!rpc)
        return 0;
    before = rpc->header_bytes;
    rpc->header_bytes += (uint32_t)(name_len + value_len + HEADER_OVERHEAD);
    /* A byte may stand for a header of 4 KiB, and nghttp2 looks at all of it: that has an end. */
    if (rpc->header_bytes > PEER_HEADER_LISTS_MAX * limit) {
        too_much(peer, GRPC_LIMIT_HEADER_LIST, "header list far too large");
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (before > limit)
        return 0;
    if (rpc->header_bytes > limit) {
        peer_complain(peer, &peer->server->stats.limit_hits[GRPC_LIMIT_HEADER_LIST],
                      "header list too large");
        rpc_abort(rpc, CODE_RESOURCE_EXHAUSTED,
                  "the headers are longer than %zu bytes: send less metadata", limit);
    } else if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        if (!names_one_host(peer, said, value_said))
            return malformed(session, rpc);
        on_request_header(rpc, said, value_said);
    }
    return 0;
}

/* ---- data ---- */

static bool on_message(void *ctx, struct str message)
{
    struct rpc *rpc = ctx;

    counter_add(&rpc->peer->server->stats.messages_received, 1);
    rpc->messages_received++;
    rpc->received_us = now_of(rpc->peer);
    rpc->handler->on_message(rpc, message);
    return !rpc->finishing;
}

/* Keeps count of the bytes that wait in unfinished messages. */
static enum code count_partial(struct rpc *rpc, enum grpc_limit *ret_limit, struct err *err)
{
    struct peer *peer = rpc->peer;
    struct grpc_server *server = peer->server;
    size_t grown = rpc->reader.body.len - rpc->partial; /* when it shrank, all of this wraps */

    rpc->partial += grown;
    peer->partial += grown;
    server->partial += grown;
    *ret_limit = GRPC_LIMIT_UNFINISHED;
    if (peer->partial > server->limits.unfinished)
        return fail(err, CODE_RESOURCE_EXHAUSTED,
                    "more than %llu bytes of unfinished messages on one connection: end some first",
                    (unsigned long long)server->limits.unfinished);
    *ret_limit = GRPC_LIMIT_UNFINISHED_TOTAL;
    if (server->partial > server->limits.unfinished_total)
        return fail(
            err, CODE_RESOURCE_EXHAUSTED,
            "more than %llu bytes of unfinished messages on one serving thread: try again later",
            (unsigned long long)server->limits.unfinished_total);
    return CODE_OK;
}

void rpc_drop_partial(struct rpc *rpc)
{
    enum grpc_limit limit;

    message_reader_done(&rpc->reader);
    (void)count_partial(rpc, &limit, NULL);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags unused_arg, int32_t stream_id,
                         const uint8_t *ptr, size_t len, void *ctx)
{
    struct peer *peer = ctx;
    struct rpc *rpc = rpc_of(session, stream_id);
    struct grpc_server_stats *stats = &peer->server->stats;
    enum grpc_limit limit = GRPC_LIMIT_MESSAGE;
    struct err err = {0};
    enum code code;

    if (!rpc || !rpc->opened || rpc->finishing || rpc->half_closed)
        return 0;
    code = message_reader_feed(&rpc->reader, str_make(ptr, len), on_message, rpc, &err);
    if (code == CODE_OK)
        code = count_partial(rpc, &limit, &err);
    if (code == CODE_OK)
        return 0;
    rpc_drop_partial(rpc);
    peer_complain(peer,
                  code == CODE_RESOURCE_EXHAUSTED ? &stats->limit_hits[limit]
                                                  : &stats->protocol_errors,
                  err.msg);
    rpc_finish(rpc, code, err.msg);
    return 0;
}

/* ---- frames ---- */

static void on_end_of_frame(struct rpc *rpc, const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        rpc_start(rpc);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        rpc_half_close(rpc);
    else if (frame->hd.type == NGHTTP2_DATA && frame->hd.length <= frame->data.padlen)
        count_control(rpc->peer);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct peer *peer = ctx;
    struct rpc *rpc;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        rpc = rpc_of(session, frame->hd.stream_id);
        if (rpc)
            on_end_of_frame(rpc, frame);
        break;
    case NGHTTP2_RST_STREAM:
        rpc = rpc_of(session, frame->hd.stream_id);
        if (rpc)
            rpc->blamed = true;
        peer->over = frame->hd.stream_id;
        break;
    case NGHTTP2_PING:
        on_ping(peer, frame->hd.flags & NGHTTP2_FLAG_ACK);
        break;
    case NGHTTP2_SETTINGS:
        count_control(peer);
        break;
    default:
        break;
    }
    return 0;
}

/* Whether nghttp2 refused it for the number of streams: the stream, or the connection of a client
 * that has acknowledged our SETTINGS. */
static bool is_stream_too_many(const struct peer *peer, const nghttp2_frame *frame, int error)
{
    return error == NGHTTP2_ERR_REFUSED_STREAM ||
           (error == NGHTTP2_ERR_PROTO && frame->hd.type == NGHTTP2_HEADERS &&
            frame->headers.cat == NGHTTP2_HCAT_REQUEST && frame->hd.stream_id == peer->newest &&
            peer->calls_len >= peer->server->limits.streams);
}

/* A frame that nghttp2 refused: it answers with a reset of the stream, or ends the connection. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *ctx)
{
    struct peer *peer = ctx;
    struct rpc *rpc = frame->hd.stream_id ? rpc_of(session, frame->hd.stream_id) : NULL;

    if (rpc)
        rpc->blamed = true;
    /* grpc-go says goodbye with a last stream id of 2^31-1, which nghttp2 takes for an error. */
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->hd.stream_id == 0 &&
        frame->goaway.error_code == NGHTTP2_NO_ERROR)
        ;
    else if (is_stream_too_many(peer, frame, error))
        peer_complain(peer, &peer->server->stats.limit_hits[GRPC_LIMIT_STREAMS],
                      "too many streams");
    else
        peer_complain(peer, &peer->server->stats.protocol_errors, nghttp2_strerror(error));
    peer->blamed = true;
    if (frame->hd.stream_id != 0)
        count_reset(peer);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error, void *ctx)
{
    struct peer *peer = ctx;
    struct rpc *rpc = rpc_of(session, stream_id);

    if (!rpc)
        return 0;
    /* nghttp2 has reset it, for a content-length that is not true, for one. */
    if (error == NGHTTP2_PROTOCOL_ERROR && !rpc->blamed) {
        peer_complain(peer, &peer->server->stats.protocol_errors, "malformed request");
        count_reset(peer);
    }
    if (error == NGHTTP2_NO_ERROR && rpc->half_closed)
        peer->over = stream_id;
    rpc->dead = true;
    list_remove(&rpc->link);
    list_append(&peer->closed, &rpc->link);
    return 0;
}

void receive_set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

/* nghttp2's own last GOAWAY has no words: one with them goes before it. Who does not read it is not
 * waited for. */
static void end_session(struct peer *peer)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(peer->session);

    if (!peer->ends_us) {
        peer->ends_us = now_of(peer) + PEER_LINGER_US;
        peer_plan_check(peer);
    }
    (void)nghttp2_submit_goaway(peer->session, NGHTTP2_FLAG_NONE, last, peer->verdict,
                                (const uint8_t *)peer->why, strlen(peer->why));
    (void)nghttp2_session_terminate_session(peer->session, peer->verdict);
}

static void put_u32(struct buf *out, uint32_t value)
{
    const char bytes[] = {(char)(value >> 24), (char)(value >> 16), (char)(value >> 8),
                          (char)value};

    (void)buf_append(out, bytes, sizeof(bytes));
}

/* Behind an error that a session does not survive, only freeing it is allowed: the GOAWAY is made by
 * hand, behind the SETTINGS that must be first. */
static void end_without_session(struct peer *peer)
{
    static const char settings[9] = {0, 0, 0, NGHTTP2_SETTINGS};
    struct buf out = BUFFER_INIT(1024);
    size_t len = 8 + strlen(peer->why);

    if (!peer->greeted)
        (void)buf_append(&out, settings, sizeof(settings));
    put_u32(&out, (uint32_t)len << 8 | NGHTTP2_GOAWAY);
    (void)buf_append(&out, "\0\0\0\0", 5); /* no flags; of the connection */
    put_u32(&out, (uint32_t)peer->newest);
    put_u32(&out, peer->verdict);
    (void)buf_add_str(&out, str_of(peer->why));
    if (conn_backlog(peer->conn) == 0)
        conn_writev(peer->conn, &(struct conn_slice){.ptr = out.ptr, .len = out.len}, 1);
    buf_done(&out);
    peer_linger(peer);
}

/* nghttp2 reads no more: there is a reason to tell, or the callback that refused has one. */
static bool condemn_for(struct peer *peer, int error)
{
    if (error == NGHTTP2_ERR_FLOODED)
        too_much(peer, GRPC_LIMIT_CONTROL_FRAMES, "too many answers are asked for");
    else if (error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
        too_much(peer, GRPC_LIMIT_HEADER_LIST, "too many CONTINUATION frames");
    return peer->verdict != 0;
}

bool peer_receive(struct peer *peer, const void *ptr, size_t len)
{
    struct grpc_server *server = peer->server;
    ssize_t taken = nghttp2_session_mem_recv(peer->session, ptr, len);

    peer_reap(peer);
    if (taken < 0 && !condemn_for(peer, (int)taken)) {
        peer_complain(peer, &server->stats.protocol_errors, nghttp2_strerror((int)taken));
        peer_close(peer, CODE_UNAVAILABLE);
        return false;
    }
    if (taken < 0) {
        end_without_session(peer);
        return true;
    }
    if (peer->verdict)
        end_session(peer);
    if (peer_finished(peer)) {
        peer_linger(peer);
        return true;
    }
    if (!list_empty(&peer->ready) || nghttp2_session_want_write(peer->session))
        peer_mark(peer, RPC_WAKE_ANSWER);
    if (conn_backlog(peer->conn) > 0 && !peer->paused &&
        nghttp2_session_get_outbound_queue_size(peer->session) > PEER_OUTBOUND_MAX) {
        peer->paused = true;
        conn_read_pause(peer->conn, true);
    }
    return true;
}
