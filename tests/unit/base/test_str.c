#include <criterion/criterion.h>

#include "base/str.h"

static void assert_str(struct str found, const char *wanted)
{
    cr_assert(str_eq(found, str_of(wanted)), "found '%" STR_FMT "', wanted '%s'", STR_ARG(found),
              wanted);
}

Test(str, compares_bytes)
{
    cr_assert(str_eq(STR("a"), STR("a")));
    cr_assert(str_eq(STR(""), (struct str){NULL, 0}));
    cr_assert_not(str_eq(STR("a"), STR("A")));
    cr_assert_not(str_eq(STR("a"), STR("ab")));
    cr_assert(str_eq_nocase(STR("GREETER.shop"), STR("greeter.SHOP")));
    cr_assert_not(str_eq_nocase(STR("a"), STR("ab")));
    cr_assert_not(str_eq_nocase(STR("@"), STR("`"))); /* 0x40 and 0x60: no letters */
}

Test(str, orders_bytewise_and_prefixes_first)
{
    cr_assert_lt(str_cmp(STR("a"), STR("b")), 0);
    cr_assert_lt(str_cmp(STR("a"), STR("aa")), 0);
    cr_assert_gt(str_cmp(STR("b"), STR("aa")), 0);
    cr_assert_gt(str_cmp(STR("\xff"), STR("a")), 0);
    cr_assert_eq(str_cmp(STR(""), (struct str){NULL, 0}), 0);
    cr_assert_gt(str_cmp(STR("x"), (struct str){NULL, 0}), 0);
}

Test(str, finds_prefixes_and_suffixes)
{
    cr_assert(str_starts_with(STR("xds:///a"), STR("xds:///")));
    cr_assert(str_starts_with(STR("a"), STR("")));
    cr_assert(str_starts_with((struct str){NULL, 0}, STR("")));
    cr_assert_not(str_starts_with(STR("a"), STR("ab")));
    cr_assert(str_ends_with(STR("greeter.svc"), STR(".svc")));
    cr_assert_not(str_ends_with(STR("svc"), STR(".svc")));
}

Test(str, finds_characters)
{
    cr_assert_eq(str_find(STR("a:b:c"), ':'), 1);
    cr_assert_eq(str_find_last(STR("a:b:c"), ':'), 3);
    cr_assert_eq(str_find(STR("abc"), ':'), 3);
    cr_assert_eq(str_find_last(STR("abc"), ':'), 3);
    cr_assert_eq(str_find((struct str){NULL, 0}, ':'), 0);
}

Test(str, slices_within_bounds)
{
    assert_str(str_slice(STR("abcdef"), 1, 3), "bc");
    assert_str(str_slice(STR("abc"), 1, 99), "bc");
    assert_str(str_slice(STR("abc"), 99, 100), "");
    assert_str(str_slice(STR("abc"), 2, 1), "");
    assert_str(str_slice((struct str){NULL, 0}, 1, 2), "");
}

Test(str, cuts_until_nothing_is_left)
{
    struct str rest = STR("a,,b,");

    assert_str(str_cut(&rest, ','), "a");
    assert_str(str_cut(&rest, ','), "");
    assert_str(str_cut(&rest, ','), "b");
    cr_assert_not_null(rest.ptr, "an empty part follows the last separator");
    assert_str(str_cut(&rest, ','), "");
    cr_assert_null(rest.ptr);
    cr_assert_eq(rest.len, 0);
    assert_str(str_cut(&rest, ','), "");
    cr_assert_null(rest.ptr);
}

Test(str, trims_white_space)
{
    assert_str(str_trim(STR(" \t\r\n a b \n")), "a b");
    assert_str(str_trim(STR(" \n ")), "");
    assert_str(str_trim((struct str){NULL, 0}), "");
}

Test(str, reads_numbers_within_the_limit)
{
    static const struct {
        const char *text;
        uint64_t max;
        bool good;
        uint64_t value;
    } cases[] = {
        {"0", 0, true, 0},
        {"8001", 65535, true, 8001},
        {"008001", 65535, true, 8001},
        {"65535", 65535, true, 65535},
        {"65536", 65535, false, 0},
        {"5", 4, false, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"", 10, false, 0},
        {"-1", 10, false, 0},
        {"+1", 10, false, 0},
        {" 1", 10, false, 0},
        {"1x", 10, false, 0},
        {"0x1", 10, false, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value = 77;
        bool good = str_to_u64(str_of(cases[i].text), cases[i].max, &value);

        cr_assert_eq(good, cases[i].good, "'%s'", cases[i].text);
        cr_assert_eq(value, good ? cases[i].value : 77, "'%s'", cases[i].text);
    }
}

Test(str, duplicates_all_its_bytes)
{
    CLEANUP(freep) char *copy = str_dup(str_make("a\0b", 3));
    CLEANUP(freep) char *empty = str_dup((struct str){NULL, 0});

    cr_assert_eq(memcmp(copy, "a\0b", 4), 0);
    cr_assert_str_eq(empty, "");
}

Test(str, puts_one_behind_the_other)
{
    char text[4] = "----", *at = text;
    struct str first = str_put(&at, STR("ab")), none = str_put(&at, (struct str){0}), last = str_put(&at, STR("c"));

    cr_assert_arr_eq(text, "abc-", 4);
    cr_assert(str_eq(first, STR("ab")) && none.len == 0 && str_eq(last, STR("c")));
    cr_assert_eq(at, text + 3);
}

Test(str, formats_numbers_as_printf_does)
{
    static const uint64_t values[] = {0, 9, 10, 255, 1234567890123456789u, UINT64_MAX};
    char ours[21], printfs[21];

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        snprintf(printfs, sizeof(printfs), "%llu", (unsigned long long)values[i]);
        cr_assert_eq(str_format_u64(values[i], ours), strlen(printfs));
        cr_assert_str_eq(ours, printfs);
        snprintf(printfs, sizeof(printfs), "%016llx", (unsigned long long)values[i]);
        cr_assert_eq(str_format_hex(values[i], ours), 16);
        cr_assert_str_eq(ours, printfs);
    }
}

Test(str, reads_the_hex_that_it_writes)
{
    static const uint64_t values[] = {0, 0xf, 0x1234567890abcdef, UINT64_MAX};
    static const char *const bad[] = {"", "g", "0x1", "A", " 1", "1 ", "00000000000000000"};
    uint64_t value;
    char text[17];

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        cr_assert(str_hex_to_u64(str_make(text, str_format_hex(values[i], text)), &value));
        cr_assert_eq(value, values[i]);
    }
    cr_assert(str_hex_to_u64(STR("7"), &value));
    cr_assert_eq(value, 7);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_assert_not(str_hex_to_u64(str_of(bad[i]), &value), "'%s'", bad[i]);
    cr_assert_eq(value, 7);
}

Test(str, knows_digits)
{
    cr_assert(str_is_digits(STR("0")));
    cr_assert(str_is_digits(STR("99999999999999999999999")));
    cr_assert_not(str_is_digits(STR("")));
    cr_assert_not(str_is_digits(STR("1a")));
    cr_assert_not(str_is_digits(STR("-1")));
}
