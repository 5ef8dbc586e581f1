/* Of a client: requests that wait for a credential plugin, and go out again with what it says. */
#include <criterion/criterion.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_server.h"
#include "kube/client.h"
#include "turn.h"

#define REQUESTS_MAX 4

/* The server accepts one token; the plugin prints what is in a file. */
static struct world {
    struct loop *loop;
    struct fake_server server;
    struct kube_config config;
    struct kube_exec exec;
    struct kube_client *client;
    struct kube_request *requests[REQUESTS_MAX];
    char folder[64];
    char plugin[128];
    char url[64];
    char accepted[64]; /* the token */
    size_t dones;
    unsigned status;
    enum code code;
    char message[512];
    size_t again; /* on_done starts so many more */
} w;

static void file_write(const char *name, const char *text)
{
    char path[160];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", w.folder, name);
    file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(path, 0700), 0);
}

static size_t runs(void)
{
    char path[160];
    struct stat st;

    snprintf(path, sizeof(path), "%s/runs", w.folder);
    return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

static void serve(void *ctx unused_arg, struct fake_conn *conn, const char *path unused_arg,
                  const char *head)
{
    char want[128];

    snprintf(want, sizeof(want), "\r\nAuthorization: Bearer %s\r\n", w.accepted);
    if (strstr(head, want))
        fake_answer(conn, 200, "", "fine");
    else
        fake_answer(conn, 401, "", "{\"message\":\"Unauthorized\"}");
}

static void plugin_make(void)
{
    static char version[] = "client.authentication.k8s.io/v1";
    static char *env[] = {NULL};
    static char *argv[] = {w.plugin, NULL};
    char script[512];

    snprintf(script, sizeof(script),
             "#!/bin/sh\ncd %s\nprintf x >> runs\n"
             "[ -f token ] || { echo 'log in first' >&2; exit 7; }\n"
             "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"%s\",\"status\":{\"token\":\"'"
             "$(cat token)'\"}}'\n",
             w.folder, version);
    file_write("plugin", script);
    snprintf(w.plugin, sizeof(w.plugin), "%s/plugin", w.folder);
    w.exec = (struct kube_exec){.api_version = version, .argv = argv, .env = env};
    w.config.exec = &w.exec;
}

static void world_make(void)
{
    memset(&w, 0, sizeof(w));
    snprintf(w.folder, sizeof(w.folder), "/tmp/client-identity-XXXXXX");
    cr_assert_not_null(mkdtemp(w.folder));
    cr_assert_eq(loop_new(&w.loop, NULL), CODE_OK);
    w.server.on_request = serve;
    fake_server_start(&w.server, w.loop, 0);
    snprintf(w.url, sizeof(w.url), "http://127.0.0.1:%u", w.server.port);
    w.config.server = w.url;
    plugin_make();
    cr_assert_eq(kube_client_new(w.loop, &w.config, &w.client, NULL), CODE_OK);
}

static void world_free(void)
{
    static const char *const names[] = {"plugin", "token", "runs"};
    char path[160];

    for (size_t i = 0; i < REQUESTS_MAX; i++)
        kube_request_free(w.requests[i]);
    kube_client_free(w.client);
    fake_server_stop(&w.server);
    loop_free(w.loop);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", w.folder, names[i]);
        unlink(path);
    }
    rmdir(w.folder);
}

TestSuite(client_identity, .init = world_make, .fini = world_free, .timeout = 20);

static void get(size_t at);

static bool on_data(void *ctx unused_arg, const char *ptr unused_arg, size_t len unused_arg)
{
    return true;
}

static void on_done(void *ctx, const struct kube_response *response)
{
    struct kube_request **slot = ctx;

    w.dones++;
    w.status = response->status;
    w.code = response->code;
    snprintf(w.message, sizeof(w.message), "%s", response->message);
    kube_request_free(TAKE(*slot));
    if (w.again > 0) {
        w.again--;
        get((size_t)(slot - w.requests));
    }
}

static void get(size_t at)
{
    struct kube_request_options options = {
        .path = "/x", .on_data = on_data, .on_done = on_done, .ctx = &w.requests[at]};
    struct err err = {0};

    cr_assert_eq(kube_request_start(w.client, &options, &w.requests[at], &err), CODE_OK, "%s",
                 err.msg);
}

static void tokens(const char *given, const char *accepted)
{
    file_write("token", given);
    snprintf(w.accepted, sizeof(w.accepted), "%s", accepted);
}

Test(client_identity, waits_for_the_plugin_once)
{
    tokens("t1", "t1");
    get(0);
    get(1);
    turn_until(w.loop, &w.dones, 2);
    cr_assert_eq(w.status, 200);
    get(0);
    turn_until(w.loop, &w.dones, 3);
    cr_assert_eq(w.status, 200);
    cr_assert_eq(runs(), 1);
    cr_assert_eq(w.server.requests, 3);
}

Test(client_identity, goes_out_again_with_new_credentials_when_the_old_are_refused)
{
    tokens("t1", "t1");
    get(0);
    turn_until(w.loop, &w.dones, 1);
    tokens("t2", "t2");
    get(0);
    get(1);
    turn_until(w.loop, &w.dones, 3);
    cr_assert_eq(w.status, 200, "%s", w.message);
    cr_assert_eq(w.code, CODE_OK);
    cr_assert_eq(runs(), 2);
}

Test(client_identity, tells_of_a_second_refusal)
{
    tokens("t1", "other");
    get(0);
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.status, 401);
    cr_assert_eq(w.code, CODE_UNAUTHENTICATED);
    cr_assert_str_eq(w.message, "HTTP 401: Unauthorized");
    cr_assert_eq(w.server.requests, 2);
    cr_assert_eq(runs(), 2);
}

Test(client_identity, tells_everybody_that_the_plugin_failed)
{
    char want[256];

    get(0);
    get(1);
    turn_until(w.loop, &w.dones, 2);
    cr_assert_eq(runs(), 1);
    cr_assert_eq(w.code, CODE_UNAUTHENTICATED);
    cr_assert_eq(w.status, 0);
    snprintf(want, sizeof(want), "credential plugin '%s': exit status 7: log in first", w.plugin);
    cr_assert_str_eq(w.message, want);
    w.again = 1; /* begun by who is told, so for a run of its own */
    get(0);
    turn_until(w.loop, &w.dones, 4);
    cr_assert_eq(runs(), 3);
    cr_assert_eq(w.server.requests, 0);
}

Test(client_identity, request_may_be_freed_while_it_waits)
{
    tokens("t1", "t1");
    get(0);
    get(1);
    loop_turn(w.loop, 1);
    kube_request_free(TAKE(w.requests[0]));
    turn_until(w.loop, &w.dones, 1);
    cr_assert_eq(w.server.requests, 1);
}

Test(client_identity, client_may_be_freed_while_the_plugin_runs)
{
    tokens("t1", "t1");
    get(0);
    loop_turn(w.loop, 1);
    kube_request_free(TAKE(w.requests[0]));
    kube_client_free(TAKE(w.client));
    turn_for_ms(w.loop, 20);
    cr_assert_eq(w.dones, 0);
}
