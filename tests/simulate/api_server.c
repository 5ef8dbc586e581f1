#include "api_server.h"

#include "sim.h"

#define BOOKMARK_US (60 * SIM_S)

static struct {
    struct api_options options;
    struct {
        bool lags;
        size_t applied; /* entries of the log in its watch cache */
    } servers[API_SERVERS];
    unsigned preferred;
    enum api_list_fault list_fault;
    bool garble[RESOURCES];
} api;

static const char *const resource_names[RESOURCES] = {"/services", "/endpointslices"};

/* ---- answers ---- */

void api_request_end(struct api_request *request, unsigned status, enum code code,
                     const char *message)
{
    request->ending = true;
    request->end = (struct kube_response){.status = status, .code = code, .message = message};
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

static struct api_place place_of(const struct api_request *request)
{
    const char *token = strstr(request->path, "continue=");

    if (!token)
        return (struct api_place){cluster.step, resource_first(request->resource)};
    return (struct api_place){(size_t)query_u64(token, "continue="),
                              (unsigned)query_u64(token, ".")};
}

/* The fault that this list has; one that is for continue tokens waits for one. */
static enum api_list_fault take_fault(const struct api_request *request)
{
    enum api_list_fault fault = api.list_fault;

    if (fault == LIST_EXPIRED && !request->continues)
        return LIST_FINE;
    api.list_fault = LIST_FINE;
    return fault;
}

/* True: that is the whole answer. */
static bool is_refused(struct api_request *request, enum api_list_fault fault)
{
    if (fault == LIST_UNAVAILABLE)
        api_request_end(request, 503, CODE_UNAVAILABLE, "overloaded");
    if (fault == LIST_PATIENCE) {
        api_request_end(request, 429, CODE_RESOURCE_EXHAUSTED, "too many requests");
        request->end.retry_after_ms = 1000 * (1 + sim_below(3));
    }
    return request->ending;
}

static void cut_list(struct api_request *request, enum code code)
{
    request->body.bytes.len = sim_below(request->body.bytes.len);
    request->body.marks_len = 0;
    api_request_end(request, 200, code, "the body ended early");
}

static void answer_list(struct api_request *request)
{
    enum api_list_fault fault = take_fault(request);
    struct api_place at = place_of(request);
    size_t limit = min_size(api.options.page, (size_t)query_u64(request->path, "limit="));
    uint64_t version = version_at(at.step);

    if (is_refused(request, fault))
        return;
    if (request->continues &&
        (fault == LIST_EXPIRED || at.step < cluster.epoch_step || version < cluster.compacted)) {
        api_request_end(request, 410, CODE_OUT_OF_RANGE, "the continue token is too old");
        return;
    }
    request->open = true;
    api_body_add_page(&request->body, at, limit, version, !request->probe);
    api_request_end(request, 200, CODE_OK, "");
    if (fault == LIST_CUT)
        cut_list(request, CODE_UNAVAILABLE);
}

static void open_watch(struct api_request *request)
{
    request->open = true;
    request->ends_us = sim.now_us + query_u64(request->path, "timeoutSeconds=") * SIM_S;
    request->bookmark_us = sim.now_us + SIM_S + sim_below(BOOKMARK_US);
}

/* A list, and the watch that follows it. */
static void answer_stream(struct api_request *request)
{
    enum api_list_fault fault = take_fault(request);

    if (is_refused(request, fault))
        return;
    open_watch(request);
    request->next = cluster.log_len;
    api_body_add_state(&request->body);
    if (fault == LIST_CUT)
        cut_list(request, sim_rarely(2) ? CODE_OK : CODE_UNAVAILABLE);
}

static void answer_watch(struct api_request *request)
{
    uint64_t version = query_u64(request->path, "resourceVersion=");

    if (version < cluster.compacted) {
        if (sim_rarely(2)) {
            api_request_end(request, 410, CODE_OUT_OF_RANGE, "too old resource version");
            return;
        }
        request->open = true;
        api_body_add_error(&request->body, 410, "too old resource version");
        api_request_end(request, 200, CODE_OK, "");
        return;
    }
    open_watch(request);
    while (request->next < cluster.log_len && cluster.log[request->next].version <= version)
        request->next++;
}

bool api_is_there(const struct api_request *request)
{
    return strstr(request->path, resource_names[request->resource]) != NULL;
}

void api_answer(struct api_request *request)
{
    if (!api_is_there(request))
        api_request_end(request, 404, CODE_NOT_FOUND, "404 page not found");
    else if (request->streams && !api.options.streams)
        api_request_end(request, 422, CODE_FAILED_PRECONDITION, "sendInitialEvents is forbidden");
    else if (request->streams)
        answer_stream(request);
    else if (request->watch)
        answer_watch(request);
    else
        answer_list(request);
}

/* ---- watches, as they go on ---- */

static size_t applied(const struct api_request *request)
{
    return api.servers[request->server].lags ? api.servers[request->server].applied
                                             : cluster.log_len;
}

static bool has_news(const struct api_request *request)
{
    return request->next < applied(request);
}

static void write_news(struct api_request *request)
{
    bool *garble = &api.garble[request->resource];

    for (size_t end = applied(request); request->next < end; request->next++) {
        const struct api_change *change = &cluster.log[request->next];

        if (slot_resource(change->slot) != request->resource)
            continue;
        api_body_add_event(&request->body, change, *garble);
        *garble = false;
    }
}

/* At the version that it has told up to. */
static void write_bookmark(struct api_request *request)
{
    request->bookmark_us = sim.now_us + BOOKMARK_US;
    if (request->next > 0)
        api_body_add_bookmark(&request->body, cluster.log[request->next - 1].version);
}

uint64_t api_request_due(const struct api_request *request)
{
    if (!request->watch || !request->open || request->ending)
        return SIM_NEVER;
    return has_news(request) ? 0 : min_u64(request->ends_us, request->bookmark_us);
}

void api_request_proceed(struct api_request *request)
{
    if (has_news(request))
        write_news(request);
    else if (request->ends_us <= sim.now_us)
        api_request_end(request, 200, CODE_OK, "");
    else
        write_bookmark(request);
}

/* ---- requests ---- */

void api_request_init(struct api_request *request, const char *path)
{
    *request = (struct api_request){
        .path = xstrdup(path),
        .resource =
            strstr(path, resource_names[RESOURCE_SLICES]) ? RESOURCE_SLICES : RESOURCE_SERVICES,
        .watch = strstr(path, "watch=1") != NULL,
        .streams = strstr(path, "sendInitialEvents=true") != NULL,
        .probe = query_u64(path, "limit=") == 1,
        .continues = strstr(path, "continue=") != NULL,
        .server = api.preferred,
    };
    api_body_init(&request->body, request->resource);
}

void api_request_done(struct api_request *request)
{
    api_body_done(&request->body);
    free(request->path);
}

/* ---- faults ---- */

void api_server_start(const struct api_options *options)
{
    memset(&api, 0, sizeof(api));
    api.options = *options;
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

void api_server_heal(void)
{
    for (unsigned i = 0; i < API_SERVERS; i++)
        api_lag(i, false);
    api.list_fault = LIST_FINE;
    memset(api.garble, 0, sizeof(api.garble));
}
