#include <criterion/criterion.h>

#include "base/utf8.h"

Test(utf8, knows_well_formed_characters)
{
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        {"a", 1},
        {"\x7F", 1},
        {"\xC2\x80", 2},
        {"\xDF\xBF", 2},
        {"\xE0\xA0\x80", 3},
        {"\xED\x9F\xBF", 3},
        {"\xEE\x80\x80", 3},
        {"\xEF\xBF\xBF", 3},
        {"\xF0\x90\x80\x80", 4},
        {"\xF4\x8F\xBF\xBF", 4},
        {"\x80", 0},             /* stray continuation */
        {"\xC0\x80", 0},         /* overlong NUL */
        {"\xC1\xBF", 0},         /* overlong DEL */
        {"\xC2", 0},             /* cut */
        {"\xC2g", 0},            /* no continuation */
        {"\xE0\x9F\xBF", 0},     /* overlong */
        {"\xE2\x82", 0},         /* cut */
        {"\xED\xA0\x80", 0},     /* surrogate */
        {"\xF0\x8F\xBF\xBF", 0}, /* overlong */
        {"\xF0\x9F\x98", 0},     /* cut */
        {"\xF4\x90\x80\x80", 0}, /* beyond U+10FFFF */
        {"\xF5\x80\x80\x80", 0},
        {"\xFF", 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert_eq(utf8_char_len(str_of(cases[i].text), 0), cases[i].len, "case %zu", i);
}

Test(utf8, cuts_between_characters)
{
    static const struct {
        const char *text;
        size_t max;
        size_t len;
    } cases[] = {
        {"abc", 5, 3},
        {"abc", 2, 2},
        {"abc", 0, 0},
        {"a\xC3\xA4", 2, 1},
        {"a\xC3\xA4", 3, 3},
        {"\xF0\x9F\x98\x80", 3, 0},
        {"a\xF0\x9F\x98\x80", 4, 1},
        {"a\xF0\x9F\x98\x80z", 5, 5},
        {"\x80\x80\x80\x80\x80\x80", 5, 5}, /* no UTF-8 at all */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert_eq(utf8_cut(str_of(cases[i].text), cases[i].max).len, cases[i].len, "case %zu",
                     i);
}

Test(utf8, keeps_an_end_between_characters)
{
    cr_assert_str_eq(utf8_tail(STR("abc"), 3).ptr, "abc");
    cr_assert_str_eq(utf8_tail(STR("abc"), 2).ptr, "bc");
    cr_assert_str_eq(utf8_tail(STR("a\xc3\xa4z"), 2).ptr, "z");
    cr_assert_str_eq(utf8_tail(STR("a\xc3\xa4z"), 3).ptr, "\xc3\xa4z");
    cr_assert_eq(utf8_tail(STR("\x80\x80\x80"), 2).len, 0);
}

Test(utf8, counts_lines_and_characters)
{
    struct str text = STR("a\n\xC3\xA4z\n");
    static const size_t wanted[][2] = {{1, 1}, {1, 2}, {2, 1}, {2, 2},
                                       {2, 2}, {2, 3}, {3, 1}, {3, 1}};

    for (size_t offset = 0; offset < ARRAY_LEN(wanted); offset++) {
        size_t line;
        size_t column;

        utf8_position(text, offset, &line, &column);
        cr_assert_eq(line, wanted[offset][0], "offset %zu", offset);
        /* Inside the two bytes of a character either of its neighbours will do. */
        if (offset != 3)
            cr_assert_eq(column, wanted[offset][1], "offset %zu: column %zu", offset, column);
    }
}

Test(utf8, quotes_what_harms)
{
    static const struct {
        struct str text;
        const char *quoted;
    } cases[] = {
        {STR_INIT(""), "\"\""},
        {STR_INIT("plain/1"), "\"plain/1\""},
        {STR_INIT("a\"b\\c"), "\"a\\\"b\\\\c\""},
        {STR_INIT("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {STR_INIT("\x1b[2J\x7f"), "\"\\u001b[2J\\u007f\""},
        {STR_INIT("a\0b"), "\"a\\u0000b\""},
        {STR_INIT("\xC2\x9B"), "\"\\u009b\""}, /* the one-byte CSI of terminals */
        {STR_INIT("\xE2\x80\xAE"
                  "x"),
         "\"\\u202ex\""}, /* right to left */
        {STR_INIT("\xE2\x81\xA6\xE2\x80\xA8"), "\"\\u2066\\u2028\""},
        {STR_INIT("\xC3\xA4\xF0\x9F\x98\x80"), "\"\xC3\xA4\xF0\x9F\x98\x80\""},
        {STR_INIT("x\xFF\xC3"), "\"x\\ufffd\\ufffd\""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf buf = BUFFER_INIT(100);

        cr_assert_eq(utf8_add_quoted(&buf, cases[i].text), CODE_OK);
        cr_assert_str_eq(buf_cstr(&buf), cases[i].quoted);
        cr_assert_eq(utf8_needs_escape(cases[i].text), strchr(cases[i].quoted, '\\') != NULL);
        buf_done(&buf);
    }
}

Test(utf8, says_when_the_buffer_is_full)
{
    struct buf buf = BUFFER_INIT(4);

    cr_assert_eq(utf8_add_quoted(&buf, STR("abc")), CODE_RESOURCE_EXHAUSTED);
    buf_done(&buf);
}
