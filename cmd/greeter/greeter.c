#include "greeter.h"

#include "base/base64.h"
#include "wire/fields.h"
#include "wire/writer.h"

#define HEALTH_REPLY_MAX 16
#define LOAD_TRAILER "endpoint-load-metrics-bin"
#define LOAD_REPORT_MAX 64
/* Calls per second that a report tells of, whatever they are: the weights follow the utilization alone. */
#define LOAD_RATE 100
/* A metric of its own: the percentage. */
#define LOAD_METRIC STR("percent")

struct greeter {
    struct greeter_options options;
    char *name;
    char *load;    /* the trailer that tells it; or NULL */
    uint32_t owed; /* percent of a failed call */
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
    uint64_t now = loop_now_us(greeter->options.loop);

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
    delayed->due_us = loop_now_us(greeter->options.loop) + greeter->options.delay_ms * 1000;
    list_append(&greeter->delayed, &delayed->link);
    rpc_set_state(rpc, delayed);
    if (!timer_active(greeter->timer))
        timer_start(greeter->timer, greeter->options.delay_ms);
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

/* Every so many calls, not by chance. */
static bool fails(struct greeter *greeter)
{
    greeter->owed += greeter->options.fail_percent;
    if (greeter->owed < 100)
        return false;
    greeter->owed -= 100;
    return true;
}

static void say_hello(struct rpc *rpc, struct str message)
{
    struct greeter *greeter = rpc_server_ctx(rpc);
    struct str name = {0};
    struct buf reply;

    if (rpc_state(rpc))
        return; /* a second message of a unary call */
    if (greeter->load)
        rpc_set_trailer(rpc, LOAD_TRAILER, greeter->load);
    if (fails(greeter)) {
        rpc_finish(rpc, greeter->options.fail_code, "asked to fail");
        return;
    }
    if (!read_text(message, HELLO_REQUEST_NAME, &name)) {
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "malformed HelloRequest");
        return;
    }
    buf_init(&reply, RPC_REPLY_MAX);
    write_hello(&reply, name, greeter->name);
    if (buf_failed(&reply))
        rpc_finish(rpc, CODE_RESOURCE_EXHAUSTED, "the name is too long");
    else if (greeter->options.delay_ms > 0)
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

    if (!read_text(message, HEALTH_CHECK_REQUEST_SERVICE, &service)) {
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "malformed HealthCheckRequest");
        return;
    }
    if (service.len > 0 && !str_eq(service, STR("helloworld.Greeter"))) {
        rpc_finish(rpc, CODE_NOT_FOUND, "unknown service");
        return;
    }
    buf_init(&out, HEALTH_REPLY_MAX);
    wire_put_varint(&out, HEALTH_CHECK_RESPONSE_STATUS,
                    greeter->draining ? HEALTH_CHECK_RESPONSE_SERVING_STATUS_NOT_SERVING
                                      : HEALTH_CHECK_RESPONSE_SERVING_STATUS_SERVING);
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

/* An OrcaLoadReport, as a trailer has it. */
static char *load_trailer(uint32_t percent)
{
    struct buf report = BUFFER_INIT(LOAD_REPORT_MAX), text = BUFFER_INIT(2 * LOAD_REPORT_MAX);
    double utilization = percent / 100.0;
    char *trailer;
    size_t metric;

    wire_put_double(&report, ORCA_LOAD_REPORT_CPU_UTILIZATION, utilization);
    wire_put_double(&report, ORCA_LOAD_REPORT_RPS_FRACTIONAL, LOAD_RATE);
    metric = wire_open(&report, ORCA_LOAD_REPORT_NAMED_METRICS);
    wire_put_bytes(&report, WIRE_MAP_KEY, LOAD_METRIC);
    wire_put_double(&report, WIRE_MAP_VALUE, percent);
    wire_close(&report, metric);
    wire_put_double(&report, ORCA_LOAD_REPORT_APPLICATION_UTILIZATION, utilization);
    base64_add(&text, buf_str(&report));
    trailer = str_dup(buf_str(&text));
    buf_done(&text);
    buf_done(&report);
    return trailer;
}

struct greeter *greeter_new(const struct greeter_options *options)
{
    struct greeter *greeter = xcalloc(1, sizeof(*greeter));

    greeter->options = *options;
    greeter->name = xstrdup(options->name);
    if (options->load_percent > 0)
        greeter->load = load_trailer(options->load_percent);
    greeter->timer = timer_new(options->loop, on_timer, greeter);
    list_init(&greeter->delayed);
    return greeter;
}

void greeter_free(struct greeter *greeter)
{
    if (!greeter)
        return;
    timer_free(greeter->timer);
    free(greeter->load);
    free(greeter->name);
    free(greeter);
}

void greeter_drain(struct greeter *greeter)
{
    greeter->draining = true;
}
