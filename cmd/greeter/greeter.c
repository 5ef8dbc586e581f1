#include "greeter.h"

#include "wire/writer.h"

/* Fields of our few messages; each has but one that matters. */
enum { HELLO_REQUEST_NAME = 1, HELLO_REPLY_MESSAGE = 1 };
enum { HEALTH_REQUEST_SERVICE = 1, HEALTH_RESPONSE_STATUS = 1 };
#define HEALTH_REPLY_MAX 16
enum { HEALTH_SERVING = 1, HEALTH_NOT_SERVING = 2 };

struct greeter {
    struct loop *loop;
    char *name;
    uint64_t delay_ms;
    struct timer *timer;
    struct list delayed; /* in order of their time, since all wait equally long */
    bool draining;
};

/* An answer that waits for its time. */
struct delayed {
    struct list link;
    struct rpc *rpc;
    uint64_t due_us;
    struct buf reply;
};

/* ---- delayed answers ---- */

static void free_delayed(struct delayed *delayed)
{
    list_remove(&delayed->link);
    buf_done(&delayed->reply);
    free(delayed);
}

static void on_timer(void *ctx)
{
    struct greeter *greeter = ctx;
    uint64_t now = loop_now_us(greeter->loop);

    while (!list_empty(&greeter->delayed)) {
        struct delayed *first = container_of(greeter->delayed.next, struct delayed, link);

        if (first->due_us > now) {
            timer_start(greeter->timer, (first->due_us - now + 999) / 1000);
            return;
        }
        rpc_set_state(first->rpc, NULL);
        rpc_reply(first->rpc, first->reply.ptr, first->reply.len);
        free_delayed(first);
    }
}

static void delay(struct greeter *greeter, struct rpc *rpc, struct buf *reply)
{
    struct delayed *delayed = xcalloc(1, sizeof(*delayed));

    delayed->rpc = rpc;
    delayed->reply = *reply;
    *reply = (struct buf){0};
    delayed->due_us = loop_now_us(greeter->loop) + greeter->delay_ms * 1000;
    list_append(&greeter->delayed, &delayed->link);
    rpc_set_state(rpc, delayed);
    if (!timer_active(greeter->timer))
        timer_start(greeter->timer, greeter->delay_ms);
}

/* ---- helloworld.Greeter/SayHello ---- */

/* The one text field of a request; false when the bytes are no such message. */
static bool read_text(struct str message, uint32_t number, struct str *ret_text)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == number && field.type == WIRE_BYTES)
            *ret_text = field.bytes;
    }
    return !reader.failed && wire_is_utf8(*ret_text);
}

static void write_hello(struct buf *reply, struct str name, const char *backend)
{
    size_t mark = wire_open(reply, HELLO_REPLY_MESSAGE);

    (void)buf_add_str(reply, STR("Hello "));
    (void)buf_add_str(reply, name);
    (void)buf_add_str(reply, STR(" from "));
    (void)buf_add_str(reply, str_of(backend));
    wire_close(reply, mark);
}

static void say_hello(struct rpc *rpc, struct str message)
{
    struct greeter *greeter = rpc_server_ctx(rpc);
    struct str name = {0};
    struct buf reply;

    if (rpc_state(rpc))
        return; /* a second message of a unary call */
    if (!read_text(message, HELLO_REQUEST_NAME, &name)) {
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "malformed HelloRequest");
        return;
    }
    buf_init(&reply, RPC_REPLY_MAX);
    write_hello(&reply, name, greeter->name);
    if (buf_failed(&reply))
        rpc_finish(rpc, CODE_RESOURCE_EXHAUSTED, "the name is too long");
    else if (greeter->delay_ms > 0)
        delay(greeter, rpc, &reply);
    else
        rpc_reply(rpc, reply.ptr, reply.len);
    buf_done(&reply);
}

static void on_half_close(struct rpc *rpc)
{
    if (!rpc_state(rpc))
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "the request has no message");
}

static void on_close(struct rpc *rpc, enum code code unused_arg)
{
    struct delayed *delayed = rpc_state(rpc);

    if (delayed)
        free_delayed(delayed);
}

/* ---- grpc.health.v1.Health/Check ---- */

static void check_health(struct rpc *rpc, struct str message)
{
    const struct greeter *greeter = rpc_server_ctx(rpc);
    struct str service = {0};
    struct buf out;

    if (!read_text(message, HEALTH_REQUEST_SERVICE, &service)) {
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "malformed HealthCheckRequest");
        return;
    }
    if (service.len > 0 && !str_eq(service, STR("helloworld.Greeter"))) {
        rpc_finish(rpc, CODE_NOT_FOUND, "unknown service");
        return;
    }
    buf_init(&out, HEALTH_REPLY_MAX);
    wire_put_varint(&out, HEALTH_RESPONSE_STATUS,
                    greeter->draining ? HEALTH_NOT_SERVING : HEALTH_SERVING);
    rpc_reply(rpc, out.ptr, out.len);
    buf_done(&out);
}

static const struct rpc_handler hello_handler = {
    .on_message = say_hello, .on_half_close = on_half_close, .on_close = on_close};
static const struct rpc_handler health_handler = {.on_message = check_health,
                                                  .on_half_close = on_half_close};
static const struct rpc_method methods[] = {
    {STR_INIT("/helloworld.Greeter/SayHello"), &hello_handler},
    {STR_INIT("/grpc.health.v1.Health/Check"), &health_handler},
};

const struct rpc_method *greeter_methods(size_t *ret_len)
{
    *ret_len = ARRAY_LEN(methods);
    return methods;
}

/* ---- life ---- */

struct greeter *greeter_new(struct loop *loop, const char *name, uint64_t delay_ms)
{
    struct greeter *greeter = xcalloc(1, sizeof(*greeter));

    greeter->loop = loop;
    greeter->name = xstrdup(name);
    greeter->delay_ms = delay_ms;
    greeter->timer = timer_new(loop, on_timer, greeter);
    list_init(&greeter->delayed);
    return greeter;
}

void greeter_free(struct greeter *greeter)
{
    if (!greeter)
        return;
    timer_free(greeter->timer);
    free(greeter->name);
    free(greeter);
}

void greeter_drain(struct greeter *greeter)
{
    greeter->draining = true;
}
