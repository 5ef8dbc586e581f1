#include "admin/admin.h"

#include <microhttpd.h>
#include <netinet/in.h>

#include "base/list.h"
#include "base/log.h"
#include "base/metric.h"
#include "net/listener.h"

/* libmicrohttpd polls its own descriptors behind one epoll fd; its idle timeouts need a look now
 * and then. */
#define ADMIN_HOUSEKEEPING_MS 1000

struct admin {
    struct loop *loop;
    const struct admin_route *routes;
    size_t routes_len;
    void *ctx;
    struct MHD_Daemon *daemon;
    struct listener *listener;
    struct fd_watch *watch;
    struct timer *housekeeping;
    struct deferred work;
    struct list waiting; /* requests whose reply comes later */
    struct counter refused;
};

struct admin_request {
    struct list link;
    struct admin *admin;
    struct MHD_Connection *connection;
    struct MHD_Response *response;
    unsigned status;
    bool started, suspended;
    struct buf body;
};

/* ---- requests ---- */

static bool is_local(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct address address = {.len = sizeof(address.storage)};

    if (!info || !info->client_addr)
        return false;
    if (info->client_addr->sa_family == AF_UNIX)
        return true;
    memcpy(&address.storage, info->client_addr,
           info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                    : sizeof(struct sockaddr_in));
    return address_is_local(&address);
}

static struct MHD_Response *make_response(const char *content_type, struct str body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.len, (void *)(uintptr_t)body.ptr, MHD_RESPMEM_MUST_COPY);

    MHD_add_response_header(response, "Content-Type", content_type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    return response;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response = make_response("text/plain; charset=utf-8", str_of(text));
    enum MHD_Result result = MHD_queue_response(connection, status, response);

    MHD_destroy_response(response);
    return result;
}

static const struct admin_route *find_route(const struct admin *admin, const char *path)
{
    for (size_t i = 0; i < admin->routes_len; i++)
        if (strcmp(admin->routes[i].path, path) == 0)
            return &admin->routes[i];
    return NULL;
}

static bool is_post(const struct admin_route *route)
{
    return strcmp(route->method, "POST") == 0;
}

static bool method_fits(const struct admin_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 || (!is_post(route) && strcmp(method, "HEAD") == 0);
}

static enum MHD_Result answer_wrong_method(struct MHD_Connection *connection,
                                           const struct admin_route *route)
{
    bool post = is_post(route);
    struct MHD_Response *response = make_response(
        "text/plain; charset=utf-8", post ? STR("only POST is allowed here\n")
                                          : STR("only GET is allowed here\n"));
    enum MHD_Result result;

    MHD_add_response_header(response, "Allow", post ? "POST" : "GET, HEAD");
    result = MHD_queue_response(connection, MHD_HTTP_METHOD_NOT_ALLOWED, response);
    MHD_destroy_response(response);
    return result;
}

/* What is wrong with a request's query, if anything. */
struct query_check {
    struct MHD_Connection *connection;
    size_t len;
    const char *fault;
};

static enum MHD_Result check_argument(void *ctx, enum MHD_ValueKind kind, const char *key,
                                      size_t key_len, const char *value, size_t len)
{
    struct query_check *check = ctx;
    const char *first;

    if (++check->len > ADMIN_ARGUMENTS_MAX)
        check->fault = "the query has too many arguments\n";
    else if (len > ADMIN_ARGUMENT_MAX)
        check->fault = "an argument of the query is too long\n";
    else if (strlen(key) != key_len || (value && strlen(value) != len))
        check->fault = "the query holds a NUL byte\n";
    else if (!MHD_lookup_connection_value_n(check->connection, kind, key, key_len, &first, NULL) ||
             first != value)
        check->fault = "the query names an argument twice\n";
    return check->fault ? MHD_NO : MHD_YES;
}

/* NULL: nothing. */
static const char *query_fault(struct MHD_Connection *connection)
{
    struct query_check check = {.connection = connection};

    MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, check_argument, &check);
    return check.fault;
}

/* Why this client may not have it; NULL: it may. */
static const char *refuse(struct MHD_Connection *connection, const struct admin_route *route)
{
    if ((route->local_only || is_post(route)) && !is_local(connection))
        return "only clients on loopback or a unix socket may do this; use kubectl port-forward\n";
    if (is_post(route) &&
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN))
        return "web pages may not do this\n";
    return NULL;
}

static enum MHD_Result answer_index(struct admin *admin, struct MHD_Connection *connection)
{
    struct buf text = BUFFER_INIT(16 * 1024);
    enum MHD_Result result;

    buf_printf(&text, "lookaside %s\n\n", LOOKASIDE_VERSION);
    for (size_t i = 0; i < admin->routes_len; i++)
        buf_printf(&text, "%-5s %-18s %s%s\n", admin->routes[i].method, admin->routes[i].path,
                   admin->routes[i].help,
                   admin->routes[i].local_only || is_post(&admin->routes[i])
                       ? " (local clients only)"
                       : "");
    result = answer(connection, MHD_HTTP_OK, buf_cstr(&text));
    buf_done(&text);
    return result;
}

/* Queues what the handler replied. */
static enum MHD_Result finish(struct admin_request *request)
{
    enum MHD_Result result =
        MHD_queue_response(request->connection, request->status, request->response);

    MHD_destroy_response(request->response);
    request->response = NULL;
    return result;
}

static enum MHD_Result start(struct admin_request *request, const struct admin_route *route)
{
    struct admin *admin = request->admin;

    request->started = true;
    route->handle(admin->ctx, request);
    if (request->response)
        return finish(request);
    request->suspended = true;
    list_append(&admin->waiting, &request->link);
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

/* Headers are there, the body is not. Without a route the body has no bound but 0. */
static struct admin_request *request_new(struct admin *admin, struct MHD_Connection *connection,
                                         const struct admin_route *route, const char *method)
{
    struct admin_request *request = xcalloc(1, sizeof(*request));
    bool takes = route && method_fits(route, method) && !refuse(connection, route);

    request->admin = admin;
    request->connection = connection;
    buf_init(&request->body, takes ? route->body_max : 0);
    list_init(&request->link);
    return request;
}

static enum MHD_Result answer_request(struct admin_request *request, const char *url,
                                      const char *method)
{
    struct MHD_Connection *connection = request->connection;
    const struct admin_route *route = find_route(request->admin, url);
    const char *refusal, *fault;

    if (strcmp(url, "/") == 0)
        return answer_index(request->admin, connection);
    if (!route)
        return answer(connection, MHD_HTTP_NOT_FOUND, "no such page; see /\n");
    if (!method_fits(route, method))
        return answer_wrong_method(connection, route);
    refusal = refuse(connection, route);
    if (refusal)
        return answer(connection, MHD_HTTP_FORBIDDEN, refusal);
    fault = query_fault(connection);
    if (fault)
        return answer(connection, MHD_HTTP_BAD_REQUEST, fault);
    if (route->body_max > 0 && buf_failed(&request->body))
        return answer(connection, MHD_HTTP_CONTENT_TOO_LARGE, "the request is too large\n");
    return start(request, route);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version unused_arg,
                                  const char *body, size_t *body_len, void **request_state)
{
    struct admin_request *request = *request_state;

    if (!request) {
        *request_state = request_new(ctx, connection, find_route(ctx, url), method);
        return MHD_YES;
    }
    if (*body_len) {
        (void)buf_append(&request->body, body, *body_len);
        *body_len = 0;
        return MHD_YES;
    }
    return request->started ? finish(request) : answer_request(request, url, method);
}

static void on_request_over(void *ctx unused_arg, struct MHD_Connection *connection unused_arg,
                            void **request_state, enum MHD_RequestTerminationCode how unused_arg)
{
    struct admin_request *request = *request_state;

    if (!request)
        return;
    list_remove(&request->link);
    if (request->response)
        MHD_destroy_response(request->response);
    buf_done(&request->body);
    free(request);
}

void *admin_ctx(const struct admin_request *request)
{
    return request->admin->ctx;
}

struct str admin_body(const struct admin_request *request)
{
    return buf_str(&request->body);
}

const char *admin_argument(struct admin_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

void admin_reply(struct admin_request *request, unsigned status, const char *content_type,
                 struct str body)
{
    request->status = status;
    request->response = make_response(content_type, body);
    if (!request->suspended)
        return;
    request->suspended = false;
    list_remove(&request->link);
    MHD_resume_connection(request->connection);
    deferred_schedule(request->admin->loop, &request->admin->work);
}

/* ---- life ---- */

/* One MHD_run() may leave work that no event announces (a pipelined request, an answer's end): it
 * then says "0 ms". The rest waits for the next turn, so that nobody can keep the loop here. */
static void work(void *ctx)
{
    struct admin *admin = ctx;
    MHD_UNSIGNED_LONG_LONG wait_ms;

    MHD_run(admin->daemon);
    if (MHD_get_timeout(admin->daemon, &wait_ms) == MHD_YES && wait_ms == 0)
        deferred_schedule(admin->loop, &admin->work);
}

static void on_accept(void *ctx, int fd, const struct address *peer)
{
    struct admin *admin = ctx;

    if (MHD_add_connection(admin->daemon, fd, (const struct sockaddr *)&peer->storage, peer->len) !=
        MHD_YES) {
        counter_add(&admin->refused, 1);
        log_debug(LOG_ADMIN, "connection refused: too many");
    }
    deferred_schedule(admin->loop, &admin->work);
}

static void on_readable(void *ctx, int events unused_arg)
{
    work(ctx);
}

static enum code start_daemon(struct admin *admin, struct err *err)
{
    const union MHD_DaemonInfo *info;

    admin->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_request, admin, MHD_OPTION_CONNECTION_LIMIT, (unsigned)ADMIN_CONNECTIONS_MAX,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)ADMIN_CONNECTIONS_PER_IP_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)ADMIN_IDLE_S, MHD_OPTION_NOTIFY_COMPLETED,
        on_request_over, NULL, MHD_OPTION_END);
    if (!admin->daemon)
        return fail(err, CODE_INTERNAL, "cannot start the admin server");
    info = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return fail(err, CODE_INTERNAL, "cannot start the admin server: no epoll");
    return fd_watch_new(admin->loop, info->epoll_fd, on_readable, admin, &admin->watch, err);
}

enum code admin_new(struct loop *loop, const struct address *address,
                    const struct admin_route *routes, size_t routes_len, void *ctx,
                    struct admin **ret_admin, struct err *err)
{
    CLEANUP(admin_freep) struct admin *admin = xcalloc(1, sizeof(*admin));
    enum code code;

    admin->loop = loop;
    admin->routes = routes;
    admin->routes_len = routes_len;
    admin->ctx = ctx;
    list_init(&admin->waiting);
    deferred_init(&admin->work, work, admin);
    code = start_daemon(admin, err);
    if (code == CODE_OK)
        code = listener_new(loop, address, on_accept, admin, &admin->listener, err);
    if (code != CODE_OK)
        return code;
    fd_watch_set(admin->watch, FD_READABLE);
    admin->housekeeping = timer_new(loop, work, admin);
    timer_repeat(admin->housekeeping, ADMIN_HOUSEKEEPING_MS, ADMIN_HOUSEKEEPING_MS);
    *ret_admin = TAKE(admin);
    return CODE_OK;
}

void admin_free(struct admin *admin)
{
    if (!admin)
        return;
    listener_free(admin->listener);
    while (!list_empty(&admin->waiting))
        admin_reply(container_of(admin->waiting.next, struct admin_request, link),
                    MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain", STR("shutting down\n"));
    if (admin->daemon)
        MHD_run(admin->daemon);
    deferred_cancel(&admin->work);
    timer_free(admin->housekeeping);
    fd_watch_free(admin->watch);
    if (admin->daemon)
        MHD_stop_daemon(admin->daemon);
    free(admin);
}

const struct address *admin_address(const struct admin *admin)
{
    return listener_address(admin->listener);
}

uint64_t admin_refused(const struct admin *admin)
{
    return counter_get(&admin->refused);
}
