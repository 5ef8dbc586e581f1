/* What a handler may read of the request's headers, say in its own, and how it compresses. */
#include <criterion/criterion.h>

#include "grpc/gzip.h"
#include "grpc/message.h"
#include "world.h"

#define TEXT "hello hello hello hello hello hello hello hello"

static struct raw raw;

static void start(void)
{
    static const char *const names[] = {"x-kept", NULL};

    world.metadata = names;
    world_start();
    raw_hello(&raw);
}

static void stop(void)
{
    raw_close(&raw);
    world_stop();
}

TestSuite(metadata, .init = start, .fini = stop);

/* A unary call that waits for its answer. */
static void call(uint32_t stream, const char *name, const char *value)
{
    raw_call(&raw, stream, SILENT, name, value);
    raw_message(&raw, stream, "x", 1, true);
    world_settle();
    cr_assert(world.rpc);
}

static void expect_header(uint32_t stream, const char *name, const char *expected)
{
    char value[64];

    cr_assert(raw_header(&raw, stream, name, value, sizeof(value)), "no %s", name);
    cr_expect_str_eq(value, expected);
}

static bool has_header(uint32_t stream, const char *name)
{
    char value[64];

    return raw_header(&raw, stream, name, value, sizeof(value));
}

Test(metadata, what_was_asked_for_is_kept_and_nothing_else)
{
    call(1, "x-kept", "one");
    cr_expect_str_eq(rpc_metadata(world.rpc, "x-kept"), "one");
    cr_expect_null(rpc_metadata(world.rpc, "content-type"));
    call(3, "x-other", "two");
    cr_expect_null(rpc_metadata(world.rpc, "x-kept"));
    cr_expect_null(rpc_metadata(world.rpc, "x-other"));
    call(5, "x-kept", "");
    cr_expect_str_eq(rpc_metadata(world.rpc, "x-kept"), "");
}

Test(metadata, a_header_of_the_handler_goes_before_the_answer)
{
    struct frame frame;

    call(1, NULL, NULL);
    rpc_set_header(world.rpc, "x-first", "here");
    rpc_set_trailer(world.rpc, "x-last", "there");
    rpc_reply(world.rpc, "hello", 5);
    cr_assert(raw_await(&raw, FRAME_DATA, 1, &frame));
    cr_assert(raw_find(&raw, FRAME_HEADERS, 1, 1, &frame));
    expect_header(1, "x-first", "here");
    expect_header(1, "x-last", "there");
}

Test(metadata, a_header_of_the_handler_is_no_trailer_of_a_call_that_fails)
{
    struct frame frame;

    call(1, NULL, NULL);
    rpc_set_header(world.rpc, "x-first", "here");
    rpc_finish(world.rpc, CODE_NOT_FOUND, "no");
    cr_assert(raw_await(&raw, FRAME_HEADERS, 1, &frame));
    world_settle();
    cr_assert(raw_find(&raw, FRAME_HEADERS, 1, 0, &frame));
    cr_expect_not(frame.flags & FLAG_END_STREAM);
    cr_assert(raw_find(&raw, FRAME_HEADERS, 1, 1, &frame));
    cr_expect(frame.flags & FLAG_END_STREAM);
    expect_header(1, "x-first", "here");
    expect_header(1, "grpc-status", "5");
}

/* ---- compression ---- */

static void expect_message(uint32_t stream, bool packed)
{
    struct buf plain = BUFFER_INIT(1024);
    struct frame frame;
    struct str body;

    cr_assert(raw_await(&raw, FRAME_DATA, stream, &frame));
    cr_assert_gt(frame.len, MESSAGE_PREFIX_SIZE);
    cr_assert_eq(frame.payload[0], packed ? MESSAGE_COMPRESSED : 0);
    cr_assert_eq(frame.payload[4], frame.len - MESSAGE_PREFIX_SIZE);
    body = str_make(frame.payload + MESSAGE_PREFIX_SIZE, frame.len - MESSAGE_PREFIX_SIZE);
    if (packed)
        cr_assert_eq(gzip_unpack(body, &plain, NULL), CODE_OK);
    else
        cr_assert_eq(buf_add_str(&plain, body), CODE_OK);
    cr_expect(str_eq(buf_str(&plain), STR(TEXT)));
    buf_done(&plain);
}

static void reply_packed(bool offer, bool pack)
{
    if (offer)
        rpc_offer_gzip(world.rpc);
    rpc_pack(world.rpc, pack);
    rpc_reply(world.rpc, TEXT, strlen(TEXT));
}

Test(metadata, an_answer_is_packed_for_a_client_that_takes_it)
{
    call(1, "grpc-accept-encoding", "identity, deflate, gzip");
    reply_packed(true, true);
    expect_message(1, true);
    expect_header(1, "grpc-encoding", "gzip");
}

Test(metadata, an_answer_may_stay_plain_where_gzip_is_offered)
{
    call(1, "grpc-accept-encoding", "gzip");
    reply_packed(true, false);
    expect_message(1, false);
    expect_header(1, "grpc-encoding", "gzip");
}

Test(metadata, nothing_is_packed_for_a_client_that_does_not_take_it)
{
    call(1, "grpc-accept-encoding", "identity,xgzip");
    reply_packed(true, true);
    expect_message(1, false);
    cr_expect_not(has_header(1, "grpc-encoding"));
}

Test(metadata, nothing_is_packed_that_was_not_offered)
{
    call(1, "grpc-accept-encoding", "gzip");
    reply_packed(false, true);
    expect_message(1, false);
    cr_expect_not(has_header(1, "grpc-encoding"));
}

Test(metadata, parts_are_packed_as_one_message)
{
    const struct str parts[] = {STR("one "), STR(""), STR("two")};
    struct buf packed = BUFFER_INIT(1024), plain = BUFFER_INIT(1024), small = BUFFER_INIT(8);

    cr_assert_eq(gzip_pack(parts, ARRAY_LEN(parts), &packed, NULL), CODE_OK);
    cr_assert_eq(gzip_unpack(buf_str(&packed), &plain, NULL), CODE_OK);
    cr_expect(str_eq(buf_str(&plain), STR("one two")));
    cr_expect_eq(gzip_pack(parts, ARRAY_LEN(parts), &small, NULL), CODE_RESOURCE_EXHAUSTED);
    buf_done(&small);
    buf_done(&plain);
    buf_done(&packed);
}

Test(metadata, a_request_tells_whether_it_came_packed)
{
    const struct str part = STR("x");
    struct buf packed = BUFFER_INIT(1024), framed = BUFFER_INIT(1024);
    unsigned char prefix[MESSAGE_PREFIX_SIZE];

    call(1, "grpc-encoding", "gzip");
    cr_expect_not(rpc_was_packed(world.rpc));
    cr_assert_eq(gzip_pack(&part, 1, &packed, NULL), CODE_OK);
    message_prefix(prefix, packed.len);
    prefix[0] = MESSAGE_COMPRESSED;
    cr_assert_eq(buf_append(&framed, prefix, sizeof(prefix)), CODE_OK);
    cr_assert_eq(buf_add_str(&framed, buf_str(&packed)), CODE_OK);
    raw_call(&raw, 3, SILENT, "grpc-encoding", "gzip");
    raw_frame(&raw, FRAME_DATA, 0, 3, framed.ptr, framed.len);
    world_settle();
    cr_expect(rpc_was_packed(world.rpc));
    cr_expect(str_eq(buf_str(&world.message), STR("x")));
    buf_done(&framed);
    buf_done(&packed);
}
