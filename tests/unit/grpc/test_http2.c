/* Rules of HTTP/2 that nghttp2 leaves to its user, and abuses that it does not count. */
#include <criterion/criterion.h>

#include "world.h"

#define FLAG_PADDED 8

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

static void expect_goaway(unsigned code, const char *why)
{
    struct frame frame;

    cr_assert(raw_await(&raw, FRAME_GOAWAY, 0, &frame));
    cr_assert_eq(frame.payload[7], code, "%u", frame.payload[7]);
    cr_assert(str_eq(str_make(frame.payload + 8, frame.len - 8), str_of(why)));
    cr_assert(raw_await_end(&raw));
    cr_assert_eq(world.opens, world.closes);
}

static uint64_t hits(enum grpc_limit limit)
{
    return counter_get(&world_stats()->limit_hits[limit]);
}

static uint64_t errors(void)
{
    return counter_get(&world_stats()->protocol_errors);
}

Test(http2, a_stream_that_was_left_out_is_not_opened_later)
{
    start();
    raw_call(&raw, 5, SILENT, NULL, NULL);
    raw_call(&raw, 9, SILENT, NULL, NULL);
    world_settle();
    cr_assert_eq(world.opens, 2, "leaving some out is allowed");
    raw_call(&raw, 7, SILENT, NULL, NULL);
    expect_goaway(1, "HEADERS: the stream was left out");
    cr_assert_eq(errors(), 1);
    stop();
}

Test(http2, behind_the_last_stream_there_is_none)
{
    start();
    raw_call(&raw, INT32_MAX, ECHO, NULL, NULL);
    raw_message(&raw, INT32_MAX, "a", 1, true);
    cr_assert(raw_await(&raw, FRAME_DATA, INT32_MAX, NULL));
    raw_call(&raw, 3, SILENT, NULL, NULL);
    expect_goaway(1, "HEADERS: the stream was left out");
    stop();
}

Test(http2, a_stream_that_the_client_has_reset_is_over)
{
    start();
    raw_call(&raw, 1, SILENT, NULL, NULL);
    raw_frame(&raw, FRAME_RST, 0, 1, "\0\0\0\x08", 4);
    raw_frame(&raw, FRAME_DATA, 0, 1, "late", 4); /* ignored */
    raw_call(&raw, 1, SILENT, NULL, NULL);
    expect_goaway(5, "HEADERS: the stream is closed");
    stop();
}

Test(http2, trailers_of_a_call_that_we_have_ended_are_ignored)
{
    start();
    raw_call(&raw, 1, DENIED, NULL, NULL);
    world_settle();
    raw_frame(&raw, FRAME_HEADERS, FLAG_END_STREAM | FLAG_END_HEADERS, 1, "\0\1x\1y", 5);
    raw_call(&raw, 3, ECHO, NULL, NULL);
    raw_message(&raw, 3, "a", 1, true);
    cr_assert(raw_await(&raw, FRAME_DATA, 3, NULL));
    cr_assert_eq(errors(), 0);
    stop();
}

Test(http2, priority_belongs_to_a_stream)
{
    start();
    raw_frame(&raw, FRAME_PRIORITY, 0, 3, "\0\0\0\0\0", 5);
    world_settle();
    cr_assert_not(raw_find(&raw, FRAME_GOAWAY, 0, 0, NULL));
    raw_frame(&raw, FRAME_PRIORITY, 0, 0, "\0\0\0\0\0", 5);
    expect_goaway(1, "PRIORITY: stream_id == 0");
    stop();
}

Test(http2, priorities_are_counted)
{
    start();
    for (int n = 0; n < 200; n++)
        raw_frame(&raw, FRAME_PRIORITY, 0, 1, "\0\0\0\0\0", 5);
    expect_goaway(11, "too many control frames");
    cr_assert_eq(hits(GRPC_LIMIT_CONTROL_FRAMES), 1);
    stop();
}

Test(http2, data_of_padding_alone_is_empty)
{
    start();
    raw_call(&raw, 1, SILENT, NULL, NULL);
    for (int n = 0; n < 200; n++)
        raw_frame(&raw, FRAME_DATA, FLAG_PADDED, 1, "\3abc", 4);
    expect_goaway(11, "too many control frames");
    stop();
}

Test(http2, continuations_without_end)
{
    start();
    raw_frame(&raw, FRAME_HEADERS, 0, 1, "", 0);
    for (int n = 0; n < 100; n++)
        raw_frame(&raw, FRAME_CONTINUATION, 0, 1, "", 0);
    expect_goaway(11, "too many CONTINUATION frames");
    cr_assert_eq(hits(GRPC_LIMIT_HEADER_LIST), 1);
    stop();
}

/* A header of 3 KiB goes into the table, and each further byte stands for it. */
Test(http2, headers_that_are_far_too_long_end_the_connection)
{
    static char block[16000];
    size_t len = 0;

    memset(block, 'y', sizeof(block));
    memcpy(block, "\x40\1x\x7f\x81\x17", 6); /* 127 + 1 + 23 * 128 = 3,072 bytes */
    len = 6 + 3072;
    memset(block + len, 0xbe, sizeof(block) - len);
    start();
    raw_frame(&raw, FRAME_HEADERS, FLAG_END_HEADERS, 1, block, sizeof(block));
    expect_goaway(11, "header list far too large");
    cr_assert_leq(hits(GRPC_LIMIT_HEADER_LIST), 2);
    cr_assert_eq(world.opens, 0);
    stop();
}

/* The server resets the streams, and that costs it as much as if the client did. */
Test(http2, resets_for_a_wrong_content_length_count)
{
    struct frame frame;

    start();
    for (uint32_t i = 0; i < 3000; i++) {
        raw_call(&raw, 1 + 2 * i, SILENT, "content-length", "3");
        raw_frame(&raw, FRAME_DATA, FLAG_END_STREAM, 1 + 2 * i, "ab", 2);
        if (i == 0) {
            cr_assert(raw_await(&raw, FRAME_RST, 1, &frame));
            cr_assert_eq(frame.payload[3], 1);
            cr_assert_eq(errors(), 1);
        }
    }
    cr_assert(raw_await_end(&raw));
    cr_assert_eq(hits(GRPC_LIMIT_RESETS), 1);
    cr_assert_eq(world.opens, world.closes);
    stop();
}

Test(http2, a_host_is_the_authority)
{
    struct frame frame;

    start();
    raw_call(&raw, 1, ECHO, "host", "TEST");
    raw_message(&raw, 1, "a", 1, true);
    raw_call(&raw, 3, ECHO, "host", "other");
    cr_assert(raw_await(&raw, FRAME_DATA, 1, NULL));
    cr_assert(raw_await(&raw, FRAME_RST, 3, &frame));
    cr_assert_eq(frame.payload[3], 1);
    world_settle();
    cr_assert_eq(errors(), 1);
    cr_assert_eq(world.opens, 1);
    stop();
}

Test(http2, one_stream_too_many_of_who_knows_the_number_is_a_limit)
{
    world.limits.streams = 2;
    start();
    raw_frame(&raw, FRAME_SETTINGS, FLAG_ACK, 0, "", 0);
    for (uint32_t i = 0; i < 3; i++)
        raw_call(&raw, 1 + 2 * i, SILENT, NULL, NULL);
    cr_assert(raw_await_end(&raw));
    cr_assert_eq(hits(GRPC_LIMIT_STREAMS), 1);
    cr_assert_eq(errors(), 0);
    stop();
}

Test(http2, health_is_told_once_the_request_is_whole)
{
    char value[8] = "";
    struct frame frame;

    start();
    raw_call(&raw, 1, "/healthz", NULL, NULL); /* a call, with gRPC's content-type */
    raw_request(&raw, 3, "POST", "/healthz", NULL);
    world_settle();
    cr_assert(raw_header(&raw, 1, "grpc-status", value, sizeof(value)));
    cr_assert_str_eq(value, "12");
    cr_assert(raw_find(&raw, FRAME_DATA, 3, 0, &frame));
    cr_assert_eq(frame.len, 3);
    cr_assert_not(raw_find(&raw, FRAME_RST, 3, 0, NULL));
    stop();
}
