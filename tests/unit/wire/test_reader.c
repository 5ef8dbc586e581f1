#include <criterion/criterion.h>

#include "wire/reader.h"

#define BYTES(...)                                                                                 \
    str_make((const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__}))

/* The one field of a message that has one. */
static struct wire_field only_field(struct str bytes)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field = {0};
    struct wire_field other;

    cr_assert(wire_next(&reader, &field));
    cr_assert_not(wire_next(&reader, &other));
    cr_assert_not(reader.failed);
    return field;
}

static bool is_refused(struct str bytes)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;

    while (wire_next(&reader, &field))
        ;
    return reader.failed;
}

Test(wire_reader, an_empty_message_has_no_fields)
{
    struct wire_reader reader = wire_reader((struct str){NULL, 0});
    struct wire_field field;

    cr_assert_not(wire_next(&reader, &field));
    cr_assert_not(reader.failed);
}

Test(wire_reader, reads_a_varint)
{
    struct wire_field field = only_field(BYTES(0x08, 0x96, 0x01));

    cr_assert_eq(field.number, 1);
    cr_assert_eq(field.type, WIRE_VARINT);
    cr_assert_eq(field.value, 150);
}

Test(wire_reader, reads_a_negative_number_as_ten_bytes)
{
    struct wire_field field =
        only_field(BYTES(0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01));

    cr_assert_eq(field.value, UINT64_MAX);
}

Test(wire_reader, reads_fixed_numbers_little_endian)
{
    cr_assert_eq(only_field(BYTES(0x0D, 1, 2, 3, 4)).value, 0x04030201);
    cr_assert_eq(only_field(BYTES(0x09, 1, 2, 3, 4, 5, 6, 7, 8)).value,
                 UINT64_C(0x0807060504030201));
}

Test(wire_reader, reads_bytes_in_place)
{
    struct str bytes = BYTES(0x12, 0x02, 'h', 'i');
    struct wire_field field = only_field(bytes);

    cr_assert_eq(field.number, 2);
    cr_assert_eq(field.type, WIRE_BYTES);
    cr_assert(str_eq(field.bytes, STR("hi")));
    cr_assert_eq(field.bytes.ptr, bytes.ptr + 2);
}

Test(wire_reader, reads_the_highest_field_number)
{
    cr_assert_eq(only_field(BYTES(0xF8, 0xFF, 0xFF, 0xFF, 0x0F, 0)).number, (1u << 29) - 1);
}

Test(wire_reader, skips_groups_and_goes_on_behind_them)
{
    /* group 1 { group 2 { 3: 7 } 4: "x" } 5: 1 */
    struct str bytes = BYTES(0x0B, 0x13, 0x18, 7, 0x14, 0x22, 1, 'x', 0x0C, 0x28, 1);

    cr_assert_eq(only_field(bytes).number, 5);
}

Test(wire_reader, refuses_groups_nested_too_deep)
{
    unsigned char bytes[2 * (WIRE_GROUP_DEPTH_MAX + 1)];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = i < sizeof(bytes) / 2 ? 0x0B : 0x0C;
    cr_assert(is_refused(str_make(bytes, sizeof(bytes))));
    cr_assert_not(is_refused(str_make(bytes + 1, sizeof(bytes) - 2)));
}

Test(wire_reader, refuses_what_no_protobuf_parser_takes)
{
    static const struct {
        const char *what;
        unsigned char bytes[12];
        size_t len;
    } cases[] = {
        {"a tag that ends early", {0x80}, 1},
        {"a tag without a value", {0x08}, 1},
        {"a varint that ends early", {0x08, 0x80}, 2},
        {"a varint of eleven bytes", {8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, 12},
        {"a varint beyond 64 bits", {8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2}, 11},
        {"a length without its bytes", {0x0A, 3, 'a', 'b'}, 4},
        {"a length near 2^64", {10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, 11},
        {"a fixed32 that ends early", {0x0D, 1, 2, 3}, 4},
        {"a fixed64 that ends early", {0x09, 1, 2, 3, 4, 5, 6, 7}, 8},
        {"field number 0", {0x00, 0}, 2},
        {"a field number of 30 bits", {0x80, 0x80, 0x80, 0x80, 0x10, 0}, 6},
        {"wire type 6", {0x0E, 0}, 2},
        {"wire type 7", {0x0F, 0}, 2},
        {"an end of no group", {0x0C}, 1},
        {"a group that does not end", {0x0B, 0x18, 7}, 3},
        {"a group that ends as another", {0x0B, 0x14}, 2},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect(is_refused(str_make(cases[i].bytes, cases[i].len)), "%s", cases[i].what);
}

Test(wire_reader, stays_failed)
{
    struct wire_reader reader = wire_reader(BYTES(0x00, 0x08, 1));
    struct wire_field field;

    cr_assert_not(wire_next(&reader, &field));
    cr_assert_not(wire_next(&reader, &field));
    cr_assert(reader.failed);
}

Test(wire_reader, knows_utf8)
{
    cr_expect(wire_is_utf8(STR("")));
    cr_expect(wire_is_utf8(STR("greeter.shop:8001")));
    cr_expect(wire_is_utf8(STR("gr\xC3\xBC\xC3\x9F")));
    cr_expect_not(wire_is_utf8(STR("\xC3")));
    cr_expect_not(wire_is_utf8(STR("a\xFF")));
}
