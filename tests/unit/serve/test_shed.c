/* Streams that end so that their clients come to other replicas: which, and how many. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "fixture.h"
#include "grpc/client.h"
#include "protocol/xds.h"
#include "wire/fields.h"
#include "wire/writer.h"

#define ADS "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
#define WATCH "/lookaside.v1.BackendDiscovery/Watch"
#define GO "gRPC Go"
#define STREAMS_MAX 40

struct stream {
    struct grpc_client *grpc; /* its own, or that of the one before it */
    struct grpc_call *call;
    bool answered, ended;
};

static struct serve_fixture fixture;
static struct stream streams[STREAMS_MAX];
static size_t streams_len;

/* ---- the world ---- */

static void start(unsigned threads)
{
    static const char *const addresses[] = {"10.0.0.1"};

    serve_fixture_start(&fixture, (struct serve_options){.threads = threads});
    serve_publish(fixture.serve, catalog_with_greeter(NULL, addresses, 1));
}

static void stop(void)
{
    for (size_t i = 0; i < streams_len; i++)
        if (i == 0 || streams[i].grpc != streams[i - 1].grpc)
            grpc_client_free(streams[i].grpc);
    serve_fixture_stop(&fixture);
}

TestSuite(shed, .fini = stop);

static void wait_for(bool (*done)(const void *ctx), const void *ctx)
{
    serve_fixture_wait(&fixture, done, ctx);
}

static void wait_ms(uint64_t ms)
{
    for (uint64_t end_us = clock_monotonic_us() + ms * 1000; clock_monotonic_us() < end_us;)
        loop_turn(fixture.loop, 10);
}

/* ---- clients ---- */

static void on_message(void *ctx, struct str message unused_arg)
{
    ((struct stream *)ctx)->answered = true;
}

static void on_end(void *ctx, enum code code, const char *message)
{
    struct stream *stream = ctx;

    cr_assert_eq(code, CODE_OK, "%s %s", code_name(code), message);
    stream->ended = true;
    stream->call = NULL;
}

static void xds_request(struct buf *request, const char *agent)
{
    size_t mark = wire_open(request, DISCOVERY_REQUEST_NODE);

    if (agent)
        wire_put_bytes(request, NODE_USER_AGENT_NAME, str_of(agent));
    wire_close(request, mark);
    wire_put_bytes(request, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("shop/greeter:8001"));
    wire_put_bytes(request, DISCOVERY_REQUEST_TYPE_URL, str_of(xds_type_url(XDS_ENDPOINT)));
}

static bool is_answered(const void *ctx)
{
    return ((const struct stream *)ctx)->answered;
}

/* A stream that has its list: on a connection of its own, or on the last one's. */
static void open_stream(const char *path, struct buf *request, bool shared)
{
    static const struct grpc_call_handler handler = {on_message, on_end};
    struct stream *stream = &streams[streams_len];
    const struct grpc_client_options options = {
        .loop = fixture.loop, .server = serve_address(fixture.serve, 0), .authority = "test", .connect_timeout_ms = 5000};

    cr_assert_lt(streams_len, STREAMS_MAX);
    if (shared)
        stream->grpc = streams[streams_len - 1].grpc;
    else
        cr_assert_eq(grpc_client_new(&options, &stream->grpc, NULL), CODE_OK);
    streams_len++;
    stream->call = grpc_call_start(stream->grpc, path, 0, &handler, stream);
    grpc_call_send(stream->call, request->ptr, request->len, false);
    buf_done(request);
    wait_for(is_answered, stream);
}

static void open_xds(const char *agent, bool shared)
{
    struct buf request = BUFFER_INIT(4096);

    xds_request(&request, agent);
    open_stream(ADS, &request, shared);
}

static void open_native(void)
{
    struct buf request = BUFFER_INIT(4096);

    wire_put_bytes(&request, WATCH_REQUEST_TARGETS, STR("greeter:8001"));
    open_stream(WATCH, &request, false);
}

/* ---- what becomes of them ---- */

static size_t ended(void)
{
    size_t count = 0;

    for (size_t i = 0; i < streams_len; i++)
        count += streams[i].ended;
    return count;
}

static uint64_t metric(const char *sample)
{
    struct buf text = BUFFER_INIT(1024 * 1024);
    uint64_t value = 0;
    const char *at;

    serve_write_metrics(fixture.serve, &text);
    at = strstr(buf_cstr(&text), sample);
    cr_assert_not_null(at, "%s", sample);
    value = strtoull(at + strlen(sample), NULL, 10);
    buf_done(&text);
    return value;
}

static void shed(uint64_t count, uint64_t most, uint64_t min_age_ms)
{
    serve_shed(fixture.serve, &(struct serve_shed){.streams = count, .most = most, .min_age_ms = min_age_ms});
}

static bool have_ended(const void *ctx)
{
    return ended() >= *(const size_t *)ctx;
}

static void expect_ended(size_t count)
{
    wait_for(have_ended, &count);
    wait_ms(100);
    cr_assert_eq(ended(), count);
    cr_assert_eq(serve_shed_total(fixture.serve), count);
    cr_assert_eq(serve_list_streams(fixture.serve), streams_len - count);
}

struct sample {
    const char *name;
    uint64_t value;
};

static bool is_sampled(const void *ctx)
{
    const struct sample *sample = ctx;

    return metric(sample->name) == sample->value;
}

static void expect_spared(const char *name, uint64_t count)
{
    wait_for(is_sampled, &(struct sample){name, count});
}

static void expect_connections(uint64_t count)
{
    wait_for(is_sampled, &(struct sample){"\nlookaside_connections ", count});
}

/* ---- tests ---- */

Test(shed, the_oldest_go_with_their_connections)
{
    start(1);
    for (int i = 0; i < 5; i++)
        open_xds(GO, false);
    cr_assert_eq(serve_list_streams(fixture.serve), 5);
    shed(2, 5, 0);
    expect_ended(2);
    cr_assert(streams[0].ended && streams[1].ended);
    expect_connections(3);
    shed(100, 100, 0);
    expect_ended(5);
    expect_connections(0);
}

Test(shed, over_all_workers_exactly_so_many_go)
{
    start(4);
    for (int i = 0; i < STREAMS_MAX; i++)
        open_xds(GO, false);
    for (size_t i = 1; i <= 8; i++) {
        shed(3, 20, 0);
        expect_ended(3 * i);
    }
}

Test(shed, native_streams_go_too)
{
    start(1);
    open_native();
    shed(1, 1, 0);
    expect_ended(1);
}

Test(shed, node_and_who_tells_nothing_are_spared)
{
    start(1);
    open_xds("gRPC Node Pure JS", false);
    open_xds(NULL, false);
    open_xds("", false);
    open_xds(GO, false);
    shed(4, 4, 0);
    expect_ended(1);
    cr_assert(streams[3].ended);
    expect_spared("lookaside_streams_spared_total{reason=\"node\"} ", 1);
    expect_spared("lookaside_streams_spared_total{reason=\"unknown\"} ", 2);
}

Test(shed, young_streams_are_spared_and_all_of_their_connection)
{
    start(1);
    open_xds(GO, false);
    open_xds(GO, false);
    wait_ms(400);
    open_xds(GO, true);
    shed(3, 3, 400);
    expect_ended(1);
    cr_assert(streams[0].ended);
    expect_spared("lookaside_streams_spared_total{reason=\"young\"} ", 2);
}

Test(shed, the_streams_of_a_connection_go_together)
{
    start(1);
    open_xds(GO, false);
    open_xds(GO, true);
    open_xds(GO, true);
    shed(1, 2, 0);
    expect_spared("lookaside_streams_spared_total{reason=\"large\"} ", 3);
    expect_ended(0);
    open_xds(GO, false);
    shed(2, 2, 0);
    expect_ended(1);
    cr_assert(streams[3].ended, "it passes the larger one by");
    shed(1, 3, 0);
    expect_ended(4);
}

Test(shed, what_does_not_fit_any_more_is_passed_by)
{
    start(1);
    open_xds(GO, false);
    open_xds(GO, false);
    open_xds(GO, true);
    open_xds(GO, false);
    shed(2, 4, 0);
    expect_ended(2);
    cr_assert(streams[0].ended && streams[3].ended);
}

Test(shed, nothing_is_nothing)
{
    start(2);
    shed(5, 5, 0);
    open_xds(GO, false);
    shed(0, 5, 0);
    wait_ms(100);
    expect_ended(0);
}

/* It ends anyhow, at its own pace. */
Test(shed, a_replica_that_drains_sheds_nothing)
{
    start(1);
    open_xds(GO, false);
    serve_set_draining(fixture.serve);
    shed(1, 1, 0);
    wait_ms(100);
    expect_ended(0);
}
