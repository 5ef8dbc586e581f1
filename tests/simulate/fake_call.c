/* The client's end of a call, the wire, and net/listener.h, by which calls come to the server. */
#include "fake_grpc_internal.h"
#include "net/listener.h"

#define FD_FIRST (1 << 20) /* no descriptor of this process */
#define LATENCY_US 300

struct listener {
    struct loop_io io;
    struct address address;
    listener_accept_fn *on_accept;
    void *ctx;
};

static struct list calls = {&calls, &calls};
static struct listener *open_listener;
static int next_fd = FD_FIRST;

/* ---- the wire ---- */

struct message *message_new(const void *ptr, size_t len)
{
    struct message *message = xcalloc(1, sizeof(*message) + len);

    list_init(&message->link);
    message->due_us = sim.now_us + sim_below(LATENCY_US);
    if (len > 0)
        memcpy(message->bytes, ptr, len);
    message->delivery.bytes = str_make(message->bytes, len);
    return message;
}

void message_add(struct list *queue, struct message *message)
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

uint64_t messages_due(const struct list *queue)
{
    return list_empty(queue) ? SIM_NEVER : container_of(queue->next, struct message, link)->due_us;
}

/* ---- the client's end ---- */

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

/* ---- what the server's end needs of it ---- */

bool call_is_full(const struct call *call)
{
    return call->down_len >= call->room;
}

void call_tell(struct call *call, struct message *message)
{
    message_add(&call->down, message);
    call->down_len++;
}

void call_end(struct call *call, enum code code)
{
    struct message *message = message_new(NULL, 0);

    message->delivery.ended = true;
    message->delivery.code = code;
    call->rpc = NULL;
    call_tell(call, message);
}

struct call *call_accepted(int fd)
{
    list_for_each (link, &calls) {
        struct call *call = container_of(link, struct call, link);

        if (call->fd == -fd)
            return call;
    }
    return NULL;
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
        call_end(call, CODE_UNAVAILABLE);
    }
    open_listener = NULL;
    loop_io_leave(&listener->io);
    free(listener);
}

const struct address *listener_address(const struct listener *listener)
{
    return &listener->address;
}
