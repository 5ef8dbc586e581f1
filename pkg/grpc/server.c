#include "grpc/server.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/log.h"
#include "grpc/internal.h"

#define TURN_US 1000
#define UPDATES_PER_TURN_MIN 4 /* updates move on even when answers fill the turn */
#define FULL_LOG_US 1000000
#define SERVER_ID_SHIFT 40     /* calls of one server before ids could meet the next server's */

/* ---- flushing, a turn at a time ---- */

static bool flush_one(struct list *dirty)
{
    struct list *node = list_pop(dirty);

    if (!node)
        return false;
    (void)peer_flush(container_of(node, struct peer, dirty_link));
    return true;
}

static void on_flush(void *ctx)
{
    struct grpc_server *server = ctx;
    struct list *answers = &server->dirty[RPC_WAKE_ANSWER];
    struct list *updates = &server->dirty[RPC_WAKE_UPDATE];
    uint64_t end_us = loop_update_now(server->loop) + server->limits.turn_us;

    while (loop_update_now(server->loop) < end_us && flush_one(answers))
        ;
    for (int i = 0; i < UPDATES_PER_TURN_MIN || loop_update_now(server->loop) < end_us; i++) {
        if (!flush_one(updates))
            break;
    }
    if (!list_empty(answers) || !list_empty(updates))
        deferred_schedule(server->loop, &server->flush);
}

/* ---- time ---- */

/* The wheel is advanced at that time, and not before: a server that has nothing to do sleeps. */
static void sleep_until(struct grpc_server *server, uint64_t due_us)
{
    uint64_t now_us = loop_now_us(server->loop);

    server->wheel_due_us = due_us;
    timer_start(server->wheel_timer, due_us > now_us ? (due_us - now_us) / 1000 : 0);
}

static void on_wheel(void *ctx)
{
    struct grpc_server *server = ctx;
    uint64_t next_us;

    server->wheel_due_us = 0; /* what is set meanwhile is found below */
    wheel_advance(&server->wheel, loop_now_us(server->loop));
    next_us = wheel_next_us(&server->wheel);
    if (next_us == UINT64_MAX)
        server->wheel_due_us = next_us;
    else
        sleep_until(server, next_us);
}

static void wake_at(struct grpc_server *server, uint64_t at_us)
{
    if (at_us < server->wheel_due_us)
        sleep_until(server, at_us);
}

void server_set_timeout(struct grpc_server *server, struct wheel_entry *entry, uint64_t due_us)
{
    wake_at(server, wheel_set(&server->wheel, entry, due_us));
}

void server_set_check(struct grpc_server *server, struct wheel_entry *entry, uint64_t due_us)
{
    wake_at(server, wheel_set_about(&server->wheel, entry, due_us, loop_now_us(server->loop)));
}

/* ---- the life of the server ---- */

static enum code new_nghttp2(struct grpc_server *server, struct err *err)
{
    uint64_t resets = server->limits.resets_per_second;
    nghttp2_option *options;

    if (nghttp2_session_callbacks_new(&server->callbacks) != 0 ||
        nghttp2_option_new(&server->session_options) != 0)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "cannot start HTTP/2: out of memory");
    receive_set_callbacks(server->callbacks);
    send_set_callbacks(server->callbacks);
    options = server->session_options;
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_max_deflate_dynamic_table_size(options, 0);
    nghttp2_option_set_max_reserved_remote_streams(options, 0);
    /* Ours (count_reset) counts more kinds and comes first. */
    nghttp2_option_set_stream_reset_rate_limit(options, 2 * RATE_BURST_SECONDS * resets,
                                               2 * resets);
    return CODE_OK;
}

static uint64_t first_id(void)
{
    static atomic_uint servers;

    return (uint64_t)atomic_fetch_add(&servers, 1) << SERVER_ID_SHIFT;
}

enum code grpc_server_new(const struct grpc_server_options *options,
                          struct grpc_server **ret_server, struct err *err)
{
    struct grpc_server *server = xcalloc(1, sizeof(*server));
    enum code code;

    server->loop = options->loop;
    server->methods = options->methods;
    server->methods_len = options->methods_len;
    server->ctx = options->ctx;
    server->metadata = options->metadata;
    server->limits = options->limits;
    server->healthz = options->healthz;
    server->authenticate = options->authenticate;
    server->identify = options->identify;
    server->release = options->release;
    server->next_id = first_id();
    grpc_limits_fill(&server->limits);
    if (server->limits.turn_us == 0)
        server->limits.turn_us = TURN_US;
    list_init(&server->peers);
    list_init(&server->dirty[RPC_WAKE_ANSWER]);
    list_init(&server->dirty[RPC_WAKE_UPDATE]);
    deferred_init(&server->flush, on_flush, server);
    deferred_init(&server->drained, NULL, NULL);
    server->gate = tls_gate_new(server->loop, server->limits.tls_handshakes, &server->stats.tls);
    grpc_memory_init(&server->memory);
    wheel_init(&server->wheel, loop_now_us(server->loop));
    server->wheel_timer = timer_new(server->loop, on_wheel, server);
    server->wheel_due_us = UINT64_MAX;
    code = new_nghttp2(server, err);
    if (code != CODE_OK)
        grpc_server_free(server);
    else
        *ret_server = server;
    return code;
}

void grpc_server_free(struct grpc_server *server)
{
    if (!server)
        return;
    server->draining = false;
    list_for_each_safe (node, &server->peers)
        peer_close(container_of(node, struct peer, link), CODE_UNAVAILABLE);
    deferred_cancel(&server->flush);
    deferred_cancel(&server->drained);
    timer_free(server->drain_timer);
    timer_free(server->wheel_timer);
    tls_gate_free(server->gate);
    nghttp2_session_callbacks_del(server->callbacks);
    nghttp2_option_del(server->session_options);
    grpc_memory_done(&server->memory);
    free(server);
}

void server_release(const struct grpc_server *server, void *connection)
{
    if (server->release && connection)
        server->release(connection);
}

static void note_full(struct grpc_server *server, const struct address *peer)
{
    char address[ADDRESS_TEXT_MAX];

    if (!log_due(&server->full_logged_us, loop_now_us(server->loop), FULL_LOG_US))
        return;
    address_format(peer, address);
    log_warn(LOG_GRPC, "too many connections: a further one is closed", KV_STR("peer", address),
             KV_U64("connections", server->limits.connections));
}

void grpc_server_adopt(struct grpc_server *server, int fd, const struct address *peer,
                       struct tls *tls, void *connection)
{
    if (counter_get(&server->stats.connections) >= server->limits.connections) {
        counter_add(&server->stats.limit_hits[GRPC_LIMIT_CONNECTIONS], 1);
        note_full(server, peer);
        close(fd);
        server_release(server, connection);
        return;
    }
    peer_new(server, fd, peer, tls, connection);
}

/* ---- lookups ---- */

const struct rpc_method *server_find_method(const struct grpc_server *server, struct str path)
{
    for (size_t i = 0; i < server->methods_len; i++) {
        if (str_eq(server->methods[i].path, path))
            return &server->methods[i];
    }
    return NULL;
}

const char *server_health(const struct grpc_server *server, unsigned *ret_status)
{
    *ret_status = 200;
    return server->healthz ? server->healthz(server->ctx, ret_status) : "ok\n";
}

bool grpc_server_idle(const struct grpc_server *server)
{
    return list_empty(&server->dirty[RPC_WAKE_ANSWER]) &&
           list_empty(&server->dirty[RPC_WAKE_UPDATE]);
}

const struct grpc_server_stats *grpc_server_stats(const struct grpc_server *server)
{
    return &server->stats;
}

void grpc_server_each_call(struct grpc_server *server, void (*visit)(void *ctx, struct rpc *rpc),
                           void *ctx)
{
    list_for_each_safe (peer_node, &server->peers) {
        struct peer *peer = container_of(peer_node, struct peer, link);

        list_for_each (node, &peer->calls) {
            struct rpc *rpc = container_of(node, struct rpc, link);

            if (rpc->opened)
                visit(ctx, rpc);
        }
    }
}
