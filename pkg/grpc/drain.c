/*
 * Graceful shutdown, of a server or of one connection. Each connection gets two GOAWAYs: the first asks the client to open no more
 * streams, the second, once the client has answered a ping and thus seen the first, names the last
 * stream that is processed. So no call is lost on the way. Streaming calls (those that are pulled)
 * end with OK; unary calls finish by themselves.
 */
#include "base/random.h"
#include "grpc/internal.h"

static uint64_t now_of(const struct peer *peer)
{
    return loop_now_us(peer->server->loop);
}

void peer_start_drain(struct peer *peer, uint64_t due_us)
{
    if (peer->state != PEER_HTTP2 || peer->drain != DRAIN_NONE)
        return;
    peer->drain = DRAIN_WAITING;
    peer->due_us = due_us;
    peer_plan_check(peer);
}

static void end_streaming_calls(struct peer *peer)
{
    list_for_each_safe (node, &peer->calls) {
        struct rpc *rpc = container_of(node, struct rpc, link);

        if (rpc->opened && rpc->handler->on_pull)
            rpc_finish(rpc, CODE_OK, NULL);
    }
}

static void notice(struct peer *peer)
{
    peer->drain = DRAIN_NOTICED;
    peer->due_us = now_of(peer) + PEER_DRAIN_NOTICE_US;
    (void)nghttp2_submit_shutdown_notice(peer->session);
    (void)nghttp2_submit_ping(peer->session, NGHTTP2_FLAG_NONE, NULL);
    end_streaming_calls(peer);
    peer_mark(peer, RPC_WAKE_ANSWER);
}

static void finish(struct peer *peer)
{
    peer->drain = DRAIN_FINAL;
    (void)nghttp2_submit_goaway(peer->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(peer->session),
                                NGHTTP2_NO_ERROR, NULL, 0);
    end_streaming_calls(peer);
    peer_mark(peer, RPC_WAKE_ANSWER);
}

void peer_ping_answered(struct peer *peer)
{
    if (peer->drain == DRAIN_NOTICED)
        finish(peer);
}

void peer_check_drain(struct peer *peer)
{
    uint64_t now = now_of(peer);

    if (peer->drain == DRAIN_WAITING && now >= peer->due_us)
        notice(peer);
    else if (peer->drain == DRAIN_NOTICED && now >= peer->due_us)
        finish(peer);
}

void rpc_drain_connection(struct rpc *rpc, uint64_t delay_ms)
{
    peer_start_drain(rpc->peer, now_of(rpc->peer) + delay_ms * 1000);
}

bool rpc_draining(const struct rpc *rpc)
{
    return rpc->peer->drain != DRAIN_NONE;
}

/* ---- the server ---- */

static void on_all_gone(void *ctx)
{
    struct grpc_server *server = ctx;

    timer_stop(server->drain_timer);
    if (server->on_drained)
        server->on_drained(server->drained_ctx);
}

static void on_drain_deadline(void *ctx)
{
    struct grpc_server *server = ctx;

    list_for_each_safe (node, &server->peers)
        peer_close(container_of(node, struct peer, link), CODE_UNAVAILABLE);
}

void server_forget_peer(struct grpc_server *server)
{
    counter_set(&server->stats.connections, counter_get(&server->stats.connections) - 1);
    if (server->draining && list_empty(&server->peers))
        deferred_schedule(server->loop, &server->drained);
}

static void drain_peer(struct grpc_server *server, struct peer *peer, uint64_t spread_ms)
{
    uint64_t delay_us = spread_ms ? random_range(0, spread_ms * 1000) : 0;

    if (peer->state == PEER_SNIFFING)
        peer_close(peer, CODE_UNAVAILABLE); /* it has asked for nothing */
    else
        peer_start_drain(peer, loop_now_us(server->loop) + delay_us);
}

void grpc_server_drain(struct grpc_server *server, uint64_t spread_ms, uint64_t deadline_ms,
                       void (*on_drained)(void *ctx), void *ctx)
{
    server->draining = true;
    server->on_drained = on_drained;
    server->drained_ctx = ctx;
    deferred_init(&server->drained, on_all_gone, server);
    server->drain_timer = timer_new(server->loop, on_drain_deadline, server);
    timer_start(server->drain_timer, deadline_ms);
    list_for_each_safe (node, &server->peers)
        drain_peer(server, container_of(node, struct peer, link), spread_ms);
    if (list_empty(&server->peers))
        deferred_schedule(server->loop, &server->drained);
}
