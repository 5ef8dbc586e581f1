/* What clients report of their calls, over all workers: for /metrics, /debug/load and /counts. */
#include <math.h>

#include "base/metric.h"
#include "serve/ask.h"

#define LABELS_MAX 1024
#define UNCATEGORIZED STR("uncategorized")

struct collection {
    void (*on_done)(void *ctx, const struct load_table *loads);
    void *ctx;
    uint64_t interval_ms;
    struct load_table *parts[SERVE_THREADS_MAX]; /* each written by its worker */
};

/* ---- asking ---- */

static void collection_free(void *ctx)
{
    struct collection *collection = ctx;

    for (size_t i = 0; i < ARRAY_LEN(collection->parts); i++)
        load_table_free(collection->parts[i]);
    free(collection);
}

static void copy_part(struct worker *worker, void *ctx, struct buf *out unused_arg)
{
    struct collection *collection = ctx;

    if (worker->loads)
        collection->parts[worker->options.index] =
            load_table_copy(worker->loads, loop_update_now(worker->loop));
}

static void on_parts(void *ctx, const struct buf *parts unused_arg, unsigned len)
{
    const struct collection *collection = ctx;
    CLEANUP(load_table_freep) struct load_table *all = load_table_new(collection->interval_ms);

    for (unsigned i = 0; i < len; i++)
        if (collection->parts[i])
            load_table_merge(all, collection->parts[i]);
    collection->on_done(collection->ctx, all);
}

void serve_collect_loads(struct serve *serve,
                         void (*on_done)(void *ctx, const struct load_table *loads), void *ctx)
{
    struct collection *collection = xcalloc(1, sizeof(*collection));

    collection->on_done = on_done;
    collection->ctx = ctx;
    collection->interval_ms = serve->options.load_interval_ms;
    serve_ask(serve, &(struct question){.write = copy_part,
                                        .on_done = on_parts,
                                        .release = collection_free,
                                        .ctx = collection});
}

/* ---- Prometheus ---- */

/* One family: what of a row are its samples. */
typedef void samples_fn(struct buf *out, const char *name, const struct load_row *row);

static void add_label(struct buf *labels, const char *key, struct str value)
{
    if (labels->len > 0)
        buf_add_char(labels, ',');
    metric_label(labels, key, value);
}

/* The labels of a row, and one more. */
static void put_sample(struct buf *out, const char *name, const struct load_row *row,
                       const char *key, struct str value, double number)
{
    struct buf labels = BUFFER_INIT(LABELS_MAX);

    add_label(&labels, "service", row->service);
    add_label(&labels, "zone", row->zone);
    add_label(&labels, "client_namespace", row->client);
    if (key)
        add_label(&labels, key, value);
    metric_write_double(out, name, buf_cstr(&labels), number);
    buf_done(&labels);
}

static void put_calls(struct buf *out, const char *name, const struct load_row *row)
{
    put_sample(out, name, row, "result", STR("succeeded"), row->succeeded.total);
    put_sample(out, name, row, "result", STR("failed"), row->failed.total);
}

static void put_issued(struct buf *out, const char *name, const struct load_row *row)
{
    put_sample(out, name, row, NULL, STR(""), row->issued.total);
}

static void put_in_progress(struct buf *out, const char *name, const struct load_row *row)
{
    put_sample(out, name, row, NULL, STR(""), row->in_progress);
}

static struct str category_name(const struct load_category *category)
{
    return *category->name ? str_of(category->name) : UNCATEGORIZED;
}

static void put_dropped(struct buf *out, const char *name, const struct load_row *row)
{
    for (size_t i = 0; i < row->categories_len; i++)
        put_sample(out, name, row, "category", category_name(&row->categories[i]),
                   row->categories[i].calls.total);
}

static void put_named_calls(struct buf *out, const char *name, const struct load_row *row)
{
    for (size_t i = 0; i < row->named_len; i++)
        put_sample(out, name, row, "metric", str_of(row->named[i].name), row->named[i].calls.total);
}

static void put_named_sums(struct buf *out, const char *name, const struct load_row *row)
{
    for (size_t i = 0; i < row->named_len; i++)
        put_sample(out, name, row, "metric", str_of(row->named[i].name), row->named[i].sum.total);
}

void serve_write_load_metrics(const struct load_table *loads, struct buf *out)
{
    static const struct {
        const char *name, *type, *help;
        samples_fn *put;
    } of_loads[] = {
        {"lookaside_load_calls_total", "counter",
         "Calls to backends that ended, as clients report.", put_calls},
        {"lookaside_load_calls_issued_total", "counter", "Calls that were sent to backends.",
         put_issued},
        {"lookaside_load_calls_in_progress", "gauge",
         "Calls that had not ended at the last report.", put_in_progress},
        {"lookaside_load_dropped_total", "counter",
         "Calls that clients did not send, by what they dropped them for.", put_dropped},
        {"lookaside_load_metric_calls_total", "counter",
         "Calls at whose end a backend told a metric of its own (ORCA).", put_named_calls},
        {"lookaside_load_metric_sum", "gauge", "The sum of what it told then.", put_named_sums},
    };
    const struct load_row **rows = load_table_sorted(loads);

    for (size_t i = 0; i < ARRAY_LEN(of_loads); i++) {
        metric_write_head(out, of_loads[i].name, of_loads[i].type, of_loads[i].help);
        for (size_t j = 0; j < load_table_len(loads); j++)
            of_loads[i].put(out, of_loads[i].name, rows[j]);
    }
    free(rows);
}

/* ---- JSON ---- */

static void write_categories(const struct load_row *row, struct json_writer *writer)
{
    json_open_array(writer, "drops");
    for (size_t i = 0; i < row->categories_len; i++) {
        json_open_object(writer, NULL);
        json_put_str(writer, "category", category_name(&row->categories[i]));
        json_put_double(writer, "calls", row->categories[i].calls.total);
        json_close_object(writer);
    }
    json_close_array(writer);
}

static void write_named(const struct load_row *row, struct json_writer *writer)
{
    json_open_array(writer, "metrics");
    for (size_t i = 0; i < row->named_len; i++) {
        const struct load_named *named = &row->named[i];
        double mean = load_named_mean(named);

        json_open_object(writer, NULL);
        json_put_str(writer, "name", str_of(named->name));
        json_put_double(writer, "calls", named->calls.total);
        json_put_double(writer, "sum", named->sum.total);
        if (!isnan(mean))
            json_put_double(writer, "mean", mean);
        json_close_object(writer);
    }
    json_close_array(writer);
}

static void write_row(const struct load_table *loads, const struct load_row *row,
                      struct json_writer *writer)
{
    struct load_rates rates = load_table_rates(loads, row);

    json_open_object(writer, NULL);
    json_put_str(writer, "service", row->service);
    json_put_str(writer, "zone", row->zone);
    json_put_str(writer, "clientNamespace", row->client);
    json_put_double(writer, "callsPerSecond", rates.calls);
    json_put_double(writer, "failedPerSecond", rates.failed);
    json_put_double(writer, "droppedPerSecond", rates.dropped);
    json_put_double(writer, "inProgress", row->in_progress);
    json_put_double(writer, "issued", row->issued.total);
    json_put_double(writer, "succeeded", row->succeeded.total);
    json_put_double(writer, "failed", row->failed.total);
    write_categories(row, writer);
    write_named(row, writer);
    json_close_object(writer);
}

void serve_write_loads(const struct load_table *loads, struct json_writer *writer)
{
    const struct load_row **rows = load_table_sorted(loads);

    json_open_array(writer, "load");
    for (size_t i = 0; i < load_table_len(loads); i++)
        write_row(loads, rows[i], writer);
    json_close_array(writer);
    free(rows);
}
