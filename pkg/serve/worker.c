#include "serve/worker.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "loop/latest.h"
#include "loop/thread.h"
#include "serve/caller.h"
#include "serve/services.h"

/* Work of one turn before the loop looks at its sockets again. */
#define WORKER_TURN_US 1000

/* What is kept of a connection besides its calls. All that it refers to, but the share, lies behind the struct. */
struct connection {
    uint64_t subscriptions;
    struct address_share *share;     /* NULL: its peer has no IP */
    struct place place;
    struct origin *origin;           /* NULL: without options.pods */
    struct credentials *credentials; /* NULL: it is on no unix socket */
};

/* ---- publications ---- */

static void on_work(void *ctx)
{
    struct worker *worker = ctx;
    bool more = topic_table_work(worker->topics, clock_monotonic_us() + WORKER_TURN_US);

    /* Until every stream that can take its list has it: readers that stall are not waited for. */
    if (more || !grpc_server_idle(worker->server)) {
        deferred_schedule(worker->loop, &worker->work);
    } else if (worker->fanning_out) {
        worker->fanning_out = false;
        counter_set(&worker->stats.fanout_us,
                    loop_update_now(worker->loop) - worker->catalog_at_us);
    }
}

static void on_catalog(void *ctx, void *value)
{
    struct worker *worker = ctx;
    const struct catalog *catalog = value;
    uint64_t clusters = topic_table_clusters_version(worker->topics);

    worker->catalog_at_us = loop_update_now(worker->loop);
    worker->fanning_out = true;
    counter_add(&worker->stats.catalogs, 1);
    topic_table_publish(worker->topics, catalog, worker->catalog_at_us);
    catalog_unref(catalog);
    if (topic_table_clusters_version(worker->topics) != clusters)
        xds_streams_touch_wildcard(worker);
    deferred_schedule(worker->loop, &worker->work);
}

static void release_catalog(void *value)
{
    catalog_unref(value);
}

void worker_publish(struct worker *worker, const struct catalog *catalog)
{
    latest_put(worker->mailbox, (void *)(uintptr_t)catalog);
}

void worker_wake(struct worker *worker)
{
    latest_wake(worker->mailbox);
}

void worker_catch_up(struct worker *worker)
{
    latest_take(worker->mailbox);
}

/* What was published without waking this worker may concern it now. */
static void on_heeded(void *ctx)
{
    const struct worker *worker = ctx;

    latest_wake(worker->mailbox);
}

void worker_heed_all(struct worker *worker, bool all)
{
    if (heed_set_all(&worker->heed, all) && all)
        on_heeded(worker);
}

static void on_verifier(void *ctx, void *value)
{
    struct worker *worker = ctx;

    verifier_unref(worker->verifier);
    worker->verifier = value;
}

static void release_verifier(void *value)
{
    verifier_unref(value);
}

void worker_set_verifier(struct worker *worker, struct verifier *verifier)
{
    latest_publish(worker->verifiers, verifier);
}

/* Who it is was decided when the call began: the client has to call again. */
static void end_moved(void *ctx, struct rpc *rpc)
{
    struct worker *worker = ctx;
    const struct connection *connection = rpc_connection(rpc);
    const struct service_account *account = rpc_account(rpc);

    if (connection->origin->moved != worker->origins.round ||
        (account && account->by != ACCOUNT_BY_POD))
        return;
    counter_add(&worker->stats.moved, 1);
    rpc_finish(rpc, CODE_UNAVAILABLE, "who calls from this address has changed: call again");
}

static void on_pods(void *ctx, void *value)
{
    struct worker *worker = ctx;

    if (origins_publish(&worker->origins, value))
        grpc_server_each_call(worker->server, end_moved, worker);
}

static void release_pods(void *value)
{
    pod_table_unref(value);
}

void worker_set_pods(struct worker *worker, const struct pod_table *pods)
{
    latest_publish(worker->pod_tables, (void *)(uintptr_t)pods);
}

void change_age_touch(struct change_age *age, const struct topic_content *content)
{
    uint64_t received_us = content->received_us;

    if (received_us && (age->pending_us == 0 || received_us < age->pending_us))
        age->pending_us = received_us;
}

void change_age_pulled(struct change_age *age)
{
    if (age->inflight_us == 0)
        age->inflight_us = age->pending_us;
    age->pending_us = 0;
}

void change_age_written(struct change_age *age, struct worker *worker)
{
    uint64_t received_us = age->inflight_us;
    uint64_t now;

    age->inflight_us = 0;
    if (received_us == 0)
        return;
    now = loop_update_now(worker->loop);
    histogram_observe_us(&worker->stats.convergence, now > received_us ? now - received_us : 0);
}

/* ---- limits ---- */

void worker_count_subscription(struct worker *worker, struct rpc *rpc, int change)
{
    struct connection *connection = rpc_connection(rpc);

    connection->subscriptions += (uint64_t)change;
    counter_add(&worker->stats.subscriptions, (uint64_t)change);
}

uint64_t worker_subscriptions(const struct rpc *rpc)
{
    const struct connection *connection = rpc_connection(rpc);

    return connection->subscriptions;
}

static enum code too_many(struct worker *worker, enum serve_limit limit, uint64_t max,
                          const char *where, struct err *err)
{
    counter_add(&worker->stats.limit_hits[limit], 1);
    return fail(err, CODE_RESOURCE_EXHAUSTED, "more than %llu names on one %s",
                (unsigned long long)max, where);
}

enum code worker_admit(struct worker *worker, const struct rpc *rpc, uint64_t names,
                       uint64_t names_after, struct err *err)
{
    const struct connection *connection = rpc_connection(rpc);
    const struct serve_limits *limits = &worker->options.limits;
    uint64_t total = counter_get(&worker->stats.subscriptions);

    if (names_after > limits->names)
        return too_many(worker, SERVE_LIMIT_NAMES, limits->names,
                        "stream: ask for the others on another", err);
    if (connection->subscriptions - names + names_after > limits->subscriptions)
        return too_many(worker, SERVE_LIMIT_SUBSCRIPTIONS, limits->subscriptions,
                        "connection: ask for fewer, or on more connections", err);
    if (total - names + names_after > limits->subscriptions_total)
        return too_many(worker, SERVE_LIMIT_SUBSCRIPTIONS_TOTAL, limits->subscriptions_total,
                        "serving thread: it takes more replicas, or --threads", err);
    return CODE_OK;
}

void worker_refuse(struct worker *worker, struct rpc *rpc, const char *what, const struct err *err)
{
    counter_add(&worker->stats.refused_streams, 1);
    worker_complain(worker, rpc, what, err);
    rpc_finish(rpc, err->code, err->msg);
}

uint64_t worker_list_streams(const struct worker *worker)
{
    const struct worker_stats *stats = &worker->stats;

    return counter_get(&stats->streams_xds) + counter_get(&stats->streams_delta) +
           counter_get(&stats->streams_native) + counter_get(&stats->streams_grpclb);
}

bool worker_may_complain(struct worker *worker)
{
    return log_due(&worker->complained_us, loop_now_us(worker->loop), WORKER_COMPLAINT_US);
}

void worker_complain(struct worker *worker, const struct rpc *rpc, const char *what,
                     const struct err *err)
{
    char peer[ADDRESS_TEXT_MAX];

    if (!worker_may_complain(worker))
        return;
    address_format(rpc_peer(rpc), peer);
    log_warn(LOG_SERVE, what, KV_STR("peer", peer), KV_ERR(err));
}

/* ---- connections ---- */

struct handover {
    struct worker *worker;
    int fd;
    struct address peer;
    struct tls *tls;
    struct connection *connection;
};

static struct connection *connection_new(bool pods, const struct adoption *adoption)
{
    size_t origin_size = pods ? sizeof(struct origin) : 0;
    size_t credentials_size = adoption->credentials ? sizeof(struct credentials) : 0;
    const struct place *place = adoption->place;
    struct connection *connection =
        xcalloc(1, sizeof(*connection) + origin_size + credentials_size + place->zone.len +
                       place->node.len);
    char *at = (char *)(connection + 1);

    connection->share = adoption->share;
    if (pods)
        connection->origin = (struct origin *)(void *)at;
    at += origin_size;
    if (adoption->credentials) {
        connection->credentials = (struct credentials *)(void *)at;
        *connection->credentials = *adoption->credentials;
    }
    at += credentials_size;
    connection->place.zone = str_put(&at, place->zone);
    connection->place.node = str_put(&at, place->node);
    return connection;
}

const struct credentials *worker_credentials(const struct rpc *rpc)
{
    const struct connection *connection = rpc_connection(rpc);

    return connection->credentials;
}

struct str worker_client_namespace(const struct rpc *rpc, struct str said)
{
    const struct service_account *account = rpc_account(rpc);
    const struct worker *worker = rpc_server_ctx(rpc);

    if (account)
        return account->namespace_name;
    return said.len > 0 ? said : str_of(worker->options.default_namespace);
}

struct place worker_client_place(const struct rpc *rpc, const struct place *said)
{
    const struct connection *connection = rpc_connection(rpc);
    const struct place *peer = &connection->place;
    struct place place = *said;

    /* The address may be that of a gateway: its zone is that of no other node. */
    if (place.zone.len == 0 && (place.node.len == 0 || str_eq(place.node, peer->node)))
        place.zone = peer->zone;
    if (place.node.len == 0)
        place.node = peer->node;
    return place;
}

unsigned worker_client_group(const struct rpc *rpc, struct str id)
{
    unsigned char bytes[16];
    int family = address_ip(rpc_peer(rpc), bytes);

    return place_group(id, str_make((const char *)bytes, family == 4 ? 4 : family == 6 ? 16 : 0));
}

static void connection_free(void *ctx)
{
    struct connection *connection = ctx;

    address_share_leave(connection->share);
    if (connection->origin)
        origin_leave(connection->origin);
    free(connection);
}

static void on_handover(void *ctx)
{
    struct handover *handover = ctx;
    struct worker *worker = handover->worker;

    counter_add(&worker->arrived, 1);
    if (handover->connection->origin)
        origin_join(&worker->origins, handover->connection->origin, &handover->peer);
    grpc_server_adopt(worker->server, handover->fd, &handover->peer, handover->tls,
                      handover->connection);
    tls_unref(handover->tls);
    free(handover);
}

void worker_adopt(struct worker *worker, const struct adoption *adoption)
{
    struct handover *handover = xcalloc(1, sizeof(*handover));

    handover->worker = worker;
    handover->fd = adoption->fd;
    handover->peer = *adoption->peer;
    handover->tls = tls_ref(adoption->tls);
    handover->connection = connection_new(worker->options.pods, adoption);
    counter_add(&worker->adopted, 1);
    if (!loop_post(worker->loop, on_handover, handover)) {
        close(adoption->fd);
        tls_unref(handover->tls);
        connection_free(handover->connection);
        free(handover);
    }
}

uint64_t worker_load(const struct worker *worker)
{
    const struct grpc_server_stats *stats = grpc_server_stats(worker->server);

    return counter_get(&stats->calls) + counter_get(&stats->connections) +
           counter_get(&worker->adopted) - counter_get(&worker->arrived);
}

struct worker_message {
    struct worker *worker;
    void (*fn)(struct worker *worker, void *ctx);
    void *ctx;
};

static void on_worker_message(void *ctx)
{
    struct worker_message *message = ctx;

    message->fn(message->worker, message->ctx);
    free(message);
}

void worker_call(struct worker *worker, void (*fn)(struct worker *worker, void *ctx), void *ctx)
{
    struct worker_message *message = xcalloc(1, sizeof(*message));

    message->worker = worker;
    message->fn = fn;
    message->ctx = ctx;
    if (!loop_post(worker->loop, on_worker_message, message))
        free(message);
}

/* ---- life ---- */

static const char *healthz(void *ctx, unsigned *ret_status)
{
    const struct worker *worker = ctx;

    *ret_status = worker->draining ? 503 : 200;
    return worker->draining ? "draining\n" : "ok\n";
}

static void run(void *ctx)
{
    struct worker *worker = ctx;

    loop_run(worker->loop);
}

static enum code worker_start(struct worker *worker, struct err *err)
{
    struct grpc_server_options server = {
        .loop = worker->loop,
        .methods = service_methods,
        .methods_len = service_methods_len,
        .ctx = worker,
        .limits = worker->options.grpc_limits,
        .healthz = healthz,
        .authenticate = worker->options.tokens ? caller_authenticate : NULL,
        .identify = worker->options.uids || worker->options.pods ? caller_identify : NULL,
        .release = connection_free,
    };
    struct latest_options mailbox = {on_catalog, worker, release_catalog};
    struct latest_options verifiers = {on_verifier, worker, release_verifier};
    struct latest_options pod_tables = {on_pods, worker, release_pods};
    char name[16];
    enum code code = grpc_server_new(&server, &worker->server, err);

    if (code != CODE_OK)
        return code;
    worker->options.topics.stats = &worker->stats.topics;
    worker->options.topics.heed = &worker->heed;
    worker->options.topics.heeded = on_heeded;
    worker->options.topics.heeded_ctx = worker;
    worker->topics = topic_table_new(&worker->options.topics);
    worker->mailbox = latest_new(worker->loop, &mailbox);
    worker->verifiers = latest_new(worker->loop, &verifiers);
    worker->pod_tables = latest_new(worker->loop, &pod_tables);
    snprintf(name, sizeof(name), "serve-%u", worker->options.index);
    return thread_start(name, run, worker, &worker->thread, err);
}

enum code worker_new(const struct worker_options *options, struct worker **ret_worker,
                     struct err *err)
{
    struct worker *worker = xcalloc(1, sizeof(*worker));
    enum code code;

    worker->options = *options;
    if (options->load_interval_ms)
        worker->loads = load_table_new(options->load_interval_ms);
    list_init(&worker->wildcards);
    list_init(&worker->health_watchers);
    deferred_init(&worker->work, on_work, worker);
    code = loop_new(&worker->loop, err);
    if (code == CODE_OK)
        code = worker_start(worker, err);
    if (code != CODE_OK) {
        worker_free(worker);
        return code;
    }
    *ret_worker = worker;
    return CODE_OK;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    if (worker->thread) {
        loop_stop(worker->loop);
        thread_join(worker->thread);
    }
    /* The thread is gone: its loop belongs to us now. */
    if (worker->loop)
        loop_close_posts(worker->loop);
    grpc_server_free(worker->server);
    deferred_cancel(&worker->work);
    if (worker->mailbox)
        latest_free(worker->mailbox);
    if (worker->verifiers)
        latest_free(worker->verifiers);
    if (worker->pod_tables)
        latest_free(worker->pod_tables);
    verifier_unref(worker->verifier);
    origins_done(&worker->origins);
    topic_table_free(worker->topics);
    load_table_free(worker->loads);
    xds_request_done(&worker->request);
    loop_free(worker->loop);
    free(worker);
}
