/*
 * A stream of load reports under any requests: what is told obeys the limits, is of a report and a Cluster, and nothing is told of one that is
 * refused; the response comes once, behind the first request; and the table that it adds up to stays within its bounds, with no calls in progress
 * once the stream has ended.
 *
 * Input: requests, each behind its length in two bytes.
 */
#include <math.h>

#include "must_hold.h"
#include "protocol/load_stats.h"
#include "serve/load_table.h"
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct load_table *table;
static struct load_stream stream;
static struct load_row *row;
static char service[64];
static size_t told, reports;
static bool woken;
static uint64_t now_us;

static void on_report(void *ctx unused_arg)
{
    reports++;
    load_stream_reset(table, &stream);
}

static void on_cluster(void *ctx unused_arg, struct str name)
{
    must_hold(reports > 0 && name.len <= LOAD_TEXT_MAX && wire_is_utf8(name));
    told++;
    row = NULL;
    snprintf(service, sizeof(service), "s%zu", name.len % 50);
}

static void on_calls(void *ctx unused_arg, const struct load_calls *calls)
{
    must_hold(told > 0 && calls->zone.len <= LOAD_TEXT_MAX && wire_is_utf8(calls->zone));
    must_hold(calls->succeeded <= LOAD_COUNT_MAX && calls->in_progress <= LOAD_COUNT_MAX);
    row = load_table_row(table, str_of(service), calls->zone, STR("web"), now_us);
    must_hold(row != NULL);
    load_table_add_calls(table, row, calls, &stream);
}

static void on_metric(void *ctx unused_arg, const struct load_metric *metric)
{
    must_hold(row && metric->name.len > 0 && wire_is_utf8(metric->name));
    must_hold(isfinite(metric->sum) && metric->calls > 0 && metric->calls <= LOAD_COUNT_MAX);
    (void)load_table_add_metric(row, metric);
    must_hold(row->named_len <= LOAD_NAMES_MAX);
}

static void on_dropped(void *ctx unused_arg, struct str category, uint64_t calls)
{
    struct load_row *of = load_table_row(table, str_of(service), STR(""), STR("web"), now_us);

    must_hold(told > 0 && calls > 0 && calls <= LOAD_COUNT_MAX && wire_is_utf8(category));
    load_table_add_dropped(of, category, calls);
    must_hold(of->categories_len <= LOAD_CATEGORIES_MAX);
}

static void on_wake(void *ctx unused_arg)
{
    must_hold(!woken);
    woken = true;
}

static const struct load_host host = {on_report, on_cluster, on_calls,
                                      on_metric, on_dropped, on_wake};

static void request(struct load_session *session, struct str message)
{
    size_t before = told, reports_before = reports;
    struct err err = {0};
    enum code code = load_session_request(session, message, &err);

    must_hold(code == CODE_OK || code == CODE_INVALID_ARGUMENT || code == CODE_RESOURCE_EXHAUSTED);
    must_hold(err.code == code && (code == CODE_OK) == (err.msg[0] == '\0'));
    must_hold(code == CODE_OK ? reports == reports_before + 1
                              : told == before && reports == reports_before);
}

static void check_response(struct load_session *session)
{
    struct buf out = BUFFER_INIT(64);

    must_hold(load_session_next(session, &out) == woken);
    must_hold(!woken || out.len >= 6);
    must_hold(!load_session_next(session, &out) && !buf_failed(&out));
    buf_done(&out);
}

static void check_table(void)
{
    struct load_table *copy = load_table_copy(table, now_us);
    const struct load_row **rows = load_table_sorted(copy);

    for (size_t i = 0; i < load_table_len(copy); i++) {
        struct load_rates rates = load_table_rates(copy, rows[i]);

        must_hold(rows[i]->in_progress == 0);
        must_hold(rates.calls >= 0 && rates.failed <= rates.calls && isfinite(rates.dropped));
    }
    free(rows);
    load_table_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct load_session *session = load_session_new(&host, NULL, 1000);

    table = load_table_new(1000);
    told = reports = 0;
    woken = false;
    now_us = LOAD_WINDOW_US;
    for (size_t i = 0; i + 2 <= size;) {
        size_t len = min_size((size_t)data[i] << 8 | data[i + 1], size - i - 2);

        request(session, str_make(data + i + 2, len));
        i += 2 + len;
        now_us += LOAD_WINDOW_US / 3;
    }
    check_response(session);
    load_stream_done(table, &stream);
    check_table();
    load_session_free(session);
    load_table_free(table);
    return 0;
}
