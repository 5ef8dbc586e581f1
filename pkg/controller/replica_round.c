#include "controller/replica_round.h"

#include "base/log.h"
#include "controller/decode.h"
#include "kube/call.h"
#include "kube/query.h"

#define PATH_MAX_BYTES 1024
#define URL_MAX_BYTES 128
#define NAME_MAX_BYTES 256
#define SLICES_MAX_BYTES (8 * 1024 * 1024)
#define SILENT_MAX_BYTES 400
#define ADMIN_PORT STR("admin")

/* One replica that is asked. */
struct ask {
    struct replica_round *round;
    struct kube_config config; /* its server is `url` */
    struct kube_client *client;
    struct kube_call *call;
    char url[URL_MAX_BYTES];
    char name[NAME_MAX_BYTES];
    bool answered;
};

struct replica_round {
    struct replica_round_options options;
    struct deferred finish; /* clients cannot go inside their own callbacks */
    struct kube_call *list;
    struct ask *asks[REPLICAS_MAX];
    size_t asks_len, waiting;
    bool under_way;
};

/* ---- the end ---- */

static void asks_free(struct replica_round *round)
{
    for (size_t i = 0; i < round->asks_len; i++) {
        struct ask *ask = round->asks[i];

        kube_call_free(ask->call);
        kube_client_free(ask->client);
        free(ask);
    }
    round->asks_len = round->waiting = 0;
}

static void on_finish(void *ctx)
{
    struct replica_round *round = ctx;
    struct replica_round_result result = {.asked = round->asks_len};
    struct buf silent = BUFFER_INIT(SILENT_MAX_BYTES - 1);

    for (size_t i = 0; i < round->asks_len; i++)
        if (!round->asks[i]->answered)
            buf_printf(&silent, "%s%s", result.unanswered++ ? ", " : "", round->asks[i]->name);
    result.silent = buf_cstr(&silent);
    asks_free(round);
    round->under_way = false;
    round->options.on_done(round->options.ctx, &result);
    buf_done(&silent);
}

static void fail_round(struct replica_round *round, const char *problem)
{
    round->under_way = false;
    round->options.on_done(round->options.ctx, &(struct replica_round_result){problem, 0, 0, ""});
}

/* ---- asking ---- */

static bool take_answer(struct replica_round *round, struct str text)
{
    CLEANUP(json_freep) struct json *json = NULL;

    return json_parse(text, &json, NULL) == CODE_OK && json_type(json) == JSON_OBJECT &&
           round->options.on_answer(round->options.ctx, json);
}

static void on_answer(void *ctx, const struct kube_response *response, struct str body)
{
    struct ask *ask = ctx;
    struct replica_round *round = ask->round;

    ask->call = NULL;
    ask->answered = response->code == CODE_OK && take_answer(round, body);
    if (!ask->answered)
        log_debug(LOG_CONTROLLER, "a replica does not answer", KV_STR("replica", ask->name),
                  KV_STR("url", ask->url), KV_STR("error", response->message));
    if (--round->waiting == 0)
        deferred_schedule(round->options.loop, &round->finish);
}

/* By its address, or as the pod that it is. */
static bool is_asked(const struct replica_round *round, const char *url, struct str pod)
{
    for (size_t i = 0; i < round->asks_len; i++)
        if (strcmp(round->asks[i]->url, url) == 0 ||
            (pod.len > 0 && str_eq(str_of(round->asks[i]->name), pod)))
            return true;
    return false;
}

static void ask_one(struct replica_round *round, const struct endpoint *endpoint, uint16_t port)
{
    const struct replica_round_options *options = &round->options;
    struct str name = endpoint->pod.len ? endpoint->pod : endpoint->address;
    bool is_ipv6 = endpoint->family == FAMILY_IPV6;
    struct ask *ask;
    char url[URL_MAX_BYTES];

    snprintf(url, sizeof(url), "http://%s%" STR_FMT "%s:%u", is_ipv6 ? "[" : "",
             STR_ARG(endpoint->address), is_ipv6 ? "]" : "", port);
    if (round->asks_len == REPLICAS_MAX || is_asked(round, url, endpoint->pod))
        return;
    ask = xcalloc(1, sizeof(*ask));
    memcpy(ask->url, url, sizeof(url));
    snprintf(ask->name, sizeof(ask->name), "%" STR_FMT, STR_ARG(name));
    ask->round = round;
    ask->config.server = ask->url;
    ask->config.direct = true;
    if (kube_client_new(options->loop, &ask->config, &ask->client, NULL) != CODE_OK) {
        free(ask);
        return;
    }
    ask->call = kube_call_start(
        ask->client, &(struct kube_call_options){.path = options->path,
                                                 .max_body = options->answer_max,
                                                 .timeout_ms = options->timeout_ms,
                                                 .on_done = on_answer,
                                                 .ctx = ask});
    round->asks[round->asks_len++] = ask;
    round->waiting++;
}

/* ---- whom to ask ---- */

static uint16_t admin_port(const struct slice *slice)
{
    for (size_t i = 0; i < slice->ports_len; i++)
        if (str_eq(slice->ports[i].name, ADMIN_PORT))
            return slice->ports[i].number;
    return slice->ports_len ? slice->ports[0].number : 0;
}

/* A Service that publishes addresses which are not ready calls them all ready. */
static bool is_wanted(const struct replica_round *round, const struct endpoint *endpoint)
{
    if (round->options.only_ready)
        return endpoint->ready && endpoint->serving && !endpoint->terminating;
    return endpoint->ready || (endpoint->serving && endpoint->terminating);
}

static void ask_slice(struct replica_round *round, const struct json *item)
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

        if (is_wanted(round, endpoint))
            ask_one(round, endpoint, port);
    }
    slice_unref(slice);
}

static void on_slices(void *ctx, const struct kube_response *response, struct str body)
{
    struct replica_round *round = ctx;
    CLEANUP(json_freep) struct json *list = NULL;

    round->list = NULL;
    if (response->code != CODE_OK || json_parse(body, &list, NULL) != CODE_OK) {
        fail_round(round, response->code != CODE_OK ? response->message : "no JSON");
        return;
    }
    for (const struct json *item = json_first(json_get(list, "items")); item;
         item = json_next(item))
        ask_slice(round, item);
    if (round->waiting == 0)
        fail_round(round, "it has no endpoints with a port");
}

void replica_round_start(struct replica_round *round)
{
    const struct replica_round_options *options = &round->options;
    struct buf path = BUFFER_INIT(PATH_MAX_BYTES);
    struct buf selector = BUFFER_INIT(PATH_MAX_BYTES);

    round->under_way = true;
    buf_printf(&selector, "kubernetes.io/service-name=%s", options->service);
    buf_printf(&path, "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices",
               options->namespace_name);
    query_add(&path, "?labelSelector", buf_str(&selector));
    round->list =
        kube_call_start(options->client, &(struct kube_call_options){.path = buf_cstr(&path),
                                                                     .max_body = SLICES_MAX_BYTES,
                                                                     .on_done = on_slices,
                                                                     .ctx = round});
    buf_done(&path);
    buf_done(&selector);
}

/* ---- life ---- */

struct replica_round *replica_round_new(const struct replica_round_options *options)
{
    struct replica_round *round = xcalloc(1, sizeof(*round));

    round->options = *options;
    if (options->timeout_ms == 0)
        round->options.timeout_ms = REPLICAS_TIMEOUT_MS;
    deferred_init(&round->finish, on_finish, round);
    return round;
}

void replica_round_cancel(struct replica_round *round)
{
    deferred_cancel(&round->finish);
    kube_call_free(TAKE(round->list));
    asks_free(round);
    round->under_way = false;
}

void replica_round_free(struct replica_round *round)
{
    if (!round)
        return;
    replica_round_cancel(round);
    free(round);
}

bool replica_round_under_way(const struct replica_round *round)
{
    return round->under_way;
}
