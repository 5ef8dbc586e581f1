/*
 * What clients report of their calls, summed up: a row for each Service, zone of its backends and namespace of the clients. Serving loops
 * have one each; tables of several are added up.
 *
 * Rates are means over the last whole window and what has passed of the one under way: at least LOAD_WINDOW_US, at most twice that,
 * where a row is as old. Windows begin at the same moments in all tables.
 *
 * Threads: a value; times are those of the caller's loop.
 * Limits:  what clients may make up is bounded: LOAD_ROWS_MAX rows, of one Service LOAD_ROWS_OF_SERVICE_MAX (then the zone and the namespace of others are
 *          LOAD_OTHERS), LOAD_CATEGORIES_MAX categories and LOAD_NAMES_MAX metrics of a row, LOAD_GAUGES_MAX calls in progress to keep apart. What is
 *          left out is counted. A row that nobody reported of for LOAD_FORGET_US goes.
 */
#ifndef SERVE_LOAD_TABLE_H
#define SERVE_LOAD_TABLE_H

#include "protocol/load_stats.h"

#define LOAD_ROWS_MAX 10000
#define LOAD_ROWS_OF_SERVICE_MAX 100
#define LOAD_OTHERS "(others)"
#define LOAD_CATEGORIES_MAX 8 /* the last stands for all further ones */
#define LOAD_NAMES_MAX 16
#define LOAD_NAME_MAX 63 /* of a category or metric: a longer one is cut, or left out */
#define LOAD_ZONE_MAX 63 /* a longer one is no zone's */
#define LOAD_GAUGES_MAX 100000
#define LOAD_GAUGES_OF_STREAM_MAX 1000
#define LOAD_WINDOW_US UINT64_C(30000000)
#define LOAD_FORGET_US (UINT64_C(900) * 1000000)

/* Something that is counted. */
struct load_flow {
    double total;
    double now, before; /* in this window, and in the one before it */
};

struct load_category {
    char name[LOAD_NAME_MAX + 1]; /* "": none is told */
    struct load_flow calls;
};

struct load_named {
    char name[LOAD_NAME_MAX + 1];
    struct load_flow calls, sum;
};

struct load_row {
    struct str service; /* "namespace/name" */
    struct str zone;
    struct str client; /* namespace; empty: not told */
    struct load_flow succeeded, failed, issued;
    double in_progress;
    struct load_category *categories; /* of a row without a zone: drops have none */
    size_t categories_len, categories_cap;
    struct load_named *named;
    size_t named_len, named_cap;
};

/* Means over the windows. */
struct load_rates {
    double calls, failed, dropped; /* in a second; calls that ended */
};

struct load_table;

struct load_table *load_table_new(uint64_t interval_ms) must_check;
/* Streams must be gone. */
void load_table_free(struct load_table *table); /* NULL is fine */
DEFINE_CLEANUP(struct load_table, load_table_free)
/* As it is now, without rows that are to be forgotten. */
struct load_table *load_table_copy(struct load_table *table, uint64_t now_us) must_check;
/* Adds what the other, as of the same time or nearly so, has. */
void load_table_merge(struct load_table *table, const struct load_table *other);

size_t load_table_len(const struct load_table *table);
/* In order of Service, zone and client; borrowed until the table changes. The caller's to free. */
const struct load_row **load_table_sorted(const struct load_table *table) must_check;
struct load_rates load_table_rates(const struct load_table *table, const struct load_row *row);
/* The mean of a metric over the windows; NAN: there was none. */
double load_named_mean(const struct load_named *named);

/* ---- what a stream adds ---- */

/* The calls in progress that it told of last. */
struct load_stream {
    struct load_gauge *gauges;
    size_t len, cap;
};

/* A report begins, or the stream ends: it has no calls in progress. */
void load_stream_reset(struct load_table *table, struct load_stream *stream);
void load_stream_done(struct load_table *table, struct load_stream *stream);
/* The row to add to; NULL: there are too many. */
struct load_row *load_table_row(struct load_table *table, struct str service, struct str zone, struct str client, uint64_t now_us);
void load_table_add_calls(struct load_table *table, struct load_row *row, const struct load_calls *calls, struct load_stream *stream);
void load_table_add_dropped(struct load_row *row, struct str category, uint64_t calls);
/* False: it is left out. */
bool load_table_add_metric(struct load_row *row, const struct load_metric *metric);

#endif
