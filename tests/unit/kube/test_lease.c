#include <criterion/criterion.h>
#include <unistd.h>

#include "base/clock.h"
#include "fake_server.h"
#include "kube/lease.h"
#include "kube/lease_record.h"
#include "turn.h"

#define DURATION_MS 1000
#define RENEW_MS 500
#define RETRY_MS 60

/* One of two who want the Lease. */
struct contender {
    struct lease *lease;
    struct kube_client *client;
    size_t acquired, lost, released;
    uint64_t lost_us;
};

/* The server's Lease, with optimistic updates as the API server has them. */
static struct world {
    struct loop *loop;
    struct fake_server server;
    struct kube_config config;
    char url[64];
    struct contender a, b;
    char *object; /* NULL: there is none */
    unsigned version;
    size_t writes, conflicts;
    enum { WELL, SILENT, FORBIDDEN, BUSY } mood;
    const char *deaf; /* who gets no answer although his writes count */
} w;

static void put(struct str body)
{
    CLEANUP(json_freep) struct json *object = NULL;
    struct buf text = BUFFER_INIT(8192);
    struct json_writer writer = json_writer(&text);
    char version[16];

    cr_assert_eq(json_parse(body, &object, NULL), CODE_OK);
    snprintf(version, sizeof(version), "%u", ++w.version);
    json_open_object(&writer, NULL);
    json_open_object(&writer, "metadata");
    json_put_str(&writer, "name", STR("lookaside"));
    json_put_str(&writer, "resourceVersion", str_of(version));
    json_put_json(&writer, "labels", json_get(json_get(object, "metadata"), "labels"));
    json_close_object(&writer);
    json_put_json(&writer, "spec", json_get(object, "spec"));
    json_close_object(&writer);
    free(w.object);
    w.object = buf_take(&text, &(size_t){0});
    w.writes++;
}

static bool is_newest(struct str body)
{
    CLEANUP(json_freep) struct json *object = NULL;
    char version[16];

    cr_assert_eq(json_parse(body, &object, NULL), CODE_OK);
    snprintf(version, sizeof(version), "%u", w.version);
    return str_eq(json_text(json_get(json_get(object, "metadata"), "resourceVersion")),
                  str_of(version));
}

/* As the API server reads a MicroTime. */
static void check_time(struct str body, const char *key)
{
    CLEANUP(json_freep) struct json *object = NULL;
    struct str time;
    uint64_t wall_us;

    cr_assert_eq(json_parse(body, &object, NULL), CODE_OK);
    time = json_text(json_get(json_get(object, "spec"), key));
    cr_assert(time.len == 27 && clock_parse_wall(time, &wall_us), "%s in %s", key, body.ptr);
}

static void answer_write(struct fake_conn *conn, struct str body, bool create)
{
    if (create ? w.object != NULL : !w.object || !is_newest(body)) {
        w.conflicts++;
        fake_answer(conn, !create && !w.object ? 404 : 409, "", "{}");
        return;
    }
    put(body);
    if (!w.deaf || !strstr(body.ptr, w.deaf))
        fake_answer(conn, create ? 201 : 200, "", w.object);
}

static void serve(void *ctx unused_arg, struct fake_conn *conn, const char *path, const char *head)
{
    static const char base[] = "/apis/coordination.k8s.io/v1/namespaces/lookaside/leases";
    struct str body = str_of(strstr(head, "\r\n\r\n") + 4);

    cr_assert(str_starts_with(str_of(path), STR(base)), "%s", path);
    if (w.mood == SILENT)
        return;
    if (w.mood == FORBIDDEN)
        fake_answer(conn, 403, "", "{\"kind\":\"Status\",\"message\":\"leases is forbidden\"}");
    else if (w.mood == BUSY)
        fake_answer(conn, 429, "Retry-After: 1\r\n", "");
    else if (strncmp(head, "GET ", 4) == 0)
        fake_answer(conn, w.object ? 200 : 404, "", w.object ? w.object : "{}");
    else {
        check_time(body, "acquireTime");
        check_time(body, "renewTime");
        answer_write(conn, body, strncmp(head, "POST ", 5) == 0);
    }
}

static void on_acquired(void *ctx)
{
    struct contender *it = ctx;
    const struct contender *other = it == &w.a ? &w.b : &w.a;

    it->acquired++;
    cr_assert(!other->lease || !lease_held(other->lease), "two hold it");
}

static void on_lost(void *ctx)
{
    struct contender *it = ctx;

    it->lost++;
    it->lost_us = clock_monotonic_us();
    cr_assert_not(lease_held(it->lease));
}

static void on_released(void *ctx)
{
    struct contender *it = ctx;

    it->released++;
}

static void contend_as(struct contender *it, const char *identity)
{
    cr_assert_eq(kube_client_new(w.loop, &w.config, &it->client, NULL), CODE_OK);
    it->lease = lease_new(&(struct lease_options){.client = it->client,
                                                  .namespace_name = "lookaside",
                                                  .name = "lookaside",
                                                  .identity = identity,
                                                  .duration_ms = DURATION_MS,
                                                  .renew_ms = RENEW_MS,
                                                  .retry_ms = RETRY_MS,
                                                  .on_acquired = on_acquired,
                                                  .on_lost = on_lost,
                                                  .ctx = it});
}

/* As when the process is killed. */
static void leave(struct contender *it)
{
    lease_free(TAKE(it->lease));
    kube_client_free(TAKE(it->client));
}

static void world_make(void)
{
    memset(&w, 0, sizeof(w));
    cr_assert_eq(loop_new(&w.loop, NULL), CODE_OK);
    w.server.on_request = serve;
    fake_server_start(&w.server, w.loop, 0);
    snprintf(w.url, sizeof(w.url), "http://127.0.0.1:%u", w.server.port);
    w.config.server = w.url;
}

static void world_free(void)
{
    leave(&w.a);
    leave(&w.b);
    fake_server_stop(&w.server);
    loop_free(w.loop);
    free(w.object);
}

TestSuite(lease, .init = world_make, .fini = world_free);

static void check_spec(const char *key, const char *value)
{
    CLEANUP(json_freep) struct json *object = NULL;
    char text[64];
    const struct json *item;

    cr_assert_eq(json_parse(str_of(w.object), &object, NULL), CODE_OK);
    item = json_get(json_get(object, "spec"), key);
    if (json_type(item) == JSON_NUMBER)
        snprintf(text, sizeof(text), "%g", json_number(item));
    else
        snprintf(text, sizeof(text), "%" STR_FMT, STR_ARG(json_text(item)));
    cr_assert_str_eq(text, value, "%s in %s", key, w.object);
}

Test(lease, is_made_where_there_is_none_and_renewed)
{
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    cr_assert(lease_held(w.a.lease));
    check_spec("holderIdentity", "a");
    check_spec("leaseDurationSeconds", "1");
    check_spec("leaseTransitions", "0");
    turn_until(w.loop, &w.writes, 15); /* longer than a term */
    cr_assert(lease_held(w.a.lease));
    cr_assert_eq(w.a.acquired, 1);
    cr_assert_eq(w.a.lost, 0);
    cr_assert_eq(w.conflicts, 0);
    check_spec("leaseTransitions", "0");
}

Test(lease, goes_to_one_of_two)
{
    contend_as(&w.a, "a");
    contend_as(&w.b, "b");
    turn_until(w.loop, &w.writes, 20);
    cr_assert_eq(w.a.acquired + w.b.acquired, 1);
    cr_assert_eq(w.a.lost + w.b.lost, 0);
}

Test(lease, passes_on_only_after_its_duration_when_the_holder_dies)
{
    uint64_t dead_us;

    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    contend_as(&w.b, "b");
    turn_until(w.loop, &w.writes, 5);
    leave(&w.a);
    dead_us = clock_monotonic_us();
    turn_until(w.loop, &w.b.acquired, 1);
    cr_assert_geq(clock_monotonic_us() - dead_us, (DURATION_MS - 2 * RETRY_MS) * 1000);
    check_spec("holderIdentity", "b");
    check_spec("leaseTransitions", "1");
}

Test(lease, passes_on_at_once_when_it_is_released)
{
    uint64_t begin_us;

    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    contend_as(&w.b, "b");
    turn_for_ms(w.loop, 3 * RETRY_MS);
    begin_us = clock_monotonic_us();
    lease_release(w.a.lease, on_released, &w.a);
    cr_assert_eq(w.a.lost, 1);
    cr_assert_eq(w.a.released, 0);
    turn_until(w.loop, &w.a.released, 1);
    turn_until(w.loop, &w.b.acquired, 1);
    cr_assert_lt(clock_monotonic_us() - begin_us, DURATION_MS * 1000 / 2);
    cr_assert_eq(counter_get(&lease_stats(w.a.lease)->lost), 0);
    cr_assert_eq(w.a.acquired, 1);
}

Test(lease, says_nobody_when_it_is_released)
{
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    lease_release(w.a.lease, on_released, &w.a);
    turn_until(w.loop, &w.a.released, 1);
    check_spec("holderIdentity", "");
    check_spec("leaseDurationSeconds", "1");
}

Test(lease, released_in_the_middle_of_a_renewal_says_nobody_too)
{
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    w.deaf = "\"a\"";
    turn_until(w.loop, &w.writes, 2); /* it counts, but the holder does not know */
    lease_release(w.a.lease, on_released, &w.a);
    turn_until(w.loop, &w.a.released, 1);
    check_spec("holderIdentity", "");
}

Test(lease, release_does_not_wait_for_a_server_that_is_away)
{
    uint64_t begin_us;

    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    w.mood = SILENT;
    begin_us = clock_monotonic_us();
    lease_release(w.a.lease, on_released, &w.a);
    turn_until(w.loop, &w.a.released, 1);
    cr_assert_leq(clock_monotonic_us() - begin_us, (LEASE_RELEASE_MS + 500) * 1000);
}

Test(lease, release_of_what_is_not_held_writes_nothing)
{
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    contend_as(&w.b, "b");
    turn_for_ms(w.loop, 3 * RETRY_MS);
    lease_release(w.b.lease, on_released, &w.b);
    turn_until(w.loop, &w.b.released, 1);
    check_spec("holderIdentity", "a");
    cr_assert_eq(w.b.lost, 0);
}

Test(lease, is_lost_before_others_may_take_it_while_the_server_is_away)
{
    uint64_t away_us;

    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    contend_as(&w.b, "b");
    turn_until(w.loop, &w.writes, 5);
    w.mood = SILENT;
    away_us = clock_monotonic_us();
    turn_until(w.loop, &w.a.lost, 1);
    cr_assert_leq(w.a.lost_us - away_us, (RENEW_MS + 50) * 1000);
    cr_assert_not(lease_held(w.a.lease));
    w.mood = WELL;
    turn_until(w.loop, &w.writes, 6);
    turn_for_ms(w.loop, RETRY_MS);
    cr_assert_eq(lease_held(w.a.lease) + lease_held(w.b.lease), 1);
}

Test(lease, comes_back_to_its_holder_whose_server_was_away)
{
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    fake_server_stop(&w.server);
    turn_until(w.loop, &w.a.lost, 1);
    fake_server_start(&w.server, w.loop, w.server.port);
    turn_until(w.loop, &w.a.acquired, 2);
    check_spec("leaseTransitions", "0");
    cr_assert_eq(counter_get(&lease_stats(w.a.lease)->held), 1);
}

Test(lease, a_renewal_without_an_answer_counts_only_when_it_is_seen)
{
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    w.deaf = "\"a\"";
    turn_until(w.loop, &w.a.lost, 1);
    w.deaf = NULL;
    turn_until(w.loop, &w.a.acquired, 2);
    check_spec("leaseTransitions", "0");
}

Test(lease, is_lost_to_who_was_stopped_before_it_does_anything)
{
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    usleep((RENEW_MS + 50) * 1000); /* the loop does not turn: as after SIGSTOP and SIGCONT */
    cr_assert_not(lease_held(w.a.lease));
    cr_assert_eq(w.a.lost, 0);
    turn_until(w.loop, &w.a.lost, 1);
}

Test(lease, of_one_who_was_stopped_is_with_the_other_when_it_goes_on)
{
    struct lease *stopped;

    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    stopped = w.a.lease;
    contend_as(&w.b, "b");
    turn_until(w.loop, &w.writes, 3);
    /* Another process takes it meanwhile: the server's Lease says so when the loop turns again. */
    usleep((DURATION_MS + 50) * 1000);
    put(STR("{\"spec\":{\"holderIdentity\":\"c\",\"leaseDurationSeconds\":15,\"acquireTime\":\"x\","
            "\"renewTime\":\"x\",\"leaseTransitions\":7}}"));
    turn_until(w.loop, &w.a.lost, 1);
    turn_for_ms(w.loop, 5 * RETRY_MS);
    cr_assert_not(lease_held(stopped));
    cr_assert_eq(w.a.acquired, 1);
    cr_assert_eq(w.b.acquired, 0);
    check_spec("holderIdentity", "c");
    cr_assert(str_eq(lease_holder(stopped), STR("c")));
}

Test(lease, taken_by_hand_is_lost_at_once)
{
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    put(STR("{\"spec\":{\"holderIdentity\":\"c\",\"leaseDurationSeconds\":15,\"acquireTime\":\"x\","
            "\"renewTime\":\"x\",\"leaseTransitions\":7}}"));
    turn_until(w.loop, &w.a.lost, 1);
    cr_assert_leq(w.conflicts, 1);
    check_spec("holderIdentity", "c");
}

Test(lease, of_a_namesake_is_not_ours)
{
    contend_as(&w.a, "same");
    turn_until(w.loop, &w.a.acquired, 1);
    contend_as(&w.b, "same");
    turn_until(w.loop, &w.writes, 15);
    cr_assert_eq(w.b.acquired, 0);
    cr_assert_eq(w.a.lost, 0);
}

Test(lease, keeps_what_others_wrote_into_its_metadata)
{
    put(STR("{\"metadata\":{\"labels\":{\"team\":\"shop\"}},\"spec\":{}}"));
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    cr_assert_not_null(strstr(w.object, "\"team\":\"shop\""), "%s", w.object);
    check_spec("leaseTransitions", "1");
}

Test(lease, that_is_deleted_is_made_again)
{
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.a.acquired, 1);
    free(TAKE(w.object));
    turn_until(w.loop, &w.writes, 3);
    cr_assert(lease_held(w.a.lease));
    cr_assert_eq(w.a.lost, 0);
}

Test(lease, without_the_right_to_it_is_never_held)
{
    w.mood = FORBIDDEN;
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.server.requests, 3);
    cr_assert_eq(w.a.acquired, 0);
    cr_assert_geq(counter_get(&lease_stats(w.a.lease)->errors), 2);
}

Test(lease, asks_no_sooner_than_a_busy_server_says)
{
    w.mood = BUSY;
    contend_as(&w.a, "a");
    turn_until(w.loop, &w.server.requests, 1);
    turn_for_ms(w.loop, 800);
    cr_assert_eq(w.server.requests, 1);
}

Test(lease, whose_holder_promises_more_is_left_for_longer)
{
    put(STR("{\"spec\":{\"holderIdentity\":\"c\",\"leaseDurationSeconds\":2,\"acquireTime\":\"x\","
            "\"renewTime\":\"1970-01-01T00:00:00.000000Z\"}}"));
    contend_as(&w.a, "a");
    turn_for_ms(w.loop, DURATION_MS + 300);
    cr_assert_eq(w.a.acquired, 0);
    turn_until(w.loop, &w.a.acquired, 1);
    check_spec("leaseTransitions", "1");
}

Test(lease_record, writes_times_as_the_api_reads_them)
{
    char text[LEASE_TIME_MAX];

    lease_time_format(1700000000123456, text);
    cr_assert_str_eq(text, "2023-11-14T22:13:20.123456Z");
}

Test(lease_record, of_something_else_says_nothing)
{
    CLEANUP(json_freep) struct json *object = NULL;
    struct lease_record record;

    cr_assert_eq(json_parse(STR("{\"spec\":{\"holderIdentity\":7,\"leaseDurationSeconds\":\"x\","
                                "\"leaseTransitions\":-1}}"),
                            &object, NULL),
                 CODE_OK);
    record = lease_record_read(object);
    cr_assert_eq(record.holder.len, 0);
    cr_assert_eq(record.duration_ms, 0);
    cr_assert_eq(record.transitions, 0);
}
