#include "fake_kube.h"

#include "fake_loop.h"
#include "known.h"
#include "kube/client.h"
#include "object_json.h"

#define HEAD_TIMEOUT_US (30 * SIM_S)
#define LATENCY_US 2000
#define BOOKMARK_US (60 * SIM_S)
#define BODY_MAX (8 * 1024 * 1024)
#define REQUESTS_MAX 16

/* A place in a body, and what the controller knows once it has the bytes before it. */
struct mark {
    size_t at;
    enum {
        MARK_EVENT,
        MARK_LIST,
        MARK_BAD, /* the reader gives up here */
    } kind;
    size_t step;
    unsigned slot; /* of an event */
};

struct kube_request {
    struct list link;
    struct kube_client *client;
    struct kube_request_options options;
    char *path; /* ours */
    enum resource resource;
    unsigned server;
    bool watch, streams, probe;
    bool given_up; /* by its reader */
    uint64_t due_us;    /* of the answer, then of the next bytes */
    uint64_t heard_us;  /* last byte */
    uint64_t began_us;  /* the first bytes of the list */
    uint64_t ends_us;   /* timeoutSeconds */
    uint64_t bookmark_us;
    size_t next;        /* entry of the log that the watch tells next */
    bool answered, open, silent, ending, over, freed;
    struct kube_response end;
    struct buf body;
    struct mark *marks;
    size_t sent, marks_len, marks_cap, marks_done;
};

struct kube_client {
    struct loop *loop;
    struct loop_io io;
    struct list requests;
};

static struct {
    struct api_options options;
    struct {
        bool lags;
        size_t applied; /* entries of the log in its watch cache */
    } servers[API_SERVERS];
    unsigned preferred;
    uint64_t down_until_us, latency_us;
    enum api_list_fault list_fault;
    bool garble[RESOURCES];
    uint64_t began_us[RESOURCES]; /* the list that is being read in pages */
    struct kube_client *client;
} api;

static const char *const resource_names[RESOURCES] = {"services", "endpointslices"};
static const char *const kinds[RESOURCES] = {"Service", "EndpointSlice"};

/* ---- bodies ---- */

static void mark_add(struct kube_request *request, struct mark mark)
{
    mark.at = request->body.len;
    request->marks = xgrow(request->marks, &request->marks_cap, request->marks_len,
                           sizeof(*request->marks));
    request->marks[request->marks_len++] = mark;
}

static void add_bookmark(struct kube_request *request, uint64_t version, bool initial)
{
    (void)buf_printf(&request->body,
                     "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"metadata\":{"
                     "\"resourceVersion\":\"%llu\",\"creationTimestamp\":null%s}}}\n",
                     kinds[request->resource], (unsigned long long)version,
                     initial ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
    if (initial)
        mark_add(request, (struct mark){.kind = MARK_LIST, .step = cluster.step});
}

static void add_event(struct kube_request *request, const struct api_change *change)
{
    const char *type = !change->after ? "DELETED" : change->before ? "MODIFIED" : "ADDED";
    bool garbled = api.garble[request->resource];

    api.garble[request->resource] = false;
    (void)buf_printf(&request->body, garbled ? "{\"type\":\"%s\",,\"object\":"
                                             : "{\"type\":\"%s\",\"object\":", type);
    object_write(&request->body, change->after ? change->after : change->before, change->version);
    (void)buf_add_str(&request->body, STR("}\n"));
    mark_add(request, (struct mark){.kind = garbled ? MARK_BAD : MARK_EVENT,
                                    .step = change->step,
                                    .slot = change->slot});
}

static void add_error(struct kube_request *request, unsigned status, const char *message)
{
    (void)buf_printf(&request->body,
                     "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"status\":\"Failure\","
                     "\"code\":%u,\"message\":\"%s\"}}\n",
                     status, message);
    mark_add(request, (struct mark){.kind = MARK_BAD});
}

/* ---- answers ---- */

static void end_with(struct kube_request *request, unsigned status, enum code code,
                     const char *message)
{
    request->ending = true;
    request->end = (struct kube_response){.status = status, .code = code, .message = message};
}

static void open_body(struct kube_request *request)
{
    request->open = true;
    request->heard_us = sim.now_us;
    if (request->options.on_open)
        request->options.on_open(request->options.ctx);
}

/* The value of a query's key, as a number; 0: it is not there. */
static uint64_t query_u64(const char *path, const char *key)
{
    const char *at = strstr(path, key);

    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* The version of that state: of the last change before it. */
static uint64_t version_at(size_t step)
{
    size_t i = cluster.log_len;

    while (i > 0 && cluster.log[i - 1].step > step)
        i--;
    return i > 0 ? cluster.log[i - 1].version : CLUSTER_VERSION_FIRST;
}

/* "continue" is "<step>.<slot>": the state that the list began with, and where it goes on. */
static void write_page(struct kube_request *request, size_t step, unsigned slot)
{
    bool services = request->resource == RESOURCE_SERVICES;
    unsigned end = services ? SERVICES : SLOTS;
    size_t limit = min_size(api.options.page, (size_t)query_u64(request->path, "limit="));
    struct buf items = BUFFER_INIT(BODY_MAX);
    char next[32] = "";
    size_t len = 0;

    for (; slot < end && len < limit; slot++) {
        const struct api_object *object = cluster_at(slot, step);

        if (!object)
            continue;
        (void)buf_add_str(&items, len++ ? STR(",") : STR(""));
        object_write(&items, object, object->version);
    }
    while (slot < end && !cluster_at(slot, step))
        slot++;
    if (slot < end)
        snprintf(next, sizeof(next), "%zu.%u", step, slot);
    (void)buf_printf(&request->body,
                     "{\"kind\":\"%sList\",\"metadata\":{\"resourceVersion\":\"%llu\","
                     "\"continue\":\"%s\"},\"items\":[",
                     kinds[request->resource], (unsigned long long)version_at(step), next);
    (void)buf_add_str(&request->body, buf_str(&items));
    (void)buf_add_str(&request->body, STR("]}"));
    buf_done(&items);
    if (slot == end && !request->probe)
        mark_add(request, (struct mark){.kind = MARK_LIST, .step = step});
}

static void answer_list(struct kube_request *request)
{
    enum api_list_fault fault = api.list_fault;
    const char *more = strstr(request->path, "continue=");
    size_t step = more ? (size_t)query_u64(request->path, "continue=") : cluster.step;
    unsigned slot = request->resource == RESOURCE_SERVICES ? 0 : SERVICES;

    if (fault != LIST_EXPIRED || more)
        api.list_fault = LIST_FINE;
    if (fault == LIST_UNAVAILABLE) {
        end_with(request, 503, CODE_UNAVAILABLE, "overloaded");
        return;
    }
    if (fault == LIST_PATIENCE) {
        end_with(request, 429, CODE_RESOURCE_EXHAUSTED, "too many requests");
        request->end.retry_after_ms = 1000 * (1 + sim_below(3));
        return;
    }
    if (more && (fault == LIST_EXPIRED || step < cluster.epoch_step ||
                 version_at(step) < cluster.compacted)) {
        end_with(request, 410, CODE_OUT_OF_RANGE, "the continue token is too old");
        return;
    }
    if (more)
        slot = (unsigned)strtoul(strchr(more, '.') + 1, NULL, 10);
    open_body(request);
    write_page(request, step, slot);
    end_with(request, 200, CODE_OK, "");
    if (fault == LIST_CUT) {
        request->body.len = sim_below(request->body.len);
        request->marks_len = 0;
        end_with(request, 200, CODE_UNAVAILABLE, "the body ended early");
    }
}

/* The present state as events, and a bookmark that ends them. */
static void write_initial(struct kube_request *request)
{
    unsigned end = request->resource == RESOURCE_SERVICES ? SERVICES : SLOTS;

    for (unsigned slot = request->resource == RESOURCE_SERVICES ? 0 : SERVICES; slot < end; slot++) {
        const struct api_object *object = cluster_get(slot);

        if (!object)
            continue;
        (void)buf_add_str(&request->body, STR("{\"type\":\"ADDED\",\"object\":"));
        object_write(&request->body, object, object->version);
        (void)buf_add_str(&request->body, STR("}\n"));
    }
    request->next = cluster.log_len;
    add_bookmark(request, cluster.version, true);
}

static void answer_watch(struct kube_request *request)
{
    uint64_t version = query_u64(request->path, "resourceVersion=");
    uint64_t seconds = query_u64(request->path, "timeoutSeconds=");

    if (!request->streams && version < cluster.compacted) {
        if (sim_rarely(2)) {
            end_with(request, 410, CODE_OUT_OF_RANGE, "too old resource version");
            return;
        }
        open_body(request);
        add_error(request, 410, "too old resource version");
        end_with(request, 200, CODE_OK, "");
        return;
    }
    open_body(request);
    request->ends_us = sim.now_us + seconds * SIM_S;
    request->bookmark_us = sim.now_us + SIM_S + sim_below(BOOKMARK_US);
    if (request->streams)
        write_initial(request);
    else
        while (request->next < cluster.log_len && cluster.log[request->next].version <= version)
            request->next++;
}

static void answer(struct kube_request *request)
{
    request->answered = true;
    request->heard_us = sim.now_us;
    if (sim.now_us < api.down_until_us)
        end_with(request, 0, CODE_UNAVAILABLE, "connection refused");
    else if (request->streams && !api.options.streams)
        end_with(request, 422, CODE_FAILED_PRECONDITION, "sendInitialEvents is forbidden");
    else if (request->watch)
        answer_watch(request);
    else
        answer_list(request);
}

/* ---- delivering ---- */

static size_t applied(const struct kube_request *request)
{
    return api.servers[request->server].lags ? api.servers[request->server].applied
                                             : cluster.log_len;
}

static bool has_news(const struct kube_request *request)
{
    return request->open && request->watch && !request->ending && request->next < applied(request);
}

static void write_news(struct kube_request *request)
{
    bool quiet = request->sent == request->body.len;

    for (size_t end = applied(request); request->next < end; request->next++) {
        const struct api_change *change = &cluster.log[request->next];

        if (slot_resource(change->slot) == request->resource)
            add_event(request, change);
    }
    if (quiet)
        request->due_us = max_u64(request->due_us, sim.now_us + sim_below(api.latency_us));
}

static void write_bookmark(struct kube_request *request)
{
    const struct api_change *last = request->next ? &cluster.log[request->next - 1] : NULL;

    request->bookmark_us = sim.now_us + BOOKMARK_US;
    if (last)
        add_bookmark(request, last->version, false);
}

/* A list counts with its last page. */
static void page_is_told(const struct kube_request *request)
{
    uint64_t *began_us = &api.began_us[request->resource];

    if (!strstr(request->path, "continue="))
        *began_us = sim.now_us;
    if (request->marks_len > 0)
        known_list(request->resource, request->marks[0].step, *began_us);
}

static void finish(struct kube_request *request)
{
    if (!request->watch && request->end.code == CODE_OK && !request->probe)
        page_is_told(request);
    request->over = true;
    request->options.on_done(request->options.ctx, &request->end);
}

/* Of a watch. */
static void pass_marks(struct kube_request *request)
{
    for (; request->marks_done < request->marks_len && !request->given_up; request->marks_done++) {
        const struct mark *mark = &request->marks[request->marks_done];

        if (mark->at > request->sent)
            return;
        if (mark->kind == MARK_BAD)
            request->given_up = true;
        else if (mark->kind == MARK_LIST)
            known_list(request->resource, mark->step, request->began_us);
        else
            known_event(mark->slot, mark->step);
    }
}

static void deliver(struct kube_request *request)
{
    size_t left = request->body.len - request->sent;
    size_t len = sim_rarely(4) ? 1 + sim_below(left) : left;
    const char *ptr = request->body.ptr + request->sent;

    request->sent += len;
    request->heard_us = sim.now_us;
    request->due_us = sim.now_us + sim_below(api.latency_us);
    if (!request->began_us)
        request->began_us = sim.now_us;
    if (request->watch)
        pass_marks(request);
    if (!request->options.on_data(request->options.ctx, ptr, len)) {
        request->sent = request->body.len;
        request->given_up = true;
        end_with(request, 200, CODE_DATA_LOSS, "the reader gave up");
    }
}

static uint64_t silence_us(const struct kube_request *request)
{
    uint64_t limit_us = request->options.idle_timeout_ms * SIM_MS;

    if (!request->open)
        return request->heard_us + HEAD_TIMEOUT_US;
    return limit_us ? request->heard_us + limit_us : SIM_NEVER;
}

static uint64_t request_due(const struct kube_request *request)
{
    uint64_t due = silence_us(request);

    if (request->silent || request->over)
        return request->over ? SIM_NEVER : due;
    if (!request->answered || request->ending || request->sent < request->body.len)
        return min_u64(due, request->due_us);
    if (has_news(request))
        return 0;
    if (request->open && request->watch)
        due = min_u64(due, min_u64(request->ends_us, request->bookmark_us));
    return due;
}

static void proceed(struct kube_request *request)
{
    if (!request->answered)
        answer(request);
    else if (request->sent < request->body.len && request->due_us <= sim.now_us)
        deliver(request);
    else if (request->sent == request->body.len && request->ending)
        finish(request);
    else if (has_news(request))
        write_news(request);
    else if (request->open && request->watch && request->ends_us <= sim.now_us)
        end_with(request, 200, CODE_OK, "");
    else if (request->open && request->watch && request->bookmark_us <= sim.now_us)
        write_bookmark(request);
}

static void request_turn(struct kube_request *request)
{
    if (request->over || request->freed || request_due(request) > sim.now_us)
        return;
    if (silence_us(request) <= sim.now_us) {
        end_with(request, request->open ? 200 : 0, CODE_DEADLINE_EXCEEDED, "nothing received");
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
    buf_done(&request->body);
    free(request->marks);
    free(request->path);
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
    api.client = client;
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
            sim_fail("a request outlives its client: %s", request->path);
        request_destroy(request);
    }
    loop_io_leave(&client->io);
    api.client = NULL;
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
    const char *path = options->path;

    request->client = client;
    request->options = *options;
    request->path = xstrdup(path);
    request->options.path = request->path;
    request->resource = strstr(path, resource_names[RESOURCE_SLICES]) ? RESOURCE_SLICES
                                                                      : RESOURCE_SERVICES;
    request->watch = strstr(path, "watch=1") != NULL;
    request->streams = strstr(path, "sendInitialEvents=true") != NULL;
    request->probe = query_u64(path, "limit=") == 1;
    request->server = api.preferred;
    request->due_us = sim.now_us + sim_below(api.latency_us);
    request->heard_us = sim.now_us;
    buf_init(&request->body, BODY_MAX);
    list_append(&client->requests, &request->link);
    sim_trace("GET %s", path);
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
    memset(&api, 0, sizeof(api));
    api.options = *options;
    api.latency_us = LATENCY_US;
}

void api_done(void)
{
    memset(&api, 0, sizeof(api));
}

static void each_request(enum resource resource, void (*fn)(struct kube_request *request))
{
    if (!api.client)
        return;
    list_for_each (link, &api.client->requests) {
        struct kube_request *request = container_of(link, struct kube_request, link);

        if (!request->over && (resource == RESOURCES || request->resource == resource))
            fn(request);
    }
}

static void cut_anywhere(struct kube_request *request)
{
    size_t left = request->body.len - request->sent;

    request->body.len = request->sent + (left ? sim_below(left) : 0);
    request->answered = true;
    request->due_us = 0;
    end_with(request, request->open ? 200 : 0, CODE_UNAVAILABLE, "connection reset");
}

static void cut_orderly(struct kube_request *request)
{
    if (request->watch && request->open && !request->ending)
        end_with(request, 200, CODE_OK, "");
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

void api_lag(unsigned server, bool lag)
{
    if (lag && !api.servers[server].lags)
        api.servers[server].applied = cluster.log_len;
    api.servers[server].lags = lag;
}

void api_prefer(unsigned server)
{
    api.preferred = server;
}

void api_down(uint64_t us)
{
    api.down_until_us = max_u64(api.down_until_us, sim.now_us + us);
    each_request(RESOURCES, cut_anywhere);
}

void api_slow(uint64_t latency_us)
{
    api.latency_us = latency_us;
}

void api_fail_list(enum api_list_fault fault)
{
    api.list_fault = fault;
}

void api_garble(enum resource resource)
{
    api.garble[resource] = true;
}

void api_compact(void)
{
    cluster.compacted = cluster.version;
}

void api_rewind(size_t changes)
{
    size_t kept = cluster.log_len - min_size(changes, cluster.log_len);

    if (kept == 0)
        return;
    cluster_rewind(cluster.log[kept - 1].version);
    for (size_t i = 0; i < API_SERVERS; i++)
        api.servers[i].applied = min_size(api.servers[i].applied, cluster.log_len);
}

void api_heal(void)
{
    for (unsigned i = 0; i < API_SERVERS; i++)
        api_lag(i, false);
    api.latency_us = LATENCY_US;
    api.list_fault = LIST_FINE;
    memset(api.garble, 0, sizeof(api.garble));
}
