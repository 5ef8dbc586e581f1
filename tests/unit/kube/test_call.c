#include <criterion/criterion.h>

#include "fake_server.h"
#include "kube/call.h"
#include "turn.h"

/* One client, one server; the path says what the server does. */
static struct world {
    struct loop *loop;
    struct fake_server server;
    struct kube_config config;
    struct kube_client *client;
    struct kube_call *call;
    char url[64];
    char head[8192]; /* of the last request, with its body */
    size_t dones;
    enum code code;
    unsigned status;
    char message[512];
    char body[4096];
} w;

static void on_done(void *ctx unused_arg, const struct kube_response *response, struct str body)
{
    w.call = NULL;
    w.dones++;
    w.code = response->code;
    w.status = response->status;
    snprintf(w.message, sizeof(w.message), "%s", response->message);
    snprintf(w.body, sizeof(w.body), "%" STR_FMT, STR_ARG(body));
}

static void serve(void *ctx unused_arg, struct fake_conn *conn, const char *path, const char *head)
{
    snprintf(w.head, sizeof(w.head), "%s", head);
    if (strcmp(path, "/ok") == 0)
        fake_answer(conn, 201, "", "{\"made\":1}");
    else if (strcmp(path, "/conflict") == 0)
        fake_answer(conn, 409, "", "{\"kind\":\"Status\",\"message\":\"it was modified\"}");
    else if (strcmp(path, "/trickle") == 0) {
        fake_open(conn);
        fake_chunk(conn, "some");
    } else
        cr_assert_str_eq(path, "/silent");
}

static void start(const char *method, const char *path, struct str body, uint64_t timeout_ms)
{
    struct kube_call_options options = {.method = method,
                                        .path = path,
                                        .body = body,
                                        .content_type =
                                            method ? "application/apply-patch+yaml" : NULL,
                                        .max_body = 64,
                                        .timeout_ms = timeout_ms,
                                        .on_done = on_done};

    w.call = kube_call_start(w.client, &options);
}

static void world_make(void)
{
    memset(&w, 0, sizeof(w));
    cr_assert_eq(loop_new(&w.loop, NULL), CODE_OK);
    w.server.on_request = serve;
    fake_server_start(&w.server, w.loop, 0);
    snprintf(w.url, sizeof(w.url), "http://127.0.0.1:%u", w.server.port);
    w.config.server = w.url;
    cr_assert_eq(kube_client_new(w.loop, &w.config, &w.client, NULL), CODE_OK);
}

static void world_free(void)
{
    kube_call_free(w.call);
    kube_client_free(w.client);
    fake_server_stop(&w.server);
    loop_free(w.loop);
}

TestSuite(call, .init = world_make, .fini = world_free);

Test(call, sends_method_body_and_type)
{
    start("PATCH", "/ok", STR("{\"status\":{}}"), 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_OK);
    cr_assert_eq(w.status, 201);
    cr_assert_str_eq(w.body, "{\"made\":1}");
    cr_assert(str_starts_with(str_of(w.head), STR("PATCH /ok HTTP/1.1\r\n")), "%s", w.head);
    cr_assert_not_null(strstr(w.head, "\r\nContent-Type: application/apply-patch+yaml\r\n"));
    cr_assert_not_null(strstr(w.head, "\r\nContent-Length: 13\r\n"));
    cr_assert_null(strstr(w.head, "Expect"));
    cr_assert(str_ends_with(str_of(w.head), STR("\r\n\r\n{\"status\":{}}")), "%s", w.head);
}

Test(call, asks_without_a_body)
{
    start(NULL, "/ok", STR(""), 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert(str_starts_with(str_of(w.head), STR("GET /ok HTTP/1.1\r\n")), "%s", w.head);
    cr_assert_null(strstr(w.head, "Content-Length"));
}

Test(call, sends_large_bodies_at_once)
{
    static char large[3000];

    memset(large, 'x', sizeof(large));
    start("POST", "/ok", str_make(large, sizeof(large)), 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_OK);
    cr_assert_null(strstr(w.head, "Expect"));
}

Test(call, tells_a_conflict_and_what_the_server_says)
{
    start("PUT", "/conflict", STR("{}"), 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_ABORTED);
    cr_assert_eq(w.status, 409);
    cr_assert_str_eq(w.message, "HTTP 409: it was modified");
    cr_assert_str_eq(w.body, "");
}

Test(call, is_over_when_its_time_is_up_although_bytes_came)
{
    start(NULL, "/trickle", STR(""), 50);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_DEADLINE_EXCEEDED);
    cr_assert_str_eq(w.message, "no answer within 50 ms");
}

Test(call, bounds_the_answer)
{
    start(NULL, "/trickle", STR(""), 0);
    turn_until(w.loop, &w.server.requests, 1);
    for (size_t i = 0; i < 20; i++)
        fake_chunk(w.server.conns[0], "more");
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_RESOURCE_EXHAUSTED);
}

Test(call, tells_later_that_it_could_not_begin)
{
    kube_client_free(TAKE(w.client));
    w.config.token_file = (char[]){"/nowhere/token"};
    cr_assert_eq(kube_client_new(w.loop, &w.config, &w.client, NULL), CODE_OK);
    start(NULL, "/ok", STR(""), 0);
    cr_assert_eq(w.dones, 0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.code, CODE_UNAUTHENTICATED);
    cr_assert_not_null(strstr(w.message, "/nowhere/token"), "%s", w.message);
}

Test(call, says_nothing_once_it_is_freed)
{
    start("POST", "/silent", STR("{}"), 50);
    turn_until(w.loop, &w.server.requests, 1);
    kube_call_free(TAKE(w.call));
    turn_for_ms(w.loop, 100);
    cr_assert_eq(w.dones, 0);
}
