/* Load reports over a connection: what is answered, what of them counts, and what is left of a stream that ends. */
#include <criterion/criterion.h>

#include "stream_client.h"

#define LOAD "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"

static struct serve_fixture fixture;
static struct stream_client client;
static struct buf page; /* the newest that was asked for */
static bool answered;
static enum code ended;

static const struct fixture_endpoint endpoints[] = {{.address = "10.0.0.1"}};

static void start(uint64_t interval_ms)
{
    serve_fixture_start(&fixture,
                        (struct serve_options){.threads = 2, .load_interval_ms = interval_ms});
    serve_publish(fixture.serve,
                  catalog_with(NULL, &(struct fixture_service){
                                         .name = "greeter", .endpoints = endpoints, .len = 1}));
    buf_init(&page, 1024 * 1024);
}

static void set_up(void)
{
    start(1000);
    client_open(&client, &fixture, LOAD);
}

static void tear_down(void)
{
    client_close(&client);
    buf_done(&page);
    serve_fixture_stop(&fixture);
}

TestSuite(load_stream, .init = set_up, .fini = tear_down);

/* ---- requests ---- */

static void put_cluster(struct buf *out, const char *name, uint64_t succeeded, uint64_t in_progress)
{
    size_t cluster = wire_open(out, LOAD_STATS_REQUEST_CLUSTER_STATS);
    size_t calls;

    wire_put_bytes(out, CLUSTER_STATS_CLUSTER_NAME, str_of(name));
    calls = wire_open(out, CLUSTER_STATS_UPSTREAM_LOCALITY_STATS);
    wire_put_varint(out, UPSTREAM_LOCALITY_STATS_TOTAL_SUCCESSFUL_REQUESTS, succeeded);
    wire_put_varint(out, UPSTREAM_LOCALITY_STATS_TOTAL_REQUESTS_IN_PROGRESS, in_progress);
    wire_close(out, calls);
    wire_close(out, cluster);
}

static void greet(void)
{
    struct buf request = BUFFER_INIT(64);

    wire_put_bytes(&request, LOAD_STATS_REQUEST_NODE, STR(""));
    client_ask(&client, &request);
}

static void report(const char *name, uint64_t succeeded, uint64_t in_progress)
{
    struct buf request = BUFFER_INIT(4096);

    put_cluster(&request, name, succeeded, in_progress);
    client_send(&client, &request);
}

/* ---- what became of them ---- */

static bool is_answered(const void *ctx unused_arg)
{
    return answered;
}

static void on_loads(void *ctx unused_arg, const struct load_table *loads)
{
    struct json_writer writer = json_writer(&page);

    buf_reset(&page);
    json_open_object(&writer, NULL);
    serve_write_loads(loads, &writer);
    json_close_object(&writer);
    serve_write_load_metrics(loads, &page);
    answered = true;
}

static void on_counts(void *ctx unused_arg, struct buf *json)
{
    buf_reset(&page);
    buf_add_str(&page, buf_str(json));
    answered = true;
}

static bool has(const char *text)
{
    return memmem(page.ptr, page.len, text, strlen(text)) != NULL;
}

static bool loads_have(const void *text)
{
    answered = false;
    serve_collect_loads(fixture.serve, on_loads, NULL);
    serve_fixture_wait(&fixture, is_answered, NULL);
    return has(text);
}

static void wait_for(const char *text)
{
    for (int i = 0; i < 2000; i++)
        if (loads_have(text))
            return;
    cr_assert_fail("'%s' does not come: %.*s", text, (int)page.len, page.ptr);
}

static const char *metrics(void)
{
    buf_reset(&page);
    serve_write_metrics(fixture.serve, &page);
    return buf_cstr(&page);
}

static bool metrics_have(const void *text)
{
    return strstr(metrics(), text) != NULL;
}

Test(load_stream, is_answered_with_the_interval)
{
    greet();
    cr_assert_eq(client.newest.len, 6);
    cr_assert_arr_eq(client.newest.ptr, "\x12\x02\x08\x01\x20\x01", 6);
    cr_assert(metrics_have("lookaside_load_streams 1\n"));
}

Test(load_stream, reports_add_up_for_the_service_whatever_the_clusters_name)
{
    greet();
    report("shop/greeter:8001", 5, 0);
    report("xdstp://a/envoy.config.cluster.v3.Cluster/shop/greeter:8001", 6, 0);
    report("shop/greeter/pod-0:8001", 7, 0);
    wait_for("\"succeeded\":18,");
    cr_assert(
        has("lookaside_load_calls_total{service=\"shop/greeter\",zone=\"\",client_namespace=\"\","
            "result=\"succeeded\"} 18\n"));
    answered = false;
    serve_count_streams(fixture.serve, on_counts, NULL);
    serve_fixture_wait(&fixture, is_answered, NULL);
    cr_assert(has("\"calls\":{\"shop/greeter\":"), "%.*s", (int)page.len, page.ptr);
    cr_assert(has("\"failed\":{\"shop/greeter\":0}"));
}

Test(load_stream, clusters_of_no_service_are_left_out)
{
    greet();
    report("shop/nobody:8001", 5, 0);
    report("no name", 5, 0);
    serve_fixture_wait(&fixture, metrics_have,
                       "lookaside_load_left_out_total{what=\"unknown\"} 2\n");
    cr_assert_not(loads_have("nobody"));
}

Test(load_stream, calls_in_progress_end_with_the_stream)
{
    greet();
    report("shop/greeter:8001", 1, 4);
    wait_for("\"inProgress\":4,");
    client_close(&client);
    wait_for("\"inProgress\":0,");
    serve_fixture_wait(&fixture, metrics_have, "lookaside_load_streams 0\n");
    client_open(&client, &fixture, LOAD);
}

/* ---- streams that are refused ---- */

static void on_no_message(void *ctx unused_arg, struct str message unused_arg)
{
    cr_assert_fail("a message");
}

static void on_end(void *ctx unused_arg, enum code code, const char *message unused_arg)
{
    ended = code;
    answered = true;
}

static void expect_end(enum code code, const char *bytes, size_t len)
{
    static const struct grpc_call_handler handler = {on_no_message, on_end};
    struct grpc_call *call;

    answered = false;
    call = grpc_call_start(client.grpc, LOAD, 0, &handler, NULL);
    grpc_call_send(call, bytes, len, false);
    serve_fixture_wait(&fixture, is_answered, NULL);
    cr_assert_eq(ended, code);
}

Test(load_stream, what_is_no_report_ends_it_alone)
{
    greet();
    expect_end(CODE_INVALID_ARGUMENT, "\x12\x05", 2);
    report("shop/greeter:8001", 3, 0);
    wait_for("\"succeeded\":3,");
}

Test(load_stream, is_unimplemented_where_no_reports_are_wanted)
{
    tear_down();
    start(0);
    client_open(&client, &fixture, ADS);
    expect_end(CODE_UNIMPLEMENTED, "", 0);
    cr_assert_not(loads_have("greeter"));
}
