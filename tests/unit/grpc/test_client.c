/* Our client against our server, over loopback. */
#include <criterion/criterion.h>

#include "net/listener.h"
#include "world.h"

static struct listener *listener;
static struct grpc_client *client;

struct call {
    struct grpc_call *call;
    unsigned messages;
    size_t bytes;
    bool ended;
    enum code code;
    char message[256];
};

static void on_message(void *ctx, struct str message)
{
    struct call *call = ctx;

    call->messages++;
    call->bytes += message.len;
}

static void on_end(void *ctx, enum code code, const char *message)
{
    struct call *call = ctx;

    cr_assert_not(call->ended);
    call->ended = true;
    call->code = code;
    snprintf(call->message, sizeof(call->message), "%s", message);
}

static const struct grpc_call_handler handler = {on_message, on_end};

static void on_accept(void *ctx unused_arg, int fd, const struct address *peer)
{
    grpc_server_adopt(world.server, fd, peer, NULL, NULL);
}

static void connect_to(const struct address *server)
{
    const struct grpc_client_options options = {
        .loop = world.loop, .server = server, .authority = "test", .connect_timeout_ms = 1000};
    struct err err = {0};

    cr_assert_eq(grpc_client_new(&options, &client, &err), CODE_OK, "%s", err.msg);
}

static void start(void)
{
    struct address address;
    struct err err = {0};

    world_start();
    cr_assert_eq(address_parse(STR("127.0.0.1:0"), &address, &err), CODE_OK);
    cr_assert_eq(listener_new(world.loop, &address, on_accept, NULL, &listener, &err), CODE_OK,
                 "%s", err.msg);
    connect_to(listener_address(listener));
}

static void stop(void)
{
    grpc_client_free(client);
    listener_free(listener);
    world_stop();
}

static bool has_ended(void *ctx)
{
    return ((struct call *)ctx)->ended;
}

static bool has_message(void *ctx)
{
    return ((struct call *)ctx)->messages > 0;
}

static void finish(struct call *call)
{
    cr_assert(world_until(has_ended, call));
}

Test(client, a_unary_call_before_the_connection_is_up)
{
    struct call call = {0};

    start();
    call.call = grpc_call_start(client, ECHO, 5000, &handler, &call);
    grpc_call_send(call.call, "hello", 5, true);
    finish(&call);
    cr_assert_eq(call.code, CODE_OK, "%s", call.message);
    cr_assert_eq(call.messages, 1);
    cr_assert_eq(call.bytes, 5);
    stop();
}

Test(client, many_calls_at_once)
{
    static struct call calls[500];

    start();
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        calls[i].call = grpc_call_start(client, ECHO, 0, &handler, &calls[i]);
        grpc_call_send(calls[i].call, "0123456789", i % 11, true);
    }
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        finish(&calls[i]);
        cr_assert_eq(calls[i].code, CODE_OK);
        cr_assert_eq(calls[i].bytes, i % 11);
    }
    stop();
}

Test(client, large_messages_both_ways)
{
    static char text[RPC_MESSAGE_MAX];
    struct call call = {0};

    start();
    call.call = grpc_call_start(client, ECHO, 0, &handler, &call);
    grpc_call_send(call.call, text, sizeof(text), true);
    finish(&call);
    cr_assert_eq(call.code, CODE_OK, "%s", call.message);
    cr_assert_eq(call.bytes, sizeof(text));
    stop();
}

Test(client, errors_carry_code_and_message)
{
    struct call denied = {0}, unknown = {0}, large = {0};
    static char text[RPC_MESSAGE_MAX + 1];

    start();
    denied.call = grpc_call_start(client, DENIED, 0, &handler, &denied);
    unknown.call = grpc_call_start(client, "/no/such", 0, &handler, &unknown);
    large.call = grpc_call_start(client, ECHO, 0, &handler, &large);
    grpc_call_send(large.call, text, sizeof(text), true);
    finish(&denied);
    finish(&unknown);
    finish(&large);
    cr_assert_eq(denied.code, CODE_PERMISSION_DENIED);
    cr_assert_str_eq(denied.message, "50% no\n");
    cr_assert_eq(unknown.code, CODE_UNIMPLEMENTED);
    cr_assert_eq(large.code, CODE_RESOURCE_EXHAUSTED);
    stop();
}

Test(client, a_stream_says_and_hears_many_messages)
{
    struct call call = {0};

    start();
    world_say(1000);
    world.ready = 200;
    call.call = grpc_call_start(client, STREAM, 0, &handler, &call);
    for (int i = 0; i < 100; i++)
        grpc_call_send(call.call, "ack", 3, i == 99);
    finish(&call);
    cr_assert_eq(call.code, CODE_OK, "%s", call.message);
    cr_assert_eq(call.messages, 200);
    cr_assert_eq(world.messages, 100);
    stop();
}

Test(client, a_deadline_ends_a_call_on_both_sides)
{
    struct call call = {0};

    start();
    call.call = grpc_call_start(client, SILENT, 50, &handler, &call);
    grpc_call_send(call.call, "x", 1, true);
    finish(&call);
    cr_assert_eq(call.code, CODE_DEADLINE_EXCEEDED);
    world_settle();
    cr_assert_eq(world.closes, 1);
    stop();
}

Test(client, a_cancelled_call_hears_nothing_and_the_server_is_told)
{
    struct call call = {0};

    start();
    world_say(10);
    world.ready = 1;
    call.call = grpc_call_start(client, STREAM, 0, &handler, &call);
    cr_assert(world_until(has_message, &call));
    grpc_call_cancel(call.call);
    world_settle();
    cr_assert_not(call.ended);
    cr_assert_eq(world.closes, 1);
    cr_assert_eq(world.closed, CODE_CANCELLED);
    stop();
}

Test(client, nobody_listens)
{
    struct address address;
    struct call first = {0}, later = {0};

    start();
    address = *listener_address(listener);
    listener_free(listener);
    listener = NULL;
    grpc_client_free(client);
    connect_to(&address);
    first.call = grpc_call_start(client, ECHO, 0, &handler, &first);
    finish(&first);
    cr_assert_eq(first.code, CODE_UNAVAILABLE);
    cr_assert_not_null(strstr(first.message, "cannot connect"), "%s", first.message);
    later.call = grpc_call_start(client, ECHO, 0, &handler, &later);
    finish(&later);
    cr_assert_eq(later.code, CODE_UNAVAILABLE);
    stop();
}

Test(client, the_server_goes_away)
{
    struct call open = {0}, later = {0};

    start();
    open.call = grpc_call_start(client, STREAM, 0, &handler, &open);
    world_settle();
    cr_assert_eq(world.opens, 1);
    grpc_server_drain(world.server, 0, 1000, NULL, NULL);
    finish(&open);
    cr_assert_eq(open.code, CODE_OK);
    world_settle();
    later.call = grpc_call_start(client, ECHO, 0, &handler, &later);
    finish(&later);
    cr_assert_eq(later.code, CODE_UNAVAILABLE);
    stop();
}

Test(client, may_be_freed_with_open_calls)
{
    struct call call = {0};

    start();
    call.call = grpc_call_start(client, STREAM, 1000, &handler, &call);
    world_settle();
    grpc_client_free(client);
    client = NULL;
    world_settle();
    cr_assert_not(call.ended);
    cr_assert_eq(world.closes, 1);
    stop();
}
