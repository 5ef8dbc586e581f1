#include "app.h"

#include <signal.h>

#include "base/clock.h"
#include "base/random.h"
#include "limits.h"

#define DEFAULT_THREADS_MAX 4
#define ADDRESS_LIST_MAX 1024
/* A signal that comes so soon after the first is the same wish: two senders (a shell's Ctrl-C and a
 * supervisor) or one that repeats itself. */
#define SAME_SIGNAL_US (200 * 1000)

/* ---- shutdown: unready → delay → drain → stop; a second signal stops at once ---- */

static void stop_if_done(struct app *app)
{
    if (!app->drained || !app->report_stopped)
        return;
    log_info(LOG_MAIN, "stopped");
    app->phase = APP_STOPPED;
    loop_stop(app->loop);
}

static void on_drained(void *ctx)
{
    struct app *app = ctx;

    app->drained = true;
    stop_if_done(app);
}

static void on_report_stopped(void *ctx)
{
    struct app *app = ctx;

    app->report_stopped = true;
    stop_if_done(app);
}

static void on_delay_over(void *ctx)
{
    struct app *app = ctx;
    uint64_t timeout_ms = app->options->shutdown_timeout_ms;
    /* Streams end one after another, so that their clients do not come back as one herd; a
     * millisecond each is enough. */
    uint64_t spread_ms = min_u64(timeout_ms / 2, serve_streams(app->serve));

    app->phase = APP_DRAINING;
    serve_drain(app->serve, spread_ms, timeout_ms, on_drained, app);
}

static void on_signal(void *ctx, int signum)
{
    struct app *app = ctx;
    uint64_t now_us = loop_now_us(app->loop);

    if (app->stopping_us && now_us - app->stopping_us < SAME_SIGNAL_US)
        return;
    if (app->phase == APP_DELAYING || app->phase == APP_DRAINING) {
        log_warn(LOG_MAIN, "second signal: stopping at once", KV_I64("signal", signum));
        app->exit_code = 128 + signum;
        loop_stop(app->loop);
        return;
    }
    log_info(LOG_MAIN, "shutting down", KV_I64("signal", signum),
             KV_U64("delay_ms", app->options->shutdown_delay_ms),
             KV_U64("timeout_ms", app->options->shutdown_timeout_ms));
    app->phase = APP_DELAYING;
    app->stopping_us = now_us;
    serve_set_draining(app->serve);
    if (app->rebalance)
        rebalance_stop(app->rebalance);
    if (app->report)
        report_stop(app->report, on_report_stopped, app);
    else
        app->report_stopped = true;
    timer_start(app->timer, app->options->shutdown_delay_ms);
}

/* ---- serving begins with the first publication: the source is synced ---- */

typedef enum code listen_fn(struct serve *serve, const struct address *address, struct err *err);

static enum code listen_at(struct app *app, const struct text_list *texts, listen_fn *listen_with,
                           struct err *err)
{
    for (size_t i = 0; i < texts->len; i++) {
        struct address address;
        enum code code = address_parse(str_of(texts->items[i]), &address, err);

        if (code == CODE_OK)
            code = listen_with(app->serve, &address, err);
        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

static enum code listen_all(struct app *app, struct err *err)
{
    enum code code = listen_at(app, &app->options->listen, serve_listen, err);

    if (code != CODE_OK)
        return code;
    return listen_at(app, &app->options->tls_listen, serve_listen_tls, err);
}

/* Those that are bound, from the `first` on: at most `len`. */
static void put_addresses(struct buf *out, const struct app *app, size_t first, size_t len)
{
    char text[ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < len; i++) {
        address_format(serve_address(app->serve, first + i), text);
        buf_printf(out, "%s%s", i ? "," : "", text);
    }
}

static void log_serving(const struct app *app)
{
    const struct controller_stats *stats = controller_stats(app->controller);
    size_t plain = app->options->listen.len, secure = app->options->tls_listen.len;
    struct buf listen = BUFFER_INIT(ADDRESS_LIST_MAX);
    char admin[ADDRESS_TEXT_MAX];

    put_addresses(&listen, app, 0, plain);
    address_format(admin_address(app->admin), admin);
    log_info(LOG_MAIN, "serving", KV_STR("listen", buf_cstr(&listen)), KV_STR("admin", admin),
             KV_U64("services", counter_get(&stats->services)),
             KV_U64("endpoints", counter_get(&stats->endpoints)),
             KV_U64("ms", (loop_now_us(app->loop) - app->started_us) / 1000));
    buf_reset(&listen);
    put_addresses(&listen, app, plain, secure);
    if (secure > 0)
        log_info(LOG_MAIN, "serving over TLS", KV_STR("listen", buf_cstr(&listen)));
    buf_done(&listen);
}

static void log_identity(const struct options *options)
{
    struct buf ways = BUFFER_INIT(ADDRESS_LIST_MAX);

    if (!options_identify(options))
        return;
    buf_printf(&ways, "%s%s%s%s", options->tokens ? ",tokens" : "",
               options->tls_client_ca ? ",certificates" : "",
               options->unix_accounts.len > 0 ? ",unix" : "", options->identify_pods ? ",pods" : "");
    log_info(LOG_MAIN, "clients are told apart", KV_STR("by", buf_cstr(&ways) + 1),
             KV_STR("default_access", default_access_name(options->default_access)));
    buf_done(&ways);
}

static void on_first_publication(void *ctx)
{
    struct app *app = ctx;
    struct err err = {0};

    if (app->phase != APP_SYNCING)
        return;
    if (listen_all(app, &err) != CODE_OK) {
        log_error(LOG_MAIN, "cannot serve", KV_ERR(&err));
        app->exit_code = 1;
        loop_stop(app->loop);
        return;
    }
    app->phase = APP_SERVING;
    log_serving(app);
    log_identity(app->options);
    if (app->report)
        report_start(app->report);
    if (app->rebalance)
        rebalance_start(app->rebalance);
}

/* ---- construction ---- */

static void on_publish(void *ctx, const struct catalog *catalog)
{
    struct app *app = ctx;

    serve_publish(app->serve, catalog);
    if (app->phase == APP_SYNCING)
        deferred_schedule(app->loop, &app->begin);
}

static void on_resource_changed(void *ctx, struct str namespace_name, struct str name)
{
    const struct app *app = ctx;

    if (app->report)
        report_changed(app->report, namespace_name, name);
}

static void on_resource_seen(void *ctx, const struct json *object)
{
    const struct app *app = ctx;

    if (app->report)
        report_seen(app->report, object);
}

static void on_refused(void *ctx, const struct refusal *refusal)
{
    const struct app *app = ctx;

    controller_report_refusal(app->controller, refusal);
}

static void on_unknown_key(void *ctx)
{
    const struct app *app = ctx;

    if (app->token_keys)
        token_keys_want(app->token_keys);
}

static uint64_t on_fanout_us(void *ctx)
{
    struct app *app = ctx;

    return serve_fanout_us(app->serve);
}

static enum code load_kube_config(struct app *app, struct err *err)
{
    if (app->options->kubeconfig)
        return kube_config_load(app->options->kubeconfig, app->options->context, &app->kube_config,
                                err);
    if (kube_config_in_cluster(&app->kube_config, err) == CODE_OK)
        return CODE_OK;
    if (err->code == CODE_NOT_FOUND)
        return fail(err, CODE_NOT_FOUND,
                    "no objects to serve: give --kubeconfig FILE or --directory DIR "
                    "(neither was given, and this is not a pod)");
    return err->code;
}

/* Where the client's pod is: the address of some Service's endpoint, in most clusters. */
static bool on_place_of_peer(void *ctx, const struct address *peer, struct place *ret_place)
{
    const struct app *app = ctx;
    unsigned char bytes[16];
    int family = address_ip(peer, bytes);

    if (family == 0)
        return false;
    return controller_place_of(app->controller, family == 4 ? FAMILY_IPV4 : FAMILY_IPV6, bytes,
                               ret_place);
}

const char *app_default_namespace(const struct app *app)
{
    const char *own = app->kube_config ? app->kube_config->namespace_name : NULL;

    if (app->options->default_namespace)
        return app->options->default_namespace;
    return own ? own : "default";
}

static enum code start_serve(struct app *app, struct err *err)
{
    const struct options *options = app->options;
    struct serve_options serve = {
        .loop = app->loop,
        .threads = options->threads ? (unsigned)options->threads
                                    : (unsigned)min_u64(DEFAULT_THREADS_MAX, limits_cpus()),
        .cluster_domain = options->cluster_domain,
        .default_namespace = app_default_namespace(app),
        .host_suffixes = (const char *const *)options->host_suffixes.items,
        .unknown_names = options->unknown_names,
        .load_interval_ms = options->load_interval_ms,
        .grpc_limits = options->grpc_limits,
        .limits = options->limits,
        .default_access = options->default_access,
        .place_of_peer = on_place_of_peer,
        .place_ctx = app,
        .refused = on_refused,
        .refused_ctx = app,
        .uids = options->unix_accounts.len > 0 ? &options->unix_accounts : NULL,
        .pods = options->identify_pods,
        .tokens = options->tokens,
        .unknown_key = on_unknown_key,
        .unknown_key_ctx = app,
    };

    return serve_new(&serve, &app->serve, err);
}

static void on_keypair(void *ctx, struct tls *tls)
{
    const struct app *app = ctx;

    serve_set_tls(app->serve, tls);
}

static enum code start_tls(struct app *app, struct err *err)
{
    const struct keypair_options keypair = {
        .loop = app->loop,
        .cert_path = app->options->tls_cert,
        .key_path = app->options->tls_key,
        .client_ca_path = app->options->tls_client_ca,
        .client_required = app->options->tls_client_required,
        .on_change = on_keypair,
        .ctx = app,
    };
    enum code code;

    if (!keypair.cert_path)
        return CODE_OK;
    code = keypair_new(&keypair, &app->keypair, err);
    if (code == CODE_OK)
        serve_set_tls(app->serve, keypair_tls(app->keypair));
    return code;
}

static void on_pods(void *ctx, const struct pod_table *table)
{
    const struct app *app = ctx;

    serve_set_pods(app->serve, table);
}

static enum code start_source(struct app *app, struct err *err)
{
    struct source_kube_options kube = {
        .namespaces = (const char *const *)app->options->namespaces.items,
        .endpoints = app->options->endpoints,
        .nodes = app->options->nodes,
        .policies_required = app->options->publish != PUBLISH_ALL ||
                             app->options->host_suffixes.len > 0 || options_identify(app->options),
    };
    enum code code;

    if (app->options->directory)
        return source_directory_new(app->loop, app->controller, app->options->directory,
                                    &app->source, err);
    code = kube_client_new(app->loop, app->kube_config, &app->kube_client, err);
    if (code != CODE_OK)
        return code;
    app->report = report_new(&(struct report_options){
        .options = app->options,
        .loop = app->loop,
        .client = app->kube_client,
        .namespace_name = app->kube_config->namespace_name,
        .controller = app->controller,
        .serve = app->serve,
    });
    if (app->options->tokens)
        app->token_keys = token_keys_new(&(struct token_keys_options){
            .loop = app->loop,
            .client = app->kube_client,
            .serve = app->serve,
            .audience = app->options->token_audience,
        });
    if (app->options->rebalance)
        app->rebalance = rebalance_new(&(struct rebalance_options){
            .options = app->options,
            .loop = app->loop,
            .client = app->kube_client,
            .serve = app->serve,
            .replica = app->replica,
        });
    if (app->options->identify_pods)
        app->pods = pods_new(&(struct pods_options){app->loop, on_pods, app});
    kube.client = app->kube_client;
    kube.pods = app->pods;
    return source_kube_new(app->loop, app->controller, &kube, &app->source, err);
}

static enum code start_admin(struct app *app, struct err *err)
{
    struct address address;
    enum code code = address_parse(str_of(app->options->admin), &address, err);

    if (code != CODE_OK)
        return code;
    return admin_new(app->loop, &address, app_pages, app_pages_len, app, &app->admin, err);
}

static void on_hangup(void *ctx unused_arg, int signum unused_arg)
{
    log_info(LOG_MAIN, "SIGHUP: nothing to reload; objects are watched, flags need a restart");
}

static enum code watch_signals(struct app *app, struct err *err)
{
    enum code code = signal_watch_new(app->loop, SIGTERM, on_signal, app, &app->sigterm, err);

    if (code == CODE_OK)
        code = signal_watch_new(app->loop, SIGINT, on_signal, app, &app->sigint, err);
    if (code == CODE_OK)
        code = signal_watch_new(app->loop, SIGHUP, on_hangup, app, &app->sighup, err);
    return code;
}

enum code app_start(struct app *app, const struct options *options, struct err *err)
{
    struct controller_options controller = {
        .publish = on_publish,
        .ctx = app,
        .fanout_us = on_fanout_us,
        .resource_changed = on_resource_changed,
        .resource_seen = on_resource_seen,
        .deletion_grace_ms = options->deletion_grace_ms,
        .mode = options->publish,
        .reports_load = options->load_reports,
        .identifies = options_identify(options),
        .default_access = options->default_access,
        .host_suffixes = (const char *const *)options->host_suffixes.items,
    };
    enum code code;

    *app = (struct app){.options = options, .replica = random_u64()};
    deferred_init(&app->begin, on_first_publication, app);
    if (!options->directory && (code = load_kube_config(app, err)) != CODE_OK)
        return code;
    if ((code = loop_new(&app->loop, err)) != CODE_OK)
        return code;
    app->started_us = loop_now_us(app->loop);
    app->timer = timer_new(app->loop, on_delay_over, app);
    controller.loop = app->loop;
    app->controller = controller_new(&controller);
    if ((code = start_serve(app, err)) != CODE_OK || (code = start_tls(app, err)) != CODE_OK ||
        (code = watch_signals(app, err)) != CODE_OK || (code = start_admin(app, err)) != CODE_OK)
        return code;
    return start_source(app, err);
}

int app_run(struct app *app)
{
    loop_run(app->loop);
    return app->exit_code;
}

void app_stop(struct app *app)
{
    /* What workers posted runs now, while everything that it may touch still lives. */
    if (app->loop)
        loop_close_posts(app->loop);
    deferred_cancel(&app->begin);
    admin_free(app->admin);
    source_free(app->source);
    pods_free(app->pods);
    rebalance_free(app->rebalance);
    token_keys_free(app->token_keys);
    report_free(app->report);
    kube_client_free(app->kube_client);
    keypair_free(app->keypair);
    serve_free(app->serve);
    controller_free(app->controller);
    signal_watch_free(app->sigterm);
    signal_watch_free(app->sigint);
    signal_watch_free(app->sighup);
    timer_free(app->timer);
    loop_free(app->loop);
    kube_config_free(app->kube_config);
}
