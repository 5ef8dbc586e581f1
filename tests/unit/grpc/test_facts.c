#include <criterion/criterion.h>

#include "base/clock.h"
#include "grpc/facts.h"
#include "world.h"

#define LEN 200000   /* of a message: it does not fit into the first window */
#define WINDOW 65535 /* that window */
#define PREFIX 5
#define NEVER_US 1000000 /* how far a time may lie back */

static struct raw raw;
static struct call_facts call;
static struct connection_facts connection;

static void look(void)
{
    rpc_facts(world.rpc, &call);
    rpc_connection_facts(world.rpc, &connection);
}

static void expect_recent(uint64_t at)
{
    cr_expect_gt(at, 0);
    cr_expect_lt(loop_now_us(world.loop) - at, NEVER_US);
}

static void stop(void)
{
    raw_close(&raw);
    world_settle();
    world_stop();
}

Test(facts, of_a_call_on_which_nothing_was_said)
{
    world_start();
    raw_hello(&raw);
    raw_call(&raw, 1, STREAM, NULL, NULL);
    world_settle();
    look();
    expect_recent(call.opened_us);
    cr_expect_eq(call.agent.len, 0);
    cr_expect_eq(call.messages_sent + call.messages_received + call.bytes_sent, 0);
    cr_expect_eq(call.sent_us + call.received_us + call.deadline_us, 0);
    cr_expect_eq(call.flying + call.held + call.flying_us, 0);
    cr_expect_eq(call.window, WINDOW);
    cr_expect_not(call.half_closed);
    expect_recent(connection.opened_us);
    expect_recent(connection.heard_us);
    cr_expect_eq(connection.pinged_us, 0);
    cr_expect_eq(connection.calls, 1);
    cr_expect_eq(connection.window, WINDOW);
    cr_expect_eq(connection.backlog, 0);
    cr_expect_not(connection.draining);
    cr_expect_not(connection.paused);
    stop();
}

Test(facts, of_what_a_call_was_told)
{
    world_start();
    raw_hello(&raw);
    raw_call(&raw, 1, SILENT, "grpc-timeout", "60S");
    raw_message(&raw, 1, "a", 1, false);
    raw_message(&raw, 1, "b", 1, true);
    world_settle();
    look();
    cr_expect_eq(call.messages_received, 2);
    expect_recent(call.received_us);
    cr_expect_eq(call.deadline_us, call.opened_us + 60 * 1000000);
    cr_expect(call.half_closed);
    stop();
}

Test(facts, of_what_a_stream_was_sent)
{
    world_start();
    world_say(100);
    raw_hello(&raw);
    raw_call(&raw, 1, SILENT, NULL, NULL);
    world.ready = 3;
    raw_call(&raw, 3, STREAM, "user-agent", "grpc-go/1.85.0");
    world_settle();
    look();
    cr_expect(str_eq(call.agent, STR("grpc-go/1.85.0")));
    cr_expect_eq(call.messages_sent, 3);
    cr_expect_eq(call.bytes_sent, 3 * (100 + PREFIX));
    expect_recent(call.sent_us);
    cr_expect_eq(call.flying, 0, "all of it is with the kernel");
    cr_expect_eq(connection.calls, 2);
    stop();
}

/* The rest of it waits for the client's window. */
Test(facts, of_a_message_that_the_client_does_not_take)
{
    world_start();
    world_say(LEN);
    world.ready = 1;
    raw_hello(&raw);
    raw_call(&raw, 1, STREAM, NULL, NULL);
    world_settle();
    look();
    cr_expect_eq(call.flying, LEN + PREFIX);
    cr_expect_eq(call.held, LEN + PREFIX - WINDOW);
    expect_recent(call.flying_us);
    cr_expect_eq(call.bytes_sent, WINDOW);
    cr_expect_eq(call.messages_sent, 0);
    cr_expect_eq(call.sent_us, 0);
    cr_expect_eq(call.window, 0);
    cr_expect_eq(connection.window, 0);
    stop();
}

Test(facts, of_bytes_that_the_kernel_does_not_take)
{
    unsigned char much[4] = {0x7f, 0, 0, 0};

    world_start();
    world_say(4 * 1024 * 1024 - 64);
    world.ready = 1;
    raw_hello(&raw);
    raw_frame(&raw, FRAME_WINDOW, 0, 0, much, 4);
    raw_call(&raw, 1, STREAM, NULL, NULL);
    raw_frame(&raw, FRAME_WINDOW, 0, 1, much, 4);
    world_settle();
    look();
    cr_expect_gt(connection.backlog, 0);
    cr_expect_gt(call.flying, 0);
    cr_expect_gt(call.window, 0);
    stop();
}

Test(facts, of_a_connection_that_is_to_end)
{
    world_start();
    raw_hello(&raw);
    raw_call(&raw, 1, SILENT, NULL, NULL);
    world_settle();
    rpc_drain_connection(world.rpc, 60000);
    look();
    cr_expect(connection.draining);
    stop();
}

Test(facts, a_user_agent_is_cut)
{
    char agent[FACTS_AGENT_MAX + 64] = {0};

    memset(agent, 'x', sizeof(agent) - 1);
    world_start();
    raw_hello(&raw);
    raw_call(&raw, 1, STREAM, "user-agent", agent);
    world_settle();
    look();
    cr_expect_eq(call.agent.len, FACTS_AGENT_MAX);
    stop();
}

static bool is_pinged(void *ctx unused_arg)
{
    look();
    return connection.pinged_us > 0;
}

static bool is_answered(void *ctx unused_arg)
{
    look();
    return connection.pinged_us == 0;
}

Test(facts, of_a_ping_that_is_not_answered)
{
    struct frame ping;

    world.limits.keepalive_ms = 100;
    world_start();
    raw_hello(&raw);
    raw_call(&raw, 1, STREAM, NULL, NULL);
    world_settle();
    cr_assert(world_until(is_pinged, NULL));
    cr_assert(raw_await(&raw, FRAME_PING, 0, &ping));
    raw_frame(&raw, FRAME_PING, FLAG_ACK, 0, ping.payload, 8);
    cr_assert(world_until(is_answered, NULL));
    stop();
}
