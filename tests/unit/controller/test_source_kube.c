/* Both collections of an API server, against one that answers lists at once and keeps watches open. */
#include "fixture.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller/source.h"

#define CONNS_MAX 16

struct conn {
    int fd;
    struct fd_watch *watch;
    char head[4096];
    size_t len;
};

static struct {
    int fd;
    struct fd_watch *watch;
    struct conn conns[CONNS_MAX];
    size_t conns_len;
    char asked[4096]; /* paths of lists, one a line */
    size_t lists, watches;
    bool refuse_slices; /* 403 */
    bool refuse_nodes;
    bool has_policies; /* else 404, and not counted */
    int watch_fds[CONNS_MAX];
} server;

static void answer(int fd, const char *status, const char *body)
{
    char text[8192];
    int len =
        snprintf(text, sizeof(text),
                 "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                 status, strlen(body), body);

    cr_assert_eq(write(fd, text, (size_t)len), len);
}

#define LIST(kind, items)                                                                          \
    "{\"kind\":\"" kind "\",\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" items "]}"

#define ENDPOINTS_LIST                                                                             \
    LIST("EndpointsList", "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"greeter\","            \
                          "\"resourceVersion\":\"9\"},\"subsets\":[{\"addresses\":["               \
                          "{\"ip\":\"10.0.0.7\"}],\"ports\":[{\"port\":9001}]}]}")

#define POLICY(version, policy)                                                                    \
    "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"greeter\",\"resourceVersion\":\"" version          \
    "\"},\"spec\":{\"loadBalancing\":{\"policy\":" policy "}}}"

static void answer_list(int fd, const char *path)
{
    size_t used = strlen(server.asked);
    const char *query = strchr(path, '?');
    int len = query ? (int)(query - path) : (int)strlen(path);

    snprintf(server.asked + used, sizeof(server.asked) - used, "%.*s\n", len, path);
    if (strstr(path, "/lookasideservices") && !server.has_policies) {
        answer(fd, "404 Not Found", "404 page not found");
        return;
    }
    server.lists++;
    if (strstr(path, "/lookasideservices"))
        answer(fd, "200 OK", LIST("LookasideServiceList", POLICY("9", "\"RingHash\"")));
    else if (strstr(path, "/nodes") && server.refuse_nodes)
        answer(fd, "403 Forbidden", "{\"kind\":\"Status\",\"message\":\"no right to list nodes\"}");
    else if (strstr(path, "/nodes"))
        answer(fd, "200 OK", LIST("NodeList", ""));
    else if (strstr(path, "/endpoints?"))
        answer(fd, "200 OK", ENDPOINTS_LIST);
    else if (strstr(path, "endpointslices") && server.refuse_slices)
        answer(fd, "403 Forbidden",
               "{\"kind\":\"Status\",\"message\":\"no right to list endpointslices\"}");
    else if (strstr(path, "endpointslices"))
        answer(
            fd, "200 OK",
            LIST(
                "EndpointSliceList",
                "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"greeter-a\",\"resourceVersion\":"
                "\"9\","
                "\"labels\":{\"kubernetes.io/service-name\":\"greeter\"}},\"addressType\":\"IPv4\","
                "\"ports\":[{\"port\":9001}],\"endpoints\":[{\"addresses\":[\"10.0.0.1\"]}]}"));
    else
        answer(fd, "200 OK",
               LIST("ServiceList", "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"greeter\","
                                   "\"resourceVersion\":\"8\"},"
                                   "\"spec\":{\"ports\":[{\"port\":8001}]}}"));
}

static void answer_watch(int fd, const char *path)
{
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

    cr_assert_eq(write(fd, head, sizeof(head) - 1), (ssize_t)sizeof(head) - 1);
    server.watch_fds[strstr(path, "endpointslices")      ? OBJECT_SLICE
                     : strstr(path, "lookasideservices") ? OBJECT_POLICY
                                                         : OBJECT_SERVICE] = fd;
    server.watches++;
}

static void on_request(struct conn *conn)
{
    char path[1024];

    cr_assert_eq(sscanf(conn->head, "GET %1023s", path), 1, "%s", conn->head);
    conn->len = 0;
    if (strstr(path, "sendInitialEvents"))
        answer(conn->fd, "422 Unprocessable Entity", "{}");
    else if (strstr(path, "watch=1") || strstr(path, "watch=true"))
        answer_watch(conn->fd, path);
    else
        answer_list(conn->fd, path);
}

static void on_bytes(void *ctx, unused_arg int events)
{
    struct conn *conn = ctx;
    ssize_t got = read(conn->fd, conn->head + conn->len, sizeof(conn->head) - 1 - conn->len);

    if (got <= 0) {
        fd_watch_set(conn->watch, 0);
        return;
    }
    conn->len += (size_t)got;
    conn->head[conn->len] = '\0';
    if (strstr(conn->head, "\r\n\r\n"))
        on_request(conn);
}

static void on_accept(unused_arg void *ctx, unused_arg int events)
{
    struct conn *conn = &server.conns[server.conns_len++];

    cr_assert_leq(server.conns_len, CONNS_MAX);
    conn->fd = accept(server.fd, NULL, NULL);
    cr_assert_eq(fd_watch_new(world.loop, conn->fd, on_bytes, conn, &conn->watch, NULL), CODE_OK);
    fd_watch_set(conn->watch, FD_READABLE);
}

static unsigned server_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(server.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(server.fd, 16), 0);
    cr_assert_eq(getsockname(server.fd, (struct sockaddr *)&address, &len), 0);
    cr_assert_eq(fd_watch_new(world.loop, server.fd, on_accept, NULL, &server.watch, NULL),
                 CODE_OK);
    fd_watch_set(server.watch, FD_READABLE);
    return ntohs(address.sin_port);
}

static void server_stop(void)
{
    for (size_t i = 0; i < server.conns_len; i++) {
        fd_watch_free(server.conns[i].watch);
        close(server.conns[i].fd);
    }
    fd_watch_free(server.watch);
    close(server.fd);
}

static struct kube_config config;
static struct kube_client *client;
static struct source *source;
static char url[64];

static void start(void)
{
    world_start_bare();
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", server_start());
    config = (struct kube_config){.server = url, .namespace_name = (char *)"default"};
    cr_assert_eq(kube_client_new(world.loop, &config, &client, NULL), CODE_OK);
}

static void stop(void)
{
    source_free(source);
    kube_client_free(client);
    server_stop();
    world_stop();
}

TestSuite(source_kube, .init = start, .fini = stop);

static void open_with(struct source_kube_options options)
{
    struct err err = {0};

    options.client = client;
    cr_assert_eq(source_kube_new(world.loop, world.controller, &options, &source, &err), CODE_OK,
                 "%s", err.msg);
}

static void open_source(const char *const *namespaces)
{
    open_with((struct source_kube_options){.namespaces = namespaces});
}

static void send_event(enum object_kind kind, const char *type, const char *object)
{
    char body[2048], text[2200];
    int body_len = snprintf(body, sizeof(body), "{\"type\":\"%s\",\"object\":%s}\n", type, object);
    int len = snprintf(text, sizeof(text), "%x\r\n%s\r\n", (unsigned)body_len, body);

    cr_assert_eq(write(server.watch_fds[kind], text, (size_t)len), len);
}

Test(source_kube, publishes_when_both_collections_are_listed)
{
    open_source(NULL);
    cr_assert(!source_synced(source, NULL));
    cr_assert_eq(world.publications, 0);
    turn_until(&world.publications, 1);
    cr_assert(source_synced(source, NULL));
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    cr_assert_eq(server.lists, 2);
    cr_assert(strstr(server.asked, "/api/v1/services\n"), "%s", server.asked);
    cr_assert(strstr(server.asked, "/apis/discovery.k8s.io/v1/endpointslices\n"), "%s",
              server.asked);
}

Test(source_kube, follows_the_watches)
{
    open_source(NULL);
    turn_until(&server.watches, 2);
    send_event(
        OBJECT_SLICE, "ADDED",
        "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"greeter-b\",\"resourceVersion\":\"11\","
        "\"labels\":{\"kubernetes.io/service-name\":\"greeter\"}},\"addressType\":\"IPv4\","
        "\"ports\":[{\"port\":9001}],\"endpoints\":[{\"addresses\":[\"10.0.0.2\"]}]}");
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.2:9001");
    send_event(
        OBJECT_SERVICE, "DELETED",
        "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"greeter\",\"resourceVersion\":\"12\"},"
        "\"spec\":{\"ports\":[{\"port\":8001}]}}");
    turn_until_published("greeter", "none");
    cr_assert_lt(source_staleness_us(source), 5 * 1000 * 1000);
}

Test(source_kube, is_served_without_resources_that_are_not_there)
{
    struct buf text = BUFFER_INIT(1 << 16);

    open_source(NULL);
    turn_until(&world.publications, 1);
    cr_assert_eq(published_service("greeter")->policy, policy_default());
    source_write_metrics(source, &text);
    cr_assert(strstr(buf_cstr(&text),
                     "lookaside_source_absent{resource=\"lookasideservices\",namespace=\"\"} 1"),
              "%s", buf_cstr(&text));
    buf_done(&text);
}

Test(source_kube, follows_resources)
{
    static const char *const namespaces[] = {"shop", NULL};

    server.has_policies = true;
    open_source(namespaces);
    turn_until(&world.publications, 1);
    cr_assert(
        strstr(server.asked, "/apis/lookaside.dev/v1alpha1/namespaces/shop/lookasideservices\n"),
        "%s", server.asked);
    cr_assert_eq(published_service("greeter")->policy->lb, LB_RING_HASH);
    turn_until(&server.watches, 3);
    send_event(OBJECT_POLICY, "MODIFIED", POLICY("11", "\"LeastRequest\""));
    while (published_service("greeter")->policy->lb != LB_LEAST_REQUEST)
        turn_until(&world.publications, world.publications + 1);
    send_event(OBJECT_POLICY, "DELETED", POLICY("12", "\"LeastRequest\""));
    while (published_service("greeter")->policy != policy_default())
        turn_until(&world.publications, world.publications + 1);
}

Test(source_kube, lists_each_namespace_once)
{
    static const char *const namespaces[] = {"shop", "web", "shop", NULL};
    static const char *const paths[] = {
        "/api/v1/namespaces/shop/services\n",
        "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices\n",
        "/api/v1/namespaces/web/services\n",
        "/apis/discovery.k8s.io/v1/namespaces/web/endpointslices\n",
    };

    open_source(namespaces);
    turn_until(&world.publications, 1);
    cr_assert_eq(server.lists, 4);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        cr_assert(strstr(server.asked, paths[i]), "%s in %s", paths[i], server.asked);
}

Test(source_kube, says_what_is_missing)
{
    struct buf reason = BUFFER_INIT(4096);

    log_capture();
    server.refuse_slices = true;
    open_source(NULL);
    (void)source_synced(source, &reason);
    cr_assert_str_eq(buf_cstr(&reason), "the first list of services is not complete; "
                                        "the first list of endpointslices is not complete; "
                                        "the first list of lookasideservices is not complete");
    turn_until(&server.lists, 2);
    turn_for_ms(50);
    buf_reset(&reason);
    cr_assert(!source_synced(source, &reason));
    cr_assert(strstr(buf_cstr(&reason), "no right to list endpointslices"), "%s",
              buf_cstr(&reason));
    cr_assert(!strstr(buf_cstr(&reason), "services "), "%s", buf_cstr(&reason));
    cr_assert_eq(world.publications, 0);
    buf_reset(&reason);
    source_problem(source, &reason);
    cr_assert(strstr(buf_cstr(&reason), "no right to list endpointslices"), "%s",
              buf_cstr(&reason));
    buf_done(&reason);
}

Test(source_kube, reads_endpoints_in_place_of_slices_when_told)
{
    open_with((struct source_kube_options){.endpoints = true});
    turn_until(&world.publications, 1);
    cr_assert(strstr(server.asked, "/api/v1/endpoints\n"), "%s", server.asked);
    cr_assert(!strstr(server.asked, "endpointslices"), "%s", server.asked);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.7:9001");
}

Test(source_kube, reads_nodes_of_the_cluster_when_told)
{
    static const char *const namespaces[] = {"shop", NULL};

    open_with((struct source_kube_options){.namespaces = namespaces, .nodes = true});
    turn_until(&world.publications, 1);
    cr_assert(strstr(server.asked, "/api/v1/nodes\n"), "%s", server.asked);
    cr_assert_eq(server.lists, 3);
}

Test(source_kube, is_served_without_nodes_that_are_not_for_us)
{
    struct buf text = BUFFER_INIT(1 << 16);

    log_capture();
    server.refuse_nodes = true;
    open_with((struct source_kube_options){.nodes = true});
    turn_until(&world.publications, 1);
    cr_assert(source_synced(source, NULL));
    source_problem(source, &text);
    cr_assert_eq(text.len, 0, "nodes are optional");
    source_write_metrics(source, &text);
    cr_assert(
        strstr(buf_cstr(&text), "lookaside_source_absent{resource=\"nodes\",namespace=\"\"} 1"),
        "%s", buf_cstr(&text));
    buf_done(&text);
}

Test(source_kube, refuses_what_is_no_namespace)
{
    static const char *const bad[] = {"", "Shop", "a/b", "..", "a b"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *const namespaces[] = {"shop", bad[i], NULL};
        struct source_kube_options options = {.client = client, .namespaces = namespaces};
        struct err err = {0};
        char wanted[64];

        snprintf(wanted, sizeof(wanted), "'%s' is no namespace", bad[i]);
        cr_assert_eq(source_kube_new(world.loop, world.controller, &options, &source, &err),
                     CODE_INVALID_ARGUMENT, "%s", bad[i]);
        cr_assert_str_eq(err.msg, wanted);
    }
}

Test(source_kube, tells_metrics_for_each_collection_and_each_head_once)
{
    static const char *const namespaces[] = {"shop", "web", NULL};
    struct buf text = BUFFER_INIT(1 << 16);
    const char *all;

    open_source(namespaces);
    turn_until(&world.publications, 1);
    source_write_metrics(source, &text);
    all = buf_cstr(&text);
    cr_assert_eq(log_count(all, "# HELP lookaside_source_lists_total "), 1, "%s", all);
    cr_assert_eq(log_count(all, "# TYPE lookaside_source_lists_total counter\n"), 1);
    cr_assert_eq(log_count(all, "\nlookaside_source_lists_total{"), 12);
    cr_assert(strstr(all, "\nlookaside_source_lists_total{resource=\"services\",namespace=\"web\","
                          "kind=\"paged\"} 1\n"));
    cr_assert(strstr(all, "\nlookaside_source_relists_total{resource=\"services\","
                          "namespace=\"web\",cause=\"rewound\"} 0\n"));
    cr_assert_eq(log_count(all, "\nlookaside_source_relists_total{"), 6 * 6);
    cr_assert_eq(log_count(all, "# TYPE lookaside_source_staleness_seconds gauge\n"), 1);
    cr_assert_eq(log_count(all, "\nlookaside_source_staleness_seconds{"), 6);
    cr_assert(strstr(
        all,
        "\nlookaside_source_errors_total{resource=\"endpointslices\",namespace=\"shop\"} 0\n"));
    buf_done(&text);
}
