#include <criterion/criterion.h>

#include "world.h"

static struct raw raw;
static bool drained;

static void on_drained(void *ctx)
{
    *(bool *)ctx = true;
}

static bool is_drained(void *ctx)
{
    return *(bool *)ctx;
}

static void expect_status(uint32_t stream, const char *expected)
{
    char value[256] = "";

    cr_assert(raw_header(&raw, stream, "grpc-status", value, sizeof(value)));
    cr_assert_str_eq(value, expected);
}

static uint32_t last_stream(const struct frame *goaway)
{
    return (uint32_t)goaway->payload[2] << 8 | goaway->payload[3];
}

Test(drain, without_connections_is_at_once)
{
    world_start();
    grpc_server_drain(world.server, 0, 1000, on_drained, &drained);
    cr_assert_not(drained, "never inside the call");
    cr_assert(world_until(is_drained, &drained));
    world_stop();
}

/* Streams end with OK; a unary call that is open, and one that was on its way, are answered;
 * then the end. */
Test(drain, loses_no_call)
{
    struct frame frame;
    struct rpc *silent;

    world_start();
    raw_hello(&raw);
    raw_call(&raw, 1, STREAM, NULL, NULL);
    raw_call(&raw, 3, SILENT, NULL, NULL);
    world_settle();
    silent = world.rpc;
    grpc_server_drain(world.server, 0, 60000, on_drained, &drained);
    cr_assert(raw_await(&raw, FRAME_GOAWAY, 0, &frame));
    cr_assert_eq(last_stream(&frame), 0xffff, "the first GOAWAY names no stream");
    cr_assert(raw_await(&raw, FRAME_PING, 0, NULL));
    world_settle();
    expect_status(1, "0");
    raw_call(&raw, 5, ECHO, NULL, NULL); /* it was on its way */
    raw_message(&raw, 5, "a", 1, true);
    raw_frame(&raw, FRAME_PING, FLAG_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
    cr_assert(raw_await(&raw, FRAME_DATA, 5, NULL));
    cr_assert(raw_find(&raw, FRAME_GOAWAY, 0, 1, &frame));
    cr_assert_eq(last_stream(&frame), 5);
    cr_assert_not(drained);
    rpc_reply(silent, "b", 1);
    cr_assert(raw_await_end(&raw));
    expect_status(3, "0");
    expect_status(5, "0");
    raw_close(&raw);
    cr_assert(world_until(is_drained, &drained));
    world_stop();
}

Test(drain, does_not_wait_for_a_peer_that_ignores_pings)
{
    world_start();
    raw_hello(&raw);
    world_settle();
    grpc_server_drain(world.server, 0, 60000, on_drained, &drained);
    cr_assert(raw_await_end(&raw));
    raw_close(&raw);
    cr_assert(world_until(is_drained, &drained));
    world_stop();
}

Test(drain, closes_hard_at_its_deadline)
{
    world_start();
    raw_hello(&raw);
    raw_call(&raw, 1, SILENT, NULL, NULL);
    world_settle();
    grpc_server_drain(world.server, 0, 50, on_drained, &drained);
    cr_assert(world_until(is_drained, &drained));
    cr_assert_eq(world.closes, 1);
    cr_assert_eq(world.closed, CODE_UNAVAILABLE);
    raw_close(&raw);
    world_stop();
}

Test(drain, is_spread_over_the_connections)
{
    static struct raw raws[40];
    unsigned early = 0;

    world_start();
    for (size_t i = 0; i < ARRAY_LEN(raws); i++)
        raw_hello(&raws[i]);
    world_settle();
    grpc_server_drain(world.server, 1000000, 2000000, on_drained, &drained);
    for (int i = 0; i < 10; i++)
        loop_turn(world.loop, 10);
    for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
        early += raw_find(&raws[i], FRAME_GOAWAY, 0, 0, NULL);
        raw_close(&raws[i]);
    }
    cr_assert_lt(early, 5, "%u of 40 in the first 0.1 s of 1,000 s", early);
    cr_assert(world_until(is_drained, &drained));
    world_stop();
}

Test(drain, reaches_connections_that_come_late)
{
    static struct raw late;

    world_start();
    raw_hello(&raw);
    raw_call(&raw, 1, SILENT, NULL, NULL);
    world_settle();
    grpc_server_drain(world.server, 0, 60000, on_drained, &drained);
    raw_hello(&late);
    cr_assert(raw_await(&late, FRAME_GOAWAY, 0, NULL));
    raw_close(&late);
    raw_close(&raw);
    cr_assert(world_until(is_drained, &drained));
    world_stop();
}

/* The others live on, and the one can still be asked. */
Test(drain, of_one_connection_leaves_the_others)
{
    static struct raw other;
    struct rpc *rpc;

    world_start();
    raw_hello(&raw);
    raw_call(&raw, 1, STREAM, "user-agent", "grpc-node-js/1.14.1");
    world_settle();
    rpc = world.rpc;
    cr_assert_eq(rpc_agent(rpc), RPC_AGENT_NODE);
    raw_hello(&other);
    raw_call(&other, 1, STREAM, NULL, NULL);
    world_settle();
    cr_assert_eq(rpc_agent(world.rpc), RPC_AGENT_UNTOLD);
    rpc_drain_connection(rpc, 0);
    cr_assert(rpc_draining(rpc));
    rpc_drain_connection(rpc, 1000000); /* it is not put off */
    cr_assert(raw_await(&raw, FRAME_GOAWAY, 0, NULL));
    cr_assert(raw_await_end(&raw));
    expect_status(1, "0");
    raw_close(&raw);
    world_settle();
    cr_assert_not(rpc_draining(world.rpc));
    cr_assert_not(raw_find(&other, FRAME_GOAWAY, 0, 0, NULL));
    cr_assert_eq(counter_get(&world_stats()->calls), 1);
    raw_close(&other);
    world_stop();
}

Test(drain, of_one_connection_waits_for_its_time)
{
    world_start();
    raw_hello(&raw);
    raw_call(&raw, 1, STREAM, NULL, NULL);
    world_settle();
    rpc_drain_connection(world.rpc, 1000000);
    for (int i = 0; i < 5; i++)
        loop_turn(world.loop, 10);
    cr_assert_not(raw_find(&raw, FRAME_GOAWAY, 0, 0, NULL));
    raw_close(&raw);
    world_stop();
}
