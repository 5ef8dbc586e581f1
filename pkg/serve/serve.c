#include "serve/serve.h"

#include <unistd.h>

#include "base/log.h"
#include "serve/ask.h"
#include "serve/internal.h"
#include "serve/refused.h"
#include "serve/services.h"

static void close_listeners(struct serve *serve)
{
    for (size_t i = 0; i < serve->listeners_len; i++)
        listener_free(serve->listeners[i]);
    serve->listeners_len = 0;
}

/* ---- accepting ---- */

/* Too many of its address. Attackers come in herds, and again. */
static void turn_away(struct serve *serve, int fd, const struct address *peer)
{
    char address[ADDRESS_TEXT_MAX];

    close(fd);
    counter_add(&serve->crowded, 1);
    if (!log_due(&serve->crowded_logged_us, loop_now_us(serve->options.loop), WORKER_COMPLAINT_US))
        return;
    address_format(peer, address);
    log_warn(LOG_SERVE, "too many connections of one address: a further one is closed",
             KV_STR("peer", address), KV_STR("limit", "connections-per-address"),
             KV_U64("connections", serve->options.limits.connections_per_address));
}

static void adopt(struct serve *serve, int fd, const struct address *peer, struct tls *tls)
{
    struct worker *least = serve->workers[0];
    struct credentials credentials;
    struct adoption adoption = {.fd = fd, .peer = peer, .tls = tls};
    struct place place = {0};

    if (!address_share_join(serve->shares, peer, serve->options.limits.connections_per_address,
                            &adoption.share)) {
        turn_away(serve, fd, peer);
        return;
    }
    if (serve->options.place_of_peer &&
        !serve->options.place_of_peer(serve->options.place_ctx, peer, &place))
        place = (struct place){0};
    for (unsigned i = 1; i < serve->options.threads; i++)
        if (worker_load(serve->workers[i]) < worker_load(least))
            least = serve->workers[i];
    adoption.place = &place;
    if (address_is_unix(peer) && credentials_read(fd, &credentials))
        adoption.credentials = &credentials;
    worker_adopt(least, &adoption);
}

static void on_accept(void *ctx, int fd, const struct address *peer)
{
    adopt(ctx, fd, peer, NULL);
}

static void on_accept_tls(void *ctx, int fd, const struct address *peer)
{
    struct serve *serve = ctx;

    adopt(serve, fd, peer, serve->tls);
}

static enum code listen_with(struct serve *serve, const struct address *address,
                             listener_accept_fn *accept, struct err *err)
{
    enum code code;

    if (serve->listeners_len == SERVE_LISTENERS_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "more than %d listen addresses",
                    SERVE_LISTENERS_MAX);
    code = listener_new(serve->options.loop, address, accept, serve,
                        &serve->listeners[serve->listeners_len], err);
    if (code == CODE_OK)
        serve->listeners_len++;
    return code;
}

enum code serve_listen(struct serve *serve, const struct address *address, struct err *err)
{
    return listen_with(serve, address, on_accept, err);
}

enum code serve_listen_tls(struct serve *serve, const struct address *address, struct err *err)
{
    return listen_with(serve, address, on_accept_tls, err);
}

void serve_set_tls(struct serve *serve, struct tls *tls)
{
    tls_unref(serve->tls);
    serve->tls = tls_ref(tls);
}

void serve_set_verifier(struct serve *serve, struct verifier *verifier)
{
    for (unsigned i = 0; i < serve->options.threads; i++)
        worker_set_verifier(serve->workers[i], verifier_ref(verifier));
}

void serve_set_pods(struct serve *serve, const struct pod_table *pods)
{
    for (unsigned i = 0; i < serve->options.threads; i++)
        worker_set_pods(serve->workers[i], pod_table_ref(pods));
    pod_table_unref(pods);
}

/* On the control loop. */
static void on_unknown_key(void *ctx)
{
    const struct serve *serve = ctx;

    serve->options.unknown_key(serve->options.unknown_key_ctx);
}

static void post_unknown_key(void *ctx)
{
    struct serve *serve = ctx;

    if (!loop_post(serve->options.loop, on_unknown_key, serve))
        return; /* the control loop ends */
}

const struct address *serve_address(const struct serve *serve, size_t index)
{
    return index < serve->listeners_len ? listener_address(serve->listeners[index]) : NULL;
}

/* ---- publication ---- */

/* A worker that no change concerns hears of them so often. */
#define QUIET_US 1000000

/* Whom the step from one catalog to the next concerns: bits of workers. */
struct concerned {
    const struct serve *serve;
    uint64_t workers;
};

static void note_difference(void *ctx, const struct service *before, const struct service *after)
{
    struct concerned *concerned = ctx;
    const struct service *service = after ? after : before;

    for (unsigned i = 0; i < concerned->serve->options.threads; i++)
        if (heed_has(&concerned->serve->workers[i]->heed, service->namespace_name, service->name))
            concerned->workers |= UINT64_C(1) << i;
}

static void note_host(void *ctx, struct str host unused_arg)
{
    struct concerned *concerned = ctx;

    concerned->workers = UINT64_MAX;
}

static uint64_t find_concerned(const struct serve *serve, const struct catalog *before,
                               const struct catalog *after)
{
    struct concerned concerned = {serve, 0};

    if (!before || !catalog_same_nodes(before, after))
        return UINT64_MAX;
    catalog_diff_hosts(before, after, note_host, &concerned);
    catalog_diff(before, after, note_difference, &concerned);
    return concerned.workers;
}

/* Everybody gets it, and those whom it concerns are woken for it: in this order (serve/heed.h). The
 * others are from time to time, so that they do not keep what is over. */
void serve_publish(struct serve *serve, const struct catalog *catalog)
{
    uint64_t now_us = loop_now_us(serve->options.loop);
    const struct catalog *before = serve->catalog;
    uint64_t concerned;

    for (unsigned i = 0; i < serve->options.threads; i++)
        worker_publish(serve->workers[i], catalog_ref(catalog));
    concerned = find_concerned(serve, before, catalog);
    for (unsigned i = 0; i < serve->options.threads; i++) {
        struct worker *worker = serve->workers[i];

        if ((concerned & UINT64_C(1) << i) == 0 && now_us - worker->woken_us < QUIET_US)
            continue;
        worker->woken_us = now_us;
        worker_wake(worker);
    }
    catalog_unref(before);
    serve->catalog = catalog;
}

uint64_t serve_streams(const struct serve *serve)
{
    uint64_t streams = 0;

    for (unsigned i = 0; i < serve->options.threads; i++)
        streams += counter_get(&grpc_server_stats(serve->workers[i]->server)->calls);
    return streams;
}

uint64_t serve_list_streams(const struct serve *serve)
{
    uint64_t streams = 0;

    for (unsigned i = 0; i < serve->options.threads; i++)
        streams += worker_list_streams(serve->workers[i]);
    return streams;
}

uint64_t serve_fanout_us(const struct serve *serve)
{
    uint64_t longest = 0;

    for (unsigned i = 0; i < serve->options.threads; i++)
        longest = max_u64(longest, counter_get(&serve->workers[i]->stats.fanout_us));
    return longest;
}

/* ---- draining ---- */

static void set_draining(struct worker *worker, void *ctx unused_arg)
{
    worker->draining = true;
    health_watchers_wake(worker);
}

void serve_set_draining(struct serve *serve)
{
    for (unsigned i = 0; i < serve->options.threads; i++)
        worker_call(serve->workers[i], set_draining, NULL);
}

/* On the control loop: one worker has no connection left. */
static void on_worker_drained(void *ctx)
{
    struct serve *serve = ctx;

    if (--serve->undrained == 0)
        serve->on_drained(serve->drained_ctx);
}

static void post_drained(void *ctx)
{
    struct serve *serve = ctx;

    if (!loop_post(serve->options.loop, on_worker_drained, serve))
        return; /* the control loop ends: nobody waits any more */
}

static void drain_worker(struct worker *worker, void *ctx)
{
    struct serve *serve = ctx;

    set_draining(worker, NULL);
    grpc_server_drain(worker->server, serve->spread_ms, serve->deadline_ms, post_drained, serve);
}

void serve_drain(struct serve *serve, uint64_t spread_ms, uint64_t deadline_ms,
                 void (*on_drained)(void *ctx), void *ctx)
{
    close_listeners(serve);
    serve->on_drained = on_drained;
    serve->drained_ctx = ctx;
    serve->spread_ms = spread_ms;
    serve->deadline_ms = deadline_ms;
    serve->undrained = serve->options.threads;
    for (unsigned i = 0; i < serve->options.threads; i++)
        worker_call(serve->workers[i], drain_worker, serve);
}

/* ---- life ---- */

void serve_free(struct serve *serve)
{
    if (!serve)
        return;
    close_listeners(serve);
    for (unsigned i = 0; i < serve->options.threads; i++)
        worker_free(serve->workers[i]);
    serve_forget_questions(serve);
    catalog_unref(serve->catalog);
    tls_unref(serve->tls);
    address_shares_free(serve->shares);
    free(serve);
}

enum code serve_new(const struct serve_options *options, struct serve **ret_serve, struct err *err)
{
    struct serve *serve = xcalloc(1, sizeof(*serve));

    serve->options = *options;
    limits_fill(serve_limit_table, SERVE_LIMITS, &serve->options.limits);
    grpc_limits_fill(&serve->options.grpc_limits);
    serve->shares = address_shares_new();
    list_init(&serve->questions);
    for (unsigned i = 0; i < options->threads; i++) {
        struct worker_options worker = {
            .index = i,
            .topics = {.cluster_domain = options->cluster_domain,
                       .unknown_names = options->unknown_names,
                       .default_access = options->default_access,
                       .host_suffixes = options->host_suffixes,
                       .reports_load = options->load_interval_ms > 0},
            .default_namespace = options->default_namespace,
            .grpc_limits = serve->options.grpc_limits,
            .limits = serve->options.limits,
            .load_interval_ms = options->load_interval_ms,
            .refused = serve_tell_refused,
            .refused_ctx = serve,
            .uids = options->uids,
            .pods = options->pods,
            .tokens = options->tokens,
            .unknown_key = options->unknown_key ? post_unknown_key : NULL,
            .unknown_key_ctx = serve,
        };
        enum code code = worker_new(&worker, &serve->workers[i], err);

        if (code != CODE_OK) {
            serve_free(serve);
            return code;
        }
    }
    *ret_serve = serve;
    return CODE_OK;
}
