#include "fake_grpc.h"

#include "fake_loop.h"
#include "grpc/server.h"
#include "net/listener.h"

#define FD_FIRST (1 << 20) /* no descriptor of this process */
#define LATENCY_US 300
#define TURN_US 1000
#define UPDATES_PER_TURN_MIN 4
#define MESSAGES_PER_FLUSH 3

struct message {
    struct list link;
    uint64_t due_us;
    bool half_close;
    struct delivery delivery;
    size_t len;
    char bytes[];
};

/* The client's end. */
struct call {
    struct list link;
    int fd;
    struct address peer;
    struct str path;
    struct rpc *rpc; /* the server's end; NULL: not yet accepted, or over */
    bool over;       /* the server's end is gone */
    struct list up, down;
    size_t down_len, room, sent;
    struct message *last; /* what was read last */
};

struct rpc {
    struct list link;       /* server.calls */
    struct list ready_link; /* server.ready[] */
    struct grpc_server *server;
    struct call *call; /* NULL: the client is gone */
    const struct rpc_handler *handler;
    void *state, *connection;
    struct address peer;
    uint64_t id, opened_us, bytes_sent;
    bool finishing, stalled;
    enum code code;
    struct rpc_out out;
    /* of the message in `out`, as in struct delivery */
    uint64_t pulled_us, fresh_us;
    size_t pulled_heard, heard;
};

struct grpc_server {
    struct grpc_server_options options;
    struct grpc_server_stats stats;
    struct loop_io io;
    struct list calls;
    struct list ready[2]; /* by enum rpc_wake */
    struct deferred flush, drained;
    bool draining;
    void (*on_drained)(void *ctx);
    void *drained_ctx;
};

struct listener {
    struct loop_io io;
    struct address address;
    listener_accept_fn *on_accept;
    void *ctx;
};

static struct list calls = {&calls, &calls};
static struct listener *open_listener;
static int next_fd = FD_FIRST;
static uint64_t next_id;

/* ---- the client's end ---- */

static struct message *message_new(const void *ptr, size_t len)
{
    struct message *message = xcalloc(1, sizeof(*message) + len);

    list_init(&message->link);
    message->due_us = sim.now_us + sim_below(LATENCY_US);
    message->len = len;
    if (len > 0)
        memcpy(message->bytes, ptr, len);
    message->delivery.bytes = str_make(message->bytes, len);
    return message;
}

/* Messages do not overtake each other. */
static void message_add(struct list *queue, struct message *message)
{
    if (!list_empty(queue))
        message->due_us =
            max_u64(message->due_us, container_of(queue->prev, struct message, link)->due_us);
    list_append(queue, &message->link);
}

static void messages_free(struct list *queue)
{
    struct list *link;

    while ((link = list_pop(queue)))
        free(container_of(link, struct message, link));
}

static uint64_t messages_due(const struct list *queue)
{
    return list_empty(queue) ? SIM_NEVER : container_of(queue->next, struct message, link)->due_us;
}

struct call *call_open(const struct address *peer, struct str path)
{
    struct call *call;

    if (!open_listener)
        return NULL;
    call = xcalloc(1, sizeof(*call));
    call->fd = next_fd++;
    call->peer = *peer;
    call->path = path;
    call->room = 1 + sim_below(CALL_ROOM_MAX);
    list_init(&call->up);
    list_init(&call->down);
    list_append(&calls, &call->link);
    return call;
}

void call_drop(struct call *call)
{
    if (!call)
        return;
    if (call->rpc)
        call->rpc->call = NULL;
    list_remove(&call->link);
    messages_free(&call->up);
    messages_free(&call->down);
    free(call->last);
    free(call);
}

size_t call_send(struct call *call, const void *ptr, size_t len)
{
    message_add(&call->up, message_new(ptr, len));
    return ++call->sent;
}

void call_half_close(struct call *call)
{
    struct message *message = message_new(NULL, 0);

    message->half_close = true;
    message_add(&call->up, message);
}

uint64_t call_due(const struct call *call)
{
    return messages_due(&call->down);
}

bool call_read(struct call *call, struct delivery *ret_delivery)
{
    free(call->last);
    call->last = NULL;
    if (call_due(call) > sim.now_us)
        return false;
    call->last = container_of(list_pop(&call->down), struct message, link);
    call->down_len--;
    *ret_delivery = call->last->delivery;
    return true;
}

bool call_settled(const struct call *call, uint64_t *ret_fresh_us)
{
    if (!call->rpc || call->rpc->stalled || !list_empty(&call->up) || !list_empty(&call->down))
        return false;
    *ret_fresh_us = loop_actor(call->rpc->server->options.loop)->idle_us;
    return true;
}

size_t calls_open(void)
{
    size_t len = 0;

    list_for_each (link, &calls)
        len++;
    return len;
}

static void tell_end(struct call *call, enum code code)
{
    struct message *message = message_new(NULL, 0);

    message->delivery.ended = true;
    message->delivery.code = code;
    call->over = true;
    call->rpc = NULL;
    call->down_len++;
    message_add(&call->down, message);
}

/* ---- the listener ---- */

static struct call *unaccepted(void)
{
    list_for_each (link, &calls) {
        struct call *call = container_of(link, struct call, link);

        if (call->fd > 0)
            return call;
    }
    return NULL;
}

static uint64_t listener_due(void *ctx unused_arg)
{
    return unaccepted() ? 0 : SIM_NEVER;
}

/* Accepted descriptors are negative from then on. */
static void listener_turn(void *ctx)
{
    struct listener *listener = ctx;
    struct call *call;

    while ((call = unaccepted())) {
        call->fd = -call->fd;
        listener->on_accept(listener->ctx, -call->fd, &call->peer);
    }
}

enum code listener_new(struct loop *loop, const struct address *address,
                       listener_accept_fn *on_accept, void *ctx, struct listener **ret_listener,
                       struct err *err unused_arg)
{
    struct listener *listener = xcalloc(1, sizeof(*listener));

    listener->address = *address;
    listener->on_accept = on_accept;
    listener->ctx = ctx;
    listener->io = (struct loop_io){.due = listener_due, .turn = listener_turn, .ctx = listener};
    loop_io_join(loop, &listener->io);
    open_listener = listener;
    *ret_listener = listener;
    return CODE_OK;
}

void listener_free(struct listener *listener)
{
    struct call *call;

    if (!listener)
        return;
    while ((call = unaccepted())) {
        call->fd = -call->fd;
        tell_end(call, CODE_UNAVAILABLE);
    }
    open_listener = NULL;
    loop_io_leave(&listener->io);
    free(listener);
}

const struct address *listener_address(const struct listener *listener)
{
    return &listener->address;
}

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

bool rpc_stalled(const struct rpc *rpc)
{
    return rpc->stalled;
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

static void rpc_release(struct rpc *rpc, enum code code)
{
    struct grpc_server *server = rpc->server;

    list_remove(&rpc->link);
    list_remove(&rpc->ready_link);
    count(server, (uint64_t)-1);
    if (rpc->call)
        tell_end(rpc->call, code);
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

static const struct rpc_handler *handler_of(const struct grpc_server *server, struct str path)
{
    for (size_t i = 0; i < server->options.methods_len; i++) {
        if (str_eq(server->options.methods[i].path, path))
            return server->options.methods[i].handler;
    }
    return NULL;
}

static struct call *call_of(int fd)
{
    list_for_each (link, &calls) {
        struct call *call = container_of(link, struct call, link);

        if (call->fd == -fd)
            return call;
    }
    return NULL; /* the client has gone meanwhile */
}

void grpc_server_adopt(struct grpc_server *server, int fd, const struct address *peer,
                       void *connection)
{
    struct call *call = call_of(fd);
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
    rpc_wake(rpc, RPC_WAKE_ANSWER);
}

/* ---- sending ---- */

/* What was pulled goes to the client, if there is room; false: there is none. */
static bool send_out(struct rpc *rpc)
{
    struct buf whole = BUFFER_INIT(RPC_REPLY_MAX);
    struct message *message;

    if (rpc->call && rpc->call->down_len >= rpc->call->room)
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
        message_add(&rpc->call->down, message);
        rpc->call->down_len++;
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

static void flush_rpc(struct rpc *rpc)
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

static bool flush_one(struct list *ready)
{
    struct list *link = list_pop(ready);

    if (!link)
        return false;
    flush_rpc(container_of(link, struct rpc, ready_link));
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

/* ---- what comes in ---- */

static uint64_t rpc_due(const struct rpc *rpc)
{
    if (!rpc->call || (rpc->stalled && rpc->call->down_len < rpc->call->room))
        return 0;
    return messages_due(&rpc->call->up);
}

static uint64_t server_due(void *ctx)
{
    const struct grpc_server *server = ctx;
    uint64_t due = SIM_NEVER;

    list_for_each (link, &server->calls)
        due = min_u64(due, rpc_due(container_of(link, struct rpc, link)));
    return due;
}

static void receive(struct rpc *rpc)
{
    struct message *message = container_of(list_pop(&rpc->call->up), struct message, link);

    if (!rpc->finishing && message->half_close && rpc->handler->on_half_close)
        rpc->handler->on_half_close(rpc);
    else if (message->half_close)
        rpc_finish(rpc, CODE_OK, NULL);
    else if (!rpc->finishing)
        rpc->handler->on_message(rpc, str_make(message->bytes, message->len));
    rpc->heard++;
    free(message);
}

static void server_turn(void *ctx)
{
    struct grpc_server *server = ctx;

    list_for_each_safe (link, &server->calls) {
        struct rpc *rpc = container_of(link, struct rpc, link);

        if (!rpc->call) {
            rpc_release(rpc, CODE_CANCELLED);
            continue;
        }
        if (rpc->stalled && send_out(rpc))
            rpc_wake(rpc, RPC_WAKE_UPDATE);
        if (messages_due(&rpc->call->up) <= sim.now_us && !sim_rarely(4))
            receive(rpc);
    }
}

/* ---- the server ---- */

static void on_all_drained(void *ctx)
{
    struct grpc_server *server = ctx;

    server->on_drained(server->drained_ctx);
}

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

struct str rpc_path(const struct rpc *rpc)
{
    return rpc->call ? rpc->call->path : STR("");
}
