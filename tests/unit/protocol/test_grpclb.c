#include <criterion/criterion.h>

#include "grpc/lb/v1/load_balancer.pb-c.h"
#include "protocol/grpclb.h"
#include "wire/fields.h"
#include "wire/writer.h"

static struct {
    uint64_t version; /* 0: no list */
    size_t padding;
    const char *problem;
} now = {.version = 1};

static char asked[GRPCLB_NAME_MAX + 1];
static size_t subscribed, answers, updates, reports, refused;
static struct grpclb_calls told;
static struct grpclb_session *session;
static struct blob *blob; /* handed out last */
static struct err err;

static void on_subscribe(unused_arg void *ctx, struct str name)
{
    subscribed++;
    snprintf(asked, sizeof(asked), "%" STR_FMT, STR_ARG(name));
}

/* A server_list of unknown fields. */
static void on_resolve(unused_arg void *ctx, struct grpclb_list *ret_list)
{
    cr_assert_eq(subscribed, 1, "asked before there was a subscription");
    *ret_list = (struct grpclb_list){.version = 1, .problem = now.problem};
    if (now.version == 0)
        return;
    blob_unref(blob);
    blob = blob_new(2 + now.padding);
    memset(blob->bytes, 0, blob->len);
    memcpy(blob->bytes, "\x12", 2);
    ret_list->version = now.version;
    ret_list->blob = blob;
}

static void on_wake(unused_arg void *ctx, bool answer)
{
    answers += answer;
    updates += !answer;
}

static void on_too_large(unused_arg void *ctx, size_t len)
{
    cr_assert_gt(len, GRPCLB_RESPONSE_MAX);
    refused++;
}

static void on_report(unused_arg void *ctx, const struct grpclb_calls *calls)
{
    reports++;
    told = *calls;
}

static void on_describe(unused_arg void *ctx, struct json_writer *writer)
{
    json_put_str(writer, "view", STR("zone"));
}

static const struct grpclb_host host = {on_subscribe, on_resolve, on_wake,
                                        on_too_large, on_report,  on_describe};

static void open_session(void)
{
    session = grpclb_session_new(&host, NULL);
}

static void close_session(void)
{
    grpclb_session_free(session);
    blob_unref(blob);
}

TestSuite(grpclb_session, .init = open_session, .fini = close_session);

static enum code ask(const void *ptr, size_t len)
{
    err = (struct err){0};
    return grpclb_session_request(session, str_make(ptr, len), &err);
}

static enum code ask_name(const char *name)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(4096);
    size_t initial = wire_open(&out, LOAD_BALANCE_REQUEST_INITIAL_REQUEST);

    wire_put_bytes(&out, INITIAL_LOAD_BALANCE_REQUEST_NAME, str_of(name));
    wire_close(&out, initial);
    return ask(out.ptr, out.len);
}

static enum code report(const Grpc__Lb__V1__ClientStats *stats)
{
    Grpc__Lb__V1__LoadBalanceRequest request = GRPC__LB__V1__LOAD_BALANCE_REQUEST__INIT;
    uint8_t bytes[4096];

    request.load_balance_request_type_case =
        GRPC__LB__V1__LOAD_BALANCE_REQUEST__LOAD_BALANCE_REQUEST_TYPE_CLIENT_STATS;
    request.client_stats = (Grpc__Lb__V1__ClientStats *)(uintptr_t)stats;
    cr_assert_leq(grpc__lb__v1__load_balance_request__get_packed_size(&request), sizeof(bytes));
    return ask(bytes, grpc__lb__v1__load_balance_request__pack(&request, bytes));
}

static enum code report_counts(int64_t started, int64_t finished)
{
    Grpc__Lb__V1__ClientStats stats = GRPC__LB__V1__CLIENT_STATS__INIT;

    stats.num_calls_started = started;
    stats.num_calls_finished = finished;
    return report(&stats);
}

static enum code report_drops(const char *token, int64_t calls)
{
    Grpc__Lb__V1__ClientStatsPerToken one = GRPC__LB__V1__CLIENT_STATS_PER_TOKEN__INIT;
    Grpc__Lb__V1__ClientStatsPerToken *all[] = {&one};
    Grpc__Lb__V1__ClientStats stats = GRPC__LB__V1__CLIENT_STATS__INIT;

    one.load_balance_token = (char *)(uintptr_t)token;
    one.num_calls = calls;
    stats.n_calls_finished_with_drop = 1;
    stats.calls_finished_with_drop = all;
    return report(&stats);
}

/* "initial 10s", "list", "fallback", "" for nothing: what the bytes are. */
static const char *next(void)
{
    static char text[64];
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(16 * 1024 * 1024);
    CLEANUP(blob_unrefp) struct blob *list = NULL;
    enum grpclb_said said = grpclb_session_next(session, &out, &list);
    Grpc__Lb__V1__LoadBalanceResponse *response;

    text[0] = '\0';
    cr_assert_eq(said == GRPCLB_LIST, list != NULL);
    cr_assert_eq(said == GRPCLB_INITIAL || said == GRPCLB_FALLBACK, out.len > 0);
    if (said == GRPCLB_NOTHING)
        return text;
    if (list)
        cr_assert_eq(buf_append(&out, list->bytes, 2), CODE_OK);
    response = grpc__lb__v1__load_balance_response__unpack(NULL, out.len, (const uint8_t *)out.ptr);
    cr_assert_not_null(response);
    cr_assert_eq((int)response->load_balance_response_type_case, (int)said);
    if (said == GRPCLB_INITIAL)
        snprintf(text, sizeof(text), "initial %llds",
                 (long long)response->initial_response->client_stats_report_interval->seconds);
    else
        snprintf(text, sizeof(text), "%s", said == GRPCLB_LIST ? "list" : "fallback");
    grpc__lb__v1__load_balance_response__free_unpacked(response, NULL);
    return text;
}

static void change(uint64_t version)
{
    now.version = version;
    grpclb_session_touch(session);
}

/* A stream that has its first list, or its fallback. */
static void begin(const char *first)
{
    cr_assert_eq(ask_name("greeter.shop:8001"), CODE_OK);
    cr_assert_str_eq(next(), "initial 10s");
    cr_assert_str_eq(next(), first);
    cr_assert_str_eq(next(), "");
}

Test(grpclb_session, nothing_is_said_before_the_initial_request)
{
    cr_assert_str_eq(next(), "");
    grpclb_session_touch(session);
    cr_assert_str_eq(next(), "");
    begin("list");
    cr_assert_eq(answers, 1);
    cr_assert_str_eq(asked, "greeter.shop:8001");
}

Test(grpclb_session, every_other_version_is_a_list)
{
    begin("list");
    change(2);
    cr_assert_eq(updates, 1);
    cr_assert_str_eq(next(), "list");
    cr_assert_str_eq(next(), "");
    change(1);
    cr_assert_str_eq(next(), "list");
}

Test(grpclb_session, the_same_list_is_not_sent_again)
{
    begin("list");
    change(1);
    cr_assert_str_eq(next(), "");
    change(2);
    change(1);
    cr_assert_eq(updates, 2, "waking twice is once");
    cr_assert_str_eq(next(), "");
}

Test(grpclb_session, without_a_list_the_client_falls_back_once)
{
    now.version = 0;
    begin("fallback");
    now.problem = "no such port";
    change(0);
    cr_assert_str_eq(next(), "");
    change(7);
    cr_assert_str_eq(next(), "list");
    change(0);
    cr_assert_str_eq(next(), "fallback");
    change(7);
    cr_assert_str_eq(next(), "list", "the client has dropped the one before");
}

Test(grpclb_session, a_name_may_be_empty)
{
    now.version = 0;
    cr_assert_eq(ask_name(""), CODE_OK);
    cr_assert_str_eq(next(), "initial 10s");
    cr_assert_str_eq(next(), "fallback");
}

Test(grpclb_session, a_list_that_is_too_long_leaves_the_one_before)
{
    begin("list");
    now.padding = GRPCLB_RESPONSE_MAX;
    change(2);
    cr_assert_str_eq(next(), "");
    cr_assert_eq(refused, 1);
    now.padding = 0;
    change(3);
    cr_assert_str_eq(next(), "list");
}

Test(grpclb_session, a_first_list_that_is_too_long_is_a_fallback)
{
    now.padding = GRPCLB_RESPONSE_MAX;
    begin("fallback");
    now.padding = GRPCLB_RESPONSE_MAX - 2;
    change(2);
    cr_assert_str_eq(next(), "list");
}

Test(grpclb_session, a_name_is_as_long_as_the_protocol_allows)
{
    char name[GRPCLB_NAME_MAX + 2] = {0};

    memset(name, 'a', GRPCLB_NAME_MAX + 1);
    cr_assert_eq(ask_name(name), CODE_RESOURCE_EXHAUSTED);
    cr_assert_eq(subscribed, 0);
    name[GRPCLB_NAME_MAX] = '\0';
    cr_assert_eq(ask_name(name), CODE_OK);
    cr_assert_str_eq(asked, name);
}

Test(grpclb_session, a_name_is_utf8)
{
    cr_assert_eq(ask_name("\xff"), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(next(), "");
}

Test(grpclb_session, a_report_does_not_come_first)
{
    cr_assert_eq(report_counts(1, 1), CODE_FAILED_PRECONDITION);
    cr_assert_eq(reports, 0);
}

Test(grpclb_session, a_second_initial_request_is_refused)
{
    begin("list");
    cr_assert_eq(ask_name("other.shop"), CODE_FAILED_PRECONDITION);
    cr_assert_eq(subscribed, 1);
}

Test(grpclb_session, a_first_request_of_no_known_kind_is_refused)
{
    cr_assert_eq(ask("", 0), CODE_INVALID_ARGUMENT);
    cr_assert_eq(ask("\x1a\x00", 2), CODE_INVALID_ARGUMENT);
    begin("list");
    cr_assert_eq(ask("\x1a\x00", 2), CODE_OK, "later it is passed over");
}

Test(grpclb_session, broken_bytes_are_refused)
{
    cr_assert_eq(ask("\x0a\x05", 2), CODE_INVALID_ARGUMENT);
    cr_assert_eq(ask("\x0a\x02\x0a\x05", 4), CODE_INVALID_ARGUMENT);
    begin("list");
    cr_assert_eq(ask("\x12\x02\x0a\x05", 4), CODE_INVALID_ARGUMENT);
    cr_assert_eq(ask("\x12\x04\x42\x02\x0a\x05", 6), CODE_INVALID_ARGUMENT);
    cr_assert_eq(ask("\x12\x05\x42\x03\x0a\x01\xff", 7), CODE_INVALID_ARGUMENT, "a token is text");
    cr_assert_eq(reports, 0);
}

Test(grpclb_session, the_last_member_of_the_oneof_counts)
{
    begin("list");
    cr_assert_eq(ask("\x0a\x00\x12\x02\x10\x05", 6), CODE_OK);
    cr_assert_eq(told.started, 5);
}

Test(grpclb_session, a_request_has_a_limit)
{
    char *large = xcalloc(1, GRPCLB_REQUEST_MAX + 1);

    cr_assert_eq(ask(large, GRPCLB_REQUEST_MAX + 1), CODE_RESOURCE_EXHAUSTED);
    free(large);
}

Test(grpclb_session, reports_are_summed_up)
{
    Grpc__Lb__V1__ClientStats stats = GRPC__LB__V1__CLIENT_STATS__INIT;
    const struct grpclb_calls *sum = grpclb_session_calls(session);

    cr_assert_eq(ask_name("a.b"), CODE_OK);
    stats.num_calls_started = 5;
    stats.num_calls_finished = 4;
    stats.num_calls_finished_with_client_failed_to_send = 1;
    stats.num_calls_finished_known_received = 2;
    cr_assert_eq(report(&stats), CODE_OK, "before the initial response is out, too");
    cr_assert_eq(report(&stats), CODE_OK);
    cr_assert_eq(report_drops("empty:canary", 3), CODE_OK);
    cr_assert_eq(reports, 3);
    cr_assert_eq(told.started, 0, "what the last one adds");
    cr_assert_eq(told.dropped, 3);
    cr_assert_eq(sum->started, 10);
    cr_assert_eq(sum->finished, 8);
    cr_assert_eq(sum->failed_to_send, 2);
    cr_assert_eq(sum->received, 4);
    cr_assert_eq(sum->dropped, 3);
}

Test(grpclb_session, a_count_is_neither_negative_nor_absurd)
{
    begin("list");
    cr_assert_eq(report_counts(-1, 0), CODE_INVALID_ARGUMENT);
    cr_assert_eq(report_counts(0, (int64_t)GRPCLB_COUNT_MAX + 1), CODE_INVALID_ARGUMENT);
    cr_assert_eq(report_drops("t", -1), CODE_INVALID_ARGUMENT);
    cr_assert_eq(reports, 0, "nothing of a bad report counts");
    cr_assert_eq(report_counts((int64_t)GRPCLB_COUNT_MAX, 0), CODE_OK);
}

static void assert_dumped(const char *expected)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(65536);
    struct json_writer writer = json_writer(&out);

    json_open_object(&writer, NULL);
    grpclb_session_dump(session, &writer);
    json_close_object(&writer);
    cr_assert_str_eq(buf_cstr(&out), expected);
}

Test(grpclb_session, is_dumped)
{
    begin("list");
    cr_assert_eq(report_counts(2, 1), CODE_OK);
    cr_assert_eq(report_drops("empty:a", 1), CODE_OK);
    cr_assert_eq(report_drops("empty:a", 1), CODE_OK);
    assert_dumped(
        "{\"requests\":4,\"responses\":2,\"calls\":{\"started\":2,\"finished\":1,"
        "\"failedToSend\":0,\"received\":0,\"dropped\":2,"
        "\"droppedByToken\":{\"empty:a\":2}},\"targets\":[{\"name\":\"greeter.shop:8001\","
        "\"version\":\"0000000000000001\",\"fallback\":false,\"view\":\"zone\"}]}");
}

Test(grpclb_session, a_dump_says_why_there_is_no_list)
{
    now.version = 0;
    now.problem = "no such Service";
    begin("fallback");
    assert_dumped("{\"requests\":1,\"responses\":2,\"calls\":{\"started\":0,\"finished\":0,"
                  "\"failedToSend\":0,\"received\":0,\"dropped\":0,\"droppedByToken\":{}},"
                  "\"targets\":[{\"name\":\"greeter.shop:8001\",\"fallback\":true,"
                  "\"problem\":\"no such Service\",\"view\":\"zone\"}]}");
}

Test(grpclb_session, so_many_tokens_are_told_apart)
{
    char token[64];

    begin("list");
    for (size_t i = 0; i < 2 * GRPCLB_DROP_TOKENS_MAX; i++) {
        snprintf(token, sizeof(token), "token-%zu", i);
        cr_assert_eq(report_drops(token, 1), CODE_OK);
    }
    memset(token, 'x', sizeof(token) - 1);
    token[sizeof(token) - 1] = '\0';
    cr_assert_eq(report_drops(token, 1), CODE_OK);
    cr_assert_eq(grpclb_session_calls(session)->dropped, 2 * GRPCLB_DROP_TOKENS_MAX + 1);
}
