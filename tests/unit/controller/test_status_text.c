#include <criterion/criterion.h>

#include "controller/status_text.h"

Test(status_text, rounds_clients_to_steps)
{
    static const uint64_t cases[][2] = {
        {0, 0},    {1, 1},      {2, 2},       {3, 2},       {4, 5},       {7, 5},
        {8, 10},   {12, 10},    {15, 20},     {34, 20},     {35, 50},     {74, 50},
        {75, 100}, {999, 1000}, {1000, 1000}, {1499, 1000}, {1500, 2000}, {7600, 10000}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert_eq(status_round(cases[i][0]), cases[i][1], "%llu becomes %llu",
                     (unsigned long long)cases[i][0],
                     (unsigned long long)status_round(cases[i][0]));
}

static struct status_digest digest_of(const char *text)
{
    CLEANUP(json_freep) struct json *json = NULL;

    cr_assert_eq(json_parse(str_of(text), &json, NULL), CODE_OK);
    return status_digest_read(json);
}

#define CONDITION(type, status, message)                                                           \
    "{\"type\":\"" type "\",\"status\":\"" status "\",\"reason\":\"R\",\"message\":\"" message     \
    "\",\"lastTransitionTime\":\"2026-01-02T03:04:05Z\"}"
#define STATUS(generation, conditions, ready, clients)                                             \
    "{\"observedGeneration\":" generation ",\"conditions\":[" conditions                           \
    "],\"endpoints\":{\"ready\":" ready "},\"clients\":" clients ",\"holds\":[]}"

Test(status_text, tells_what_is_urgent_from_counters)
{
    struct status_digest base =
        digest_of(STATUS("1", CONDITION("Accepted", "True", "m"), "1", "1"));
    struct status_digest same =
        digest_of(STATUS("1", CONDITION("Accepted", "True", "m"), "1", "1"));
    struct status_digest more =
        digest_of(STATUS("1", CONDITION("Accepted", "True", "m"), "1", "2"));
    struct status_digest newer =
        digest_of(STATUS("2", CONDITION("Accepted", "True", "m"), "1", "1"));
    struct status_digest bad =
        digest_of(STATUS("1", CONDITION("Accepted", "False", "m"), "1", "1"));
    struct status_digest other =
        digest_of(STATUS("1", CONDITION("Accepted", "True", "n"), "1", "1"));

    cr_assert(base.urgent == same.urgent && base.slow == same.slow);
    cr_assert(base.urgent == more.urgent && base.slow != more.slow);
    cr_assert(base.urgent != newer.urgent && base.slow == newer.slow);
    cr_assert(base.urgent != bad.urgent && base.urgent != other.urgent);
    cr_assert_eq(base.conditions[CONDITION_ACCEPTED].since_us, UINT64_C(1767323045000000));
}

Test(status_text, does_not_mind_the_order_of_conditions_nor_those_of_others)
{
    struct status_digest a = digest_of(STATUS(
        "1", CONDITION("Accepted", "True", "") "," CONDITION("Published", "False", "x"), "1", "1"));
    struct status_digest b =
        digest_of(STATUS("1",
                         CONDITION("Published", "False", "x") "," CONDITION(
                             "Accepted", "True", "") "," CONDITION("Mine", "True", ""),
                         "1", "1"));

    cr_assert(a.urgent == b.urgent && a.slow == b.slow);
}

Test(status_text, counts_the_names_of_silent_replicas_as_a_counter)
{
    struct status_digest a = digest_of(STATUS("1", CONDITION("Published", "True", "m"), "1", "1"));
    struct status_digest b =
        digest_of(STATUS("1",
                         CONDITION("Published", "True",
                                   "m; clients are counted without replicas that do not answer: x"),
                         "1", "1"));

    cr_assert_eq(a.urgent, b.urgent);
    cr_assert_neq(a.slow, b.slow);
}

Test(status_text, reads_nothing_out_of_what_is_no_status)
{
    static const char *const cases[] = {
        "null",
        "7",
        "{}",
        "{\"conditions\":7}",
        "{\"conditions\":[7,{\"type\":7}]}",
        "{\"observedGeneration\":-1,\"holds\":{},\"endpoints\":[]}"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert_not(digest_of(cases[i]).conditions[CONDITION_ACCEPTED].known, "%s", cases[i]);
}

static void expect_load(double calls, double failed, struct status_load told,
                        double calls_per_second, double failed_percent)
{
    struct status_load load = status_load(calls, failed, &told);

    cr_assert(load.known);
    cr_assert_eq(load.calls_per_second, calls_per_second, "%g of a second", load.calls_per_second);
    cr_assert_eq(load.failed_percent, failed_percent, "%g %%", load.failed_percent);
}

Test(status_text, load_has_two_digits)
{
    const struct status_load none = {0};

    expect_load(0, 0, none, 0, 0);
    expect_load(0.04, 0.02, none, 0, 50);
    expect_load(0.26, 0, none, 0.3, 0);
    expect_load(9.94, 0, none, 9.9, 0);
    expect_load(12.4, 0.1, none, 12, 0.8);
    expect_load(1234, 1.2, none, 1200, 0.1);
    expect_load(987654, 0, none, 990000, 0);
}

/* Else every resource would be written every 30 s. */
Test(status_text, load_is_told_anew_where_it_differs_by_more_than_a_tenth)
{
    const struct status_load told = {true, 1000, 2}, quiet = {true, 0, 0}, well = {true, 100, 0};

    expect_load(1100, 33, told, 1000, 2);
    expect_load(910, 10, told, 1000, 2);
    expect_load(1150, 23, told, 1200, 2);
    expect_load(1000, 31, told, 1000, 3.1);
    expect_load(0.3, 0, quiet, 0.3, 0);
    expect_load(100, 0.5, well, 100, 0.5);
    expect_load(0, 0, told, 0, 0);
}

Test(status_text, load_is_a_counter)
{
    struct status_digest none = digest_of("{\"clients\":1}");
    struct status_digest some =
        digest_of("{\"clients\":1,\"load\":{\"requestsPerSecond\":1200,\"errorPercent\":0.1}}");
    struct status_digest other =
        digest_of("{\"clients\":1,\"load\":{\"requestsPerSecond\":1200,\"errorPercent\":0.2}}");
    struct status_digest zero =
        digest_of("{\"clients\":1,\"load\":{\"requestsPerSecond\":0,\"errorPercent\":0}}");

    cr_assert(some.load.known && some.load.calls_per_second == 1200 &&
              some.load.failed_percent == 0.1);
    cr_assert_eq(none.urgent, some.urgent);
    cr_assert(none.slow != some.slow && some.slow != other.slow && zero.slow != none.slow);
}
