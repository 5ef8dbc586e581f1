#include "kube/client_internal.h"

#include <assert.h>

#include "base/log.h"

/* ---- libcurl's sockets on the loop ---- */

struct curl_socket {
    struct kube_client *client;
    curl_socket_t fd;
    struct fd_watch *watch;
};

static void socket_action(struct kube_client *client, curl_socket_t fd, int events);

static void on_fd(void *ctx, int events)
{
    struct curl_socket *sock = ctx;
    int bits = 0;

    if (events & FD_READABLE)
        bits |= CURL_CSELECT_IN;
    if (events & FD_WRITABLE)
        bits |= CURL_CSELECT_OUT;
    socket_action(sock->client, sock->fd, bits); /* may free sock */
}

static struct curl_socket *socket_open(struct kube_client *client, curl_socket_t fd)
{
    struct curl_socket *sock = xcalloc(1, sizeof(*sock));
    struct err err = {0};

    sock->client = client;
    sock->fd = fd;
    if (fd_watch_new(client->loop, fd, on_fd, sock, &sock->watch, &err) != CODE_OK) {
        log_error(LOG_KUBE, "cannot watch a socket", KV_ERR(&err));
        free(sock);
        return NULL;
    }
    curl_multi_assign(client->multi, fd, sock);
    return sock;
}

static int on_curl_socket(CURL *easy unused_arg, curl_socket_t fd, int what, void *ctx,
                          void *socket_ctx)
{
    struct kube_client *client = ctx;
    struct curl_socket *sock = socket_ctx;
    int events = 0;

    if (what == CURL_POLL_REMOVE) {
        if (sock)
            fd_watch_free(sock->watch);
        free(sock);
        curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    if (!sock)
        sock = socket_open(client, fd);
    if (!sock)
        return -1;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= FD_READABLE;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= FD_WRITABLE;
    fd_watch_set(sock->watch, events);
    return 0;
}

static int on_curl_timer(CURLM *multi unused_arg, long timeout_ms, void *ctx)
{
    struct kube_client *client = ctx;

    if (timeout_ms < 0)
        timer_stop(client->timer);
    else
        timer_start(client->timer, (uint64_t)timeout_ms);
    return 0;
}

/* ---- transfers ---- */

static void finished_collect(struct kube_client *client)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct kube_request *request = NULL;

        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &request);
        request_finish(request, msg->data.result);
    }
}

static void socket_action(struct kube_client *client, curl_socket_t fd, int events)
{
    int running;

    client->inside = true;
    curl_multi_socket_action(client->multi, fd, events, &running);
    client->inside = false;
    finished_collect(client);
}

static void on_timer(void *ctx)
{
    socket_action(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static void zombies_bury(struct kube_client *client)
{
    struct list *node;

    while ((node = list_pop(&client->zombies)) != NULL)
        request_destroy(container_of(node, struct kube_request, link));
}

static void start_one(struct kube_client *client, struct kube_request *request)
{
    struct err err = {0};

    list_append(&client->running, &request->link);
    if (request->identified || request_identify(request, &err) == CODE_OK)
        request_go(request);
    else
        request_fail(request, &err);
}

static void on_chores(void *ctx)
{
    struct kube_client *client = ctx;
    struct list *node;

    zombies_bury(client);
    if (list_empty(&client->starting) || !identity_ready(client->identity))
        return; /* on_identity_settled() goes on */
    while ((node = list_pop(&client->starting)) != NULL)
        start_one(client, container_of(node, struct kube_request, link));
}

/* Those that wait go out, or fail: all that do now, not those that their owners start in answer. */
static void on_identity_settled(void *ctx, const struct err *err)
{
    struct kube_client *client = ctx;
    struct list waiting;
    struct list *node;

    if (!err) {
        deferred_schedule(client->loop, &client->chores);
        return;
    }
    list_init(&waiting);
    while ((node = list_pop(&client->starting)) != NULL)
        list_append(&waiting, node);
    while ((node = list_pop(&waiting)) != NULL) {
        list_append(&client->running, node);
        request_fail(container_of(node, struct kube_request, link), err);
    }
}

/* ---- public ---- */

static void multi_configure(struct kube_client *client)
{
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
}

enum code kube_client_new(struct loop *loop, const struct kube_config *config,
                          struct kube_client **ret_client, struct err *err)
{
    struct endpoint_url url = {0};
    struct kube_client *client;
    enum code code;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return fail(err, CODE_INTERNAL, "cannot initialise libcurl");
    code = endpoint_url_make(config, &url, err);
    if (code != CODE_OK) {
        curl_global_cleanup();
        return code;
    }
    client = xcalloc(1, sizeof(*client));
    client->loop = loop;
    client->config = config;
    client->url = url;
    list_init(&client->starting);
    list_init(&client->running);
    list_init(&client->zombies);
    client->identity = identity_new(&(struct identity_options){
        .loop = loop, .config = config, .on_settled = on_identity_settled, .ctx = client});
    client->timer = timer_new(loop, on_timer, client);
    deferred_init(&client->chores, on_chores, client);
    client->multi = curl_multi_init();
    if (!client->multi)
        abort(); /* out of memory */
    multi_configure(client);
    *ret_client = client;
    return CODE_OK;
}

void kube_client_free(struct kube_client *client)
{
    if (!client)
        return;
    assert(!client->inside);
    zombies_bury(client);
    assert(list_empty(&client->starting) && list_empty(&client->running));
    deferred_cancel(&client->chores);
    curl_multi_cleanup(client->multi); /* closes idle connections: may still call on_curl_socket */
    timer_free(client->timer);
    identity_free(client->identity);
    endpoint_url_done(&client->url);
    free(client);
    curl_global_cleanup();
}

struct loop *kube_client_loop(const struct kube_client *client)
{
    return client->loop;
}

enum code kube_request_start(struct kube_client *client, const struct kube_request_options *options,
                             struct kube_request **ret_request, struct err *err)
{
    struct kube_request *request = request_new(client, options);
    enum code code = CODE_OK;

    /* What is already known to be wrong is said here. */
    if (!client->config->exec)
        code = request_identify(request, err);
    if (code != CODE_OK) {
        request_destroy(request);
        return code;
    }
    list_append(&client->starting, &request->link);
    deferred_schedule(client->loop, &client->chores);
    *ret_request = request;
    return CODE_OK;
}

void kube_request_free(struct kube_request *request)
{
    if (!request)
        return;
    assert(!request->freed);
    request->freed = true;
    list_remove(&request->link);
    if (!request->client->inside) {
        request_destroy(request);
        return;
    }
    list_append(&request->client->zombies, &request->link);
    deferred_schedule(request->client->loop, &request->client->chores);
}
