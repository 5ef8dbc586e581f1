/* grpclb streams over a connection: what comes in which order, with which status they end, what is counted and dumped. */
#include <criterion/criterion.h>

#include "fixture.h"
#include "grpc/client.h"
#include "protocol/grpclb.h"
#include "wire/fields.h"
#include "wire/writer.h"

#define BALANCE "/grpc.lb.v1.LoadBalancer/BalanceLoad"

struct client {
    struct grpc_client *grpc;
    struct grpc_call *call;
    char said[64]; /* a letter for each message: Initial, List, Fallback */
    struct buf newest;
    bool ended;
    enum code code;
};

static struct serve_fixture fixture;
static struct place peer_place;
static const struct catalog *catalog;
static struct buf text;
static bool dumped;
static struct client client;

static const struct fixture_endpoint endpoints[] = {
    {.address = "10.0.0.1", .zone = "a", .for_zone = "a"},
    {.address = "10.0.0.2", .zone = "b", .for_zone = "b"},
};

static bool on_place_of_peer(void *ctx unused_arg, const struct address *peer unused_arg,
                             struct place *ret_place)
{
    *ret_place = peer_place;
    return peer_place.zone.len > 0;
}

static void put(size_t len)
{
    catalog = catalog_with(
        catalog, &(struct fixture_service){.name = "greeter", .endpoints = endpoints, .len = len});
    serve_publish(fixture.serve, catalog_ref(catalog));
}

static void set_up(void)
{
    serve_fixture_start(&fixture,
                        (struct serve_options){.threads = 1, .place_of_peer = on_place_of_peer});
    catalog = catalog_new_empty();
    put(2);
    buf_init(&text, 1024 * 1024);
}

static void tear_down(void)
{
    grpc_client_free(client.grpc);
    buf_done(&client.newest);
    serve_fixture_stop(&fixture);
    catalog_unref(catalog);
    buf_done(&text);
}

TestSuite(grpclb_stream, .init = set_up, .fini = tear_down);

static void turn_until(bool (*done)(const void *ctx), const void *ctx)
{
    serve_fixture_wait(&fixture, done, ctx);
}

/* ---- a client ---- */

static void on_message(void *ctx unused_arg, struct str message)
{
    size_t len = strlen(client.said);

    cr_assert_lt(len + 1, sizeof(client.said));
    client.said[len] = message.ptr[0] == 0x0a ? 'I' : message.ptr[0] == 0x12 ? 'L' : 'F';
    client.said[len + 1] = '\0';
    buf_reset(&client.newest);
    cr_assert_eq(buf_add_str(&client.newest, message), CODE_OK);
}

static void on_end(void *ctx unused_arg, enum code code, const char *message unused_arg)
{
    client.ended = true;
    client.code = code;
}

static void open_stream(void)
{
    static const struct grpc_call_handler handler = {on_message, on_end};
    const struct grpc_client_options options = {.loop = fixture.loop,
                                                .server = serve_address(fixture.serve, 0),
                                                .authority = "test",
                                                .connect_timeout_ms = 5000};

    buf_init(&client.newest, 64 * 1024);
    cr_assert_eq(grpc_client_new(&options, &client.grpc, NULL), CODE_OK);
    client.call = grpc_call_start(client.grpc, BALANCE, 0, &handler, &client);
}

static void send_request(struct buf *request)
{
    cr_assert_not(buf_failed(request));
    grpc_call_send(client.call, request->ptr, request->len, false);
    buf_done(request);
}

static void ask(const char *name)
{
    struct buf request = BUFFER_INIT(4096);
    size_t initial = wire_open(&request, LOAD_BALANCE_REQUEST_INITIAL_REQUEST);

    wire_put_bytes(&request, INITIAL_LOAD_BALANCE_REQUEST_NAME, str_of(name));
    wire_close(&request, initial);
    send_request(&request);
}

static void report(uint64_t finished, const char *dropped_by)
{
    struct buf request = BUFFER_INIT(4096);
    size_t stats = wire_open(&request, LOAD_BALANCE_REQUEST_CLIENT_STATS), token;

    wire_put_varint(&request, CLIENT_STATS_NUM_CALLS_FINISHED, finished);
    token = wire_open(&request, CLIENT_STATS_CALLS_FINISHED_WITH_DROP);
    wire_put_bytes(&request, CLIENT_STATS_PER_TOKEN_LOAD_BALANCE_TOKEN, str_of(dropped_by));
    wire_put_varint(&request, CLIENT_STATS_PER_TOKEN_NUM_CALLS, 1);
    wire_close(&request, token);
    wire_close(&request, stats);
    send_request(&request);
}

static bool has_said(const void *ctx)
{
    return strcmp(client.said, ctx) == 0;
}

static bool has_ended(const void *ctx unused_arg)
{
    return client.ended;
}

static bool list_has(const char *address)
{
    return memmem(client.newest.ptr, client.newest.len, address, strlen(address));
}

/* A sample's value. */
static uint64_t metric(const char *sample)
{
    const char *at;
    char line[128];

    snprintf(line, sizeof(line), "\n%s ", sample);
    buf_reset(&text);
    serve_write_metrics(fixture.serve, &text);
    at = strstr(buf_cstr(&text), line);
    cr_assert_not_null(at, "%s", sample);
    return strtoull(at + strlen(line), NULL, 10);
}

/* ---- lists ---- */

Test(grpclb_stream, an_initial_response_then_lists)
{
    open_stream();
    ask("greeter.shop.svc.cluster.local.:8001");
    turn_until(has_said, "IL");
    cr_assert(list_has("10.0.0.1") && list_has("10.0.0.2"));
    put(1);
    turn_until(has_said, "ILL");
    cr_assert(list_has("10.0.0.1") && !list_has("10.0.0.2"));
    cr_assert_eq(metric("lookaside_streams{protocol=\"grpclb\"}"), 1);
    cr_assert_eq(metric("lookaside_pushes_total{type=\"ServerList\"}"), 2);
    cr_assert_eq(metric("lookaside_subscriptions"), 1);
    cr_assert_eq(serve_list_streams(fixture.serve), 1);
    cr_assert_not(client.ended);
}

Test(grpclb_stream, the_client_is_where_its_address_is)
{
    peer_place = (struct place){.zone = STR("b")};
    open_stream();
    ask("greeter:8001");
    turn_until(has_said, "IL");
    cr_assert(!list_has("10.0.0.1") && list_has("10.0.0.2"));
}

Test(grpclb_stream, without_such_a_service_the_client_falls_back_and_is_told_once_it_exists)
{
    catalog = catalog_without_greeter(catalog);
    serve_publish(fixture.serve, catalog_ref(catalog));
    open_stream();
    ask("greeter.shop");
    turn_until(has_said, "IF");
    cr_assert_eq(metric("lookaside_pushes_total{type=\"FallbackResponse\"}"), 1);
    put(2);
    turn_until(has_said, "IFL");
    cr_assert_not(client.ended);
}

Test(grpclb_stream, so_does_one_whose_name_is_none)
{
    open_stream();
    ask("no good");
    turn_until(has_said, "IF");
    cr_assert_eq(metric("lookaside_malformed_names_total"), 1);
    cr_assert_not(client.ended);
}

/* ---- statuses ---- */

Test(grpclb_stream, a_report_first_is_a_failed_precondition)
{
    open_stream();
    report(1, "t");
    turn_until(has_ended, NULL);
    cr_assert_eq(client.code, CODE_FAILED_PRECONDITION);
    cr_assert_eq(metric("lookaside_refused_streams_total"), 1);
}

Test(grpclb_stream, garbage_is_an_invalid_argument)
{
    struct buf request = BUFFER_INIT(16);

    open_stream();
    cr_assert_eq(buf_add_str(&request, STR("\x0a\x7f")), CODE_OK);
    send_request(&request);
    turn_until(has_ended, NULL);
    cr_assert_eq(client.code, CODE_INVALID_ARGUMENT);
}

static bool has_metric(const char *line)
{
    CLEANUP(buf_done) struct buf metrics = BUFFER_INIT(1024 * 1024);

    serve_write_metrics(fixture.serve, &metrics);
    return strstr(buf_cstr(&metrics), line) != NULL;
}

Test(grpclb_stream, an_oversized_name_exhausts_a_resource)
{
    char name[GRPCLB_NAME_MAX + 2] = {0};

    memset(name, 'a', sizeof(name) - 1);
    open_stream();
    ask(name);
    turn_until(has_ended, NULL);
    cr_assert_eq(client.code, CODE_RESOURCE_EXHAUSTED);
    cr_assert(has_metric("\nlookaside_grpc_limit_hits_total{limit=\"names\"} 0\n"), "one is not too many");
    cr_assert(has_metric("\nlookaside_refused_streams_total 1\n"));
}

static void on_other_message(void *ctx unused_arg, struct str message unused_arg)
{
    cr_assert_fail("the refused stream got a message");
}

static void on_other_end(void *ctx, enum code code, const char *message unused_arg)
{
    *(enum code *)ctx = code;
}

static bool is_refused(const void *ctx)
{
    return *(const enum code *)ctx == CODE_INVALID_ARGUMENT;
}

Test(grpclb_stream, the_others_of_the_connection_go_on)
{
    static const struct grpc_call_handler handler = {on_other_message, on_other_end};
    enum code code = CODE_OK;
    struct grpc_call *bad;

    open_stream();
    ask("greeter.shop:8001");
    turn_until(has_said, "IL");
    bad = grpc_call_start(client.grpc, BALANCE, 0, &handler, &code);
    grpc_call_send(bad, "\x0a\x7f", 2, false);
    turn_until(is_refused, &code);
    put(1);
    turn_until(has_said, "ILL");
    cr_assert_not(client.ended);
}

/* ---- reports and dumps ---- */

static bool is_counted(const void *ctx)
{
    return metric("lookaside_grpclb_reports_total") == *(const uint64_t *)ctx;
}

static void on_dump(void *ctx unused_arg, struct buf *json)
{
    buf_reset(&text);
    cr_assert_eq(buf_add_str(&text, buf_str(json)), CODE_OK);
    dumped = true;
}

static bool is_dumped(const void *ctx unused_arg)
{
    return dumped;
}

static const char *dump(const char *service)
{
    const struct stream_filter filter = {STR("shop"), str_of(service)};

    dumped = false;
    serve_dump_streams(fixture.serve, &filter, on_dump, NULL);
    turn_until(is_dumped, NULL);
    return buf_cstr(&text);
}

Test(grpclb_stream, reports_are_counted_and_dumped)
{
    const uint64_t two = 2;

    open_stream();
    ask("greeter.shop:8001");
    turn_until(has_said, "IL");
    report(5, "empty:canary");
    report(6, "empty:canary");
    turn_until(is_counted, &two);
    cr_assert_eq(metric("lookaside_grpclb_calls_total{what=\"finished\"}"), 11);
    cr_assert_eq(metric("lookaside_grpclb_calls_total{what=\"dropped\"}"), 2);
    cr_assert_not_null(strstr(dump("greeter"), "\"protocol\":\"grpclb\""), "%s", text.ptr);
    cr_assert_not_null(strstr(text.ptr, "\"droppedByToken\":{\"empty:canary\":2}"), "%s", text.ptr);
    cr_assert_not_null(strstr(text.ptr, "\"view\":\"all\""), "%s", text.ptr);
    cr_assert_str_eq(dump("other"), "{\"streams\":[]}\n");
}
