/* Every limit, and that the neighbours do not notice. */
#include <sys/socket.h>

#include <criterion/criterion.h>

#include "world.h"

static struct raw raw;

static void start(void)
{
    world_start();
    raw_hello(&raw);
}

static void stop(void)
{
    raw_close(&raw);
    world_stop();
}

static uint64_t hits(enum grpc_limit limit)
{
    return counter_get(&world_stats()->limit_hits[limit]);
}

static void expect_calm(enum grpc_limit limit, const char *why)
{
    struct frame frame;

    cr_assert(raw_await(&raw, FRAME_GOAWAY, 0, &frame));
    cr_assert_eq(frame.payload[7], 11, "ENHANCE_YOUR_CALM, not %u", frame.payload[7]);
    cr_assert(str_eq(str_make(frame.payload + 8, frame.len - 8), str_of(why)));
    cr_assert(raw_await_end(&raw));
    cr_assert_geq(hits(limit), 1);
}

static void expect_status(uint32_t stream, const char *expected)
{
    char value[256] = "";

    cr_assert(raw_header(&raw, stream, "grpc-status", value, sizeof(value)));
    cr_assert_str_eq(value, expected);
}

/* TCP_USER_TIMEOUT of 150 s would end the connection first, and count as broken. */
Test(limits, stalled_ends_before_tcp_does)
{
    const struct limit *stalled = &grpc_limit_table[GRPC_LIMIT_STALLED];
    struct err err = {0};
    uint64_t value = 0;

    cr_assert_eq(limit_parse(stalled, STR("2m"), &value, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(value, 120000);
    cr_assert_neq(limit_parse(stalled, STR("2m1s"), &value, &err), CODE_OK);
    cr_assert_str_eq(err.msg, "stalled: expected a duration from 1s to 2m, found '2m1s'");
}

Test(limits, connections)
{
    struct raw second;

    world.limits.connections = 1;
    start();
    raw_open(&second);
    cr_assert(raw_await_end(&second));
    cr_assert_eq(hits(GRPC_LIMIT_CONNECTIONS), 1);
    raw_close(&second);
    stop();
}

Test(limits, streams_of_a_connection)
{
    struct frame frame;

    world.limits.streams = 5;
    start();
    for (uint32_t i = 0; i < 6; i++)
        raw_call(&raw, 1 + 2 * i, SILENT, NULL, NULL);
    cr_assert(raw_await(&raw, FRAME_RST, 11, &frame));
    cr_assert_eq(frame.payload[3], 7, "REFUSED_STREAM");
    cr_assert_eq(world.opens, 5);
    cr_assert_eq(hits(GRPC_LIMIT_STREAMS), 1);
    cr_assert_eq(world.closes, 0);
    stop();
}

Test(limits, ten_thousand_streams_end_the_connection)
{
    start();
    for (uint32_t i = 0; i < 10000; i++)
        raw_call(&raw, 1 + 2 * i, SILENT, NULL, NULL);
    expect_calm(GRPC_LIMIT_RESETS, "too many stream resets");
    cr_assert_eq(world.opens, 1000);
    cr_assert_eq(world.closes, 1000);
    stop();
}

Test(limits, rapid_resets)
{
    start();
    for (uint32_t i = 0; i < 3000; i++) {
        raw_call(&raw, 1 + 2 * i, SILENT, NULL, NULL);
        raw_frame(&raw, FRAME_RST, 0, 1 + 2 * i, "\0\0\0\x08", 4);
    }
    expect_calm(GRPC_LIMIT_RESETS, "too many stream resets");
    cr_assert_leq(world.opens, 2500);
    stop();
}

Test(limits, resets_of_a_stream_that_is_closed)
{
    start();
    raw_call(&raw, 1, SILENT, NULL, NULL);
    for (uint32_t i = 0; i < 3000; i++)
        raw_frame(&raw, FRAME_RST, 0, 1, "\0\0\0\x08", 4);
    expect_calm(GRPC_LIMIT_RESETS, "too many stream resets");
    stop();
}

Test(limits, pings)
{
    start();
    for (int i = 0; i < 100; i++)
        raw_frame(&raw, FRAME_PING, 0, 0, "12345678", 8);
    world_settle();
    cr_assert_not(raw_find(&raw, FRAME_GOAWAY, 0, 0, NULL));
    cr_assert(raw_find(&raw, FRAME_PING, 0, 99, NULL), "all are answered");
    for (int i = 0; i < 100; i++)
        raw_frame(&raw, FRAME_PING, 0, 0, "12345678", 8);
    expect_calm(GRPC_LIMIT_PINGS, "too_many_pings");
    stop();
}

Test(limits, a_ping_behind_each_message_is_free)
{
    start();
    world_say(10);
    raw_call(&raw, 1, STREAM, NULL, NULL);
    world_settle();
    for (int i = 0; i < 1000; i++) {
        world.ready = 1;
        rpc_wake(world.rpc, RPC_WAKE_UPDATE);
        loop_turn(world.loop, 0);
        raw_frame(&raw, FRAME_PING, 0, 0, "12345678", 8);
        loop_turn(world.loop, 0);
        raw_read(&raw);
    }
    world_settle();
    cr_assert_eq(world.written, 1000);
    cr_assert_not(raw_find(&raw, FRAME_GOAWAY, 0, 0, NULL));
    stop();
}

Test(limits, settings)
{
    start();
    for (int n = 0; n < 200; n++)
        raw_frame(&raw, FRAME_SETTINGS, 0, 0, "", 0);
    expect_calm(GRPC_LIMIT_CONTROL_FRAMES, "too many control frames");
    stop();
}

Test(limits, empty_data_frames)
{
    start();
    raw_call(&raw, 1, SILENT, NULL, NULL);
    for (int n = 0; n < 200; n++)
        raw_frame(&raw, FRAME_DATA, 0, 1, "", 0);
    expect_calm(GRPC_LIMIT_CONTROL_FRAMES, "too many control frames");
    stop();
}

Test(limits, continuations)
{
    start();
    raw_frame(&raw, FRAME_HEADERS, 0, 1, "", 0);
    for (int n = 0; n < 1000; n++)
        raw_frame(&raw, FRAME_CONTINUATION, 0, 1, "", 0);
    cr_assert(raw_await_end(&raw));
    cr_assert_eq(world.opens, 0);
    stop();
}

Test(limits, header_list)
{
    static char large[9000];

    memset(large, 'x', sizeof(large) - 1);
    world.limits.header_list = 8192;
    start();
    raw_call(&raw, 1, ECHO, "x-large", large);
    raw_call(&raw, 3, ECHO, NULL, NULL);
    raw_message(&raw, 3, "a", 1, true);
    world_settle();
    expect_status(1, "8");
    expect_status(3, "0");
    cr_assert_eq(world.opens, 1);
    cr_assert_eq(hits(GRPC_LIMIT_HEADER_LIST), 1);
    stop();
}

Test(limits, message)
{
    static char text[64];

    world.limits.message = sizeof(text) - 1;
    start();
    raw_call(&raw, 1, ECHO, NULL, NULL);
    raw_message(&raw, 1, text, sizeof(text), true);
    raw_call(&raw, 3, ECHO, NULL, NULL);
    raw_message(&raw, 3, text, sizeof(text) - 1, true);
    world_settle();
    expect_status(1, "8");
    expect_status(3, "0");
    cr_assert_eq(hits(GRPC_LIMIT_MESSAGE), 1);
    stop();
}

/* Many streams that each send all but the last byte of a message. */
Test(limits, unfinished_messages_of_a_connection)
{
    static char part[1000];
    unsigned refused = 0;

    world.limits.message = sizeof(part);
    world.limits.unfinished = 4 * sizeof(part);
    start();
    for (uint32_t i = 0; i < 20; i++) {
        raw_call(&raw, 1 + 2 * i, SILENT, NULL, NULL);
        raw_frame(&raw, FRAME_DATA, 0, 1 + 2 * i, "\0\0\0\x03\xe8", 5);
        raw_frame(&raw, FRAME_DATA, 0, 1 + 2 * i, part, sizeof(part) - 1);
    }
    world_settle();
    for (uint32_t i = 0; i < 20; i++)
        refused += raw_find(&raw, FRAME_HEADERS, 1 + 2 * i, 0, NULL);
    cr_assert_eq(refused, 16, "%u", refused);
    cr_assert_eq(hits(GRPC_LIMIT_UNFINISHED), 16);
    expect_status(9, "8");
    raw_frame(&raw, FRAME_DATA, FLAG_END_STREAM, 1, "x", 1);
    raw_call(&raw, 101, ECHO, NULL, NULL);
    raw_message(&raw, 101, part, sizeof(part), true);
    world_settle();
    cr_assert_eq(world.messages, 2);
    expect_status(101, "0");
    stop();
}

Test(limits, unfinished_messages_of_all_connections)
{
    static char part[1000];
    struct raw second;
    char value[8];

    world.limits.message = sizeof(part);
    world.limits.unfinished_total = 2 * sizeof(part);
    start();
    raw_hello(&second);
    for (uint32_t i = 0; i < 2; i++) {
        raw_call(&raw, 1 + 2 * i, SILENT, NULL, NULL);
        raw_frame(&raw, FRAME_DATA, 0, 1 + 2 * i, "\0\0\0\x03\xe8", 5);
        raw_frame(&raw, FRAME_DATA, 0, 1 + 2 * i, part, sizeof(part) - 1);
    }
    world_settle();
    raw_call(&second, 1, SILENT, NULL, NULL);
    raw_frame(&second, FRAME_DATA, 0, 1, "\0\0\0\x03\xe8", 5);
    raw_frame(&second, FRAME_DATA, 0, 1, part, sizeof(part) - 1);
    cr_assert(raw_await(&second, FRAME_HEADERS, 1, NULL));
    cr_assert(raw_header(&second, 1, "grpc-status", value, sizeof(value)));
    cr_assert_str_eq(value, "8");
    cr_assert_eq(hits(GRPC_LIMIT_UNFINISHED_TOTAL), 1);
    cr_assert_eq(world.closes, 1, "the neighbours' messages may still be finished");
    raw_close(&second);
    stop();
}

Test(limits, a_connection_that_says_nothing)
{
    world.limits.handshake_ms = 40;
    world_start();
    raw_open(&raw);
    raw_write(&raw, "PRI * HTT", 9);
    cr_assert(raw_await_end(&raw));
    cr_assert_eq(hits(GRPC_LIMIT_HANDSHAKE), 1);
    stop();
}

Test(limits, a_dead_peer_is_found_by_keepalive)
{
    struct frame frame;

    world.limits.keepalive_ms = 50;
    world.limits.keepalive_timeout_ms = 50;
    start();
    raw_call(&raw, 1, STREAM, NULL, NULL);
    cr_assert(raw_await(&raw, FRAME_PING, 0, &frame));
    cr_assert_not(frame.flags & FLAG_ACK);
    cr_assert(raw_await_end(&raw));
    cr_assert_eq(counter_get(&world_stats()->keepalive_closed), 1);
    cr_assert_eq(world.closes, 1);
    stop();
}

static bool fifth_ping(void *ctx)
{
    static unsigned answered;
    struct raw *peer = ctx;

    while (raw_find(peer, FRAME_PING, 0, answered, NULL)) {
        raw_frame(peer, FRAME_PING, FLAG_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
        answered++;
    }
    return answered >= 5;
}

Test(limits, a_peer_that_answers_pings_lives)
{
    world.limits.keepalive_ms = 30;
    world.limits.keepalive_timeout_ms = 1000;
    start();
    cr_assert(world_until(fifth_ping, &raw));
    cr_assert_eq(counter_get(&world_stats()->keepalive_closed), 0);
    cr_assert_eq(counter_get(&world_stats()->connections), 1);
    stop();
}

static bool no_connection(void *ctx unused_arg)
{
    return counter_get(&world_stats()->connections) == 0;
}

Test(limits, a_peer_that_never_reads_is_closed_and_pins_little)
{
    world.limits.stalled_ms = 100;
    start();
    raw_frame(&raw, FRAME_WINDOW, 0, 0, "\x3f\xff\x00\x00", 4);
    world_say(4000000);
    world.ready = 1000;
    for (uint32_t i = 0; i < 20; i++) {
        raw_call(&raw, 1 + 2 * i, STREAM, NULL, NULL);
        raw_frame(&raw, FRAME_WINDOW, 0, 1 + 2 * i, "\x3f\xff\x00\x00", 4);
    }
    world_settle();
    cr_assert_eq(world.written, 0);
    cr_assert_leq(world.pulls, 20);
    cr_assert(world_until(no_connection, NULL));
    cr_assert_eq(world.closes, 20);
    cr_assert_eq(hits(GRPC_LIMIT_STALLED), 1);
    cr_assert_eq(counter_get(&world_stats()->stalled_bytes), 0);
    stop();
}

/* What ends it waits behind what it does not read. */
Test(limits, a_peer_that_is_condemned_and_does_not_read_is_closed)
{
    start();
    raw_frame(&raw, FRAME_WINDOW, 0, 0, "\x3f\xff\x00\x00", 4);
    raw_call(&raw, 1, STREAM, NULL, NULL);
    raw_frame(&raw, FRAME_WINDOW, 0, 1, "\x3f\xff\x00\x00", 4);
    world_settle();
    world_say(2000000);
    world.ready = 1;
    rpc_wake(world.rpc, RPC_WAKE_UPDATE);
    world_settle();
    cr_assert_gt(counter_get(&world_stats()->stalled_bytes), 1000000);
    raw_frame(&raw, FRAME_PRIORITY, 0, 0, "\0\0\0\0\0", 5);
    cr_assert(world_until(no_connection, NULL));
    cr_assert_eq(world.closes, 1);
    stop();
}

static bool all_answered(void *ctx)
{
    const unsigned *pings = ctx;

    return raw_find(&raw, FRAME_PING, 0, *pings - 1, NULL);
}

/* A peer that asks for answers and reads none: the server stops reading instead of collecting
 * answers, and goes on where it stopped once the peer reads. */
Test(limits, a_peer_that_never_reads_is_not_read_for_ever)
{
    static const char ping[] = "\0\0\x08\6\0\0\0\0\0abcdefgh";
    unsigned pings = 0;

    world.limits.pings_per_second = 1000000;
    start();
    raw_frame(&raw, FRAME_WINDOW, 0, 0, "\x3f\xff\x00\x00", 4);
    world_say(4000000);
    world.ready = 1;
    raw_call(&raw, 1, STREAM, NULL, NULL);
    raw_frame(&raw, FRAME_WINDOW, 0, 1, "\x3f\xff\x00\x00", 4);
    world_settle();
    cr_assert_eq(world.written, 0);
    while (pings < 1000000 && send(raw.fd, ping, 17, MSG_NOSIGNAL) == 17) {
        pings++;
        if (pings % 100 == 0)
            loop_turn(world.loop, 0);
    }
    cr_assert_lt(pings, 100000, "the socket is full");
    cr_assert_eq(counter_get(&world_stats()->connections), 1);
    cr_assert(world_until(all_answered, &pings));
    stop();
}
