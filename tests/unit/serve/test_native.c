/* Real streams of lookaside.v1.BackendDiscovery: changes, confirmations on any replica, List. */
#include <criterion/criterion.h>

#include "lookaside/v1/discovery.pb-c.h"
#include "stream_client.h"

#define TARGET "greeter:8001"
#define METHOD_LIST "/lookaside.v1.BackendDiscovery/List"

static struct serve_fixture fixture;
static const char *const addresses[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"};
static Lookaside__V1__WatchResponse *response;

static void put(size_t len)
{
    serve_publish(fixture.serve, catalog_with_greeter(NULL, addresses, len));
}

static void set_up(void)
{
    serve_fixture_start(&fixture, (struct serve_options){.threads = 2});
    put(4);
}

static void forget(void)
{
    if (response)
        lookaside__v1__watch_response__free_unpacked(response, NULL);
    response = NULL;
}

static void tear_down(void)
{
    forget();
    serve_fixture_stop(&fixture);
}

TestSuite(native_stream, .init = set_up, .fini = tear_down);

static void read_newest(const struct stream_client *client)
{
    forget();
    response = lookaside__v1__watch_response__unpack(NULL, client->newest.len,
                                                     (const uint8_t *)client->newest.ptr);
    cr_assert_not_null(response);
    cr_assert_str_eq(response->target, TARGET);
}

/* `version` NULL: none is known. */
static void ask(struct stream_client *client, const char *method, const char *version)
{
    struct buf request = BUFFER_INIT(4096);

    wire_put_bytes(&request, WATCH_REQUEST_TARGETS, STR(TARGET));
    if (version) {
        size_t mark = wire_open(&request, WATCH_REQUEST_VERSIONS);

        wire_put_bytes(&request, WIRE_MAP_KEY, STR(TARGET));
        wire_put_bytes(&request, WIRE_MAP_VALUE, str_of(version));
        wire_close(&request, mark);
    }
    client_open(client, &fixture, method);
    client_ask(client, &request);
}

/* A change comes; the client's next message is it. */
static void change(struct stream_client *client, size_t len)
{
    buf_reset(&client->newest);
    put(len);
    client_wait(client);
    read_newest(client);
}

Test(native_stream, a_stream_gets_the_list_and_then_changes)
{
    struct stream_client client;

    ask(&client, WATCH, NULL);
    read_newest(&client);
    cr_assert_not(response->changes);
    cr_assert_eq(response->n_backends, 4);
    change(&client, 5);
    cr_assert(response->changes);
    cr_assert_eq(response->n_backends, 1);
    cr_assert_str_eq(response->backends[0]->address, "10.0.0.5");
    cr_assert_eq(response->n_removed, 0);
    change(&client, 3);
    cr_assert(response->changes);
    cr_assert_eq(response->n_backends, 0);
    cr_assert_eq(response->n_removed, 2);
    client_close(&client);
}

Test(native_stream, an_empty_list_says_why_and_fills_again)
{
    struct stream_client client;

    ask(&client, WATCH, NULL);
    change(&client, 0);
    cr_assert_not(response->changes);
    cr_assert_eq(response->n_backends, 0);
    cr_assert_str_eq(response->problem, "no EndpointSlice has endpoints at this port");
    change(&client, 2);
    cr_assert_eq(response->n_backends, 2);
    cr_assert_str_empty(response->problem);
    client_close(&client);
}

/* Connections go to the two loops in turn: as two replicas, they share nothing. */
Test(native_stream, the_newest_version_is_confirmed_by_every_loop_and_followed)
{
    struct stream_client first, others[2];
    char version[17];

    ask(&first, WATCH, NULL);
    read_newest(&first);
    snprintf(version, sizeof(version), "%s", response->version);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        ask(&others[i], WATCH, version);
        read_newest(&others[i]);
        cr_assert(response->changes);
        cr_assert_eq(response->n_backends + response->n_removed, 0);
        cr_assert_str_eq(response->version, version);
        cr_assert_lt(others[i].newest.len, 40);
    }
    change(&others[1], 5);
    cr_assert(response->changes);
    cr_assert_eq(response->n_backends, 1);
    client_wait(&others[0]);
    client_wait(&first);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        client_close(&others[i]);
    client_close(&first);
}

Test(native_stream, another_version_is_answered_with_the_list)
{
    struct stream_client client;

    ask(&client, WATCH, "0123456789abcdef");
    read_newest(&client);
    cr_assert_not(response->changes);
    cr_assert_eq(response->n_backends, 4);
    client_close(&client);
}

/* ---- List ---- */

struct reply {
    struct buf message;
    enum code code;
    char text[256];
    bool ended;
};

static void on_reply(void *ctx, struct str message)
{
    struct reply *reply = ctx;

    cr_assert_eq(reply->message.len, 0, "one answer");
    cr_assert_eq(buf_add_str(&reply->message, message), CODE_OK);
    buf_add_char(&reply->message, '\0');
}

static void on_end(void *ctx, enum code code, const char *message)
{
    struct reply *reply = ctx;

    reply->code = code;
    reply->ended = true;
    snprintf(reply->text, sizeof(reply->text), "%s", message ? message : "");
}

static bool has_ended(const void *ctx)
{
    return ((const struct reply *)ctx)->ended;
}

/* NULL: the call was refused, see `reply`. */
static Lookaside__V1__ListResponse *list(struct buf *request, struct reply *reply)
{
    static const struct grpc_call_handler handler = {on_reply, on_end};
    const struct grpc_client_options options = {.loop = fixture.loop,
                                                .server = serve_address(fixture.serve, 0),
                                                .authority = "test",
                                                .connect_timeout_ms = 5000};
    struct grpc_client *grpc;
    struct grpc_call *call;
    Lookaside__V1__ListResponse *made = NULL;
    struct err err = {0};

    *reply = (struct reply){0};
    buf_init(&reply->message, 64 * 1024);
    cr_assert_eq(grpc_client_new(&options, &grpc, &err), CODE_OK);
    call = grpc_call_start(grpc, METHOD_LIST, 0, &handler, reply);
    grpc_call_send(call, request->ptr, request->len, true);
    serve_fixture_wait(&fixture, has_ended, reply);
    grpc_client_free(grpc);
    if (reply->code == CODE_OK)
        made = lookaside__v1__list_response__unpack(NULL, reply->message.len - 1,
                                                    (const uint8_t *)reply->message.ptr);
    buf_done(&reply->message);
    buf_done(request);
    return made;
}

Test(native_stream, list_tells_several_lists_at_once)
{
    struct buf request = BUFFER_INIT(4096);
    struct reply reply;
    Lookaside__V1__ListResponse *lists;

    wire_put_bytes(&request, LIST_REQUEST_TARGETS, STR(TARGET));
    wire_put_bytes(&request, LIST_REQUEST_TARGETS, STR("other:8001"));
    wire_put_bytes(&request, LIST_REQUEST_TARGETS, STR("no good"));
    lists = list(&request, &reply);
    cr_assert_not_null(lists, "%s", reply.text);
    cr_assert_eq(lists->n_lists, 3);
    cr_assert_str_eq(lists->lists[0]->target, TARGET);
    cr_assert_eq(lists->lists[0]->n_backends, 4);
    cr_assert_str_eq(lists->lists[1]->target, "no good");
    cr_assert_str_empty(lists->lists[1]->version);
    cr_assert_str_eq(lists->lists[2]->problem, "no such Service");
    lookaside__v1__list_response__free_unpacked(lists, NULL);
}

Test(native_stream, list_of_nothing_is_an_empty_answer)
{
    struct buf request = BUFFER_INIT(4096);
    struct reply reply;
    Lookaside__V1__ListResponse *lists = list(&request, &reply);

    cr_assert_not_null(lists, "%s", reply.text);
    cr_assert_eq(lists->n_lists, 0);
    lookaside__v1__list_response__free_unpacked(lists, NULL);
}

Test(native_stream, a_malformed_list_request_is_refused)
{
    struct buf request = BUFFER_INIT(4096);
    struct reply reply;

    buf_add_str(&request, STR("\x0A\x05"));
    cr_assert_null(list(&request, &reply));
    cr_assert_eq(reply.code, CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(reply.text, "malformed WatchRequest");
}
