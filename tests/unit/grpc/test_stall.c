/* Clients that hold their windows closed: what they pin ends in time, and has limits. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "world.h"

#define LEN 200000 /* of a message: three times the window that a stream has at first */

static struct raw raw;

static void credit(struct raw *peer, uint32_t stream, uint32_t bytes)
{
    unsigned char payload[4] = {(unsigned char)(bytes >> 24), (unsigned char)(bytes >> 16),
                                (unsigned char)(bytes >> 8), (unsigned char)bytes};

    raw_frame(peer, FRAME_WINDOW, 0, stream, payload, 4);
}

/* A client's pace: the loop turns meanwhile. */
static void pass(uint64_t ms)
{
    uint64_t end_us = clock_monotonic_us() + ms * 1000;

    while (clock_monotonic_us() < end_us)
        loop_turn(world.loop, 1);
}

static void start(void)
{
    world_start();
    world_say(LEN);
}

/* A connection with room for everything, and `streams` whose messages do not fit. */
static void hang(struct raw *peer, uint32_t streams)
{
    raw_hello(peer);
    credit(peer, 0, 64 * 1024 * 1024);
    for (uint32_t i = 0; i < streams; i++) {
        world.ready = 1;
        raw_call(peer, 1 + 2 * i, STREAM, NULL, NULL);
        world_settle();
    }
}

static void stop(void)
{
    raw_close(&raw);
    world_stop();
}

static bool no_pinned_bytes(void *ctx unused_arg)
{
    return counter_get(&world_stats()->stalled_bytes) == 0;
}

Test(stall, a_stream_that_does_not_take_its_message_is_reset)
{
    struct frame frame;

    world.limits.stalled_ms = 200;
    start();
    hang(&raw, 1);
    cr_assert_gt(counter_get(&world_stats()->stalled_bytes), 0);
    cr_assert(raw_await(&raw, FRAME_RST, 1, &frame));
    cr_assert_eq(frame.payload[3], 11, "ENHANCE_YOUR_CALM, not %u", frame.payload[3]);
    cr_assert_eq(world.closed, CODE_RESOURCE_EXHAUSTED);
    cr_assert_eq(counter_get(&world_stats()->limit_hits[GRPC_LIMIT_STALLED]), 1);
    cr_assert(world_until(no_pinned_bytes, NULL));
    raw_call(&raw, 3, ECHO, NULL, NULL);
    raw_message(&raw, 3, "a", 1, true);
    cr_assert(raw_await(&raw, FRAME_DATA, 3, NULL), "the neighbour lives");
    stop();
}

Test(stall, an_answer_that_is_not_taken_is_reset)
{
    struct frame frame;

    world.limits.stalled_ms = 200;
    start();
    raw_hello(&raw);
    raw_frame(&raw, FRAME_SETTINGS, 0, 0, "\0\4\0\0\0\0", 6); /* windows of 0 bytes */
    raw_request(&raw, 1, "GET", "/healthz", NULL);
    raw_call(&raw, 3, ECHO, NULL, NULL);
    raw_message(&raw, 3, "a", 1, true);
    cr_assert(raw_await(&raw, FRAME_RST, 1, &frame));
    cr_assert_eq(frame.payload[3], 11);
    cr_assert(raw_await(&raw, FRAME_RST, 3, &frame));
    cr_assert_eq(frame.payload[3], 11);
    cr_assert_eq(counter_get(&world_stats()->limit_hits[GRPC_LIMIT_STALLED]), 2);
    stop();
}

/* Twice, each time long enough to be late: what was late and went out is forgotten. */
Test(stall, a_slow_reader_within_the_limits_gets_all)
{
    world.limits.stalled_ms = 400;
    world.limits.pinned = LEN + LEN / 2;
    world.limits.pinned_total = LEN + LEN / 2;
    start();
    hang(&raw, 1);
    world.ready = 1;
    for (int i = 0; i < 200 && world.written < 2; i++) {
        pass(20);
        credit(&raw, 1, 5000);
        raw_read(&raw);
    }
    cr_assert_eq(world.written, 2);
    cr_assert_not(raw_find(&raw, FRAME_RST, 1, 0, NULL));
    cr_assert_eq(counter_get(&world_stats()->limit_hits[GRPC_LIMIT_PINNED]), 0);
    stop();
}

/* A byte now and then keeps each stream alive, but not what all of them pin. */
Test(stall, pinned_bytes_of_a_connection)
{
    world.limits.stalled_ms = 400;
    world.limits.pinned = 2 * LEN; /* two of them, without the prefixes */
    start();
    hang(&raw, 2);
    for (int i = 0; i < 500 && !raw.ended; i++) {
        pass(10);
        raw_read(&raw);
        credit(&raw, 1, 1);
        credit(&raw, 3, 1);
    }
    cr_assert(raw.ended);
    cr_assert_not(raw_find(&raw, FRAME_RST, 1, 0, NULL));
    cr_assert_not(raw_find(&raw, FRAME_RST, 3, 0, NULL));
    cr_assert_eq(world.closes, 2);
    cr_assert_eq(world.closed, CODE_RESOURCE_EXHAUSTED);
    cr_assert_eq(counter_get(&world_stats()->limit_hits[GRPC_LIMIT_PINNED]), 1);
    cr_assert_eq(counter_get(&world_stats()->stalled_bytes), 0);
    stop();
}

Test(stall, pinned_bytes_of_all_connections)
{
    struct raw second;

    world.limits.stalled_ms = 2000;
    world.limits.pinned_total = LEN + LEN / 2;
    start();
    hang(&raw, 1);
    hang(&second, 1);
    for (int i = 0; i < 150 && !raw.ended && !second.ended; i++) {
        pass(10);
        raw_read(&raw);
        raw_read(&second);
    }
    cr_assert(raw.ended != second.ended, "one is enough");
    cr_assert_eq(world.closes, 1);
    cr_assert_eq(counter_get(&world_stats()->connections), 1);
    cr_assert_eq(counter_get(&world_stats()->limit_hits[GRPC_LIMIT_PINNED_TOTAL]), 1);
    raw_close(&second);
    stop();
}
