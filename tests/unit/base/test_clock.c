#include <criterion/criterion.h>

#include "base/clock.h"

Test(clock, never_goes_back)
{
    uint64_t before = clock_monotonic_us();

    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_monotonic_us();

        cr_assert_geq(now, before);
        before = now;
    }
}

Test(clock, knows_the_year)
{
    cr_assert_gt(clock_wall_us(), UINT64_C(1700000000) * 1000000); /* November 2023 */
}

Test(clock, formats_utc_with_milliseconds)
{
    static const struct {
        uint64_t wall_us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {999, "1970-01-01T00:00:00.000Z"},
        {UINT64_C(1767323045678901), "2026-01-02T03:04:05.678Z"},
        {UINT64_C(1709164800000000), "2024-02-29T00:00:00.000Z"},
    };
    char out[32];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        clock_format_wall(cases[i].wall_us, out);
        cr_assert_str_eq(out, cases[i].text);
    }
    clock_format_wall(UINT64_MAX, out); /* no year of four digits, but no overflow either */
    cr_assert_lt(strlen(out), sizeof(out));
}

Test(clock, reads_times)
{
    static const struct {
        const char *text;
        uint64_t wall_us;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-01-02T03:04:05.678901Z", UINT64_C(1767323045678901)},
        {"2026-01-02t03:04:05.6789019z", UINT64_C(1767323045678901)},
        {"2026-01-02T04:04:05.5+01:00", UINT64_C(1767323045500000)},
        {"2026-01-01T21:34:05-05:30", UINT64_C(1767323045000000)},
        {"2024-02-29T00:00:00Z", UINT64_C(1709164800000000)},
        {"9999-12-31T23:59:60Z", UINT64_C(253402300800000000)},
    };
    uint64_t wall_us;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        wall_us = 1;
        cr_assert(clock_parse_wall(str_of(cases[i].text), &wall_us), "%s", cases[i].text);
        cr_assert_eq(wall_us, cases[i].wall_us, "%s: %llu", cases[i].text,
                     (unsigned long long)wall_us);
    }
}

Test(clock, refuses_what_is_no_time)
{
    static const char *const cases[] = {
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05Zx",
        "2026-01-02T03:04:05+0100",
        "2026-01-02T24:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-00-02T03:04:05Z",
        "2026-01-00T03:04:05Z",
        "2026-1-2T03:04:05Z",
        "+026-01-02T03:04:05Z",
        "2026-01-02 03:04:05Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "1767323045",
    };
    uint64_t wall_us = 7;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cr_assert_not(clock_parse_wall(str_of(cases[i]), &wall_us), "%s", cases[i]);
        cr_assert_eq(wall_us, 7);
    }
}

Test(clock, reads_durations)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        {"0", 0},
        {"0s", 0},
        {"30s", 30000},
        {"1m30s", 90000},
        {"250ms", 250},
        {"1h", 3600000},
        {"1.5h", 5400000},
        {".5s", 500},
        {"1.s", 1000},
        {"2000us", 2},
        {"1000000ns", 1},
        {"5000\xC2\xB5s", 5},
        {"5000\xCE\xBCs", 5},
        {"1ms1ms", 2},
        {"1.250000s", 1250},
        {"500us500us", 1},
        {"1.0000000000000000000000s", 1000},
        {"2540400h", UINT64_C(9145440000000)},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        uint64_t ms = 77;

        cr_assert_eq(duration_parse(str_of(cases[i].text), UINT64_MAX, &ms, &err), CODE_OK, "%s",
                     err.msg);
        cr_assert_eq(ms, cases[i].ms, "'%s' gave %llu", cases[i].text, (unsigned long long)ms);
    }
}

Test(clock, refuses_what_is_no_duration)
{
    static const char *const cases[] = {
        "",
        "s",
        "1",
        "00",
        "1d",
        "-1s",
        "+1s",
        " 1s",
        "1s ",
        "1 s",
        "1.5.s",
        "1ss",
        ".s",
        "0x1s",
        "1e3s",
        "1,5s",
        "1S",
        "1s\xC2",
        "1.0000000001s",
        "1.5ns",
        "1.00000000000001h",
        "18446744073709551616s",
        "99999999999h",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        uint64_t ms = 77;

        cr_assert_eq(duration_parse(str_of(cases[i]), UINT64_MAX, &ms, &err), CODE_INVALID_ARGUMENT,
                     "'%s' gave %llu", cases[i], (unsigned long long)ms);
        cr_assert_eq(ms, 77);
        cr_assert_not_null(strstr(err.msg, cases[i]), "%s", err.msg);
    }
}

Test(clock, refuses_parts_of_a_millisecond)
{
    struct err err = {0};
    uint64_t ms;

    cr_assert_eq(duration_parse(STR("1500us"), UINT64_MAX, &ms, &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "duration '1500us' is not in whole milliseconds");
}

Test(clock, refuses_durations_above_the_limit)
{
    struct err err = {0};
    uint64_t ms = 0;

    cr_assert_eq(duration_parse(STR("30s"), 30000, &ms, &err), CODE_OK);
    cr_assert_eq(duration_parse(STR("30001ms"), 30000, &ms, &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "duration '30001ms' is above the limit of 30000 ms");
    cr_assert_eq(ms, 30000);
}

Test(clock, formats_durations)
{
    static const char *const cases[] = {"0s",    "1ms", "250ms", "1s",
                                        "1m30s", "1h",  "24h0m", "26h3m4s5ms"};
    char out[DURATION_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        uint64_t ms = 0, again = 1;

        cr_assert_eq(duration_parse(str_of(cases[i]), UINT64_MAX, &ms, &err), CODE_OK);
        duration_format(ms, out);
        cr_assert_eq(duration_parse(str_of(out), UINT64_MAX, &again, &err), CODE_OK);
        cr_assert_eq(ms, again);
        cr_assert_str_eq(out, i == 6 ? "24h" : cases[i]);
    }
    duration_format(UINT64_MAX, out);
    cr_assert_lt(strlen(out), sizeof(out));
}
