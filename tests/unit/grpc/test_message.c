#include <zlib.h>

#include <criterion/criterion.h>

#include "grpc/gzip.h"
#include "grpc/message.h"

#define LIMIT 1000

struct sink {
    unsigned count;
    unsigned take; /* at most so many; 0: all */
    struct buf all;
};

static bool on_message(void *ctx, struct str message)
{
    struct sink *sink = ctx;

    sink->count++;
    cr_assert_eq(buf_add_str(&sink->all, message), CODE_OK);
    cr_assert_eq(buf_add_char(&sink->all, '|'), CODE_OK);
    return sink->count != sink->take;
}

static struct buf packed(const char *text, size_t len)
{
    struct buf out;
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)text, .avail_in = (uInt)len};
    char bytes[8192];

    buf_init(&out, 65536);
    cr_assert_eq(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_out = (unsigned char *)bytes;
    stream.avail_out = sizeof(bytes);
    cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    cr_assert_eq(buf_append(&out, bytes, sizeof(bytes) - stream.avail_out), CODE_OK);
    deflateEnd(&stream);
    return out;
}

static void add_message(struct buf *out, unsigned char flags, struct str bytes)
{
    unsigned char prefix[MESSAGE_PREFIX_SIZE];

    message_prefix(prefix, bytes.len);
    prefix[0] = flags;
    cr_assert_eq(buf_append(out, prefix, sizeof(prefix)), CODE_OK);
    cr_assert_eq(buf_add_str(out, bytes), CODE_OK);
}

/* Feeds `in` in parts of `step` bytes. */
static enum code feed(struct str in, size_t step, bool gzip, struct sink *sink, struct err *err)
{
    struct message_reader reader;
    enum code code = CODE_OK;

    *sink = (struct sink){.take = sink->take};
    buf_init(&sink->all, 1 << 20);
    message_reader_init(&reader, LIMIT);
    reader.gzip = gzip;
    for (size_t off = 0; off < in.len && code == CODE_OK; off += step)
        code = message_reader_feed(&reader, str_slice(in, off, off + step), on_message, sink, err);
    message_reader_done(&reader);
    return code;
}

Test(message, cuts_the_same_messages_whatever_the_parts)
{
    struct buf in = BUFFER_INIT(65536);
    struct buf gz = packed("squeezed squeezed squeezed", 26);

    add_message(&in, 0, STR("one"));
    add_message(&in, 0, STR(""));
    add_message(&in, 1, buf_str(&gz));
    add_message(&in, 0, STR("four, which is a longer one"));
    for (size_t step = 1; step <= in.len; step++) {
        struct sink sink = {0};
        struct err err = {0};

        cr_assert_eq(feed(buf_str(&in), step, true, &sink, &err), CODE_OK, "%s", err.msg);
        cr_assert_eq(sink.count, 4);
        cr_assert_str_eq(buf_cstr(&sink.all),
                         "one||squeezed squeezed squeezed|four, which is a longer one|");
        buf_done(&sink.all);
    }
    buf_done(&in);
    buf_done(&gz);
}

Test(message, stops_when_it_is_told)
{
    struct buf in = BUFFER_INIT(65536);
    struct sink sink = {.take = 1};
    struct err err = {0};

    add_message(&in, 0, STR("one"));
    add_message(&in, 0, STR("two"));
    cr_assert_eq(feed(buf_str(&in), in.len, false, &sink, &err), CODE_OK);
    cr_assert_str_eq(buf_cstr(&sink.all), "one|");
    buf_done(&in);
    buf_done(&sink.all);
}

static void expect_failure(struct str in, bool gzip, enum code code, const char *text)
{
    struct sink sink = {0};
    struct err err = {0};

    cr_assert_eq(feed(in, in.len, gzip, &sink, &err), code);
    cr_assert_not_null(strstr(err.msg, text), "%s", err.msg);
    cr_assert_eq(sink.count, 0);
    buf_done(&sink.all);
}

Test(message, refuses_broken_framing)
{
    expect_failure(STR("\x02\0\0\0\0"), true, CODE_INTERNAL, "flags 2");
    expect_failure(STR("\x01\0\0\0\x01x"), false, CODE_INTERNAL, "without grpc-encoding");
    expect_failure(STR("\0\0\0\x03\xe9"), false, CODE_RESOURCE_EXHAUSTED,
                   "1001 bytes is longer than 1000: ");
    expect_failure(STR("\0\xff\xff\xff\xff"), false, CODE_RESOURCE_EXHAUSTED,
                   "is longer than 1000: ");
    expect_failure(STR("\x01\0\0\0\x03zip"), true, CODE_INTERNAL, "is not gzip");
    expect_failure(STR("\x01\0\0\0\0"), true, CODE_INTERNAL, "is not gzip");
}

Test(message, refuses_a_compression_bomb)
{
    static const char zeros[100000];
    struct buf in = BUFFER_INIT(65536);
    struct buf gz = packed(zeros, sizeof(zeros));

    cr_assert_lt(gz.len, LIMIT);
    add_message(&in, 1, buf_str(&gz));
    expect_failure(buf_str(&in), true, CODE_RESOURCE_EXHAUSTED, "when unpacked");
    buf_done(&in);
    buf_done(&gz);
}

Test(message, takes_a_compressed_message_of_exactly_the_limit)
{
    static const char zeros[LIMIT];
    struct buf in = BUFFER_INIT(65536);
    struct buf gz = packed(zeros, sizeof(zeros));
    struct sink sink = {0};
    struct err err = {0};

    add_message(&in, 1, buf_str(&gz));
    cr_assert_eq(feed(buf_str(&in), in.len, true, &sink, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(sink.all.len, LIMIT + 1);
    buf_done(&in);
    buf_done(&gz);
    buf_done(&sink.all);
}

Test(message, refuses_truncated_gzip_and_garbage_behind_it)
{
    struct buf gz = packed("hello", 5);
    struct buf out;
    struct err err = {0};

    for (size_t len = 0; len < gz.len; len++) {
        buf_init(&out, LIMIT);
        cr_assert_eq(gzip_unpack(str_make(gz.ptr, len), &out, &err), CODE_INTERNAL, "%zu", len);
        buf_done(&out);
    }
    cr_assert_eq(buf_add_char(&gz, 'x'), CODE_OK);
    buf_init(&out, LIMIT);
    cr_assert_eq(gzip_unpack(buf_str(&gz), &out, &err), CODE_INTERNAL);
    cr_assert_not_null(strstr(err.msg, "behind its gzip end"));
    buf_done(&out);
    buf_done(&gz);
}

Test(message, memory_grows_with_what_came_not_with_what_was_announced)
{
    struct message_reader reader;
    struct sink sink = {0};
    struct err err = {0};

    message_reader_init(&reader, 64 * 1024 * 1024);
    cr_assert_eq(message_reader_feed(&reader,
                                     STR("\0\x03\xff\xff\xff"
                                         "abc"),
                                     on_message, &sink, &err),
                 CODE_OK);
    cr_assert_not(message_reader_idle(&reader));
    cr_assert_leq(reader.body.cap, 4096);
    message_reader_done(&reader);
}
