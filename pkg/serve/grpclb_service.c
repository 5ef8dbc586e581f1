/* grpc.lb.v1.LoadBalancer/BalanceLoad: joins an RPC, a grpclb session and one of the loop's topics. */
#include "base/log.h"
#include "protocol/grpclb.h"
#include "serve/services.h"
#include "serve/worker.h"

struct grpclb_stream {
    struct subscriber subscriber; /* topic NULL: not yet, or the name is none */
    struct rpc *rpc;
    struct worker *worker;
    struct grpclb_session *session;
    bool counted; /* among the subscriptions */
    struct change_age age;
    char problem[FAIL_MESSAGE_MAX]; /* of a malformed name */
};

static void on_topic_changed(struct subscriber *subscriber)
{
    struct grpclb_stream *stream = container_of(subscriber, struct grpclb_stream, subscriber);

    change_age_touch(&stream->age, subscriber->content);
    grpclb_session_touch(stream->session);
}

static void on_topic_refused(struct subscriber *subscriber)
{
    const struct grpclb_stream *stream = container_of(subscriber, struct grpclb_stream, subscriber);

    worker_tell_refused(stream->worker, stream->rpc, subscriber);
}

/* The protocol has no word for it. */
static struct place client_place(const struct grpclb_stream *stream)
{
    const struct place said = {.group = worker_client_group(stream->rpc, STR(""))};

    return worker_client_place(stream->rpc, &said);
}

static void host_subscribe(void *ctx, struct str name)
{
    struct grpclb_stream *stream = ctx;
    const struct topic_client client = {
        .default_namespace = worker_client_namespace(stream->rpc, STR("")),
        .place = client_place(stream),
        .caller = worker_caller(stream->rpc),
    };
    struct err err = {0};

    if (!topic_subscribe(stream->worker->topics, TOPIC_GRPCLB, name, &client, &stream->subscriber,
                         &err)) {
        snprintf(stream->problem, sizeof(stream->problem), "%s", err.msg);
        counter_add(&stream->worker->stats.malformed_names, 1);
        worker_complain(stream->worker, stream->rpc,
                        "grpclb client asks for a name that is none; it is to fall back", &err);
    }
    stream->counted = true;
    worker_count_subscription(stream->worker, stream->rpc, 1);
}

static void host_resolve(void *ctx, struct grpclb_list *ret_list)
{
    struct grpclb_stream *stream = ctx;
    const struct topic_content *content;

    if (!stream->subscriber.topic) {
        *ret_list = (struct grpclb_list){1, NULL, stream->problem};
        return;
    }
    content = topic_content(&stream->subscriber);
    *ret_list = (struct grpclb_list){content->version, NULL, content->problem};
    ret_list->blob = topic_bytes(&stream->subscriber);
}

static void host_wake(void *ctx, bool answer)
{
    struct grpclb_stream *stream = ctx;

    rpc_wake(stream->rpc, answer ? RPC_WAKE_ANSWER : RPC_WAKE_UPDATE);
}

static void host_too_large(void *ctx, size_t len)
{
    const struct grpclb_stream *stream = ctx;

    counter_add(&stream->worker->stats.too_large, 1);
    if (worker_may_complain(stream->worker))
        log_warn(LOG_SERVE, "list is too large for a grpclb client's message; its last one stays",
                 KV_TEXT("name", stream->subscriber.topic->text), KV_U64("bytes", len),
                 KV_U64("limit", GRPCLB_RESPONSE_MAX));
}

static void host_report(void *ctx, const struct grpclb_calls *calls)
{
    const struct grpclb_stream *stream = ctx;
    struct worker_stats *stats = &stream->worker->stats;

    counter_add(&stats->grpclb_reports, 1);
    counter_add(&stats->grpclb_started, calls->started);
    counter_add(&stats->grpclb_finished, calls->finished);
    counter_add(&stats->grpclb_failed_to_send, calls->failed_to_send);
    counter_add(&stats->grpclb_received, calls->received);
    counter_add(&stats->grpclb_dropped, calls->dropped);
}

static void host_describe(void *ctx, struct json_writer *writer)
{
    const struct grpclb_stream *stream = ctx;

    if (!stream->subscriber.topic)
        return;
    service_dump_view(&stream->subscriber, writer);
    service_dump_hidden(&stream->subscriber, writer);
}

static const struct grpclb_host host = {
    .subscribe = host_subscribe,
    .resolve = host_resolve,
    .wake = host_wake,
    .too_large = host_too_large,
    .report = host_report,
    .describe = host_describe,
};

static void on_open(struct rpc *rpc)
{
    struct grpclb_stream *stream = xcalloc(1, sizeof(*stream));

    stream->rpc = rpc;
    stream->worker = rpc_server_ctx(rpc);
    stream->subscriber.changed = on_topic_changed;
    stream->subscriber.refused = on_topic_refused;
    list_init(&stream->subscriber.link);
    stream->session = grpclb_session_new(&host, stream);
    counter_add(&stream->worker->stats.streams_grpclb, 1);
    rpc_set_state(rpc, stream);
}

static void on_message(struct rpc *rpc, struct str message)
{
    struct grpclb_stream *stream = rpc_state(rpc);
    struct err err = {0};
    enum code code = CODE_OK;

    counter_add(&stream->worker->stats.requests, 1);
    worker_catch_up(stream->worker);
    if (!stream->counted) /* it will have a name, or end */
        code = worker_admit(stream->worker, rpc, 0, 1, &err);
    if (code == CODE_OK)
        code = grpclb_session_request(stream->session, message, &err);
    if (code != CODE_OK)
        worker_refuse(stream->worker, rpc, "grpclb stream refused", &err);
}

static bool on_pull(struct rpc *rpc, struct rpc_out *out)
{
    struct grpclb_stream *stream = rpc_state(rpc);
    struct worker_stats *stats = &stream->worker->stats;
    struct blob *blob = NULL;
    enum grpclb_said said = grpclb_session_next(stream->session, &out->head, &blob);

    if (said == GRPCLB_NOTHING)
        return false;
    counter_add(&stats->push_bytes, out->head.len + (blob ? blob->len : 0));
    if (said == GRPCLB_INITIAL)
        return true;
    counter_add(said == GRPCLB_LIST ? &stats->pushes[TOPIC_GRPCLB] : &stats->grpclb_fallbacks, 1);
    if (blob)
        rpc_out_add(out, blob);
    change_age_pulled(&stream->age);
    return true;
}

static void on_written(struct rpc *rpc)
{
    struct grpclb_stream *stream = rpc_state(rpc);

    change_age_written(&stream->age, stream->worker);
}

static void on_close(struct rpc *rpc, enum code code unused_arg)
{
    struct grpclb_stream *stream = rpc_state(rpc);
    struct worker_stats *stats = &stream->worker->stats;

    if (stream->subscriber.topic)
        topic_unsubscribe(&stream->subscriber);
    if (stream->counted)
        worker_count_subscription(stream->worker, rpc, -1);
    grpclb_session_free(stream->session);
    counter_set(&stats->streams_grpclb, counter_get(&stats->streams_grpclb) - 1);
    free(stream);
}

/* ---- dumps ---- */

static bool listens(struct rpc *rpc, struct interest *interest)
{
    const struct grpclb_stream *stream = rpc_state(rpc);

    return stream->subscriber.topic && topic_is_of(stream->subscriber.topic, interest);
}

static struct place place_of(struct rpc *rpc)
{
    return client_place(rpc_state(rpc));
}

/* Its one name is what the filter chose it by. */
static void dump(struct rpc *rpc, const struct dump_filter *filter unused_arg,
                 struct json_writer *writer)
{
    const struct grpclb_stream *stream = rpc_state(rpc);

    grpclb_session_dump(stream->session, writer);
}

const struct stream_kind grpclb_stream_kind = {"grpclb", NULL, listens, place_of, dump};

const struct rpc_handler grpclb_handler = {
    .on_open = on_open,
    .on_message = on_message,
    .on_pull = on_pull,
    .on_written = on_written,
    .on_close = on_close,
};
