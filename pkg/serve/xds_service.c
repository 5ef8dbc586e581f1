/* The xDS services, of all types and of one: each joins an RPC, an xDS session and the loop's topics. */
#include "base/log.h"
#include "base/utf8.h"
#include "protocol/xds.h"
#include "serve/services.h"
#include "serve/worker.h"
#include "serve/xds_plain.h"
#include "serve/xds_tie.h"

struct xds_stream {
    struct list wildcard; /* worker's list, with a wildcard subscription */
    struct rpc *rpc;
    struct worker *worker;
    struct xds_session *session;
    struct change_age age;
    struct xds_plain plain; /* what the client has refused of Clusters that it did not name */
};

/* ---- the session's host ---- */

static void on_topic_changed(struct subscriber *subscriber)
{
    struct xds_tie *tie = container_of(subscriber, struct xds_tie, subscriber);
    struct xds_stream *stream = tie->stream;

    change_age_touch(&stream->age, subscriber->content);
    xds_subscription_touch(tie->subscription);
}

static void on_topic_refused(struct subscriber *subscriber)
{
    const struct xds_tie *tie = container_of(subscriber, struct xds_tie, subscriber);
    const struct xds_stream *stream = tie->stream;

    worker_tell_refused(stream->worker, stream->rpc, subscriber);
}

/* xDS cannot say no: the client waits for its own timeout, so the log says why. */
static void note_malformed(struct xds_stream *stream, struct str name, const struct err *err)
{
    char peer[ADDRESS_TEXT_MAX];

    counter_add(&stream->worker->stats.malformed_names, 1);
    if (!worker_may_complain(stream->worker))
        return;
    address_format(rpc_peer(stream->rpc), peer);
    log_warn(LOG_SERVE, "client asks for a name that is none; it stays unanswered",
             KV_STR("peer", peer), KV_TEXT("name", name), KV_ERR(err));
}

static struct place client_place(const struct xds_stream *stream)
{
    const struct xds_node *node = xds_session_node(stream->session);

    const struct place said = {.zone = node->zone,
                               .node = node->node,
                               .group = worker_client_group(stream->rpc, node->id)};

    return worker_client_place(stream->rpc, &said);
}

/* "gRPC Go 1.85.0", cut. */
static struct str client_agent(const struct xds_stream *stream, char out[REFUSAL_AGENT_MAX])
{
    const struct xds_node *node = xds_session_node(stream->session);
    char *at = out;

    str_put(&at, utf8_cut(node->user_agent, REFUSAL_AGENT_MAX - 1));
    if (node->user_agent_version.len > 0 && at < out + REFUSAL_AGENT_MAX - 1) {
        *at++ = ' ';
        str_put(&at, utf8_cut(node->user_agent_version, (size_t)(out + REFUSAL_AGENT_MAX - 1 - at)));
    }
    return str_make(out, (size_t)(at - out));
}

static struct xds_tie_client tie_client(struct xds_stream *stream, char agent[REFUSAL_AGENT_MAX])
{
    struct str said = xds_session_node(stream->session)->namespace_name;

    return (struct xds_tie_client){
        .topics = stream->worker->topics,
        .client = {.default_namespace = worker_client_namespace(stream->rpc, said),
                   .place = client_place(stream),
                   .caller = worker_caller(stream->rpc)},
        .agent = client_agent(stream, agent),
        .stream = stream,
        .changed = on_topic_changed,
        .refused = on_topic_refused,
    };
}

static enum code host_admit(void *ctx, size_t names, size_t names_after, struct err *err)
{
    struct xds_stream *stream = ctx;

    return worker_admit(stream->worker, stream->rpc, names, names_after, err);
}

static void host_subscribe(void *ctx, struct xds_subscription *subscription)
{
    struct xds_stream *stream = ctx;
    char agent[REFUSAL_AGENT_MAX];
    struct xds_tie_client client = tie_client(stream, agent);
    struct err err = {0};

    subscription->host = NULL;
    worker_count_subscription(stream->worker, stream->rpc, 1);
    if (xds_tie_join(subscription, &client, &err) != CODE_OK)
        note_malformed(stream, subscription->name, &err); /* remembered, never answered */
}

static void host_unsubscribe(void *ctx, struct xds_subscription *subscription)
{
    struct xds_stream *stream = ctx;

    worker_count_subscription(stream->worker, stream->rpc, -1);
    xds_tie_leave(subscription);
}

static bool host_resolve(void *ctx, struct xds_subscription *subscription,
                         struct xds_resource *ret_resource)
{
    const struct topic_content *content;
    char agent[REFUSAL_AGENT_MAX];

    if (xds_tie_is_outdated(subscription)) {
        struct xds_tie_client client = tie_client(ctx, agent);

        xds_tie_retry(subscription, &client);
    }
    content = xds_tie_content(subscription);
    if (!content || content->version == 0)
        return false;
    ret_resource->version = content->version;
    ret_resource->empty = subscription->type == XDS_ENDPOINT && content->problem;
    return true;
}

static struct blob *host_bytes(void *ctx unused_arg, struct xds_subscription *subscription)
{
    struct xds_tie *tie = subscription->host;

    return topic_bytes(&tie->subscriber);
}

/* "10.0.0.1", "[::1]": a client that comes again has another port. */
static struct str client_host(const struct xds_stream *stream, char out[ADDRESS_TEXT_MAX])
{
    struct str text;

    address_format(rpc_peer(stream->rpc), out);
    text = str_of(out);
    while (text.len > 0 && text.ptr[text.len - 1] != ':')
        text.len--;
    return str_slice(text, 0, text.len > 0 ? text.len - 1 : 0);
}

/* The client has the plain form from now on. */
static void note_refused(struct xds_stream *stream, const struct policy *policy, struct str message)
{
    char agent[REFUSAL_AGENT_MAX], peer[ADDRESS_TEXT_MAX];
    const struct worker_options *options = &stream->worker->options;
    const struct refusal refusal = {.policy = policy,
                                    .agent = client_agent(stream, agent),
                                    .peer = client_host(stream, peer),
                                    .message = message};

    counter_add(&stream->worker->stats.refused_policies, 1);
    if (options->refused)
        options->refused(options->refused_ctx, &refusal);
}

static void host_suspected(void *ctx, struct xds_subscription *subscription, struct str message)
{
    struct xds_stream *stream = ctx;
    char agent[REFUSAL_AGENT_MAX];
    const struct xds_tie_client client = tie_client(stream, agent);
    const struct policy *policy;

    if (!xds_tie_refuse(subscription, &client, &policy))
        return;
    note_refused(stream, policy, message);
    xds_subscription_touch(subscription);
}

static void host_suspected_unnamed(void *ctx, enum xds_type type, struct str name,
                                   struct str message)
{
    struct xds_stream *stream = ctx;
    const struct caller caller = worker_caller(stream->rpc);
    const struct policy *policy = topic_cluster_policy(stream->worker->topics, name, &caller);

    if (!policy || !xds_plain_add(&stream->plain, name, policy))
        return;
    note_refused(stream, policy, message);
    xds_session_touch_wildcard(stream->session, type);
}

struct wildcard_visit {
    const struct xds_plain *plain;
    void (*visit)(void *ctx, struct str name, const struct xds_resource *resource);
    void *ctx;
};

static void visit_cluster(void *ctx, struct str name, uint64_t version, struct blob *cluster)
{
    struct wildcard_visit *wildcard = ctx;
    struct xds_resource resource = {.version = version, .blob = cluster};

    wildcard->visit(wildcard->ctx, name, &resource);
}

static bool is_plain(void *ctx, struct str name, const struct policy *policy)
{
    const struct wildcard_visit *wildcard = ctx;

    return xds_plain_has(wildcard->plain, name, policy);
}

static void host_each(void *ctx, enum xds_type type,
                      void (*visit)(void *visit_ctx, struct str name,
                                    const struct xds_resource *resource),
                      void *visit_ctx)
{
    struct xds_stream *stream = ctx;
    struct wildcard_visit wildcard = {&stream->plain, visit, visit_ctx};
    const struct topic_clusters clusters = {is_plain, visit_cluster, &wildcard,
                                            worker_caller(stream->rpc)};

    /* Listeners are made on request, endpoints are asked by name: only Clusters have a wildcard. */
    if (type == XDS_CLUSTER)
        topic_each_cluster(stream->worker->topics, &clusters);
}

static void host_brought(void *ctx, int change)
{
    struct xds_stream *stream = ctx;

    worker_count_subscription(stream->worker, stream->rpc, change);
}

static void host_wake(void *ctx, bool answer)
{
    struct xds_stream *stream = ctx;

    rpc_wake(stream->rpc, answer ? RPC_WAKE_ANSWER : RPC_WAKE_UPDATE);
}

/* The client keeps its last good list; the resource is looked at again when it changes. */
static void host_refused(void *ctx, const struct xds_subscription *subscription, size_t len)
{
    struct xds_stream *stream = ctx;

    counter_add(&stream->worker->stats.too_large, 1);
    if (worker_may_complain(stream->worker))
        log_warn(
            LOG_SERVE, "resource is too large for a client's message; its last good version stays",
            KV_STR("type", xds_type_name(subscription->type)), KV_TEXT("name", subscription->name),
            KV_U64("bytes", len), KV_U64("limit", XDS_RESPONSE_MAX));
}

static void host_describe(void *ctx unused_arg, const struct xds_subscription *subscription,
                          struct json_writer *writer)
{
    const struct xds_tie *tie = subscription->host;

    if (tie && subscription->type == XDS_ENDPOINT)
        service_dump_view(&tie->subscriber, writer);
    if (tie)
        service_dump_hidden(&tie->subscriber, writer);
    if (tie && tie->refused)
        json_put_bool(writer, "plain", true);
}

static const struct xds_host host = {
    .suspected = host_suspected,
    .suspected_unnamed = host_suspected_unnamed,
    .refused = host_refused,
    .admit = host_admit,
    .subscribe = host_subscribe,
    .unsubscribe = host_unsubscribe,
    .resolve = host_resolve,
    .bytes = host_bytes,
    .each = host_each,
    .wake = host_wake,
    .brought = host_brought,
    .describe = host_describe,
};

void xds_streams_touch_wildcard(struct worker *worker)
{
    list_for_each (node, &worker->wildcards)
        xds_session_touch_wildcard(container_of(node, struct xds_stream, wildcard)->session,
                                   XDS_CLUSTER);
}

struct kind_of_client {
    struct xds_plain *plain;
    struct str agent;
};

static bool note_kind(void *ctx, struct str name, const struct policy *policy)
{
    const struct kind_of_client *kind = ctx;

    return policy_is_refused_by(policy, kind->agent) && xds_plain_add(kind->plain, name, policy);
}

/* With what its kind refuses plain, as xds_tie_join(). */
static void begin_wildcard(struct xds_stream *stream)
{
    char agent[REFUSAL_AGENT_MAX];
    struct kind_of_client kind = {&stream->plain, client_agent(stream, agent)};

    topic_each_cluster(
        stream->worker->topics,
        &(struct topic_clusters){note_kind, NULL, &kind, worker_caller(stream->rpc)});
}

static void join_wildcards(struct xds_stream *stream)
{
    bool has = xds_session_has_wildcard(stream->session, XDS_CLUSTER);

    if (has && list_empty(&stream->wildcard))
        begin_wildcard(stream);
    list_remove(&stream->wildcard);
    if (has)
        list_append(&stream->worker->wildcards, &stream->wildcard);
    worker_heed_all(stream->worker, !list_empty(&stream->worker->wildcards));
}

/* ---- the RPC ---- */

static void log_stream(const struct rpc *rpc, const char *what)
{
    char peer[ADDRESS_TEXT_MAX];

    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    address_format(rpc_peer(rpc), peer);
    log_debug(LOG_SERVE, what, KV_STR("peer", peer), KV_U64("id", rpc_id(rpc)));
}

static bool is_delta(const struct xds_stream *stream)
{
    return ((const struct xds_variant *)rpc_handler_ctx(stream->rpc))->delta;
}

static struct counter *streams_of(struct xds_stream *stream)
{
    struct worker_stats *stats = &stream->worker->stats;

    return is_delta(stream) ? &stats->streams_delta : &stats->streams_xds;
}

static void on_open(struct rpc *rpc)
{
    struct xds_stream *stream = xcalloc(1, sizeof(*stream));
    const struct xds_variant *variant = rpc_handler_ctx(rpc);

    stream->rpc = rpc;
    stream->worker = rpc_server_ctx(rpc);
    stream->session = xds_session_new(&host, variant, stream);
    list_init(&stream->wildcard);
    counter_add(streams_of(stream), 1);
    rpc_set_state(rpc, stream);
    log_stream(rpc, "xds stream opened");
}

static void log_nack(const struct xds_stream *stream, const struct xds_request *request)
{
    char peer[ADDRESS_TEXT_MAX];

    if (!worker_may_complain(stream->worker))
        return;
    address_format(rpc_peer(stream->rpc), peer);
    log_warn(LOG_SERVE, "client refused a response; it is not sent again", KV_STR("peer", peer),
             KV_TEXT("type", request->type_url),
             KV_TEXT("agent", xds_session_node(stream->session)->user_agent),
             KV_TEXT("reason", request->error_message));
}

static enum code parse(const struct xds_stream *stream, struct str message,
                       struct xds_request *request, struct err *err)
{
    return is_delta(stream) ? xds_delta_request_parse(message, request, err)
                            : xds_request_parse(message, request, err);
}

static enum code take(struct xds_stream *stream, struct str message, struct err *err)
{
    struct xds_request *request = &stream->worker->request;
    enum code code = parse(stream, message, request, err);
    size_t names;

    if (request->names.too_many)
        return host_admit(stream, 0, XDS_NAMES_MAX + 1, err);
    if (code == CODE_OK)
        code = xds_session_request(stream->session, request, err);
    if (code != CODE_OK || !is_delta(stream))
        return code;
    /* What a client tells that a wildcard brought it before is counted, too. */
    names = xds_session_names(stream->session);
    return host_admit(stream, names, names, err);
}

static void on_message(struct rpc *rpc, struct str message)
{
    struct xds_stream *stream = rpc_state(rpc);
    const struct xds_request *request = &stream->worker->request;
    struct worker_stats *stats = &stream->worker->stats;
    struct xds_session_stats before = *xds_session_stats(stream->session);
    const struct xds_session_stats *after;
    struct err err = {0};

    counter_add(&stats->requests, 1);
    worker_catch_up(stream->worker);
    if (take(stream, message, &err) != CODE_OK) {
        worker_refuse(stream->worker, rpc, "xds stream refused", &err);
        return;
    }
    join_wildcards(stream);
    after = xds_session_stats(stream->session);
    counter_add(&stats->acks, after->acks - before.acks);
    counter_add(&stats->stale_nonces, after->stale - before.stale);
    if (after->nacks != before.nacks) {
        counter_add(&stats->nacks, after->nacks - before.nacks);
        log_nack(stream, request);
    }
}

static void add_blob(void *ctx, struct blob *blob)
{
    rpc_out_add(ctx, blob);
}

static size_t out_len(const struct rpc_out *out)
{
    size_t len = out->head.len;

    for (size_t i = 0; i < out->blobs_len; i++)
        len += out->blobs[i]->len;
    return len;
}

static bool on_pull(struct rpc *rpc, struct rpc_out *out)
{
    struct xds_stream *stream = rpc_state(rpc);
    struct worker_stats *stats = &stream->worker->stats;
    struct xds_response response = {.head = &out->head, .add = add_blob, .ctx = out};

    if (!xds_session_next(stream->session, &response))
        return false;
    counter_add(&stats->pushes[xds_tie_kind(response.type)], 1);
    counter_add(&stats->push_bytes, out_len(out));
    change_age_pulled(&stream->age);
    return true;
}

static void on_written(struct rpc *rpc)
{
    struct xds_stream *stream = rpc_state(rpc);

    change_age_written(&stream->age, stream->worker);
}

static void on_close(struct rpc *rpc, enum code code unused_arg)
{
    struct xds_stream *stream = rpc_state(rpc);
    struct counter *streams = streams_of(stream);

    log_stream(rpc, "xds stream closed");
    list_remove(&stream->wildcard);
    worker_heed_all(stream->worker, !list_empty(&stream->worker->wildcards));
    xds_session_free(stream->session);
    xds_plain_done(&stream->plain);
    counter_set(streams, counter_get(streams) - 1);
    free(stream);
}

/* ---- shedding and dumps ---- */

/* grpc-js waits up to two minutes before it opens the next stream: its backoff is never reset. */
static enum spare spare(struct rpc *rpc)
{
    const struct xds_stream *stream = rpc_state(rpc);
    struct str agent = xds_session_node(stream->session)->user_agent;

    if (str_starts_with(agent, STR("gRPC Node")))
        return SPARE_NODE;
    return agent.len > 0 ? SPARE_NOT : SPARE_UNKNOWN;
}

static bool is_of(void *interest, const struct xds_subscription *subscription)
{
    const struct xds_tie *tie = subscription->host;

    return tie && topic_is_of(tie->subscriber.topic, interest);
}

static bool listens(struct rpc *rpc, struct interest *interest)
{
    const struct xds_stream *stream = rpc_state(rpc);

    return xds_session_has_wildcard(stream->session, XDS_CLUSTER) ||
           xds_session_has(stream->session, is_of, interest);
}

static struct place place_of(struct rpc *rpc)
{
    return client_place(rpc_state(rpc));
}

static void dump(struct rpc *rpc, const struct dump_filter *filter, struct json_writer *writer)
{
    const struct xds_stream *stream = rpc_state(rpc);

    xds_session_dump(stream->session, writer, filter->all ? NULL : is_of, filter->interest);
}

const struct stream_kind xds_stream_kind = {"xds", spare, listens, place_of, dump};
const struct stream_kind xds_delta_stream_kind = {"xds-delta", spare, listens, place_of, dump};

#define HANDLER(...)                                                                               \
    {                                                                                              \
        .ctx = &(const struct xds_variant){__VA_ARGS__}, .on_open = on_open,                       \
        .on_message = on_message, .on_pull = on_pull, .on_written = on_written,                    \
        .on_close = on_close                                                                       \
    }
#define BOTH(...) HANDLER(__VA_ARGS__), HANDLER(.delta = true, __VA_ARGS__)

const struct rpc_handler xds_handlers[XDS_HANDLERS] = {
    BOTH(.single = false),
    BOTH(.single = true, .type = XDS_LISTENER),
    BOTH(.single = true, .type = XDS_ROUTE),
    BOTH(.single = true, .type = XDS_CLUSTER),
    BOTH(.single = true, .type = XDS_ENDPOINT),
};
