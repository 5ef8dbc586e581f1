#include <criterion/criterion.h>

#include <math.h>

#include "protocol/load_stats.h"
#include "wire/fields.h"
#include "wire/writer.h"

static char told[4096];
static size_t wakes;
static struct load_session *session;
static struct buf message;
static struct err err;

static void say(const char *fmt, ...) printf_like(1, 2);
static void say(const char *fmt, ...)
{
    size_t len = strlen(told);
    va_list args;

    va_start(args, fmt);
    vsnprintf(told + len, sizeof(told) - len, fmt, args);
    va_end(args);
}

static void on_report(unused_arg void *ctx)
{
    say("report\n");
}

static void on_cluster(unused_arg void *ctx, struct str name)
{
    say("cluster %" STR_FMT "\n", STR_ARG(name));
}

static void on_calls(unused_arg void *ctx, const struct load_calls *calls)
{
    say("calls %" STR_FMT " %d+%d of %d, %d\n", STR_ARG(calls->zone), (int)calls->succeeded,
        (int)calls->failed, (int)calls->issued, (int)calls->in_progress);
}

static void on_metric(unused_arg void *ctx, const struct load_metric *metric)
{
    say("metric %" STR_FMT " %d %g\n", STR_ARG(metric->name), (int)metric->calls, metric->sum);
}

static void on_dropped(unused_arg void *ctx, struct str category, uint64_t calls)
{
    say("dropped '%" STR_FMT "' %d\n", STR_ARG(category), (int)calls);
}

static void on_wake(unused_arg void *ctx)
{
    wakes++;
}

static const struct load_host host = {on_report, on_cluster, on_calls,
                                      on_metric, on_dropped, on_wake};

static void set_up(void)
{
    session = load_session_new(&host, NULL, 2500);
    buf_init(&message, 8 * 1024 * 1024);
}

static void tear_down(void)
{
    load_session_free(session);
    buf_done(&message);
}

TestSuite(load_stats, .init = set_up, .fini = tear_down);

static enum code send(void)
{
    err = (struct err){0};
    return load_session_request(session, buf_str(&message), &err);
}

static void expect_sent(const char *expected)
{
    *told = '\0';
    cr_assert_eq(send(), CODE_OK, "%s", err.msg);
    cr_assert_str_eq(told, expected);
    buf_reset(&message);
}

static void expect_refused(enum code code, const char *words)
{
    *told = '\0';
    cr_assert_eq(send(), code);
    cr_assert_str_eq(err.msg, words);
    cr_assert_str_eq(told, "", "something of it was told");
    buf_reset(&message);
}

/* ---- messages ---- */

static void put_node(const char *namespace_name)
{
    size_t node = wire_open(&message, LOAD_STATS_REQUEST_NODE);
    size_t metadata = wire_open(&message, NODE_METADATA);
    size_t entry = wire_open(&message, STRUCT_FIELDS);
    size_t value;

    wire_put_bytes(&message, WIRE_MAP_KEY, STR("namespace"));
    value = wire_open(&message, WIRE_MAP_VALUE);
    wire_put_bytes(&message, VALUE_STRING_VALUE, str_of(namespace_name));
    wire_close(&message, value);
    wire_close(&message, entry);
    wire_close(&message, metadata);
    wire_close(&message, node);
}

static size_t open_cluster(void)
{
    return wire_open(&message, LOAD_STATS_REQUEST_CLUSTER_STATS);
}

static void put_name(const char *name)
{
    wire_put_bytes(&message, CLUSTER_STATS_CLUSTER_NAME, str_of(name));
}

static size_t open_calls(const char *zone, uint64_t succeeded, uint64_t failed)
{
    size_t calls = wire_open(&message, CLUSTER_STATS_UPSTREAM_LOCALITY_STATS);
    size_t locality = wire_open(&message, UPSTREAM_LOCALITY_STATS_LOCALITY);

    wire_put_bytes(&message, LOCALITY_ZONE, str_of(zone));
    wire_close(&message, locality);
    wire_put_varint(&message, UPSTREAM_LOCALITY_STATS_TOTAL_SUCCESSFUL_REQUESTS, succeeded);
    wire_put_varint(&message, UPSTREAM_LOCALITY_STATS_TOTAL_ERROR_REQUESTS, failed);
    wire_put_varint(&message, UPSTREAM_LOCALITY_STATS_TOTAL_ISSUED_REQUESTS, succeeded + failed);
    wire_put_varint(&message, UPSTREAM_LOCALITY_STATS_TOTAL_REQUESTS_IN_PROGRESS, 7);
    return calls;
}

static void put_named(const char *name, uint64_t calls, double sum)
{
    size_t metric = wire_open(&message, UPSTREAM_LOCALITY_STATS_LOAD_METRIC_STATS);

    wire_put_bytes(&message, ENDPOINT_LOAD_METRIC_STATS_METRIC_NAME, str_of(name));
    wire_put_varint(&message, ENDPOINT_LOAD_METRIC_STATS_NUM_REQUESTS_FINISHED_WITH_METRIC, calls);
    wire_put_double(&message, ENDPOINT_LOAD_METRIC_STATS_TOTAL_METRIC_VALUE, sum);
    wire_close(&message, metric);
}

static void put_dropped(const char *category, uint64_t calls)
{
    size_t dropped = wire_open(&message, CLUSTER_STATS_DROPPED_REQUESTS);

    wire_put_bytes(&message, CLUSTER_STATS_DROPPED_REQUESTS_CATEGORY, str_of(category));
    wire_put_varint(&message, CLUSTER_STATS_DROPPED_REQUESTS_DROPPED_COUNT, calls);
    wire_close(&message, dropped);
}

/* ---- the response ---- */

/* Go reads no second one, and clients break on an interval below a second or none. */
Test(load_stats, is_answered_once_with_an_interval_and_for_all_clusters)
{
    struct buf out = BUFFER_INIT(64);

    cr_assert_not(load_session_next(session, &out), "before the client said anything");
    put_node("web");
    expect_sent("report\n");
    cr_assert_eq(wakes, 1);
    cr_assert(load_session_next(session, &out));
    cr_assert_eq(out.len, 12);
    cr_assert_arr_eq(out.ptr, "\x12\x08\x08\x02\x10\x80\xca\xb5\xee\x01\x20\x01", 12);
    expect_sent("report\n");
    cr_assert_not(load_session_next(session, &out));
    cr_assert_eq(wakes, 1);
    buf_done(&out);
}

Test(load_stats, never_asks_for_less_than_a_second)
{
    struct buf out = BUFFER_INIT(64);

    load_session_free(session);
    session = load_session_new(&host, NULL, 0);
    expect_sent("report\n");
    cr_assert(load_session_next(session, &out));
    cr_assert_arr_eq(out.ptr, "\x12\x02\x08\x01\x20\x01", 6);
    buf_done(&out);
}

/* ---- the Node ---- */

Test(load_stats, the_first_node_counts_and_may_be_repeated_or_missing)
{
    expect_sent("report\n");
    cr_assert_eq(load_session_namespace(session).len, 0);
    put_node("web");
    expect_sent("report\n");
    put_node("shop");
    expect_sent("report\n");
    cr_assert(str_eq(load_session_namespace(session), STR("web")));
}

/* ---- reports ---- */

Test(load_stats, a_report_is_told_in_its_order_wherever_the_name_stands)
{
    size_t cluster = open_cluster(), calls = open_calls("zone-a", 5, 1);
    size_t cpu;

    put_named("named_metrics.queue", 4, 10);
    put_named("other", 1, 0.5);
    cpu = wire_open(&message, UPSTREAM_LOCALITY_STATS_CPU_UTILIZATION);
    wire_put_varint(&message, UNNAMED_ENDPOINT_LOAD_METRIC_STATS_NUM_REQUESTS_FINISHED_WITH_METRIC,
                    6);
    wire_put_double(&message, UNNAMED_ENDPOINT_LOAD_METRIC_STATS_TOTAL_METRIC_VALUE, 3);
    wire_close(&message, cpu);
    wire_close(&message, calls);
    wire_close(&message, open_calls("", 2, 0));
    put_name("shop/greeter:8001");
    wire_close(&message, cluster);
    cluster = open_cluster();
    put_name("b");
    wire_close(&message, cluster);
    expect_sent("report\ncluster shop/greeter:8001\ncalls zone-a 5+1 of 6, 7\nmetric queue 4 10\n"
                "metric other 1 0.5\nmetric cpu_utilization 6 3\ncalls  2+0 of 2, 7\ncluster b\n");
}

Test(load_stats, drops_of_no_category_are_what_is_left_of_the_total)
{
    size_t cluster = open_cluster();

    put_dropped("throttle", 3);
    put_dropped("", 9);
    put_dropped("lb", 0);
    wire_put_varint(&message, CLUSTER_STATS_TOTAL_DROPPED_REQUESTS, 10);
    wire_close(&message, cluster);
    expect_sent("report\ncluster \ndropped 'throttle' 3\ndropped '' 7\n");
    cluster = open_cluster();
    put_dropped("throttle", 3);
    wire_close(&message, cluster);
    expect_sent("report\ncluster \ndropped 'throttle' 3\n");
}

Test(load_stats, sums_that_are_no_numbers_are_left_out)
{
    size_t cluster = open_cluster(), calls = open_calls("a", 1, 0);

    put_named("nan", 1, NAN);
    put_named("infinite", 1, -INFINITY);
    put_named("huge", 1, 1e19);
    put_named("of-no-call", 0, 1);
    put_named("", 1, 1);
    put_named("good", 1, -2);
    wire_close(&message, calls);
    wire_close(&message, cluster);
    expect_sent("report\ncluster \ncalls a 1+0 of 1, 7\nmetric good 1 -2\n");
}

/* ---- what is refused ---- */

Test(load_stats, nothing_of_a_report_is_told_that_is_refused)
{
    size_t cluster = open_cluster();

    put_name("good");
    wire_close(&message, open_calls("a", 1, 0));
    wire_close(&message, cluster);
    cluster = open_cluster();
    wire_close(&message, open_calls("a", LOAD_COUNT_MAX, 1)); /* issued is one more */
    wire_close(&message, cluster);
    expect_refused(CODE_INVALID_ARGUMENT,
                   "cluster_stats has a number that is negative or too large");
}

Test(load_stats, what_is_no_request_is_refused)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *words;
    } cases[] = {
        {"\x12\x05", 2, "malformed LoadStatsRequest"},
        {"\x12\x02\x0a\x07", 4, "malformed cluster_stats"},
        {"\x12\x04\x12\x02\x0a\x09", 6, "malformed upstream_locality_stats"},
        {"\x12\x06\x12\x04\x0a\x02\x12\x09", 8, "malformed locality"},
        {"\x12\x06\x12\x04\x2a\x02\x0a\x09", 8, "malformed load_metric_stats"},
        {"\x12\x04\x2a\x02\x0a\x09", 6, "malformed dropped_requests"},
        {"\x12\x03\x0a\x01\xff", 5, "cluster_name is not UTF-8"},
        {"\x0a\x02\x0a\x09", 4, "malformed node"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_append(&message, cases[i].bytes, cases[i].len);
        expect_refused(CODE_INVALID_ARGUMENT, cases[i].words);
    }
}

Test(load_stats, names_are_bounded)
{
    size_t cluster = open_cluster();
    char name[LOAD_TEXT_MAX + 2] = "";

    memset(name, 'x', LOAD_TEXT_MAX + 1);
    put_name(name);
    wire_close(&message, cluster);
    expect_refused(CODE_RESOURCE_EXHAUSTED, "cluster_name is longer than 1024 bytes");
}

static void put_many(uint32_t number, size_t len)
{
    for (size_t i = 0; i < len; i++)
        wire_put_bytes(&message, number, STR(""));
}

Test(load_stats, what_a_report_may_have_is_bounded)
{
    size_t cluster, calls;

    put_many(LOAD_STATS_REQUEST_CLUSTER_STATS, LOAD_CLUSTERS_MAX + 1);
    expect_refused(CODE_RESOURCE_EXHAUSTED, "more than 10000 cluster_stats");
    cluster = open_cluster();
    put_many(CLUSTER_STATS_UPSTREAM_LOCALITY_STATS, LOAD_LOCALITIES_MAX + 1);
    wire_close(&message, cluster);
    expect_refused(CODE_RESOURCE_EXHAUSTED, "more than 1000 upstream_locality_stats");
    cluster = open_cluster();
    put_many(CLUSTER_STATS_DROPPED_REQUESTS, LOAD_DROPS_MAX + 1);
    wire_close(&message, cluster);
    expect_refused(CODE_RESOURCE_EXHAUSTED, "more than 100 dropped_requests");
    cluster = open_cluster();
    calls = open_calls("a", 1, 1);
    put_many(UPSTREAM_LOCALITY_STATS_LOAD_METRIC_STATS, LOAD_METRICS_MAX + 1);
    wire_close(&message, calls);
    wire_close(&message, cluster);
    expect_refused(CODE_RESOURCE_EXHAUSTED, "more than 1000 load_metric_stats");
}
