#include "controller/replicas.h"

#include "base/counts.h"
#include "base/log.h"
#include "controller/decode.h"
#include "kube/call.h"
#include "kube/query.h"

#define PATH_MAX_BYTES 1024
#define URL_MAX_BYTES 128
#define NAME_MAX_BYTES 256
#define SLICES_MAX_BYTES (8 * 1024 * 1024)
#define UNCOUNTED_MAX_BYTES 400
#define KEY_MAX_BYTES 512
#define ADMIN_PORT STR("admin")

/* One replica that is asked. */
struct ask {
    struct replicas *replicas;
    struct kube_config config; /* its server is `url` */
    struct kube_client *client;
    struct kube_call *call;
    char url[URL_MAX_BYTES];
    char name[NAME_MAX_BYTES];
    bool answered;
};

struct replicas {
    struct replicas_options options;
    struct timer *timer;
    struct deferred finish; /* of a round: clients cannot go inside their own callbacks */
    struct kube_call *list;
    struct ask *asks[REPLICAS_MAX];
    size_t asks_len, waiting;
    bool active, own_under_way, failing;
    struct counts *counting; /* the round's */
    struct counts *counted;  /* the last one's */
    char uncounted[UNCOUNTED_MAX_BYTES];
    struct replicas_stats stats;
};

/* ---- a round ends ---- */

static void asks_free(struct replicas *replicas)
{
    for (size_t i = 0; i < replicas->asks_len; i++) {
        struct ask *ask = replicas->asks[i];

        kube_call_free(ask->call);
        kube_client_free(ask->client);
        free(ask);
    }
    replicas->asks_len = replicas->waiting = 0;
}

static void name_uncounted(struct replicas *replicas)
{
    struct buf text = BUFFER_INIT(sizeof(replicas->uncounted) - 1);
    uint64_t unanswered = 0;

    for (size_t i = 0; i < replicas->asks_len; i++)
        if (!replicas->asks[i]->answered)
            buf_printf(&text, "%s%s", unanswered++ ? ", " : "", replicas->asks[i]->name);
    snprintf(replicas->uncounted, sizeof(replicas->uncounted), "%s", buf_cstr(&text));
    buf_done(&text);
    if (unanswered > 0 && counter_get(&replicas->stats.unanswered) == 0)
        log_warn(LOG_CONTROLLER, "replicas do not say how many clients they have",
                 KV_STR("replicas", replicas->uncounted));
    counter_set(&replicas->stats.asked, replicas->asks_len);
    counter_set(&replicas->stats.unanswered, unanswered);
}

static void on_finish(void *ctx)
{
    struct replicas *replicas = ctx;

    counts_free(replicas->counted);
    replicas->counted = TAKE(replicas->counting);
    name_uncounted(replicas);
    asks_free(replicas);
    replicas->failing = false;
    counter_add(&replicas->stats.rounds, 1);
    replicas->options.on_counted(replicas->options.ctx);
}

/* The last counts stand. */
static void fail_round(struct replicas *replicas, const char *reason)
{
    counter_add(&replicas->stats.failures, 1);
    if (!replicas->failing)
        log_warn(LOG_CONTROLLER, "replicas cannot be asked for their clients; asking again",
                 KV_STR("service", replicas->options.service), KV_STR("error", reason),
                 KV_U64("in_ms", replicas->options.every_ms));
    replicas->failing = true;
    counts_free(TAKE(replicas->counting));
}

/* ---- asking ---- */

static bool take_counts(struct replicas *replicas, struct str text)
{
    CLEANUP(json_freep) struct json *json = NULL;

    if (json_parse(text, &json, NULL) != CODE_OK || json_type(json) != JSON_OBJECT)
        return false;
    counts_add_json(replicas->counting, json_get(json, "services"));
    return true;
}

static void on_answer(void *ctx, const struct kube_response *response, struct str body)
{
    struct ask *ask = ctx;
    struct replicas *replicas = ask->replicas;

    ask->call = NULL;
    ask->answered = response->code == CODE_OK && take_counts(replicas, body);
    if (!ask->answered)
        log_debug(LOG_CONTROLLER, "a replica does not answer", KV_STR("replica", ask->name),
                  KV_STR("url", ask->url), KV_STR("error", response->message));
    if (--replicas->waiting == 0)
        deferred_schedule(replicas->options.loop, &replicas->finish);
}

static bool is_asked(const struct replicas *replicas, const char *url)
{
    for (size_t i = 0; i < replicas->asks_len; i++)
        if (strcmp(replicas->asks[i]->url, url) == 0)
            return true;
    return false;
}

static void ask_one(struct replicas *replicas, const struct endpoint *endpoint, uint16_t port)
{
    struct str name = endpoint->pod.len ? endpoint->pod : endpoint->address;
    bool is_ipv6 = endpoint->family == FAMILY_IPV6;
    struct ask *ask;
    char url[URL_MAX_BYTES];

    snprintf(url, sizeof(url), "http://%s%" STR_FMT "%s:%u", is_ipv6 ? "[" : "",
             STR_ARG(endpoint->address), is_ipv6 ? "]" : "", port);
    if (replicas->asks_len == REPLICAS_MAX || is_asked(replicas, url))
        return;
    ask = xcalloc(1, sizeof(*ask));
    memcpy(ask->url, url, sizeof(url));
    snprintf(ask->name, sizeof(ask->name), "%" STR_FMT, STR_ARG(name));
    ask->replicas = replicas;
    ask->config.server = ask->url;
    ask->config.direct = true;
    if (kube_client_new(replicas->options.loop, &ask->config, &ask->client, NULL) != CODE_OK) {
        free(ask);
        return;
    }
    ask->call = kube_call_start(ask->client, &(struct kube_call_options){
                                                 .path = "/counts",
                                                 .max_body = REPLICAS_ANSWER_MAX,
                                                 .timeout_ms = replicas->options.timeout_ms,
                                                 .on_done = on_answer,
                                                 .ctx = ask,
                                             });
    replicas->asks[replicas->asks_len++] = ask;
    replicas->waiting++;
}

/* ---- whom to ask ---- */

static uint16_t admin_port(const struct slice *slice)
{
    for (size_t i = 0; i < slice->ports_len; i++)
        if (str_eq(slice->ports[i].name, ADMIN_PORT))
            return slice->ports[i].number;
    return slice->ports_len ? slice->ports[0].number : 0;
}

static void ask_slice(struct replicas *replicas, const struct json *item)
{
    const struct slice *slice = NULL;
    struct object_meta meta;
    uint16_t port;

    if (decode_meta(item, &meta, NULL) != CODE_OK ||
        decode_slice(item, &meta, &slice, NULL) != CODE_OK || !slice)
        return;
    port = admin_port(slice);
    for (size_t i = 0; i < slice->endpoints_len && port; i++) {
        const struct endpoint *endpoint = &slice->endpoints[i];

        if (endpoint->ready || (endpoint->serving && endpoint->terminating))
            ask_one(replicas, endpoint, port);
    }
    slice_unref(slice);
}

static void on_slices(void *ctx, const struct kube_response *response, struct str body)
{
    struct replicas *replicas = ctx;
    CLEANUP(json_freep) struct json *list = NULL;

    replicas->list = NULL;
    if (response->code != CODE_OK || json_parse(body, &list, NULL) != CODE_OK) {
        fail_round(replicas, response->code != CODE_OK ? response->message : "no JSON");
        return;
    }
    for (const struct json *item = json_first(json_get(list, "items")); item;
         item = json_next(item))
        ask_slice(replicas, item);
    if (replicas->waiting == 0)
        fail_round(replicas, "it has no endpoints with a port");
}

static void list_slices(struct replicas *replicas)
{
    struct buf path = BUFFER_INIT(PATH_MAX_BYTES);
    struct buf selector = BUFFER_INIT(PATH_MAX_BYTES);

    buf_printf(&selector, "kubernetes.io/service-name=%s", replicas->options.service);
    buf_printf(&path, "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices",
               replicas->options.namespace_name);
    query_add(&path, "?labelSelector", buf_str(&selector));
    replicas->list = kube_call_start(replicas->options.client, &(struct kube_call_options){
                                                                   .path = buf_cstr(&path),
                                                                   .max_body = SLICES_MAX_BYTES,
                                                                   .on_done = on_slices,
                                                                   .ctx = replicas,
                                                               });
    buf_done(&path);
    buf_done(&selector);
}

/* ---- rounds ---- */

static void on_own(void *ctx, struct buf *json)
{
    struct replicas *replicas = ctx;

    replicas->own_under_way = false;
    if (!replicas->active || !replicas->counting)
        return;
    if (buf_failed(json) || !take_counts(replicas, buf_str(json)))
        fail_round(replicas, "too many Services");
    else
        deferred_schedule(replicas->options.loop, &replicas->finish);
}

static void on_time(void *ctx)
{
    struct replicas *replicas = ctx;

    timer_start(replicas->timer, replicas->options.every_ms);
    if (replicas->counting || replicas->own_under_way)
        return; /* the last round is not over */
    replicas->counting = counts_new();
    if (replicas->options.service) {
        list_slices(replicas);
    } else {
        replicas->own_under_way = true;
        replicas->options.count_own(replicas->options.ctx, on_own, replicas);
    }
}

void replicas_set_active(struct replicas *replicas, bool active)
{
    replicas->active = active;
    if (active) {
        timer_start(replicas->timer, 0);
        return;
    }
    timer_stop(replicas->timer);
    deferred_cancel(&replicas->finish);
    kube_call_free(TAKE(replicas->list));
    asks_free(replicas);
    counts_free(TAKE(replicas->counting));
    counts_free(TAKE(replicas->counted));
    *replicas->uncounted = '\0';
    replicas->failing = false;
    counter_set(&replicas->stats.asked, 0);
    counter_set(&replicas->stats.unanswered, 0);
}

/* ---- public ---- */

struct replicas *replicas_new(const struct replicas_options *options)
{
    struct replicas *replicas = xcalloc(1, sizeof(*replicas));

    replicas->options = *options;
    if (options->every_ms == 0)
        replicas->options.every_ms = REPLICAS_EVERY_MS;
    if (options->timeout_ms == 0)
        replicas->options.timeout_ms = REPLICAS_TIMEOUT_MS;
    replicas->timer = timer_new(options->loop, on_time, replicas);
    deferred_init(&replicas->finish, on_finish, replicas);
    return replicas;
}

void replicas_free(struct replicas *replicas)
{
    if (!replicas)
        return;
    replicas_set_active(replicas, false);
    timer_free(replicas->timer);
    free(replicas);
}

uint64_t replicas_clients(const struct replicas *replicas, struct str namespace_name,
                          struct str name)
{
    char key[KEY_MAX_BYTES];

    snprintf(key, sizeof(key), "%" STR_FMT "/%" STR_FMT, STR_ARG(namespace_name), STR_ARG(name));
    return replicas->counted ? counts_get(replicas->counted, str_of(key)) : 0;
}

const char *replicas_uncounted(const struct replicas *replicas)
{
    return replicas->uncounted;
}

const struct replicas_stats *replicas_stats(const struct replicas *replicas)
{
    return &replicas->stats;
}
