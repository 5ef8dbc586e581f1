/* What a handler can rely on, seen from both ends of a connection. */
#include <criterion/criterion.h>

#include "grpc/message.h"
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

static void expect_status(uint32_t stream, const char *status, const char *message)
{
    char value[256];

    cr_assert(raw_header(&raw, stream, "grpc-status", value, sizeof(value)));
    cr_assert_str_eq(value, status);
    if (!message)
        return;
    cr_assert(raw_header(&raw, stream, "grpc-message", value, sizeof(value)));
    cr_assert_str_eq(value, message);
}

/* All DATA bytes of a stream. */
static struct buf data_of(uint32_t stream)
{
    struct buf all;
    struct frame frame;

    buf_init(&all, 64 * 1024 * 1024);
    for (unsigned n = 0; raw_find(&raw, FRAME_DATA, stream, n, &frame); n++)
        cr_assert_eq(buf_append(&all, frame.payload, frame.len), CODE_OK);
    return all;
}

static void credit(uint32_t stream, uint32_t bytes)
{
    unsigned char payload[4] = {(unsigned char)(bytes >> 24), (unsigned char)(bytes >> 16),
                                (unsigned char)(bytes >> 8), (unsigned char)bytes};

    raw_frame(&raw, FRAME_WINDOW, 0, stream, payload, 4);
}

Test(rpc, answers_a_unary_call_with_headers_message_and_trailers)
{
    struct frame frame;

    start();
    raw_call(&raw, 1, ECHO, NULL, NULL);
    raw_message(&raw, 1, "hello", 5, true);
    cr_assert(raw_await(&raw, FRAME_DATA, 1, &frame));
    cr_assert_eq(frame.len, 10);
    cr_assert_eq(memcmp(frame.payload, "\0\0\0\0\5hello", 10), 0);
    cr_assert(raw_find(&raw, FRAME_HEADERS, 1, 1, &frame));
    cr_assert(frame.flags & FLAG_END_STREAM);
    expect_status(1, "0", NULL);
    cr_assert_eq(world.opens, 1);
    cr_assert_eq(world.closes, 1);
    cr_assert_eq(world.closed, CODE_OK);
    cr_assert_eq(world.half_closes, 0, "a finished call hears no more");
    cr_assert_not(raw_find(&raw, FRAME_RST, 1, 0, NULL));
    stop();
}

static void check_own_trailer(uint32_t stream)
{
    char value[64];

    cr_assert(raw_header(&raw, stream, "load-bin", value, sizeof(value)));
    cr_assert_str_eq(value, "AAE=");
}

Test(rpc, sends_a_trailer_of_the_handler_with_an_answer_and_with_an_error)
{
    struct frame frame;

    start();
    raw_call(&raw, 1, SILENT, NULL, NULL);
    raw_message(&raw, 1, "x", 1, true);
    world_settle();
    rpc_set_trailer(world.rpc, "load-bin", "AAE=");
    rpc_reply(world.rpc, "hello", 5);
    cr_assert(raw_await(&raw, FRAME_DATA, 1, NULL));
    cr_assert(raw_find(&raw, FRAME_HEADERS, 1, 1, &frame));
    check_own_trailer(1);
    expect_status(1, "0", NULL);
    raw_call(&raw, 3, SILENT, NULL, NULL);
    raw_message(&raw, 3, "x", 1, true);
    world_settle();
    rpc_set_trailer(world.rpc, "load-bin", "AAE=");
    rpc_finish(world.rpc, CODE_UNAVAILABLE, "busy");
    cr_assert(raw_await(&raw, FRAME_HEADERS, 3, &frame));
    cr_assert(frame.flags & FLAG_END_STREAM);
    check_own_trailer(3);
    expect_status(3, "14", "busy");
    stop();
}

Test(rpc, ends_a_call_whose_client_has_not_half_closed_with_a_reset_without_error)
{
    struct frame frame;

    start();
    raw_call(&raw, 1, ECHO, NULL, NULL);
    raw_message(&raw, 1, "hello", 5, false);
    cr_assert(raw_await(&raw, FRAME_RST, 1, &frame));
    cr_assert_eq(memcmp(frame.payload, "\0\0\0\0", 4), 0);
    expect_status(1, "0", NULL);
    cr_assert_eq(world.closed, CODE_OK);
    stop();
}

Test(rpc, may_be_finished_in_on_open_and_in_on_message)
{
    struct frame frame;

    start();
    raw_call(&raw, 1, DENIED, NULL, NULL);
    raw_call(&raw, 3, REFUSED, NULL, NULL);
    raw_message(&raw, 3, "x", 1, true);
    cr_assert(raw_await(&raw, FRAME_HEADERS, 3, &frame));
    cr_assert(raw_find(&raw, FRAME_HEADERS, 1, 0, &frame));
    cr_assert(frame.flags & FLAG_END_STREAM, "trailers only");
    expect_status(1, "7", "50%25 no%0A");
    expect_status(3, "3", "no such thing");
    cr_assert_eq(world.closes, 2);
    stop();
}

Test(rpc, a_streaming_call_gets_its_headers_at_once)
{
    struct frame frame;
    char value[64];

    start();
    raw_call(&raw, 1, STREAM, NULL, NULL);
    cr_assert(raw_await(&raw, FRAME_HEADERS, 1, &frame));
    cr_assert_not(frame.flags & FLAG_END_STREAM);
    cr_assert(raw_header(&raw, 1, "content-type", value, sizeof(value)));
    cr_assert_str_eq(value, "application/grpc");
    cr_assert_eq(world.pulls, 1);
    stop();
}

Test(rpc, is_pulled_until_it_has_nothing_more_to_say)
{
    struct buf data;

    start();
    world_say(100);
    world.ready = 3;
    raw_call(&raw, 1, STREAM, NULL, NULL);
    world_settle();
    data = data_of(1);
    cr_assert_eq(data.len, 3 * 105);
    cr_assert_eq(world.written, 3);
    cr_assert_eq(world.pulls, 4);
    cr_assert_not(rpc_stalled(world.rpc));
    cr_assert_eq(rpc_bytes_sent(world.rpc), 3 * 105);
    buf_done(&data);
    stop();
}

/* Once, and not before: what the client has there until then is freed when it acknowledges. */
Test(rpc, a_streaming_call_leaves_the_client_no_header_table)
{
    struct frame frame;

    start();
    raw_call(&raw, 1, ECHO, NULL, NULL);
    world_settle();
    cr_assert(raw_find(&raw, FRAME_SETTINGS, 0, 1, &frame) && (frame.flags & FLAG_ACK));
    cr_assert_not(raw_find(&raw, FRAME_SETTINGS, 0, 2, NULL));
    raw_call(&raw, 3, STREAM, NULL, NULL);
    raw_call(&raw, 5, STREAM, NULL, NULL);
    world_settle();
    cr_assert(raw_find(&raw, FRAME_SETTINGS, 0, 2, &frame));
    cr_assert(str_eq(str_make(frame.payload, frame.len), STR("\0\1\0\0\0\0")));
    cr_assert_not(raw_find(&raw, FRAME_SETTINGS, 0, 3, NULL));
    stop();
}

Test(rpc, what_there_is_to_say_goes_out_in_one_write)
{
    struct buf data;

    start();
    raw_call(&raw, 1, STREAM, NULL, NULL);
    world_settle();
    world_say(100);
    world.ready = 5;
    rpc_wake(world.rpc, RPC_WAKE_UPDATE);
    loop_turn(world.loop, 0);
    data = data_of(1);
    cr_assert_eq(data.len, 5 * 105);
    cr_assert_eq(world.written, 5);
    cr_assert_eq(counter_get(&world_stats()->messages_sent), 5);
    buf_done(&data);
    stop();
}

Test(rpc, is_not_pulled_while_the_client_does_not_read_and_then_says_the_newest)
{
    struct buf data;

    start();
    world_say(200000);
    world.ready = 1;
    raw_call(&raw, 1, STREAM, NULL, NULL);
    world_settle(); /* the window of 65,535 bytes is used up */
    cr_assert_eq(world.pulls, 1);
    cr_assert(rpc_stalled(world.rpc));
    cr_assert_gt(counter_get(&world_stats()->stalled_bytes), 100000);
    for (int i = 0; i < 10; i++) {
        world_say(10 + (size_t)i);
        world.ready = 1;
        rpc_wake(world.rpc, RPC_WAKE_UPDATE);
        world_settle();
    }
    cr_assert_eq(world.pulls, 1);
    credit(0, 1000000);
    credit(1, 1000000);
    world_settle();
    data = data_of(1);
    cr_assert_eq(data.len, 200005 + 19 + 5, "the long one, then the tenth of the others");
    cr_assert_eq(world.written, 2);
    cr_assert_eq(counter_get(&world_stats()->stalled_bytes), 0);
    buf_done(&data);
    stop();
}

/* More than a gather holds, and than the kernel takes: nobody wakes the call meanwhile. */
Test(rpc, much_to_say_goes_out_over_many_writes)
{
    start();
    raw_call(&raw, 1, STREAM, NULL, NULL);
    world_settle();
    credit(0, 0x10000000);
    credit(1, 0x10000000);
    world_settle();
    world_say(100000);
    world.ready = 40;
    rpc_wake(world.rpc, RPC_WAKE_UPDATE);
    for (int i = 0; i < 1000 && world.written < 40; i++) {
        loop_turn(world.loop, 0);
        raw_read(&raw);
        raw.in.len = 0;
    }
    cr_assert_eq(world.written, 40);
    cr_assert_eq(rpc_bytes_sent(world.rpc), 40 * 100005);
    cr_assert_not(rpc_stalled(world.rpc));
    stop();
}

Test(rpc, does_not_pull_into_a_window_that_is_exactly_full)
{
    struct buf data;

    start();
    world_say(65535 - MESSAGE_PREFIX_SIZE);
    world.ready = 2;
    raw_call(&raw, 1, STREAM, NULL, NULL);
    world_settle();
    cr_assert_eq(world.written, 1);
    rpc_wake(world.rpc, RPC_WAKE_UPDATE);
    world_settle();
    cr_assert_eq(world.ready, 1, "not asked yet");
    world_say(1);
    credit(0, 1000);
    credit(1, 1000);
    world_settle();
    data = data_of(1);
    cr_assert_eq(data.len, 65535 + 6);
    buf_done(&data);
    stop();
}

Test(rpc, a_slow_socket_holds_the_message_and_loses_nothing)
{
    struct buf data;

    start();
    credit(0, 16 * 1024 * 1024);
    world_say(RPC_REPLY_MAX - 100);
    world.head_len = 100;
    world.ready = 1;
    raw_call(&raw, 1, STREAM, NULL, NULL);
    credit(1, 16 * 1024 * 1024);
    for (int i = 0; i < 5; i++)
        loop_turn(world.loop, 0);
    cr_assert_eq(world.written, 0, "the socket does not take 4 MiB");
    cr_assert_gt(counter_get(&world_stats()->stalled_bytes), 0);
    for (int i = 0; i < 1000 && world.written == 0; i++) {
        raw_read(&raw);
        loop_turn(world.loop, 0);
    }
    data = data_of(1);
    cr_assert_eq(data.len, RPC_REPLY_MAX + MESSAGE_PREFIX_SIZE);
    for (size_t i = 0; i < data.len - 105; i++)
        cr_assert_eq(data.ptr[105 + i], 'x', "byte %zu", i);
    cr_assert_eq(world.written, 1);
    cr_assert_eq(counter_get(&world_stats()->stalled_bytes), 0);
    buf_done(&data);
    stop();
}

static bool pull_many(struct rpc *rpc, struct rpc_out *out)
{
    if (world.ready == 0)
        return false;
    world.ready--;
    world.pulls++;
    for (int i = 0; i < 5000; i++)
        rpc_out_add(out, blob_copy("0123456", (size_t)(i % 8)));
    (void)rpc;
    return true;
}

static void on_nothing(struct rpc *rpc unused_arg)
{
}

static void on_no_message(struct rpc *rpc unused_arg, struct str message unused_arg)
{
}

static void on_no_close(struct rpc *rpc unused_arg, enum code code unused_arg)
{
}

Test(rpc, a_message_of_thousands_of_pieces_is_whole)
{
    static const struct rpc_handler handler = {on_nothing, on_no_message, NULL, pull_many,
                                               NULL,       on_no_close,   NULL};
    static const struct rpc_method method = {STR_INIT("/many"), &handler};
    struct grpc_server_options options = {
        .methods = &method, .methods_len = 1, .release = world_release};
    struct err err = {0};
    struct buf data;
    size_t at = MESSAGE_PREFIX_SIZE;

    cr_assert_eq(loop_new(&world.loop, &err), CODE_OK);
    options.loop = world.loop;
    cr_assert_eq(grpc_server_new(&options, &world.server, &err), CODE_OK);
    raw_hello(&raw);
    world.ready = 1;
    raw_call(&raw, 1, "/many", NULL, NULL);
    world_settle();
    data = data_of(1);
    cr_assert_eq(data.len, MESSAGE_PREFIX_SIZE + 5000 / 8 * 28);
    for (int i = 0; i < 5000; i++) {
        cr_assert_eq(memcmp(data.ptr + at, "0123456", (size_t)(i % 8)), 0, "piece %d", i);
        at += (size_t)(i % 8);
    }
    buf_done(&data);
    stop();
}

Test(rpc, a_reply_that_no_client_takes_fails_the_call)
{
    start();
    world_say(RPC_REPLY_MAX + 1);
    world.ready = 1;
    raw_call(&raw, 1, STREAM, NULL, NULL);
    world_settle();
    expect_status(1, "8",
                  "the answer is longer than 4194303 bytes, which is all that gRPC clients take: "
                  "ask for less");
    cr_assert_eq(world.closed, CODE_RESOURCE_EXHAUSTED);
    stop();
}

Test(rpc, half_close_ends_a_stream_once_all_is_said)
{
    struct buf data;

    start();
    world_say(50);
    world.ready = 2;
    raw_call(&raw, 1, STREAM, NULL, NULL);
    raw_message(&raw, 1, "x", 1, true);
    world_settle();
    data = data_of(1);
    cr_assert_eq(data.len, 2 * 55);
    expect_status(1, "0", NULL);
    cr_assert_eq(world.closed, CODE_OK);
    buf_done(&data);
    stop();
}

Test(rpc, a_reset_or_a_lost_connection_closes_calls_as_cancelled)
{
    start();
    raw_call(&raw, 1, STREAM, NULL, NULL);
    raw_call(&raw, 3, SILENT, NULL, NULL);
    world_settle();
    cr_assert_eq(world.opens, 2);
    cr_assert_eq(counter_get(&world_stats()->calls), 2);
    raw_frame(&raw, FRAME_RST, 0, 1, "\0\0\0\x08", 4);
    world_settle();
    cr_assert_eq(world.closes, 1);
    cr_assert_eq(world.closed, CODE_CANCELLED);
    raw_close(&raw);
    world_settle();
    cr_assert_eq(world.closes, 2);
    cr_assert_eq(world.closed, CODE_CANCELLED);
    cr_assert_eq(counter_get(&world_stats()->connections), 0);
    world_stop();
}

Test(rpc, a_reset_before_the_answer_is_out_closes_the_call_as_cancelled)
{
    static char text[100000];

    start();
    raw_call(&raw, 1, ECHO, NULL, NULL);
    for (size_t i = 0; i < 10; i++) {
        size_t head = i == 0 ? MESSAGE_PREFIX_SIZE : 0;
        char part[10000 + MESSAGE_PREFIX_SIZE] = {0};

        message_prefix((unsigned char *)part, sizeof(text));
        raw_frame(&raw, FRAME_DATA, i == 9 ? FLAG_END_STREAM : 0, 1,
                  part + (head ? 0 : MESSAGE_PREFIX_SIZE), 10000 + head);
        world_settle();
    }
    cr_assert_eq(world.messages, 1);
    cr_assert_eq(world.closes, 0, "the answer is larger than the window");
    raw_frame(&raw, FRAME_RST, 0, 1, "\0\0\0\x08", 4);
    world_settle();
    cr_assert_eq(world.closed, CODE_CANCELLED);
    stop();
}

Test(rpc, a_deadline_ends_the_call)
{
    struct frame frame;

    start();
    raw_call(&raw, 1, SILENT, "grpc-timeout", "30m");
    cr_assert(raw_await(&raw, FRAME_HEADERS, 1, &frame));
    expect_status(1, "4", "the client's deadline of 30 ms has passed");
    cr_assert_eq(world.closed, CODE_DEADLINE_EXCEEDED);
    stop();
}

Test(rpc, a_deadline_of_zero_is_now)
{
    start();
    raw_call(&raw, 1, SILENT, "grpc-timeout", "0S");
    cr_assert(raw_await(&raw, FRAME_HEADERS, 1, NULL));
    expect_status(1, "4", "the client's deadline of 0 ms has passed");
    stop();
}

Test(rpc, a_deadline_ends_a_call_whose_message_is_stuck)
{
    struct frame frame;

    start();
    world_say(200000);
    world.ready = 1;
    raw_call(&raw, 1, STREAM, "grpc-timeout", "50m");
    cr_assert(raw_await(&raw, FRAME_RST, 1, &frame));
    cr_assert_eq(memcmp(frame.payload, "\0\0\0\x08", 4), 0);
    cr_assert_eq(world.closed, CODE_DEADLINE_EXCEEDED);
    cr_assert_eq(counter_get(&world_stats()->stalled_bytes), 0);
    stop();
}

Test(rpc, the_first_error_counts_and_overrules_ok)
{
    start();
    raw_call(&raw, 1, SILENT, NULL, NULL);
    world_settle();
    rpc_finish(world.rpc, CODE_OK, NULL);
    rpc_finish(world.rpc, CODE_NOT_FOUND, "first");
    rpc_finish(world.rpc, CODE_INTERNAL, "second");
    world_settle();
    expect_status(1, "5", "first");
    stop();
}

Test(rpc, ids_are_unique_over_servers)
{
    uint64_t first;

    start();
    raw_call(&raw, 1, SILENT, NULL, NULL);
    world_settle();
    first = rpc_id(world.rpc);
    cr_assert_eq(rpc_server_ctx(world.rpc), &world);
    cr_assert(str_eq(rpc_path(world.rpc), STR(SILENT)));
    cr_assert(address_is_unix(rpc_peer(world.rpc)));
    stop();
    start();
    raw_call(&raw, 1, SILENT, NULL, NULL);
    world_settle();
    cr_assert_neq(rpc_id(world.rpc), first);
    stop();
}

/* ---- the order of things ---- */

#define PEERS 40

static void wake_update(void *ctx unused_arg, struct rpc *rpc)
{
    rpc_wake(rpc, RPC_WAKE_UPDATE);
}

static void open_streams(struct raw raws[PEERS])
{
    world_say(100);
    for (int i = 0; i < PEERS; i++) {
        raw_hello(&raws[i]);
        raw_call(&raws[i], 1, STREAM, NULL, NULL);
    }
    for (int i = 0; i < 10; i++)
        world_settle();
    cr_assert_eq(world.opens, PEERS);
    world.ready = PEERS;
    world.one_each = true;
    grpc_server_each_call(world.server, wake_update, NULL);
}

static void close_streams(struct raw raws[PEERS])
{
    for (int i = 0; i < PEERS; i++)
        raw_close(&raws[i]);
}

Test(rpc, updates_wait_for_the_answers_of_their_turn)
{
    static struct raw raws[PEERS], others[PEERS];

    world.limits.turn_us = 1000000;
    start();
    for (int i = 0; i < PEERS; i++)
        raw_hello(&others[i]);
    open_streams(raws);
    for (int i = 0; i < PEERS; i++) {
        raw_call(&others[i], 1, ECHO, NULL, NULL);
        raw_message(&others[i], 1, "x", 1, true);
    }
    loop_turn(world.loop, 0);
    cr_assert_eq(world.order.len, 2 * PEERS);
    for (int i = 0; i < 2 * PEERS; i++)
        cr_assert_eq(world.order.ptr[i], i < PEERS ? 'a' : 'u', "%s", buf_cstr(&world.order));
    close_streams(raws);
    close_streams(others);
    stop();
}

Test(rpc, long_work_is_cut_into_turns)
{
    static struct raw raws[PEERS];
    unsigned turns = 0;

    world.limits.turn_us = 1;
    start();
    open_streams(raws);
    while (world.written < PEERS && ++turns < 100)
        loop_turn(world.loop, 0);
    cr_assert_eq(world.written, PEERS);
    cr_assert_gt(turns, 3);
    close_streams(raws);
    stop();
}
