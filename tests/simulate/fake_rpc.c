/* grpc/rpc.h: the server's end of a call, from its first turn to its last. */
#include "fake_grpc_internal.h"
#include "grpc/facts.h"

#define MESSAGES_PER_FLUSH 3

/* ---- a call, as its handler sees it ---- */

void rpc_out_add(struct rpc_out *out, struct blob *blob)
{
    out->blobs = xgrow(out->blobs, &out->blobs_cap, out->blobs_len, sizeof(struct blob *));
    out->blobs[out->blobs_len++] = blob;
}

void rpc_wake(struct rpc *rpc, enum rpc_wake wake)
{
    if (rpc->stalled && !rpc->finishing)
        return; /* it is asked again once its message is out */
    if (list_empty(&rpc->ready_link))
        list_append(&rpc->server->ready[wake], &rpc->ready_link);
    deferred_schedule(rpc->server->options.loop, &rpc->server->flush);
}

void rpc_finish(struct rpc *rpc, enum code code, const char *message)
{
    if (rpc->finishing && (rpc->code != CODE_OK || code == CODE_OK))
        return;
    if (code != CODE_OK)
        sim_trace("the server ends call %llu: %s", (unsigned long long)rpc->id, message);
    rpc->finishing = true;
    rpc->code = code;
    rpc_wake(rpc, RPC_WAKE_ANSWER);
}

void rpc_reply(struct rpc *rpc, const void *ptr, size_t len)
{
    (void)buf_append(&rpc->out.head, ptr, len);
    rpc->stalled = true;
    rpc_finish(rpc, CODE_OK, NULL);
}

void rpc_set_state(struct rpc *rpc, void *state)
{
    rpc->state = state;
}

const void *rpc_handler_ctx(const struct rpc *rpc)
{
    return rpc->handler->ctx;
}

void *rpc_state(const struct rpc *rpc)
{
    return rpc->state;
}

void *rpc_server_ctx(const struct rpc *rpc)
{
    return rpc->server->options.ctx;
}

const struct address *rpc_peer(const struct rpc *rpc)
{
    return &rpc->peer;
}

const struct service_account *rpc_account(const struct rpc *rpc unused_arg)
{
    return NULL;
}

void *rpc_connection(const struct rpc *rpc)
{
    return rpc->connection;
}

uint64_t rpc_id(const struct rpc *rpc)
{
    return rpc->id;
}

uint64_t rpc_opened_us(const struct rpc *rpc)
{
    return rpc->opened_us;
}

uint64_t rpc_bytes_sent(const struct rpc *rpc)
{
    return rpc->bytes_sent;
}

/* Clients of the simulator have one call a connection, and no windows. */
void rpc_facts(const struct rpc *rpc, struct call_facts *ret_facts)
{
    *ret_facts = (struct call_facts){.agent = STR("simulator"),
                                     .opened_us = rpc->opened_us,
                                     .bytes_sent = rpc->bytes_sent,
                                     .flying = rpc->stalled};
}

void rpc_connection_facts(const struct rpc *rpc, struct connection_facts *ret_facts)
{
    *ret_facts = (struct connection_facts){.opened_us = rpc->opened_us, .calls = 1};
}

bool rpc_stalled(const struct rpc *rpc)
{
    return rpc->stalled;
}

struct str rpc_path(const struct rpc *rpc)
{
    return rpc->call ? rpc->call->path : STR("");
}

/* ---- the life of a call ---- */

static void clear_out(struct rpc_out *out)
{
    for (size_t i = 0; i < out->blobs_len; i++)
        blob_unref(out->blobs[i]);
    out->blobs_len = 0;
    buf_reset(&out->head);
}

static void count(struct grpc_server *server, uint64_t change)
{
    counter_add(&server->stats.calls, change);
    counter_add(&server->stats.connections, change);
}

static const struct rpc_handler *handler_of(const struct grpc_server *server, struct str path)
{
    for (size_t i = 0; i < server->options.methods_len; i++) {
        if (str_eq(server->options.methods[i].path, path))
            return server->options.methods[i].handler;
    }
    return NULL;
}

struct rpc *rpc_new(struct grpc_server *server, struct call *call, const struct address *peer,
                    void *connection)
{
    static uint64_t next_id;
    struct rpc *rpc = xcalloc(1, sizeof(*rpc));

    rpc->server = server;
    rpc->call = call;
    rpc->peer = *peer;
    rpc->connection = connection;
    rpc->id = ++next_id;
    rpc->opened_us = loop_now_us(server->options.loop);
    list_init(&rpc->ready_link);
    buf_init(&rpc->out.head, RPC_REPLY_MAX);
    rpc->handler = handler_of(server, call ? call->path : server->options.methods[0].path);
    if (call)
        call->rpc = rpc;
    list_append(&server->calls, &rpc->link);
    count(server, 1);
    if (rpc->handler->on_open)
        rpc->handler->on_open(rpc);
    return rpc;
}

void rpc_release(struct rpc *rpc, enum code code)
{
    struct grpc_server *server = rpc->server;

    list_remove(&rpc->link);
    list_remove(&rpc->ready_link);
    count(server, (uint64_t)-1);
    if (rpc->call)
        call_end(rpc->call, code);
    if (rpc->handler->on_close)
        rpc->handler->on_close(rpc, code);
    if (server->options.release)
        server->options.release(rpc->connection);
    clear_out(&rpc->out);
    buf_done(&rpc->out.head);
    free(rpc->out.blobs);
    free(rpc);
    if (server->draining && list_empty(&server->calls))
        deferred_schedule(server->options.loop, &server->drained);
}

/* ---- sending ---- */

/* What was pulled goes to the client, if there is room; false: there is none. */
static bool send_out(struct rpc *rpc)
{
    struct buf whole = BUFFER_INIT(RPC_REPLY_MAX);
    struct message *message;

    if (rpc->call && call_is_full(rpc->call))
        return false;
    (void)buf_add_str(&whole, buf_str(&rpc->out.head));
    for (size_t i = 0; i < rpc->out.blobs_len; i++)
        (void)buf_add_str(&whole, blob_str(rpc->out.blobs[i]));
    clear_out(&rpc->out);
    rpc->stalled = false;
    rpc->bytes_sent += whole.len;
    counter_add(&rpc->server->stats.messages_sent, 1);
    if (rpc->call) {
        message = message_new(whole.ptr, whole.len);
        message->delivery.pulled_us = rpc->pulled_us;
        message->delivery.fresh_us = rpc->fresh_us;
        message->delivery.heard = rpc->pulled_heard;
        call_tell(rpc->call, message);
    }
    buf_done(&whole);
    if (rpc->handler->on_written)
        rpc->handler->on_written(rpc);
    return true;
}

static bool pull(struct rpc *rpc)
{
    if (!rpc->handler->on_pull || !rpc->handler->on_pull(rpc, &rpc->out))
        return false;
    rpc->stalled = true;
    rpc->pulled_us = sim.now_us;
    rpc->pulled_heard = rpc->heard;
    rpc->fresh_us = loop_actor(rpc->server->options.loop)->idle_us;
    return true;
}

void rpc_flush(struct rpc *rpc)
{
    for (size_t i = 0; i < MESSAGES_PER_FLUSH; i++) {
        if (rpc->finishing && rpc->code != CODE_OK) {
            rpc_release(rpc, rpc->code);
            return;
        }
        if (rpc->stalled && !send_out(rpc))
            return;
        if (!pull(rpc)) {
            if (rpc->finishing)
                rpc_release(rpc, CODE_OK);
            return;
        }
    }
    if (send_out(rpc))
        rpc_wake(rpc, RPC_WAKE_UPDATE);
}

/* ---- what comes in ---- */

uint64_t rpc_due(const struct rpc *rpc)
{
    if (!rpc->call || (rpc->stalled && !call_is_full(rpc->call)))
        return 0;
    return messages_due(&rpc->call->up);
}

static void receive(struct rpc *rpc)
{
    struct message *message = container_of(list_pop(&rpc->call->up), struct message, link);

    if (!rpc->finishing && message->half_close && rpc->handler->on_half_close)
        rpc->handler->on_half_close(rpc);
    else if (message->half_close)
        rpc_finish(rpc, CODE_OK, NULL);
    else if (!rpc->finishing)
        rpc->handler->on_message(rpc, message->delivery.bytes);
    rpc->heard++;
    free(message);
}

void rpc_turn(struct rpc *rpc)
{
    if (!rpc->call) {
        rpc_release(rpc, CODE_CANCELLED);
        return;
    }
    if (rpc->stalled && send_out(rpc))
        rpc_wake(rpc, RPC_WAKE_UPDATE);
    if (!rpc->polled) {
        rpc->polled = true;
        return;
    }
    if (messages_due(&rpc->call->up) <= sim.now_us && !sim_rarely(4))
        receive(rpc);
}
