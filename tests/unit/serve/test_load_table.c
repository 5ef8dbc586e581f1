#include <criterion/criterion.h>

#include <math.h>

#include "serve/load_table.h"

#define SECOND UINT64_C(1000000)
#define BEGIN (LOAD_WINDOW_US * 100) /* of a window */

static struct load_table *table;
static struct load_stream stream;
static uint64_t now_us = BEGIN;

static void set_up(void)
{
    table = load_table_new(10000);
}

static void tear_down(void)
{
    load_stream_done(table, &stream);
    load_table_free(table);
}

TestSuite(load_table, .init = set_up, .fini = tear_down);

static struct load_row *row(const char *service, const char *zone, const char *client)
{
    return load_table_row(table, str_of(service), str_of(zone), str_of(client), now_us);
}

static void add(const char *zone, uint64_t succeeded, uint64_t failed, uint64_t in_progress)
{
    const struct load_calls calls = {str_of(zone), succeeded, failed, succeeded + failed,
                                     in_progress};

    load_table_add_calls(table, row("shop/greeter", zone, "web"), &calls, &stream);
}

static struct load_rates rates(const char *zone)
{
    return load_table_rates(table, row("shop/greeter", zone, "web"));
}

/* The only row of a copy. */
static double copied_in_progress(void)
{
    CLEANUP(load_table_freep) struct load_table *copy = load_table_copy(table, now_us);
    const struct load_row **rows = load_table_sorted(copy);
    double in_progress = rows[0]->in_progress;

    free(rows);
    return in_progress;
}

Test(load_table, rates_are_means_from_the_first_reports_interval_on)
{
    add("a", 90, 10, 0);
    cr_assert_float_eq(rates("a").calls, 10, 1e-9, "a hundred calls in the ten seconds before");
    cr_assert_float_eq(rates("a").failed, 1, 1e-9);
    now_us += 10 * SECOND;
    add("a", 100, 0, 0);
    cr_assert_float_eq(rates("a").calls, 10, 1e-9);
}

Test(load_table, rates_forget_what_is_two_windows_old)
{
    add("a", 300, 0, 0);
    now_us = BEGIN + LOAD_WINDOW_US + 10 * SECOND;
    cr_assert_float_eq(rates("a").calls, 300.0 / 40, 1e-9);
    now_us = BEGIN + 2 * LOAD_WINDOW_US;
    cr_assert_float_eq(rates("a").calls, 0, 1e-9);
    cr_assert_float_eq(row("shop/greeter", "a", "web")->succeeded.total, 300, 1e-9);
}

Test(load_table, calls_in_progress_are_those_of_the_streams_last_report)
{
    struct load_stream other = {0};
    const struct load_calls calls = {.zone = STR("a"), .in_progress = 2};

    add("a", 1, 0, 5);
    add("a", 1, 0, 1); /* of the same report */
    load_table_add_calls(table, row("shop/greeter", "a", "web"), &calls, &other);
    cr_assert_eq(copied_in_progress(), 8);
    load_stream_reset(table, &stream);
    add("a", 1, 0, 3);
    cr_assert_eq(copied_in_progress(), 5);
    load_stream_done(table, &other);
    cr_assert_eq(copied_in_progress(), 3);
}

Test(load_table, zones_and_namespaces_that_are_made_up_become_one_row)
{
    char zone[32];

    for (int i = 0; i < 10 * LOAD_ROWS_OF_SERVICE_MAX; i++) {
        snprintf(zone, sizeof(zone), "zone-%d", i);
        add(zone, 1, 0, 0);
    }
    cr_assert_eq(load_table_len(table), LOAD_ROWS_OF_SERVICE_MAX + 1);
    cr_assert_eq(row("shop/greeter", LOAD_OTHERS, LOAD_OTHERS)->succeeded.total,
                 9 * LOAD_ROWS_OF_SERVICE_MAX);
    cr_assert_not_null(row("shop/other", "zone", "web"), "another Service has its own");
}

static size_t fill(void)
{
    char service[32];
    size_t refused = 0;

    for (int i = 0; i < LOAD_ROWS_MAX + 10; i++) {
        snprintf(service, sizeof(service), "shop/s%d", i);
        refused += !row(service, "", "");
    }
    return refused;
}

Test(load_table, rows_are_bounded_and_those_that_nobody_reports_of_go)
{
    add("a", 1, 0, 1); /* in progress: it stays */
    cr_assert_eq(fill(), 11);
    cr_assert_eq(load_table_len(table), LOAD_ROWS_MAX);
    now_us += LOAD_FORGET_US;
    cr_assert_not_null(row("shop/new", "", ""));
    cr_assert_eq(load_table_len(table), 2);
}

Test(load_table, categories_and_metrics_are_bounded)
{
    struct load_row *of = row("shop/greeter", "", "");
    char name[80];

    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        load_table_add_dropped(of, str_of(name), 1);
        cr_assert_eq(load_table_add_metric(of, &(struct load_metric){str_of(name), 2, 3}),
                     i < LOAD_NAMES_MAX);
    }
    cr_assert_eq(of->categories_len, LOAD_CATEGORIES_MAX);
    cr_assert_str_eq(of->categories[LOAD_CATEGORIES_MAX - 1].name, LOAD_OTHERS);
    cr_assert_eq(of->categories[LOAD_CATEGORIES_MAX - 1].calls.total, 31 - LOAD_CATEGORIES_MAX);
    cr_assert_float_eq(load_named_mean(&of->named[0]), 1.5, 1e-9);
    memset(name, 'x', sizeof(name));
    of = row("shop/other", "", "");
    cr_assert_not(
        load_table_add_metric(of, &(struct load_metric){str_make(name, LOAD_NAME_MAX + 1), 1, 1}));
    load_table_add_dropped(of, str_make(name, sizeof(name)), 1);
    cr_assert_eq(strlen(of->categories[0].name), LOAD_NAME_MAX);
}

Test(load_table, tables_add_up_across_the_bounds_of_windows)
{
    struct load_table *other = load_table_new(10000), *all = load_table_new(10000);
    const struct load_calls calls = {STR("a"), 50, 50, 100, 4};
    struct load_stream others = {0};
    struct load_table *copies[2];
    const struct load_row **rows;

    add("a", 100, 0, 1);
    load_table_add_calls(other,
                         load_table_row(other, STR("shop/greeter"), STR("a"), STR("web"), now_us),
                         &calls, &others);
    load_table_add_dropped(load_table_row(other, STR("shop/greeter"), STR(""), STR("web"), now_us),
                           STR("x"), 7);
    copies[0] = load_table_copy(table, now_us + LOAD_WINDOW_US - 1);
    copies[1] = load_table_copy(other, now_us + LOAD_WINDOW_US);
    for (size_t i = 0; i < 2; i++)
        load_table_merge(all, copies[i]);
    rows = load_table_sorted(all);
    cr_assert_eq(load_table_len(all), 2);
    cr_assert_eq(rows[0]->zone.len, 0);
    cr_assert_eq(rows[0]->categories[0].calls.total, 7);
    cr_assert_eq(rows[1]->succeeded.total, 150);
    cr_assert_eq(rows[1]->in_progress, 5);
    cr_assert_float_eq(load_table_rates(all, rows[1]).calls, 200.0 / 30, 1e-9);
    cr_assert_float_eq(load_table_rates(all, rows[1]).failed, 50.0 / 30, 1e-9);
    free(rows);
    load_stream_done(other, &others);
    load_table_free(copies[0]);
    load_table_free(copies[1]);
    load_table_free(all);
    load_table_free(other);
}
