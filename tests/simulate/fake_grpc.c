/* grpc/server.h: turns of one loop, in which calls are flushed as the real server does it. */
#include "fake_grpc_internal.h"

#define TURN_US 1000
#define UPDATES_PER_TURN_MIN 4

void grpc_server_adopt(struct grpc_server *server, int fd, const struct address *peer,
                       struct tls *tls unused_arg, void *connection)
{
    rpc_wake(rpc_new(server, call_accepted(fd), peer, connection), RPC_WAKE_ANSWER);
}

/* ---- turns ---- */

static uint64_t server_due(void *ctx)
{
    const struct grpc_server *server = ctx;
    uint64_t due = SIM_NEVER;

    list_for_each (link, &server->calls)
        due = min_u64(due, rpc_due(container_of(link, struct rpc, link)));
    return due;
}

static void server_turn(void *ctx)
{
    struct grpc_server *server = ctx;

    list_for_each_safe (link, &server->calls)
        rpc_turn(container_of(link, struct rpc, link));
}

static bool flush_one(struct list *ready)
{
    struct list *link = list_pop(ready);

    if (!link)
        return false;
    rpc_flush(container_of(link, struct rpc, ready_link));
    sim.now_us += sim_rarely(16) ? sim_below(TURN_US) : sim_below(10);
    return true;
}

static void on_flush(void *ctx)
{
    struct grpc_server *server = ctx;
    uint64_t end_us = sim.now_us + TURN_US;

    while (sim.now_us < end_us && flush_one(&server->ready[RPC_WAKE_ANSWER]))
        ;
    for (int i = 0; i < UPDATES_PER_TURN_MIN || sim.now_us < end_us; i++) {
        if (!flush_one(&server->ready[RPC_WAKE_UPDATE]))
            break;
    }
    if (!grpc_server_idle(server))
        deferred_schedule(server->options.loop, &server->flush);
}

/* ---- the server ---- */

static void on_all_drained(void *ctx)
{
    struct grpc_server *server = ctx;

    server->on_drained(server->drained_ctx);
}

/* Nobody passes a limit here. */
void grpc_limits_fill(struct grpc_limits *limits unused_arg) {}

enum code grpc_server_new(const struct grpc_server_options *options,
                          struct grpc_server **ret_server, struct err *err unused_arg)
{
    struct grpc_server *server = xcalloc(1, sizeof(*server));

    server->options = *options;
    server->io = (struct loop_io){.due = server_due, .turn = server_turn, .ctx = server};
    loop_io_join(options->loop, &server->io);
    list_init(&server->calls);
    list_init(&server->ready[RPC_WAKE_ANSWER]);
    list_init(&server->ready[RPC_WAKE_UPDATE]);
    deferred_init(&server->flush, on_flush, server);
    deferred_init(&server->drained, on_all_drained, server);
    *ret_server = server;
    return CODE_OK;
}

void grpc_server_free(struct grpc_server *server)
{
    if (!server)
        return;
    server->draining = false;
    list_for_each_safe (link, &server->calls)
        rpc_release(container_of(link, struct rpc, link), CODE_UNAVAILABLE);
    deferred_cancel(&server->flush);
    deferred_cancel(&server->drained);
    loop_io_leave(&server->io);
    free(server);
}

void grpc_server_drain(struct grpc_server *server, uint64_t spread_ms unused_arg,
                       uint64_t deadline_ms unused_arg, void (*on_drained)(void *ctx), void *ctx)
{
    server->draining = true;
    server->on_drained = on_drained;
    server->drained_ctx = ctx;
    list_for_each_safe (link, &server->calls)
        rpc_finish(container_of(link, struct rpc, link), CODE_OK, NULL);
    if (list_empty(&server->calls))
        deferred_schedule(server->options.loop, &server->drained);
}

bool grpc_server_idle(const struct grpc_server *server)
{
    return list_empty(&server->ready[RPC_WAKE_ANSWER]) &&
           list_empty(&server->ready[RPC_WAKE_UPDATE]);
}

const struct grpc_server_stats *grpc_server_stats(const struct grpc_server *server)
{
    return &server->stats;
}

void grpc_server_each_call(struct grpc_server *server, void (*visit)(void *ctx, struct rpc *rpc),
                           void *ctx)
{
    list_for_each (link, &server->calls)
        visit(ctx, container_of(link, struct rpc, link));
}
