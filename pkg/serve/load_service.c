/* envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats: joins an RPC, a session of load reports and the loop's table of loads. */
#include "model/name.h"
#include "protocol/load_stats.h"
#include "serve/services.h"
#include "serve/worker.h"

#define SERVICE_KEY_MAX 160

struct load_report_stream {
    struct rpc *rpc;
    struct worker *worker;
    struct load_session *session; /* NULL: reports are not wanted */
    struct load_stream load;
    /* what the report being read is about */
    char service[SERVICE_KEY_MAX]; /* "": no Service */
    struct load_row *row;          /* the last zone's; NULL: there is none */
};

static struct load_table *table_of(const struct load_report_stream *stream)
{
    return stream->worker->loads;
}

/* Of the client; what cannot be one is none. */
static struct str client_of(const struct load_report_stream *stream)
{
    struct str name = load_session_namespace(stream->session);

    return name_is_label(name) ? name : STR("");
}

static struct load_row *row_of(struct load_report_stream *stream, struct str zone)
{
    struct load_row *row;

    if (!*stream->service)
        return NULL;
    row = load_table_row(table_of(stream), str_of(stream->service), zone, client_of(stream),
                         loop_now_us(stream->worker->loop));
    if (!row)
        counter_add(&stream->worker->stats.loads_left_out[LOAD_LEFT_ROWS], 1);
    return row;
}

static void host_report(void *ctx)
{
    struct load_report_stream *stream = ctx;

    load_stream_reset(table_of(stream), &stream->load);
}

static void host_cluster(void *ctx, struct str name)
{
    struct load_report_stream *stream = ctx;
    const struct caller caller = worker_caller(stream->rpc);
    const struct service *service =
        topic_service_of_cluster(stream->worker->topics, name, &caller);

    stream->row = NULL;
    *stream->service = '\0';
    if (service)
        snprintf(stream->service, sizeof(stream->service), "%" STR_FMT "/%" STR_FMT,
                 STR_ARG(service->namespace_name), STR_ARG(service->name));
    else
        counter_add(&stream->worker->stats.loads_left_out[LOAD_LEFT_UNKNOWN], 1);
}

static void host_calls(void *ctx, const struct load_calls *calls)
{
    struct load_report_stream *stream = ctx;

    stream->row = row_of(stream, calls->zone);
    if (stream->row)
        load_table_add_calls(table_of(stream), stream->row, calls, &stream->load);
}

static void host_metric(void *ctx, const struct load_metric *metric)
{
    struct load_report_stream *stream = ctx;

    if (stream->row && !load_table_add_metric(stream->row, metric))
        counter_add(&stream->worker->stats.loads_left_out[LOAD_LEFT_METRICS], 1);
}

static void host_dropped(void *ctx, struct str category, uint64_t calls)
{
    struct load_report_stream *stream = ctx;
    struct load_row *row = row_of(stream, STR(""));

    if (row)
        load_table_add_dropped(row, category, calls);
}

static void host_wake(void *ctx)
{
    const struct load_report_stream *stream = ctx;

    rpc_wake(stream->rpc, RPC_WAKE_ANSWER);
}

static const struct load_host host = {
    .report = host_report,
    .cluster = host_cluster,
    .calls = host_calls,
    .metric = host_metric,
    .dropped = host_dropped,
    .wake = host_wake,
};

static void on_open(struct rpc *rpc)
{
    struct load_report_stream *stream = xcalloc(1, sizeof(*stream));

    stream->rpc = rpc;
    stream->worker = rpc_server_ctx(rpc);
    rpc_set_state(rpc, stream);
    if (!table_of(stream)) {
        rpc_finish(rpc, CODE_UNIMPLEMENTED, "load reports are switched off (--load-reports)");
        return;
    }
    stream->session = load_session_new(&host, stream, stream->worker->options.load_interval_ms);
    counter_add(&stream->worker->stats.streams_load, 1);
}

static void on_message(struct rpc *rpc, struct str message)
{
    struct load_report_stream *stream = rpc_state(rpc);
    struct worker *worker = stream->worker;
    struct err err = {0};

    if (!stream->session)
        return;
    counter_add(&worker->stats.load_reports, 1);
    if (load_session_request(stream->session, message, &err) != CODE_OK)
        worker_refuse(worker, rpc, "load report refused", &err);
}

static bool on_pull(struct rpc *rpc, struct rpc_out *out)
{
    const struct load_report_stream *stream = rpc_state(rpc);

    return stream->session && load_session_next(stream->session, &out->head);
}

static void on_close(struct rpc *rpc, enum code code unused_arg)
{
    struct load_report_stream *stream = rpc_state(rpc);
    struct worker_stats *stats = &stream->worker->stats;

    if (stream->session) {
        counter_set(&stats->streams_load, counter_get(&stats->streams_load) - 1);
        load_stream_done(table_of(stream), &stream->load);
    }
    load_session_free(stream->session);
    free(stream);
}

const struct rpc_handler load_handler = {
    .on_open = on_open,
    .on_message = on_message,
    .on_pull = on_pull,
    .on_close = on_close,
};
