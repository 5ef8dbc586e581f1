/* The same server over TLS, and what its handshakes do to it. */
#include <criterion/criterion.h>
#include <sys/socket.h>

#include "net/listener.h"
#include "world.h"

static struct listener *listener;
static struct grpc_client *client;
static struct tls *server_tls;
static struct raw raw;

struct call {
    size_t bytes;
    bool ended;
    enum code code;
    char message[256];
};

static void on_message(void *ctx, struct str message)
{
    struct call *call = ctx;

    call->bytes += message.len;
}

static void on_end(void *ctx, enum code code, const char *message)
{
    struct call *call = ctx;

    call->ended = true;
    call->code = code;
    snprintf(call->message, sizeof(call->message), "%s", message);
}

static const struct grpc_call_handler handler = {on_message, on_end};

static bool has_ended(void *ctx)
{
    return ((struct call *)ctx)->ended;
}

static void on_accept(void *ctx unused_arg, int fd, const struct address *peer)
{
    grpc_server_adopt(world.server, fd, peer, server_tls, NULL);
}

static void start(void)
{
    struct grpc_client_options options = {.authority = "test", .connect_timeout_ms = 5000};
    struct address any;
    struct err err = {0};

    world_start();
    server_tls = world_tls();
    cr_assert_eq(tls_client_new(NULL, true, &options.tls, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(address_parse(STR("127.0.0.1:0"), &any, &err), CODE_OK);
    cr_assert_eq(listener_new(world.loop, &any, on_accept, NULL, &listener, &err), CODE_OK);
    options.loop = world.loop;
    options.server = listener_address(listener);
    options.server_name = "test";
    cr_assert_eq(grpc_client_new(&options, &client, &err), CODE_OK, "%s", err.msg);
    tls_unref(options.tls);
}

static void stop(void)
{
    grpc_client_free(client);
    listener_free(listener);
    tls_unref(server_tls);
    world_stop();
}

/* A peer that has to do its handshake by hand, and will not. */
static void start_raw(void)
{
    int pair[2];

    world_start();
    server_tls = world_tls();
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    raw_open_tls(&raw, server_tls, pair[0], pair[1]);
}

static void stop_raw(void)
{
    cr_assert_eq(counter_get(&world_stats()->connections), 0);
    cr_assert_eq(counter_get(&world_stats()->connections_broken), 0);
    raw_close(&raw);
    tls_unref(server_tls);
    world_stop();
}

static uint64_t failures(enum tls_failure failure)
{
    return counter_get(&world_stats()->tls.failures[failure]);
}

Test(grpc_tls, many_large_messages_both_ways)
{
    static char text[RPC_MESSAGE_MAX];
    static struct call calls[3]; /* more would be too much at a time */

    memset(text, 'x', sizeof(text));
    start();
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        grpc_call_send(grpc_call_start(client, ECHO, 0, &handler, &calls[i]), text, sizeof(text),
                       true);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        cr_assert(world_until(has_ended, &calls[i]));
        cr_assert_eq(calls[i].code, CODE_OK, "%s", calls[i].message);
        cr_assert_eq(calls[i].bytes, sizeof(text));
    }
    cr_assert_eq(counter_get(&world_stats()->tls.handshakes), 1);
    stop();
}

static void on_drained(void *ctx)
{
    *(bool *)ctx = true;
}

static bool is_drained(void *ctx)
{
    return *(bool *)ctx;
}

static bool is_opened(void *ctx unused_arg)
{
    return world.opens > 0;
}

Test(grpc_tls, drain_ends_streams_with_ok)
{
    struct call call = {0};
    bool drained = false;

    start();
    cr_assert_not_null(grpc_call_start(client, STREAM, 0, &handler, &call));
    cr_assert(world_until(is_opened, NULL));
    grpc_server_drain(world.server, 0, 60000, on_drained, &drained);
    cr_assert(world_until(has_ended, &call));
    cr_assert_eq(call.code, CODE_OK, "%s", call.message);
    cr_assert(world_until(is_drained, &drained));
    stop();
}

Test(grpc_tls, a_handshake_that_takes_too_long)
{
    world.limits.handshake_ms = 40;
    start_raw();
    raw_write(&raw, "\x16\x03\x01\x02\x00\x01", 6);
    cr_assert(raw_await_end(&raw));
    cr_assert_eq(counter_get(&world_stats()->limit_hits[GRPC_LIMIT_HANDSHAKE]), 1);
    cr_assert_eq(failures(TLS_FAILURE_GIVEN_UP), 1);
    stop_raw();
}

Test(grpc_tls, a_client_without_tls)
{
    start_raw();
    raw_preface(&raw);
    cr_assert(raw_await_end(&raw));
    cr_assert_eq(failures(TLS_FAILURE_NO_TLS), 1);
    cr_assert_eq(counter_get(&world_stats()->limit_hits[GRPC_LIMIT_HANDSHAKE]), 0);
    cr_assert_eq(counter_get(&world_stats()->protocol_errors), 0);
    stop_raw();
}

Test(grpc_tls, a_server_that_ends_gives_up_its_handshakes)
{
    start_raw();
    raw_write(&raw, "\x16\x03", 2);
    world_settle();
    raw_close(&raw);
    world_stop();
    tls_unref(server_tls);
}
