#include <criterion/criterion.h>

#include "fake_server.h"
#include "kube/client.h"
#include "turn.h"

/* One client, one server, one loop; the script says what the server does. */
static struct world {
    struct loop *loop;
    struct fake_server server;
    struct kube_config config;
    struct kube_client *client;
    struct kube_request *request;
    char url[64];
    char head[4096]; /* of the last request */
    char body[4096];
    size_t opens;
    size_t datas;
    size_t dones;
    enum code code;
    unsigned status;
    uint64_t retry_after_ms;
    char message[512];
    bool refuse_data;
    bool free_in_data;
    bool free_in_open;
    bool free_in_done;
    bool again_in_done;
    bool again_in_data;
} w;

static void request_get(const char *path, bool watch, uint64_t idle_ms, uint64_t max_body);

static void on_open(void *ctx unused_arg)
{
    w.opens++;
    if (w.free_in_open)
        kube_request_free(TAKE(w.request));
}

static bool on_data(void *ctx unused_arg, const char *ptr, size_t len)
{
    size_t have = strlen(w.body);

    w.datas++;
    snprintf(w.body + have, sizeof(w.body) - have, "%.*s", (int)len, ptr);
    if (w.free_in_data)
        kube_request_free(TAKE(w.request));
    if (w.again_in_data) {
        w.again_in_data = false;
        request_get("/second", false, 0, 0);
    }
    return !w.refuse_data;
}

static void on_done(void *ctx unused_arg, const struct kube_response *response)
{
    w.dones++;
    w.code = response->code;
    w.status = response->status;
    w.retry_after_ms = response->retry_after_ms;
    snprintf(w.message, sizeof(w.message), "%s", response->message);
    if (w.free_in_done)
        kube_request_free(TAKE(w.request));
    if (w.again_in_done) {
        w.again_in_done = false;
        request_get("/second", false, 0, 0);
    }
}

static void request_get(const char *path, bool watch, uint64_t idle_ms, uint64_t max_body)
{
    struct kube_request_options options = {.path = path,
                                           .watch = watch,
                                           .idle_timeout_ms = idle_ms,
                                           .max_body = max_body,
                                           .on_open = on_open,
                                           .on_data = on_data,
                                           .on_done = on_done};
    struct err err = {0};

    cr_assert_eq(kube_request_start(w.client, &options, &w.request, &err), CODE_OK, "%s", err.msg);
}

static void serve(void *ctx unused_arg, struct fake_conn *conn, const char *path, const char *head)
{
    snprintf(w.head, sizeof(w.head), "%s", head);
    if (strcmp(path, "/ok") == 0 || strcmp(path, "/second") == 0)
        fake_answer(conn, 200, "", "fine");
    else if (strcmp(path, "/stream") == 0) {
        fake_open(conn);
        fake_chunk(conn, "one");
    } else if (strcmp(path, "/forbidden") == 0)
        fake_answer(conn, 403, "", "{\"kind\":\"Status\",\"message\":\"services is forbidden\"}");
    else if (strcmp(path, "/busy") == 0)
        fake_answer(conn, 429, "Retry-After: 7\r\n", "busy");
    else if (strcmp(path, "/sleepy") == 0)
        fake_answer(conn, 503, "Retry-After: 99999999\r\n", "");
    else if (strcmp(path, "/overloaded") == 0)
        fake_answer(conn, 429, "Retry-After: 1\r\n",
                    "{\"message\":\"queue is full\",\"details\":{\"retryAfterSeconds\":9}}");
    else if (strcmp(path, "/gone") == 0)
        fake_answer(conn, 410, "", "");
    else if (strcmp(path, "/cut") == 0) {
        fake_send(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 42);
        fake_close(conn, false);
    } else if (strcmp(path, "/reset") == 0)
        fake_close(conn, true);
    else
        cr_assert_str_eq(path, "/silent");
}

static void client_make(void)
{
    struct err err = {0};

    cr_assert_eq(kube_client_new(w.loop, &w.config, &w.client, &err), CODE_OK, "%s", err.msg);
}

static void world_make(void)
{
    memset(&w, 0, sizeof(w));
    cr_assert_eq(loop_new(&w.loop, NULL), CODE_OK);
    w.server.on_request = serve;
    fake_server_start(&w.server, w.loop, 0);
    snprintf(w.url, sizeof(w.url), "http://127.0.0.1:%u", w.server.port);
    w.config.server = w.url;
    w.free_in_done = true;
    client_make();
}

static void world_free(void)
{
    kube_request_free(w.request);
    kube_client_free(w.client);
    fake_server_stop(&w.server);
    loop_free(w.loop);
}

TestSuite(client, .init = world_make, .fini = world_free);

Test(client, delivers_head_body_and_end)
{
    request_get("/ok", false, 0, 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_OK);
    cr_assert_eq(w.status, 200);
    cr_assert_eq(w.opens, 1);
    cr_assert_str_eq(w.body, "fine");
    cr_assert_str_eq(w.message, "");
}

Test(client, says_who_it_is_and_what_it_takes)
{
    request_get("/ok", false, 0, 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_not_null(strstr(w.head, "\r\nUser-Agent: lookaside/" LOOKASIDE_VERSION "\r\n"));
    cr_assert_not_null(strstr(w.head, "\r\nAccept: application/json\r\n"));
    cr_assert_not_null(strstr(w.head, "\r\nAccept-Encoding: gzip\r\n"));
    cr_assert_null(strstr(w.head, "Authorization"));
}

Test(client, sends_the_token_and_keeps_the_path_of_the_server)
{
    kube_client_free(TAKE(w.client));
    snprintf(w.url, sizeof(w.url), "http://127.0.0.1:%u/", w.server.port);
    w.config.token = (char[]){"secret"};
    client_make();
    request_get("/ok", false, 0, 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_not_null(strstr(w.head, "GET /ok HTTP/1.1\r\n"), "%s", w.head);
    cr_assert_not_null(strstr(w.head, "\r\nAuthorization: Bearer secret\r\n"));
}

Test(client, overrides_the_name_but_not_the_host_header)
{
    char want[64];

    kube_client_free(TAKE(w.client));
    w.config.tls_server_name = (char[]){"api.example"};
    client_make();
    request_get("/ok", false, 0, 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_OK, "%s", w.message);
    snprintf(want, sizeof(want), "\r\nHost: 127.0.0.1:%u\r\n", w.server.port);
    cr_assert_not_null(strstr(w.head, want), "%s", w.head);
}

Test(client, uses_one_connection_again_but_a_new_one_for_each_watch)
{
    request_get("/ok", false, 0, 0);
    turn_until(w.loop, &w.dones, 1);
    request_get("/ok", false, 0, 0);
    turn_until(w.loop, &w.dones, 2);
    cr_assert_eq(w.server.accepted, 1);
    request_get("/ok", true, 0, 0);
    turn_until(w.loop, &w.dones, 3);
    request_get("/ok", true, 0, 0);
    turn_until(w.loop, &w.dones, 4);
    cr_assert_eq(w.server.accepted, 3);
}

Test(client, turns_statuses_into_codes_and_quotes_the_server)
{
    static const struct {
        const char *path;
        enum code code;
        const char *message;
        uint64_t retry_after_ms;
    } cases[] = {
        {"/forbidden", CODE_PERMISSION_DENIED, "HTTP 403: services is forbidden", 0},
        {"/busy", CODE_RESOURCE_EXHAUSTED, "HTTP 429", 7000},
        {"/sleepy", CODE_UNAVAILABLE, "HTTP 503", 300000},
        {"/overloaded", CODE_RESOURCE_EXHAUSTED, "HTTP 429: queue is full", 9000},
        {"/gone", CODE_OUT_OF_RANGE, "HTTP 410", 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        request_get(cases[i].path, false, 0, 0);
        turn_until(w.loop, &w.dones, i + 1);
        cr_assert_eq(w.code, cases[i].code, "%s", cases[i].path);
        cr_assert_str_eq(w.message, cases[i].message);
        cr_assert_eq(w.retry_after_ms, cases[i].retry_after_ms);
    }
    cr_assert_eq(w.opens + w.datas, 0);
}

Test(client, reports_connections_that_break)
{
    request_get("/cut", false, 0, 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_UNAVAILABLE);
    cr_assert_eq(w.status, 200);
    request_get("/reset", true, 0, 0);
    turn_until(w.loop, &w.dones, 2);
    cr_assert_eq(w.code, CODE_UNAVAILABLE);
    cr_assert_eq(w.status, 0);
    cr_assert_neq(w.message[0], '\0');
}

Test(client, reports_a_refused_connection)
{
    unsigned port = w.server.port;

    fake_server_stop(&w.server);
    request_get("/ok", false, 0, 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_UNAVAILABLE);
    cr_assert_eq(w.status, 0);
    cr_assert_not_null(strstr(w.message, "refused"), "%s", w.message);
    fake_server_start(&w.server, w.loop, port);
    request_get("/ok", false, 0, 0);
    turn_until(w.loop, &w.dones, 2);
    cr_assert_eq(w.code, CODE_OK);
}

Test(client, ends_an_answer_that_falls_silent)
{
    request_get("/stream", true, 200, 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_DEADLINE_EXCEEDED);
    cr_assert_str_eq(w.body, "one");
    cr_assert_str_eq(w.message, "nothing received for 200 ms");
}

Test(client, a_stream_that_speaks_is_not_silent)
{
    request_get("/stream", true, 300, 0);
    turn_until(w.loop, &w.datas, 1);
    for (size_t i = 0; i < 4; i++) {
        turn_for_ms(w.loop, 150);
        cr_assert_eq(w.dones, 0);
        fake_chunk(w.server.conns[0], "x");
        turn_until(w.loop, &w.datas, i + 2);
    }
    fake_end(w.server.conns[0]);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_OK);
    cr_assert_str_eq(w.body, "onexxxx");
}

Test(client, refuses_a_body_that_is_too_large)
{
    request_get("/ok", false, 0, 3);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(w.message, "the answer is larger than 3 bytes");
    cr_assert_eq(w.datas, 0);
}

Test(client, ends_with_data_loss_when_the_owner_refuses)
{
    w.refuse_data = true;
    request_get("/stream", true, 0, 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_DATA_LOSS);
    cr_assert_eq(w.datas, 1);
}

/* No callback may come after kube_request_free(), wherever it is called. */

static void assert_quiet_after_free(void)
{
    turn_for_ms(w.loop, 50);
    cr_assert_eq(w.dones, 0);
    request_get("/ok", false, 0, 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_OK);
}

Test(client, request_may_be_freed_before_it_starts)
{
    request_get("/ok", false, 0, 0);
    kube_request_free(TAKE(w.request));
    assert_quiet_after_free();
    cr_assert_eq(w.server.requests, 1);
}

Test(client, request_may_be_freed_in_on_data)
{
    w.free_in_data = true;
    request_get("/stream", true, 0, 0);
    turn_until(w.loop, &w.datas, 1);
    w.free_in_data = false;
    assert_quiet_after_free();
}

Test(client, request_may_be_freed_in_on_open)
{
    w.free_in_open = true;
    request_get("/ok", false, 0, 0);
    turn_until(w.loop, &w.opens, 1);
    w.free_in_open = false;
    cr_assert_eq(w.datas, 0);
    assert_quiet_after_free();
}

Test(client, request_may_be_freed_in_mid_flight)
{
    request_get("/silent", true, 0, 0);
    turn_until(w.loop, &w.server.requests, 1);
    kube_request_free(TAKE(w.request));
    assert_quiet_after_free();
}

Test(client, request_may_be_freed_in_on_data_just_before_the_client)
{
    w.free_in_data = true;
    request_get("/stream", true, 0, 0);
    turn_until(w.loop, &w.datas, 1);
}

Test(client, next_request_may_start_in_on_done)
{
    w.again_in_done = true;
    request_get("/ok", false, 0, 0);
    turn_until(w.loop, &w.dones, 2);
    cr_assert_eq(w.code, CODE_OK);
}

Test(client, next_request_may_start_in_on_data)
{
    struct kube_request *first;

    w.again_in_data = true;
    request_get("/stream", true, 0, 0);
    first = w.request;
    turn_until(w.loop, &w.dones, 1);
    cr_assert_str_eq(w.body, "onefine");
    kube_request_free(first);
}

Test(client, refuses_a_server_that_is_no_url)
{
    struct kube_config config = {.server = (char[]){"https://a b:x"}};
    struct kube_client *client = NULL;
    struct err err = {0};

    cr_assert_eq(kube_client_new(w.loop, &config, &client, &err), CODE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.msg, "server 'https://a b:x': "), "%s", err.msg);
}

Test(client, needs_a_token_file_that_can_be_read)
{
    struct kube_request_options options = {.path = "/ok", .on_data = on_data, .on_done = on_done};
    struct err err = {0};

    kube_client_free(TAKE(w.client));
    w.config.token_file = (char[]){"/nowhere/token"};
    client_make();
    cr_assert_eq(kube_request_start(w.client, &options, &w.request, &err), CODE_UNAUTHENTICATED);
    cr_assert_str_eq(err.msg, "token: cannot read '/nowhere/token': No such file or directory");
}
