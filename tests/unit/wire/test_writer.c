#include <criterion/criterion.h>

#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "wire/fields.h"
#include "wire/writer.h"

static struct buf out = BUFFER_INIT(1024 * 1024);

static void done(void)
{
    buf_done(&out);
}

TestSuite(wire_writer, .fini = done);

#define assert_out(...)                                                                            \
    do {                                                                                           \
        const unsigned char want[] = {__VA_ARGS__};                                                \
        cr_assert_eq(out.len, sizeof(want));                                                       \
        cr_assert_arr_eq(out.ptr, want, sizeof(want));                                             \
    } while (0)

Test(wire_writer, writes_varints_defaults_too)
{
    wire_put_varint(&out, 1, 150);
    wire_put_varint(&out, 2, 0);
    assert_out(0x08, 0x96, 0x01, 0x10, 0x00);
}

Test(wire_writer, writes_bytes_the_empty_ones_too)
{
    wire_put_bytes(&out, 2, STR("hi"));
    wire_put_bytes(&out, 16, STR(""));
    assert_out(0x12, 2, 'h', 'i', 0x82, 0x01, 0);
}

Test(wire_writer, writes_a_double_that_protobuf_reads)
{
    Google__Protobuf__Value *value;

    wire_put_double(&out, VALUE_NUMBER_VALUE, -1.5e10);
    value = google__protobuf__value__unpack(NULL, out.len, (const uint8_t *)out.ptr);
    cr_assert_eq(value->number_value, -1.5e10);
    google__protobuf__value__free_unpacked(value, NULL);
}

Test(wire_writer, closes_nested_messages_of_every_length)
{
    static const size_t lens[] = {0, 1, 127, 128, 16383, 16384, 70000};

    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        char *text = xcalloc(1, lens[i] + 1);
        size_t mark;
        struct wire_reader reader;
        struct wire_field field;

        memset(text, 'x', lens[i]);
        buf_reset(&out);
        mark = wire_open(&out, 3);
        buf_append(&out, text, lens[i]);
        wire_close(&out, mark);
        wire_put_varint(&out, 4, 1);
        reader = wire_reader(buf_str(&out));
        cr_assert(wire_next(&reader, &field));
        cr_assert(str_eq(field.bytes, str_make(text, lens[i])), "%zu bytes", lens[i]);
        cr_assert(wire_next(&reader, &field));
        cr_assert_eq(field.number, 4);
        free(text);
    }
}

Test(wire_writer, closes_messages_inside_out)
{
    size_t outer = wire_open(&out, 1);
    size_t inner = wire_open(&out, 2);

    wire_put_varint(&out, 3, 1);
    wire_close(&out, inner);
    wire_close(&out, outer);
    assert_out(0x0A, 4, 0x12, 2, 0x18, 1);
}

Test(wire_writer, opens_an_any)
{
    size_t value;
    size_t any = wire_open_any(&out, 1, STR(ROUTER_URL), &value);
    Google__Protobuf__Any *read;

    wire_put_varint(&out, 1, 7);
    wire_close_any(&out, any, value);
    read = google__protobuf__any__unpack(NULL, out.len - 2, (const uint8_t *)out.ptr + 2);
    cr_assert_str_eq(read->type_url, ROUTER_URL);
    cr_assert_eq(read->value.len, 2);
    google__protobuf__any__free_unpacked(read, NULL);
}

Test(wire_writer, knows_sizes_beforehand)
{
    static const size_t lens[] = {0, 127, 128, 20000};

    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        buf_reset(&out);
        wire_put_head(&out, 16, lens[i]);
        cr_assert_eq(out.len + lens[i], wire_sized(16, lens[i]));
        buf_reset(&out);
        wire_put_varint(&out, 16, lens[i]);
        cr_assert_eq(out.len, wire_sized_varint(16, lens[i]));
    }
}

Test(wire_writer, leaves_a_full_buffer_alone)
{
    struct buf small = BUFFER_INIT(8);
    size_t mark = wire_open(&small, 1);

    wire_put_bytes(&small, 2, STR("too long for it"));
    wire_close(&small, mark);
    cr_assert(buf_failed(&small));
    cr_assert_leq(small.len, 8);
    buf_done(&small);
}

Test(wire_writer, fails_when_only_the_length_does_not_fit)
{
    struct buf small = BUFFER_INIT(2 + 128);
    char text[128] = {0};
    size_t mark = wire_open(&small, 1);

    buf_append(&small, text, sizeof(text));
    cr_assert_not(buf_failed(&small));
    wire_close(&small, mark);
    cr_assert(buf_failed(&small));
    buf_done(&small);
}
