/* Every stream, for /debug/streams. */
#include "base/json.h"
#include "serve/ask.h"
#include "serve/services.h"

struct dump {
    void (*on_done)(void *ctx, struct buf *json);
    void *ctx;
    char *namespace_name, *service; /* owned; the filter */
};

struct dump_part {
    struct dump_filter filter;
    struct json_writer writer;
};

static void dump_free(void *ctx)
{
    struct dump *dump = ctx;

    free(dump->namespace_name);
    free(dump->service);
    free(dump);
}

static void on_parts(void *ctx, const struct buf *parts, unsigned len)
{
    const struct dump *dump = ctx;
    struct buf json = BUFFER_INIT(SERVE_DUMP_MAX);
    bool first = true;

    buf_add_str(&json, STR("{\"streams\":["));
    for (unsigned i = 0; i < len; i++) {
        json.failed = json.failed || buf_failed(&parts[i]);
        if (parts[i].len && !first)
            buf_add_char(&json, ',');
        first = first && parts[i].len == 0;
        buf_add_str(&json, buf_str(&parts[i]));
    }
    buf_add_str(&json, STR("]}\n"));
    dump->on_done(dump->ctx, &json);
    buf_done(&json);
}

static void visit_call(void *ctx, struct rpc *rpc)
{
    struct dump_part *part = ctx;

    service_dump(rpc, &part->filter, &part->writer);
}

static void dump_worker(struct worker *worker, void *ctx, struct buf *out)
{
    const struct dump *dump = ctx;
    struct dump_part part = {.writer = json_writer(out)};

    part.filter.all = *dump->service == '\0';
    if (!part.filter.all)
        part.filter.interest =
            topic_interest(worker->topics, str_of(dump->namespace_name), str_of(dump->service));
    grpc_server_each_call(worker->server, visit_call, &part);
}

void serve_dump_streams(struct serve *serve, const struct stream_filter *filter,
                        void (*on_done)(void *ctx, struct buf *json), void *ctx)
{
    struct dump *dump = xcalloc(1, sizeof(*dump));

    dump->on_done = on_done;
    dump->ctx = ctx;
    dump->namespace_name = str_dup(filter->namespace_name);
    dump->service = str_dup(filter->service);
    serve_ask(serve, &(struct question){.write = dump_worker,
                                        .on_done = on_parts,
                                        .release = dump_free,
                                        .ctx = dump,
                                        .max = SERVE_DUMP_MAX / serve->options.threads});
}
