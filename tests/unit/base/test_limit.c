/* Limits with names. */
#include <criterion/criterion.h>

#include "base/limit.h"

struct values {
    uint64_t count, bytes, ms;
};

static const struct limit table[] = {
    {"count", "", LIMIT_COUNT, offsetof(struct values, count), 7, 1, 100, false},
    {"bytes", "", LIMIT_BYTES, offsetof(struct values, bytes), 4096, 1024, 1 << 20, false},
    {"time", "", LIMIT_MS, offsetof(struct values, ms), 60000, 1000, 3600000, false},
};

Test(limit, what_is_not_set_is_filled)
{
    struct values values = {.count = 3};

    limits_fill(table, ARRAY_LEN(table), &values);
    cr_assert_eq(values.count, 3);
    cr_assert_eq(values.bytes, 4096);
    cr_assert_eq(values.ms, 60000);
}

Test(limit, is_found_by_name)
{
    struct values values = {0};

    cr_assert_eq(limit_find(table, ARRAY_LEN(table), STR("bytes")), &table[1]);
    cr_assert_null(limit_find(table, ARRAY_LEN(table), STR("byte")));
    cr_assert_eq(limit_of(&table[2], &values), &values.ms);
}

Test(limit, is_parsed_and_formatted)
{
    static const struct {
        int limit;
        const char *text;
        uint64_t value;
        const char *back;
    } cases[] = {
        {0, "1", 1, "1"},
        {0, "100", 100, "100"},
        {1, "1024", 1024, "1KiB"},
        {1, "1500", 1500, "1500"},
        {1, "64KiB", 65536, "64KiB"},
        {1, "1MiB", 1 << 20, "1MiB"},
        {2, "1m30s", 90000, "1m30s"},
        {2, "1s", 1000, "1s"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct limit *limit = &table[cases[i].limit];
        char text[LIMIT_TEXT_MAX];
        uint64_t value = 0;

        cr_assert_eq(limit_parse(limit, str_of(cases[i].text), &value, NULL), CODE_OK, "%s",
                     cases[i].text);
        cr_assert_eq(value, cases[i].value, "%s", cases[i].text);
        limit_format(limit, value, text);
        cr_assert_str_eq(text, cases[i].back);
    }
}

Test(limit, what_is_out_of_range_or_no_value_is_refused_by_name)
{
    static const struct {
        int limit;
        const char *text;
    } cases[] = {{0, "0"},     {0, "101"}, {0, ""},   {0, "-1"},   {0, "1KiB"},
                 {1, "1023"},  {1, "2MiB"}, {1, "KiB"}, {1, "1kb"}, {1, "18446744073709551615GiB"},
                 {2, "999ms"}, {2, "2h"},  {2, "60"}, {2, "soon"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct limit *limit = &table[cases[i].limit];
        struct err err = {0};
        uint64_t value = 42;

        cr_assert_eq(limit_parse(limit, str_of(cases[i].text), &value, &err), CODE_INVALID_ARGUMENT,
                     "%s", cases[i].text);
        cr_assert_eq(value, 42);
        cr_assert(str_starts_with(str_of(err.msg), str_of(limit->name)), "%s", err.msg);
    }
}

/* As --help and the README show it. */
Test(limit, a_rate_may_say_that_it_is_one)
{
    static const struct limit rate = {"rate", "", LIMIT_PER_SECOND, 0, 10, 1, 1000, false};
    uint64_t value = 0;

    cr_assert_eq(limit_parse(&rate, STR("200/s"), &value, NULL), CODE_OK);
    cr_assert_eq(value, 200);
    cr_assert_neq(limit_parse(&rate, STR("/s"), &value, NULL), CODE_OK);
    cr_assert_neq(limit_parse(&table[0], STR("20/s"), &value, NULL), CODE_OK);
}

Test(limit, refusals_say_what_is_expected)
{
    struct err err = {0};
    uint64_t value;

    cr_assert_neq(limit_parse(&table[1], STR("2MiB"), &value, &err), CODE_OK);
    cr_assert_str_eq(err.msg, "bytes: expected bytes (KiB, MiB, GiB) from 1KiB to 1MiB, found '2MiB'");
    cr_assert_neq(limit_parse(&table[2], STR("soon"), &value, &err), CODE_OK);
    cr_assert_str_eq(err.msg, "time: expected a duration from 1s to 1h, found 'soon'");
}
