/* One connection of the server: from its first bytes to its last. */
#include <unistd.h>

#include "base/log.h"
#include "grpc/http1.h"
#include "grpc/internal.h"

#define PREFACE NGHTTP2_CLIENT_MAGIC
#define PREFACE_LEN NGHTTP2_CLIENT_MAGIC_LEN
#define HANDSHAKE_LOG_US 1000000
#define COMPLAINTS_PER_SECOND 1

static uint64_t now_of(const struct peer *peer)
{
    return loop_now_us(peer->server->loop);
}

/* ---- the end ---- */

static void release_calls(struct list *calls, enum code code)
{
    while (!list_empty(calls)) {
        struct rpc *rpc = container_of(calls->next, struct rpc, link);

        if (!rpc->finishing) {
            rpc->finishing = true;
            rpc->code = code;
        }
        rpc_release(rpc);
    }
}

/* Takes the connection out of everything that could call it. */
static void detach(struct peer *peer)
{
    struct counter *stalled = &peer->server->stats.stalled_bytes;

    list_remove(&peer->dirty_link);
    wheel_remove(&peer->server->wheel, &peer->check);
    counter_set(stalled, counter_get(stalled) - peer->stalled);
    peer->stalled = 0;
}

void peer_close(struct peer *peer, enum code code)
{
    struct grpc_server *server = peer->server;

    release_calls(&peer->closed, code);
    release_calls(&peer->calls, code);
    detach(peer);
    list_remove(&peer->link);
    nghttp2_session_del(peer->session);
    conn_free(peer->conn);
    buf_done(&peer->input);
    server_release(server, peer->connection);
    free(peer);
    server_forget_peer(server);
}

void peer_linger(struct peer *peer)
{
    if (peer->state == PEER_LINGERING)
        return;
    release_calls(&peer->closed, CODE_UNAVAILABLE);
    release_calls(&peer->calls, CODE_UNAVAILABLE);
    detach(peer);
    nghttp2_session_del(peer->session);
    peer->session = NULL;
    peer->state = PEER_LINGERING;
    peer->due_us = now_of(peer) + PEER_LINGER_US;
    if (peer->paused)
        conn_read_pause(peer->conn, false);
    conn_shutdown(peer->conn);
    peer_plan_check(peer);
}

void peer_complain(struct peer *peer, struct counter *counter, const char *why)
{
    char address[ADDRESS_TEXT_MAX];

    counter_add(counter, 1);
    if (peer->logged || !log_enabled(LOG_LEVEL_WARN) ||
        !rate_take(&peer->server->complaints, now_of(peer), COMPLAINTS_PER_SECOND))
        return;
    peer->logged = true;
    address_format(conn_peer(peer->conn), address);
    log_warn(LOG_GRPC, "client misbehaves; further faults of this connection are only counted",
             KV_STR("peer", address), KV_STR("fault", why));
}

void peer_condemn(struct peer *peer, uint32_t h2_error, struct counter *counter, const char *why)
{
    if (peer->verdict)
        return;
    peer->verdict = h2_error;
    peer->why = why;
    peer->blamed = true;
    peer_complain(peer, counter, why);
}

bool peer_finished(const struct peer *peer)
{
    return !nghttp2_session_want_read(peer->session) && !nghttp2_session_want_write(peer->session);
}

static void update_stalled(struct peer *peer)
{
    struct counter *gauge = &peer->server->stats.stalled_bytes;
    size_t now = peer->pinned + conn_backlog(peer->conn);

    if (now == peer->stalled)
        return;
    counter_set(gauge, counter_get(gauge) + now - peer->stalled);
    peer->stalled = now;
}

void peer_reap(struct peer *peer)
{
    while (!list_empty(&peer->closed))
        rpc_release(container_of(peer->closed.next, struct rpc, link));
    update_stalled(peer);
}

/* ---- the first bytes ---- */

static bool submit_settings(struct peer *peer)
{
    const struct grpc_limits *limits = &peer->server->limits;
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)limits->streams},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->header_list},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };

    return nghttp2_submit_settings(peer->session, NGHTTP2_FLAG_NONE, settings,
                                   ARRAY_LEN(settings)) == 0;
}

static bool start_http2(struct peer *peer)
{
    struct grpc_server *server = peer->server;

    if (grpc_memory_new_session(&server->memory, server->callbacks, server->session_options, peer,
                                &peer->session) != 0)
        return false;
    if (!submit_settings(peer))
        return false;
    peer->state = PEER_HTTP2;
    peer_plan_check(peer);
    if (server->draining)
        peer_start_drain(peer, now_of(peer));
    return true;
}

void peer_grow_lean(struct peer *peer)
{
    const nghttp2_settings_entry none = {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 0};

    if (!peer->lean)
        (void)nghttp2_submit_settings(peer->session, NGHTTP2_FLAG_NONE, &none, 1);
    peer->lean = true;
}

static void answer_http1(struct peer *peer, const struct http1_request *request)
{
    unsigned status = 405;
    const char *text = "this port speaks gRPC (HTTP/2), and GET or POST /healthz in HTTP/1.1\n";
    struct buf answer;

    if (!str_eq(request->path, STR("/healthz")))
        status = 404;
    else if (request->asks)
        text = server_health(peer->server, &status);
    buf_init(&answer, HTTP1_REQUEST_MAX);
    http1_answer(&answer, status, text, request->head);
    conn_writev(peer->conn, &(struct conn_slice){.ptr = answer.ptr, .len = answer.len}, 1);
    buf_done(&answer);
    peer_linger(peer);
}

static void sniff_http1(struct peer *peer)
{
    struct http1_request request = {0};
    enum http1_state state = http1_parse(buf_str(&peer->input), &request);

    if (state == HTTP1_INCOMPLETE)
        return;
    if (state == HTTP1_BROKEN) {
        peer_complain(peer, &peer->server->stats.protocol_errors, "neither HTTP/2 nor HTTP/1.1");
        peer_close(peer, CODE_UNAVAILABLE);
        return;
    }
    answer_http1(peer, &request);
}

/* The preface is whole; `rest` came behind it, in the same read as its end. */
static void on_preface(struct peer *peer, struct str rest)
{
    buf_done(&peer->input);
    if (!conn_may_http2(peer->conn)) {
        peer_complain(peer, &peer->server->stats.protocol_errors,
                      "HTTP/2 over TLS, where HTTP/1.1 was agreed on");
        peer_close(peer, CODE_UNAVAILABLE);
        return;
    }
    if (!start_http2(peer)) {
        peer_close(peer, CODE_UNAVAILABLE);
        return;
    }
    if (peer_receive(peer, PREFACE, PREFACE_LEN) && peer->state == PEER_HTTP2 && rest.len > 0)
        (void)peer_receive(peer, rest.ptr, rest.len);
}

static bool is_preface(struct str bytes, size_t off)
{
    return bytes.len <= PREFACE_LEN - off &&
           (bytes.len == 0 || memcmp(bytes.ptr, &PREFACE[off], bytes.len) == 0);
}

/* Of HTTP/2 only the preface is kept, whatever comes with it: the session takes the rest straight
 * from the read. */
static void on_first_bytes(struct peer *peer, struct str bytes)
{
    struct str kept = buf_str(&peer->input);

    if (is_preface(kept, 0)) {
        size_t missing = PREFACE_LEN - kept.len;

        if (is_preface(str_slice(bytes, 0, missing), kept.len)) {
            if (bytes.len >= missing)
                on_preface(peer, str_slice(bytes, missing, bytes.len));
            else
                (void)buf_add_str(&peer->input, bytes);
            return;
        }
    }
    (void)buf_add_str(&peer->input, str_slice(bytes, 0, HTTP1_REQUEST_MAX - kept.len));
    sniff_http1(peer);
}

/* ---- events of the connection ---- */

static void on_data(void *ctx, const void *ptr, size_t len)
{
    struct peer *peer = ctx;

    counter_add(&peer->server->stats.bytes_received, len);
    peer->heard_us = now_of(peer);
    if (peer->state == PEER_SNIFFING)
        on_first_bytes(peer, str_make(ptr, len));
    else if (peer->state == PEER_HTTP2)
        (void)peer_receive(peer, ptr, len);
}

static void on_drained(void *ctx)
{
    struct peer *peer = ctx;

    peer->backlog = 0;
    if (peer->state != PEER_HTTP2)
        return;
    if (peer->paused) {
        peer->paused = false;
        conn_read_pause(peer->conn, false);
    }
    peer_after_write(peer, false);
    peer_mark(peer, RPC_WAKE_UPDATE);
}

/* Counted at the gate. Clients whose handshakes fail come in herds, and again. */
static void log_handshake(struct peer *peer, const char *reason)
{
    struct grpc_server *server = peer->server;
    char address[ADDRESS_TEXT_MAX];

    if (!log_due(&server->tls_logged_us, now_of(peer), HANDSHAKE_LOG_US))
        return;
    address_format(conn_peer(peer->conn), address);
    log_warn(LOG_GRPC, "a client's connection failed; others are only counted for a second",
             KV_STR("peer", address), KV_STR("fault", reason));
}

static void on_closed(void *ctx, enum code code, const char *reason)
{
    struct peer *peer = ctx;

    if (code == CODE_UNAUTHENTICATED)
        log_handshake(peer, reason);
    else if (code == CODE_DATA_LOSS)
        peer_complain(peer, &peer->server->stats.protocol_errors, reason);
    else if (code != CODE_OK)
        counter_add(&peer->server->stats.connections_broken, 1);
    peer_close(peer, CODE_CANCELLED);
}

void peer_mark(struct peer *peer, enum rpc_wake wake)
{
    struct grpc_server *server = peer->server;

    if (peer->state != PEER_HTTP2)
        return;
    if (!list_empty(&peer->dirty_link)) {
        if (peer->dirty <= wake)
            return;
        list_remove(&peer->dirty_link);
    }
    peer->dirty = wake;
    list_append(&server->dirty[wake], &peer->dirty_link);
    deferred_schedule(server->loop, &server->flush);
}

/* ---- time ---- */

void peer_plan_check(struct peer *peer)
{
    const struct grpc_limits *limits = &peer->server->limits;
    uint64_t due = 0;

    if (peer->state == PEER_SNIFFING)
        due = peer->opened_us + limits->handshake_ms * 1000;
    else if (peer->state == PEER_LINGERING)
        due = peer->due_us;
    else if (peer->pinged_us)
        due = peer->pinged_us + limits->keepalive_timeout_ms * 1000;
    else
        due = peer->heard_us + limits->keepalive_ms * 1000;
    if (peer->state == PEER_HTTP2 && peer->stalled > 0)
        due = min_u64(due, peer_watch_due(peer, now_of(peer)));
    if (peer->drain == DRAIN_WAITING || peer->drain == DRAIN_NOTICED)
        due = min_u64(due, peer->due_us);
    if (peer->ends_us)
        due = min_u64(due, peer->ends_us);
    server_set_check(peer->server, &peer->check, due);
}

/* False: the peer is dead. */
static bool check_alive(struct peer *peer, uint64_t now)
{
    const struct grpc_limits *limits = &peer->server->limits;

    if (peer->paused)
        return true; /* we do not listen; peer_stuck() watches */
    if (peer->pinged_us && peer->heard_us >= peer->pinged_us)
        peer->pinged_us = 0;
    if (peer->pinged_us)
        return now - peer->pinged_us < limits->keepalive_timeout_ms * 1000;
    if (now - peer->heard_us >= limits->keepalive_ms * 1000) {
        peer->pinged_us = now;
        (void)nghttp2_submit_ping(peer->session, NGHTTP2_FLAG_NONE, NULL);
        peer_mark(peer, RPC_WAKE_UPDATE);
    }
    return true;
}

/* Which of its limits, by peer_check_messages(). */
static enum grpc_limit pinned_too_much(const struct peer *peer)
{
    return peer->late > peer->server->limits.pinned ? GRPC_LIMIT_PINNED : GRPC_LIMIT_PINNED_TOTAL;
}

static void on_check(struct wheel_entry *entry)
{
    struct peer *peer = container_of(entry, struct peer, check);
    struct grpc_server_stats *stats = &peer->server->stats;
    uint64_t now = now_of(peer);

    if (peer->state == PEER_LINGERING && conn_backlog(peer->conn) > 0 && !peer_stuck(peer, now)) {
        peer->due_us = now + PEER_LINGER_US; /* our last bytes are still on their way */
        peer_plan_check(peer);
        return;
    }
    if (peer->state != PEER_HTTP2) {
        if (peer->state == PEER_SNIFFING)
            peer_complain(peer, &stats->limit_hits[GRPC_LIMIT_HANDSHAKE],
                          conn_is_open(peer->conn) ? "no HTTP/2 preface in time"
                                                   : "no TLS handshake in time");
        peer_close(peer, CODE_UNAVAILABLE);
        return;
    }
    if (peer->ends_us && now >= peer->ends_us) {
        peer_close(peer, CODE_UNAVAILABLE);
        return;
    }
    if (peer_stuck(peer, now)) {
        peer_complain(peer, &stats->limit_hits[GRPC_LIMIT_STALLED], "does not read");
        peer_close(peer, CODE_UNAVAILABLE);
        return;
    }
    if (!peer_check_messages(peer, now)) {
        peer_complain(peer, &stats->limit_hits[pinned_too_much(peer)],
                      "leaves too many bytes unread");
        peer_close(peer, CODE_RESOURCE_EXHAUSTED);
        return;
    }
    if (!check_alive(peer, now)) {
        counter_add(&stats->keepalive_closed, 1);
        peer_close(peer, CODE_UNAVAILABLE);
        return;
    }
    peer_check_drain(peer);
    peer_plan_check(peer);
}

/* ---- the beginning ---- */

static void init_lists(struct peer *peer)
{
    list_init(&peer->link);
    list_init(&peer->dirty_link);
    list_init(&peer->calls);
    list_init(&peer->ready);
    list_init(&peer->written);
    list_init(&peer->closed);
}

void peer_new(struct grpc_server *server, int fd, const struct address *address, struct tls *tls,
              void *connection)
{
    static const struct conn_handler handler = {on_data, on_drained, on_closed};
    struct peer *peer = xcalloc(1, sizeof(*peer));
    struct err err = {0};

    peer->server = server;
    peer->connection = connection;
    peer->opened_us = loop_now_us(server->loop);
    peer->heard_us = peer->opened_us;
    init_lists(peer);
    wheel_entry_init(&peer->check, on_check);
    buf_init(&peer->input, HTTP1_REQUEST_MAX);
    if (conn_new(server->loop, fd, address, &handler, peer, &peer->conn, &err) != CODE_OK) {
        log_warn(LOG_GRPC, "cannot serve a connection", KV_ERR(&err));
        free(peer);
        server_release(server, connection);
        return;
    }
    if (tls)
        conn_start_tls(peer->conn, tls, NULL, server->gate);
    list_append(&server->peers, &peer->link);
    counter_add(&server->stats.connections_total, 1);
    counter_set(&server->stats.connections, counter_get(&server->stats.connections) + 1);
    peer_plan_check(peer);
}
