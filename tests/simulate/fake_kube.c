#include "fake_kube.h"

#include "fake_loop.h"
#include "known.h"

#define HEAD_TIMEOUT_US (30 * SIM_S)
#define LATENCY_US 2000
#define REQUESTS_MAX 16

struct kube_request {
    struct list link;
    struct kube_request_options options;
    struct api_request api; /* the server's end */
    uint64_t due_us;        /* of the answer, then of the next bytes */
    uint64_t heard_us;      /* last byte */
    uint64_t began_us;      /* the first bytes of the body */
    size_t sent, marks_done;
    bool answered, silent, over, freed;
    bool given_up; /* by its reader */
};

struct kube_client {
    struct loop *loop;
    struct loop_io io;
    struct list requests;
};

static struct {
    struct kube_client *client;
    uint64_t down_until_us, latency_us;
    bool down_orderly;
    uint64_t began_us[RESOURCES]; /* the list that is being read in pages */
    bool missed[RESOURCES];       /* a restoration, which lasts until that is noticed */
} network;

/* ---- what the controller is told ---- */

/* A list counts with its last page. */
static void page_is_told(const struct kube_request *request)
{
    const struct api_request *api = &request->api;
    uint64_t *began_us = &network.began_us[api->resource];

    if (!api->continues)
        *began_us = sim.now_us;
    if (api->body.marks_len > 0)
        known_list(api->resource, api->body.marks[0].step, *began_us);
}

/* Of a watch. */
static void pass_marks(struct kube_request *request)
{
    const struct api_request *api = &request->api;

    for (; request->marks_done < api->body.marks_len && !request->given_up; request->marks_done++) {
        const struct api_mark *mark = &api->body.marks[request->marks_done];

        if (mark->at > request->sent)
            return;
        if (mark->kind == MARK_BAD)
            request->given_up = true;
        else if (mark->kind == MARK_LIST)
            known_list(api->resource, mark->step, request->began_us);
        else
            known_event(mark->slot, mark->step);
    }
}

/* ---- delivering ---- */

/* For what follows the resource: no probe. */
static bool follows(const struct kube_request *request)
{
    return !request->api.probe && api_is_there(&request->api);
}

static void answer(struct kube_request *request)
{
    bool *missed = &network.missed[request->api.resource];
    bool refused = *missed && follows(request);

    request->answered = true;
    request->heard_us = sim.now_us;
    *missed = *missed && !refused;
    if (sim.now_us < network.down_until_us && network.down_orderly)
        api_request_end(&request->api, 503, CODE_UNAVAILABLE, "no healthy upstream");
    else if (refused || sim.now_us < network.down_until_us)
        api_request_end(&request->api, 0, CODE_UNAVAILABLE, "connection refused");
    else
        api_answer(&request->api);
    if (request->api.open && request->options.on_open)
        request->options.on_open(request->options.ctx);
}

static void deliver(struct kube_request *request)
{
    struct api_request *api = &request->api;
    size_t left = api->body.bytes.len - request->sent;
    size_t len = sim_rarely(4) ? 1 + sim_below(left) : left;
    const char *ptr = api->body.bytes.ptr + request->sent;

    request->sent += len;
    request->heard_us = sim.now_us;
    request->due_us = sim.now_us + sim_below(network.latency_us);
    if (!request->began_us)
        request->began_us = sim.now_us;
    if (api->watch)
        pass_marks(request);
    if (!request->options.on_data(request->options.ctx, ptr, len)) {
        request->sent = api->body.bytes.len;
        request->given_up = true;
        api_request_end(api, 200, CODE_DATA_LOSS, "the reader gave up");
    }
}

static void finish(struct kube_request *request)
{
    const struct api_request *api = &request->api;

    if (!api->watch && api->end.code == CODE_OK && !api->probe)
        page_is_told(request);
    request->over = true;
    request->options.on_done(request->options.ctx, &api->end);
}

static uint64_t silence_us(const struct kube_request *request)
{
    uint64_t limit_us = request->options.idle_timeout_ms * SIM_MS;

    if (!request->api.open)
        return request->heard_us + HEAD_TIMEOUT_US;
    return limit_us ? request->heard_us + limit_us : SIM_NEVER;
}

static uint64_t request_due(const struct kube_request *request)
{
    const struct api_request *api = &request->api;
    uint64_t due = request->due_us;

    if (request->over)
        return SIM_NEVER;
    if (request->silent)
        return silence_us(request);
    if (request->answered && !api->ending && request->sent == api->body.bytes.len)
        due = api_request_due(api);
    return min_u64(due, silence_us(request));
}

static void proceed(struct kube_request *request)
{
    struct api_request *api = &request->api;

    if (!request->answered) {
        answer(request);
    } else if (request->sent < api->body.bytes.len) {
        deliver(request);
    } else if (api->ending) {
        finish(request);
    } else {
        api_request_proceed(api);
        request->due_us = max_u64(request->due_us, sim.now_us + sim_below(network.latency_us));
    }
}

static void request_turn(struct kube_request *request)
{
    if (request->over || request->freed || request_due(request) > sim.now_us)
        return;
    if (silence_us(request) <= sim.now_us) {
        api_request_end(&request->api, request->api.open ? 200 : 0, CODE_DEADLINE_EXCEEDED,
                        "nothing received");
        finish(request);
    } else if (!request->silent && !sim_rarely(4)) {
        proceed(request);
    }
}

/* ---- the client ---- */

static uint64_t client_due(void *ctx)
{
    const struct kube_client *client = ctx;
    uint64_t due = SIM_NEVER;

    list_for_each (link, &client->requests)
        due = min_u64(due, request_due(container_of(link, struct kube_request, link)));
    return due;
}

static void request_destroy(struct kube_request *request)
{
    list_remove(&request->link);
    api_request_done(&request->api);
    free(request);
}

/* Callbacks free requests and start others. */
static void client_turn(void *ctx)
{
    struct kube_client *client = ctx;
    struct kube_request *requests[REQUESTS_MAX];
    size_t len = 0;

    list_for_each (link, &client->requests) {
        if (len < REQUESTS_MAX)
            requests[len++] = container_of(link, struct kube_request, link);
    }
    for (size_t i = 0; i < len; i++)
        request_turn(requests[i]);
    list_for_each_safe (link, &client->requests) {
        struct kube_request *request = container_of(link, struct kube_request, link);

        if (request->freed)
            request_destroy(request);
    }
}

enum code kube_client_new(struct loop *loop, const struct kube_config *config unused_arg,
                          struct kube_client **ret_client, struct err *err unused_arg)
{
    struct kube_client *client = xcalloc(1, sizeof(*client));

    client->loop = loop;
    client->io = (struct loop_io){.due = client_due, .turn = client_turn, .ctx = client};
    list_init(&client->requests);
    loop_io_join(loop, &client->io);
    network.client = client;
    *ret_client = client;
    return CODE_OK;
}

void kube_client_free(struct kube_client *client)
{
    if (!client)
        return;
    list_for_each_safe (link, &client->requests) {
        struct kube_request *request = container_of(link, struct kube_request, link);

        if (!request->freed)
            sim_fail("a request outlives its client: %s", request->api.path);
        request_destroy(request);
    }
    loop_io_leave(&client->io);
    network.client = NULL;
    free(client);
}

struct loop *kube_client_loop(const struct kube_client *client)
{
    return client->loop;
}

enum code kube_request_start(struct kube_client *client, const struct kube_request_options *options,
                             struct kube_request **ret_request, struct err *err unused_arg)
{
    struct kube_request *request = xcalloc(1, sizeof(*request));

    request->options = *options;
    api_request_init(&request->api, options->path);
    request->options.path = request->api.path;
    request->due_us = sim.now_us + sim_below(network.latency_us);
    request->heard_us = sim.now_us;
    list_append(&client->requests, &request->link);
    sim_trace("GET %s", options->path);
    *ret_request = request;
    return CODE_OK;
}

void kube_request_set_idle_timeout(struct kube_request *request, uint64_t idle_timeout_ms)
{
    request->options.idle_timeout_ms = idle_timeout_ms;
}

void kube_request_free(struct kube_request *request)
{
    if (request)
        request->freed = request->over = true;
}

/* ---- faults ---- */

void api_start(const struct api_options *options)
{
    memset(&network, 0, sizeof(network));
    network.latency_us = LATENCY_US;
    api_server_start(options);
}

static void each_request(enum resource resource, void (*fn)(struct kube_request *request))
{
    if (!network.client)
        return;
    list_for_each (link, &network.client->requests) {
        struct kube_request *request = container_of(link, struct kube_request, link);

        if (!request->over && (resource == RESOURCES || request->api.resource == resource))
            fn(request);
    }
}

static void cut_anywhere(struct kube_request *request)
{
    struct buf *body = &request->api.body.bytes;
    size_t left = body->len - request->sent;

    body->len = request->sent + (left ? sim_below(left) : 0);
    request->answered = true;
    request->due_us = 0;
    api_request_end(&request->api, request->api.open ? 200 : 0, CODE_UNAVAILABLE,
                    "connection reset");
}

static void cut_orderly(struct kube_request *request)
{
    if (request->api.watch && request->api.open && !request->api.ending)
        api_request_end(&request->api, 200, CODE_OK, "");
}

static void fall_silent(struct kube_request *request)
{
    request->silent = true;
}

void api_cut(enum resource resource, bool orderly)
{
    each_request(resource, orderly ? cut_orderly : cut_anywhere);
}

void api_silence(enum resource resource)
{
    each_request(resource, fall_silent);
}

/* What is under way is dropped: a server that stops tells nothing more. */
static void stop_orderly(struct kube_request *request)
{
    bool watch = request->api.watch && request->api.open && !request->api.ending;

    cut_anywhere(request);
    if (watch)
        api_request_end(&request->api, 200, CODE_OK, "");
}

void api_down(uint64_t us, bool orderly)
{
    network.down_until_us = max_u64(network.down_until_us, sim.now_us + us);
    network.down_orderly = orderly;
    each_request(RESOURCES, orderly ? stop_orderly : cut_anywhere);
}

static void notices(struct kube_request *request)
{
    if (follows(request))
        network.missed[request->api.resource] = false;
}

void api_restore(size_t changes, uint64_t us, bool orderly)
{
    for (size_t i = 0; i < RESOURCES; i++)
        network.missed[i] = true;
    each_request(RESOURCES, notices);
    api_rewind(changes);
    api_down(us, orderly);
}

void api_slow(uint64_t latency_us)
{
    network.latency_us = latency_us;
}

void api_heal(void)
{
    api_server_heal();
    network.latency_us = LATENCY_US;
}
