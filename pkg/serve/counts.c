/* How many listen to the lists of each Service, and what clients call it, for /counts. */
#include "base/counts.h"
#include "serve/ask.h"

/* What is counted of each Service, and its name in the answer. */
enum counted { LISTENERS, CALLS, FAILED, COUNTED };
static const char *const counted_names[COUNTED] = {"services", "calls", "failed"};

#define RATE_SECONDS 1000.0

struct count {
    void (*on_done)(void *ctx, struct buf *json);
    void *ctx;
    bool loads;
};

/* ---- a worker's part: lines ---- */

static void put_line(struct buf *out, enum counted what, struct str service, uint64_t value)
{
    char number[21];

    buf_add_char(out, (char)('0' + (int)what));
    buf_add_str(out, service);
    buf_add_char(out, ' ');
    buf_add_str(out, str_make(number, str_format_u64(value, number)));
    buf_add_char(out, '\n');
}

static void visit_service(void *ctx, struct str service, size_t listeners)
{
    put_line(ctx, LISTENERS, service, listeners);
}

static void put_loads(struct worker *worker, struct buf *out)
{
    CLEANUP(load_table_freep)
    struct load_table *loads = load_table_copy(worker->loads, loop_update_now(worker->loop));
    const struct load_row **rows = load_table_sorted(loads);

    for (size_t i = 0; i < load_table_len(loads); i++) {
        struct load_rates rates = load_table_rates(loads, rows[i]);

        put_line(out, CALLS, rows[i]->service, (uint64_t)(rates.calls * RATE_SECONDS));
        put_line(out, FAILED, rows[i]->service, (uint64_t)(rates.failed * RATE_SECONDS));
    }
    free(rows);
}

/* Copies, no more: who sums them up is not in a hurry. */
static void count_worker(struct worker *worker, void *ctx unused_arg, struct buf *out)
{
    topic_each_listened(worker->topics, visit_service, out);
    if (worker->loads)
        put_loads(worker, out);
}

/* ---- all of them ---- */

static void add_part(struct counts *const counts[COUNTED], struct str part)
{
    while (part.len > 0) {
        struct str line = str_cut(&part, '\n');
        struct str service = str_cut(&line, ' ');
        unsigned what = (unsigned char)service.ptr[0] - (unsigned)'0';
        uint64_t value;

        if (what < COUNTED && str_to_u64(line, UINT64_MAX, &value))
            counts_add(counts[what], str_slice(service, 1, service.len), value);
    }
}

static void on_parts(void *ctx, const struct buf *parts, unsigned len)
{
    const struct count *count = ctx;
    struct counts *counts[COUNTED];
    struct buf json = BUFFER_INIT(SERVE_COUNTS_MAX);
    struct json_writer writer = json_writer(&json);

    for (size_t what = 0; what < COUNTED; what++)
        counts[what] = counts_new();
    for (unsigned i = 0; i < len; i++) {
        json.failed = json.failed || buf_failed(&parts[i]);
        add_part(counts, buf_str(&parts[i]));
    }
    json_open_object(&writer, NULL);
    for (size_t what = 0; what < (count->loads ? COUNTED : CALLS); what++)
        counts_write(counts[what], &writer, counted_names[what]);
    json_close_object(&writer);
    for (size_t what = 0; what < COUNTED; what++)
        counts_free(counts[what]);
    buf_add_char(&json, '\n');
    count->on_done(count->ctx, &json);
    buf_done(&json);
}

void serve_count_streams(struct serve *serve, void (*on_done)(void *ctx, struct buf *json),
                         void *ctx)
{
    struct count *count = xcalloc(1, sizeof(*count));

    *count = (struct count){on_done, ctx, serve->options.load_interval_ms > 0};
    serve_ask(serve, &(struct question){.write = count_worker,
                                        .on_done = on_parts,
                                        .release = free,
                                        .ctx = count,
                                        .max = SERVE_COUNTS_MAX});
}
