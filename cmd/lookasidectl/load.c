/* lookasidectl load: what clients report of their calls, from the admin port. */
#include <stdio.h>

#include "command.h"

#define METRICS_MAX 1024
#define NAMED_MAX 32 /* of a line */

/* One metric of backends: its mean, weighed by calls. */
struct named {
    struct str name;
    double calls, sum;
};

/* A Service and zone: the rows of all namespaces that clients are in. */
struct line {
    double calls, failed, dropped, in_progress, drops;
    struct named named[NAMED_MAX];
    size_t named_len;
};

static double number_of(const struct json *json, const char *key)
{
    return json_number(json_get(json, key));
}

static void add_named(struct line *line, const struct json *metric)
{
    struct str name = member(metric, "name");
    size_t i = 0;

    if (!json_get(metric, "mean"))
        return;
    while (i < line->named_len && !str_eq(line->named[i].name, name))
        i++;
    if (i == NAMED_MAX)
        return;
    if (i == line->named_len)
        line->named[line->named_len++] = (struct named){.name = name};
    line->named[i].calls += number_of(metric, "calls");
    line->named[i].sum += number_of(metric, "mean") * number_of(metric, "calls");
}

static void add_row(struct line *line, const struct json *row)
{
    const struct json *item;

    line->calls += number_of(row, "callsPerSecond");
    line->failed += number_of(row, "failedPerSecond");
    line->dropped += number_of(row, "droppedPerSecond");
    line->in_progress += number_of(row, "inProgress");
    for (item = json_first(json_get(row, "drops")); item; item = json_next(item))
        line->drops += number_of(item, "calls");
    for (item = json_first(json_get(row, "metrics")); item; item = json_next(item))
        add_named(line, item);
}

/* ---- printing ---- */

static void put_rate(struct table *table, double rate)
{
    table_addf(table, rate < 10 ? "%.2f" : rate < 100 ? "%.1f" : "%.0f", rate);
}

static void put_line(struct table *table, const struct json *row, const struct line *line)
{
    struct buf metrics = BUFFER_INIT(METRICS_MAX);

    table_add(table, member(row, "service"));
    table_add(table, member(row, "zone"));
    put_rate(table, line->calls);
    if (line->calls > 0)
        table_addf(table, "%.1f", 100 * line->failed / line->calls);
    else
        table_add(table, STR(""));
    table_addf(table, "%.0f", line->in_progress);
    if (line->drops > 0)
        table_addf(table, "%.0f (%.2f/s)", line->drops, line->dropped);
    else
        table_add(table, STR("0"));
    for (size_t i = 0; i < line->named_len; i++) {
        const struct named *named = &line->named[i];

        buf_printf(&metrics, "%s%" STR_FMT "=%.4g", i ? " " : "", STR_ARG(named->name),
                   named->calls > 0 ? named->sum / named->calls : 0.0);
    }
    table_add(table, buf_str(&metrics));
    buf_done(&metrics);
}

static bool same_line(const struct json *row, const struct json *other)
{
    return other && str_eq(member(row, "service"), member(other, "service")) &&
           str_eq(member(row, "zone"), member(other, "zone"));
}

/* Rows come sorted by Service and zone. */
static void print_load(const struct json *dump)
{
    static const char *const head[] = {"SERVICE",     "ZONE",  "CALLS/S", "FAILED %",
                                       "IN PROGRESS", "DROPS", "METRICS"};
    struct table table = TABLE_INIT(head);
    const struct json *row = json_first(json_get(dump, "load"));

    if (!row) {
        fprintf(stderr, "no client has reported yet\n");
        return;
    }
    table_head(&table, head);
    while (row) {
        const struct json *first = row;
        struct line line = {0};

        for (; row && same_line(first, row); row = json_next(row))
            add_row(&line, row);
        put_line(&table, first, &line);
    }
    table_print(&table);
    table_done(&table);
}

static int run(int argc, char **argv)
{
    return dump_command(&load_command, "/debug/load", print_load, argc, argv);
}

const struct command load_command = {
    "load",
    "load [--admin HOST:PORT] [-o table|json]",
    "what clients report of their calls to each Service, by zone",
    run,
};
