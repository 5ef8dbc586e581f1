/* lookaside.v1.BackendDiscovery: joins an RPC, a native session and the loop's topics. */
#include "protocol/native.h"
#include "serve/services.h"
#include "serve/worker.h"
#include "wire/fields.h"
#include "wire/writer.h"

struct native_stream {
    struct rpc *rpc;
    struct worker *worker;
    struct native_session *session;
    struct change_age age;
    bool asked, answered; /* a List */
};

struct native_tie {
    struct subscriber subscriber;
    struct native_target *target;
    struct native_stream *stream;
    char problem[FAIL_MESSAGE_MAX]; /* of a malformed name */
};

static void on_topic_changed(struct subscriber *subscriber)
{
    struct native_tie *tie = container_of(subscriber, struct native_tie, subscriber);

    change_age_touch(&tie->stream->age, subscriber->content);
    native_target_touch(tie->target);
}

static void on_topic_refused(struct subscriber *subscriber)
{
    const struct native_tie *tie = container_of(subscriber, struct native_tie, subscriber);

    worker_tell_refused(tie->stream->worker, tie->stream->rpc, subscriber);
}

/* What a client says of its place counts as said, also when it says that it does not know. */
static struct place client_place(const struct native_stream *stream)
{
    const struct native_place *said = native_session_place(stream->session);
    struct place place = {.zone = said->zone, .node = said->node, .group = said->group};

    if (place.group == 0)
        place.group = worker_client_group(stream->rpc, STR(""));
    return said->given ? place : worker_client_place(stream->rpc, &place);
}

static enum code host_admit(void *ctx, size_t targets, size_t targets_after, struct err *err)
{
    struct native_stream *stream = ctx;

    return worker_admit(stream->worker, stream->rpc, targets, targets_after, err);
}

static void host_subscribe(void *ctx, struct native_target *target)
{
    struct native_stream *stream = ctx;
    const struct topic_client client = {
        .default_namespace =
            worker_client_namespace(stream->rpc, native_session_namespace(stream->session)),
        .place = client_place(stream),
        .caller = worker_caller(stream->rpc),
    };
    struct native_tie *tie = xcalloc(1, sizeof(*tie));
    struct err err = {0};

    tie->target = target;
    tie->stream = stream;
    tie->subscriber.changed = on_topic_changed;
    tie->subscriber.refused = on_topic_refused;
    list_init(&tie->subscriber.link);
    target->host = tie;
    if (!topic_subscribe(stream->worker->topics, TOPIC_NATIVE, target->name, &client,
                         &tie->subscriber, &err))
        snprintf(tie->problem, sizeof(tie->problem), "%s", err.msg);
    worker_count_subscription(stream->worker, stream->rpc, 1);
}

static void host_unsubscribe(void *ctx, struct native_target *target)
{
    struct native_stream *stream = ctx;
    struct native_tie *tie = target->host;

    if (tie->subscriber.topic)
        topic_unsubscribe(&tie->subscriber);
    worker_count_subscription(stream->worker, stream->rpc, -1);
    free(tie);
}

static void host_resolve(void *ctx unused_arg, const struct native_target *target,
                         struct native_list *ret_list)
{
    struct native_tie *tie = target->host;
    const struct topic_content *content =
        tie->subscriber.topic ? topic_content(&tie->subscriber) : NULL;

    *ret_list = content ? (struct native_list){content->version, content->problem}
                        : (struct native_list){0, tie->problem};
}

static struct blob *host_bytes(void *ctx unused_arg, const struct native_target *target)
{
    struct native_tie *tie = target->host;

    return topic_bytes(&tie->subscriber);
}

static struct blob *host_changes(void *ctx unused_arg, const struct native_target *target)
{
    struct native_tie *tie = target->host;

    return topic_changes(&tie->subscriber);
}

static void host_sent(void *ctx unused_arg, const struct native_target *target)
{
    struct native_tie *tie = target->host;

    topic_set_sent(&tie->subscriber);
}

static void host_wake(void *ctx, bool answer)
{
    struct native_stream *stream = ctx;

    rpc_wake(stream->rpc, answer ? RPC_WAKE_ANSWER : RPC_WAKE_UPDATE);
}

static void host_describe(void *ctx unused_arg, const struct native_target *target,
                          struct json_writer *writer)
{
    const struct native_tie *tie = target->host;

    if (!tie->subscriber.content)
        return;
    service_dump_view(&tie->subscriber, writer);
    service_dump_hidden(&tie->subscriber, writer);
}

static const struct native_host host = {
    .admit = host_admit,
    .subscribe = host_subscribe,
    .unsubscribe = host_unsubscribe,
    .resolve = host_resolve,
    .bytes = host_bytes,
    .changes = host_changes,
    .sent = host_sent,
    .wake = host_wake,
    .describe = host_describe,
};

static struct native_stream *stream_open(struct rpc *rpc)
{
    struct native_stream *stream = xcalloc(1, sizeof(*stream));

    stream->rpc = rpc;
    stream->worker = rpc_server_ctx(rpc);
    stream->session = native_session_new(&host, stream);
    rpc_set_state(rpc, stream);
    return stream;
}

static void stream_free(struct native_stream *stream)
{
    native_session_free(stream->session);
    free(stream);
}

static void on_open(struct rpc *rpc)
{
    counter_add(&stream_open(rpc)->worker->stats.streams_native, 1);
}

static void on_message(struct rpc *rpc, struct str message)
{
    struct native_stream *stream = rpc_state(rpc);
    struct err err = {0};

    counter_add(&stream->worker->stats.requests, 1);
    worker_catch_up(stream->worker);
    if (native_session_request(stream->session, message, &err) != CODE_OK)
        worker_refuse(stream->worker, rpc, "native stream refused", &err);
}

static bool next(struct native_stream *stream, struct buf *head, struct blob **ret_blob)
{
    struct worker_stats *stats = &stream->worker->stats;

    *ret_blob = NULL;
    if (!native_session_next(stream->session, head, ret_blob))
        return false;
    counter_add(&stats->pushes[TOPIC_NATIVE], 1);
    counter_add(&stats->push_bytes, head->len + (*ret_blob ? (*ret_blob)->len : 0));
    return true;
}

static bool on_pull(struct rpc *rpc, struct rpc_out *out)
{
    struct native_stream *stream = rpc_state(rpc);
    struct blob *blob;

    if (!next(stream, &out->head, &blob))
        return false;
    if (blob)
        rpc_out_add(out, blob);
    change_age_pulled(&stream->age);
    return true;
}

static void on_written(struct rpc *rpc)
{
    struct native_stream *stream = rpc_state(rpc);

    change_age_written(&stream->age, stream->worker);
}

static void on_close(struct rpc *rpc, enum code code unused_arg)
{
    struct native_stream *stream = rpc_state(rpc);
    struct worker_stats *stats = &stream->worker->stats;

    counter_set(&stats->streams_native, counter_get(&stats->streams_native) - 1);
    stream_free(stream);
}

/* ---- List ---- */

static void list_on_open(struct rpc *rpc)
{
    (void)stream_open(rpc);
}

/* A request without targets has an answer without lists: nothing else asks for it. */
static void list_on_message(struct rpc *rpc, struct str message)
{
    struct native_stream *stream = rpc_state(rpc);

    if (stream->asked) {
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "the call has more than one message");
        return;
    }
    stream->asked = true;
    on_message(rpc, message);
    rpc_wake(rpc, RPC_WAKE_ANSWER);
}

static void list_on_half_close(struct rpc *rpc)
{
    const struct native_stream *stream = rpc_state(rpc);

    if (stream->asked)
        rpc_finish(rpc, CODE_OK, NULL);
    else
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "the call ended without a message");
}

/* The whole answer. */
static bool list_on_pull(struct rpc *rpc, struct rpc_out *out)
{
    struct native_stream *stream = rpc_state(rpc);
    struct buf head = BUFFER_INIT(RPC_REPLY_MAX);
    struct blob *blob;

    if (!stream->asked || stream->answered)
        return false;
    stream->answered = true;
    for (; !buf_failed(&out->head) && next(stream, &head, &blob); buf_reset(&head)) {
        wire_put_head(&out->head, LIST_RESPONSE_LISTS, head.len + (blob ? blob->len : 0));
        (void)buf_add_str(&out->head, buf_str(&head));
        if (blob)
            (void)buf_add_str(&out->head, blob_str(blob));
        blob_unref(blob);
    }
    buf_done(&head);
    return true;
}

static void list_on_close(struct rpc *rpc, enum code code unused_arg)
{
    stream_free(rpc_state(rpc));
}

/* ---- dumps ---- */

static bool is_of(void *interest, const struct native_target *target)
{
    const struct native_tie *tie = target->host;

    return tie->subscriber.topic && topic_is_of(tie->subscriber.topic, interest);
}

static bool listens(struct rpc *rpc, struct interest *interest)
{
    const struct native_stream *stream = rpc_state(rpc);

    return native_session_has(stream->session, is_of, interest);
}

static struct place place_of(struct rpc *rpc)
{
    return client_place(rpc_state(rpc));
}

static void dump(struct rpc *rpc, const struct dump_filter *filter, struct json_writer *writer)
{
    const struct native_stream *stream = rpc_state(rpc);

    native_session_dump(stream->session, writer, filter->all ? NULL : is_of, filter->interest);
}

const struct stream_kind native_stream_kind = {"native", NULL, listens, place_of, dump};

const struct rpc_handler native_watch_handler = {
    .on_open = on_open,
    .on_message = on_message,
    .on_pull = on_pull,
    .on_written = on_written,
    .on_close = on_close,
};

const struct rpc_handler native_list_handler = {
    .on_open = list_on_open,
    .on_message = list_on_message,
    .on_half_close = list_on_half_close,
    .on_pull = list_on_pull,
    .on_close = list_on_close,
};
