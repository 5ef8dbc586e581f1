/* Calls of clients that are known by their addresses, before anything is known of these. */
#include <criterion/criterion.h>

#include "fixture.h"
#include "grpc/client.h"

#define LIST "/lookaside.v1.BackendDiscovery/List"

static struct serve_fixture fixture;
static struct grpc_client *client;

struct end {
    bool ended;
    enum code code;
    char message[256];
};

static void on_end(void *ctx, enum code code, const char *message)
{
    struct end *end = ctx;

    end->ended = true;
    end->code = code;
    snprintf(end->message, sizeof(end->message), "%s", message);
}

static bool has_ended(const void *ctx)
{
    return ((const struct end *)ctx)->ended;
}

static const struct grpc_call_handler handler = {.on_end = on_end};

static void set_up(void)
{
    struct err err = {0};

    serve_fixture_start(&fixture, (struct serve_options){.threads = 1, .pods = true});
    serve_publish(fixture.serve, catalog_new_empty());
    cr_assert_eq(
        grpc_client_new(&(struct grpc_client_options){.loop = fixture.loop,
                                                      .server = serve_address(fixture.serve, 0),
                                                      .authority = "test",
                                                      .connect_timeout_ms = 5000},
                        &client, &err),
        CODE_OK, "%s", err.msg);
}

static void tear_down(void)
{
    grpc_client_free(client);
    serve_fixture_stop(&fixture);
}

TestSuite(identify, .init = set_up, .fini = tear_down, .timeout = 30);

/* A List of nothing. */
static struct end call(void)
{
    struct end end = {0};
    struct grpc_call *started = grpc_call_start(client, LIST, 0, &handler, &end);

    grpc_call_send(started, "", 0, true);
    serve_fixture_wait(&fixture, has_ended, &end);
    return end;
}

static bool has_metric(const char *line)
{
    struct buf out = BUFFER_INIT(1 << 20);
    bool found;

    serve_write_metrics(fixture.serve, &out);
    found = strstr(buf_cstr(&out), line) != NULL;
    buf_done(&out);
    return found;
}

Test(identify, nobody_is_served_before_pods_are_known)
{
    struct end end = call();

    cr_assert_eq(end.code, CODE_UNAVAILABLE);
    cr_assert_str_eq(end.message, "pods are not known yet: try again later");
    cr_assert(has_metric("lookaside_peers_total{result=\"no-pods\"} 1\n"));
    serve_set_pods(fixture.serve, pod_table_new_empty());
    for (size_t i = 0; i < 1000 && end.code == CODE_UNAVAILABLE; i++)
        end = call();
    cr_assert_neq(end.code, CODE_UNAVAILABLE, "%s", end.message);
    cr_assert(has_metric("lookaside_peers_total{result=\"pod-unknown\"} 1\n"));
}
