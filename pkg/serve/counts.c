/* How many listen to the lists of each Service, for /counts. */
#include "base/counts.h"
#include "serve/ask.h"

struct count {
    void (*on_done)(void *ctx, struct buf *json);
    void *ctx;
};

static void visit_service(void *ctx, struct str service, size_t listeners)
{
    struct buf *out = ctx;
    char number[21];

    buf_add_str(out, service);
    buf_add_char(out, ' ');
    buf_add_str(out, str_make(number, str_format_u64(listeners, number)));
    buf_add_char(out, '\n');
}

/* Copies, no more: who sums them up is not in a hurry. */
static void count_worker(struct worker *worker, void *ctx unused_arg, struct buf *out)
{
    topic_each_listened(worker->topics, visit_service, out);
}

static void add_part(struct counts *counts, struct str part)
{
    while (part.len > 0) {
        struct str line = str_cut(&part, '\n');
        struct str service = str_cut(&line, ' ');
        uint64_t listeners;

        if (str_to_u64(line, UINT64_MAX, &listeners))
            counts_add(counts, service, listeners);
    }
}

static void on_parts(void *ctx, const struct buf *parts, unsigned len)
{
    const struct count *count = ctx;
    CLEANUP(counts_freep) struct counts *counts = counts_new();
    struct buf json = BUFFER_INIT(SERVE_COUNTS_MAX);
    struct json_writer writer = json_writer(&json);

    for (unsigned i = 0; i < len; i++) {
        json.failed = json.failed || buf_failed(&parts[i]);
        add_part(counts, buf_str(&parts[i]));
    }
    json_open_object(&writer, NULL);
    counts_write(counts, &writer, "services");
    json_close_object(&writer);
    buf_add_char(&json, '\n');
    count->on_done(count->ctx, &json);
    buf_done(&json);
}

void serve_count_streams(struct serve *serve, void (*on_done)(void *ctx, struct buf *json),
                         void *ctx)
{
    struct count *count = xcalloc(1, sizeof(*count));

    *count = (struct count){on_done, ctx};
    serve_ask(serve, &(struct question){.write = count_worker,
                                        .on_done = on_parts,
                                        .release = free,
                                        .ctx = count,
                                        .max = SERVE_COUNTS_MAX});
}
