#include "status_world.h"

#include "base/clock.h"

TestSuite(status, .init = status_world_make, .fini = status_world_free);

static bool written(const char *text)
{
    return strstr(sw.body, text) != NULL;
}

#define cr_assert_written(text) cr_assert(written(text), "%s is not in %s", text, sw.body)

static uint64_t result(enum status_result which)
{
    return counter_get(&status_stats(sw.writer)->results[which]);
}

/* The lastTransitionTime of a condition, as last written. */
static struct str since(const char *type)
{
    char want[64];
    const char *at;

    snprintf(want, sizeof(want), "{\"type\":\"%s\"", type);
    at = strstr(sw.body, want);
    cr_assert_not_null(at);
    at = strstr(at, "\"lastTransitionTime\":\"");
    cr_assert_not_null(at);
    return str_make(at + strlen("\"lastTransitionTime\":\""), 20);
}

Test(status, is_applied_on_the_status_of_that_very_object)
{
    add("greeter");
    wait_for(&sw.patches, 1);
    cr_assert_str_eq(sw.path,
                     "/apis/lookaside.dev/v1alpha1/namespaces/shop/lookasideservices/greeter/"
                     "status?fieldManager=lookaside&force=true");
    cr_assert_not_null(strstr(sw.head, "\r\nContent-Type: application/apply-patch+yaml\r\n"));
    cr_assert_written("\"uid\":\"uid-of-greeter\"");
    cr_assert_written("\"observedGeneration\":1,\"conditions\":[{\"type\":\"Accepted\","
                      "\"status\":\"True\",\"reason\":\"Accepted\",\"message\":\"\"");
    cr_assert_written("\"endpoints\":{\"ready\":3,\"draining\":0,\"total\":4},\"clients\":0,"
                      "\"load\":{\"requestsPerSecond\":0,\"errorPercent\":0},"
                      "\"holds\":[]");
    expect_silence(2 * COUNTERS_MS);
    cr_assert_eq(result(STATUS_WRITTEN), 1);
}

Test(status, that_the_api_server_has_already_is_not_written)
{
    struct resource *greeter = add("greeter");

    wait_for(&sw.patches, 1);
    pass_ms(20);
    touch(greeter);
    expect_silence(2 * COUNTERS_MS);
    another_replica();
    expect_silence(2 * COUNTERS_MS);
}

Test(status, edited_by_somebody_else_is_written_again)
{
    struct resource *greeter = add("greeter");
    char *at;

    wait_for(&sw.patches, 1);
    pass_ms(20);
    at = strstr(greeter->stored, "\"status\":\"True\"");
    memcpy(at, "\"status\":\"Gone\"", strlen("\"status\":\"Gone\""));
    at = strstr(greeter->stored, "\"resourceVersion\":\"");
    at[strlen("\"resourceVersion\":\"")] = '9'; /* a newer one */
    observe(greeter);
    wait_for(&sw.patches, 2);
    cr_assert_written("\"status\":\"True\"");
}

Test(status, conditions_go_out_at_once_and_keep_their_times)
{
    struct resource *greeter = add("greeter");
    uint64_t begin_us;
    char before[32];

    wait_for(&sw.patches, 1);
    snprintf(before, sizeof(before), "%" STR_FMT, STR_ARG(since("Accepted")));
    pass_ms(1100); /* another second */
    set_condition(greeter, CONDITION_PUBLISHED, false, "ClientRejected", "no ring hash");
    greeter->status.generation = 2;
    begin_us = clock_monotonic_us();
    touch(greeter);
    wait_for(&sw.patches, 2);
    cr_assert_lt(clock_monotonic_us() - begin_us, 200000);
    cr_assert_written("\"reason\":\"ClientRejected\",\"message\":\"no ring hash\"");
    cr_assert_written("\"observedGeneration\":2");
    cr_assert(str_eq(since("Accepted"), str_of(before)), "%s", sw.body);
    cr_assert(!str_eq(since("Published"), str_of(before)), "%s", sw.body);
}

Test(status, counters_wait_for_their_time)
{
    struct resource *greeter = add("greeter");
    uint64_t first_us;

    wait_for(&sw.patches, 1);
    first_us = clock_monotonic_us();
    for (size_t i = 0; i < 5; i++) {
        greeter->status.ready++;
        touch(greeter);
        pass_ms(20);
    }
    wait_for(&sw.patches, 2);
    cr_assert_geq(clock_monotonic_us() - first_us, (COUNTERS_MS - 5) * 1000);
    cr_assert_written("\"ready\":8");
    expect_silence(2 * COUNTERS_MS);
}

Test(status, counters_go_along_with_conditions)
{
    struct resource *greeter = add("greeter");

    wait_for(&sw.patches, 1);
    greeter->status.ready = 0;
    set_condition(greeter, CONDITION_RESOLVED_REFS, false, "ServiceNotFound",
                  "no Service 'greeter'");
    touch(greeter);
    wait_for(&sw.patches, 2);
    cr_assert_written("\"ready\":0");
    expect_silence(2 * COUNTERS_MS);
}

Test(status, that_flaps_is_written_no_faster_than_its_pause)
{
    struct resource *greeter = add("greeter");
    uint64_t begin_us = clock_monotonic_us(), us = 0;

    for (size_t i = 0; us < 600000 || (sw.patches < 2 && us < 10000000); i++) {
        set_condition(greeter, CONDITION_PUBLISHED, i % 2, i % 2 ? "Published" : "NotPublished",
                      "");
        touch(greeter);
        pass_ms(3);
        us = clock_monotonic_us() - begin_us;
    }
    cr_assert_leq(sw.patches, us / 1000 / PAUSE_MS + 1);
    cr_assert_geq(sw.patches, 2);
}

Test(status, clients_are_rounded_and_those_who_do_not_answer_are_named)
{
    add("greeter");
    wait_for(&sw.patches, 1);
    sw.clients = 12;
    sw.uncounted = "lookaside-1";
    status_touch_all(sw.writer);
    wait_for(&sw.patches, 2);
    cr_assert_written("\"clients\":10");
    cr_assert_written("\"message\":\"; clients are counted without replicas that do not answer: "
                      "lookaside-1\"");
    sw.clients = 13; /* the same when rounded */
    status_touch_all(sw.writer);
    expect_silence(2 * COUNTERS_MS);
    cr_assert_null(strstr(sw.reasons, "Published"), "%s", sw.reasons);
}

/* A service is never called twice equally often. */
Test(status, a_load_that_differs_little_is_not_written)
{
    add("greeter");
    wait_for(&sw.patches, 1);
    cr_assert_written("\"load\":{\"requestsPerSecond\":0,\"errorPercent\":0}");
    sw.calls = 1234;
    sw.failed = 12;
    status_touch_all(sw.writer);
    wait_for(&sw.patches, 2);
    cr_assert_written("\"load\":{\"requestsPerSecond\":1200,\"errorPercent\":1}");
    sw.calls = 1301;
    sw.failed = 20;
    status_touch_all(sw.writer);
    expect_silence(2 * COUNTERS_MS);
    sw.calls = 1400;
    status_touch_all(sw.writer);
    wait_for(&sw.patches, 3);
    cr_assert_written("\"requestsPerSecond\":1400");
}

Test(status, names_a_hold_that_lasts_but_not_one_that_is_over_at_once)
{
    struct resource *greeter = add("greeter");

    wait_for(&sw.patches, 1);
    greeter->status.hold = HOLD_SETTLE;
    touch(greeter);
    expect_silence(2 * COUNTERS_MS);
    greeter->status.hold = HOLD_DELETION;
    touch(greeter);
    wait_for(&sw.patches, 2);
    cr_assert_written("\"holds\":[\"deletion\"]");
}

Test(status, is_not_written_by_who_may_not)
{
    struct resource *greeter;

    status_set_active(sw.writer, false);
    greeter = add("greeter");
    expect_silence(200);
    sw.may = false; /* the Lease has run out, and nobody has said so yet */
    status_set_active(sw.writer, true);
    touch(greeter);
    expect_silence(200);
    sw.may = true;
    budget_wake(sw.budget);
    wait_for(&sw.patches, 1);
}

Test(status, write_under_way_is_given_up_with_the_lease_and_followed_by_none)
{
    struct resource *greeter = add("greeter");

    sw.answer = -1;
    wait_for(&sw.patches, 1);
    set_condition(greeter, CONDITION_ACCEPTED, false, "Invalid", "spec.port: no");
    touch(greeter);
    sw.may = false;
    status_set_active(sw.writer, false);
    sw.answer = 0;
    fake_answer(sw.conn, 200, "", "{}"); /* too late */
    expect_silence(300);
    cr_assert_eq(result(STATUS_WRITTEN), 0);
    sw.may = true; /* the others wrote it */
    status_set_active(sw.writer, true);
    wait_for(&sw.patches, 2);
    cr_assert_written("\"reason\":\"Invalid\"");
}

Test(status, of_an_object_deleted_under_the_pen_is_forgotten)
{
    struct resource *greeter = add("greeter");

    sw.answer = 404;
    wait_for(&sw.patches, 1);
    greeter->gone = true;
    touch(greeter);
    pass_ms(50);
    cr_assert_eq(result(STATUS_GONE), 1);
    status_set_active(sw.writer, false);
    touch(greeter);
    cr_assert_eq(counter_get(&status_stats(sw.writer)->resources), 0);
}

Test(status, of_an_object_that_went_before_its_turn_costs_nothing)
{
    struct resource *greeter;

    sw.may = false;
    greeter = add("greeter");
    pass_ms(100);
    cr_assert_eq(status_pending(sw.writer), 1);
    greeter->gone = true;
    sw.may = true;
    budget_wake(sw.budget);
    expect_silence(100);
    cr_assert_eq(counter_get(&status_stats(sw.writer)->resources), 0);
}

Test(status, is_not_written_over_what_another_leader_wrote_meanwhile)
{
    struct resource *greeter = add("greeter");
    char *at;

    wait_for(&sw.patches, 1);
    pass_ms(20);
    at = strstr(greeter->stored, "\"resourceVersion\":\"");
    at[strlen("\"resourceVersion\":\"")] = '8'; /* and our watch is late */
    greeter->status.generation = 2;
    touch(greeter);
    wait_for(&sw.patches, 2);
    expect_silence(3 * PAUSE_MS);
    cr_assert_eq(result(STATUS_CONFLICT), 1);
    cr_assert_not_null(strstr(greeter->stored, "\"observedGeneration\":1"));
    observe(greeter);
    wait_for(&sw.patches, 3);
    pass_ms(20);
    cr_assert_eq(result(STATUS_WRITTEN), 2);
}

Test(status, of_an_object_that_changed_while_it_was_written_is_written_anew)
{
    struct resource *greeter = add("greeter");
    char *at;

    sw.answer = -1;
    wait_for(&sw.patches, 1);
    at = strstr(greeter->stored, "\"resourceVersion\":\"");
    at[strlen("\"resourceVersion\":\"")] = '8';
    observe(greeter); /* before the answer to the write */
    sw.answer = 0;
    fake_answer(sw.conn, 409, "", "{}");
    wait_for(&sw.patches, 2);
    pass_ms(20);
    cr_assert_eq(result(STATUS_WRITTEN), 1);
}

Test(status, of_an_object_made_anew_owes_nothing_to_the_old_one)
{
    struct resource *greeter = add("greeter");

    wait_for(&sw.patches, 1);
    pass_ms(20);
    snprintf(greeter->uid, sizeof(greeter->uid), "another");
    touch(greeter); /* before anything is known of its status */
    expect_silence(3 * PAUSE_MS);
    *greeter->stored = '\0';
    observe(greeter);
    wait_for(&sw.patches, 2);
    cr_assert_written("\"uid\":\"another\"");
}

Test(status, that_is_refused_for_good_is_not_tried_again_before_it_changes)
{
    struct resource *greeter = add("greeter");

    sw.answer = 422;
    wait_for(&sw.patches, 1);
    touch(greeter);
    expect_silence(400);
    cr_assert_eq(result(STATUS_INVALID), 1);
    sw.answer = 0;
    greeter->status.generation = 2;
    observe(greeter); /* its spec has changed */
    wait_for(&sw.patches, 2);
}

Test(status, conflict_is_left_alone_for_a_while)
{
    struct resource *greeter = add("greeter");

    sw.answer = 409;
    wait_for(&sw.patches, 1);
    touch(greeter);
    expect_silence(300);
    cr_assert_eq(result(STATUS_CONFLICT), 1);
}

Test(status, without_the_right_is_not_tried_for_each_resource)
{
    sw.answer = 403;
    for (size_t i = 0; i < 20; i++) {
        char name[16];

        snprintf(name, sizeof(name), "s%zu", i);
        add(name);
        pass_ms(30);
    }
    pass_ms(200);
    cr_assert_leq(sw.patches, 4);
    cr_assert_eq(result(STATUS_FORBIDDEN), sw.patches);
}

Test(status, waits_as_long_as_a_busy_server_says)
{
    uint64_t busy_us;

    sw.answer = 429;
    sw.extra = "Retry-After: 1\r\n";
    add("greeter");
    wait_for(&sw.patches, 1);
    busy_us = clock_monotonic_us();
    sw.answer = 0;
    wait_for(&sw.patches, 2);
    cr_assert_geq(clock_monotonic_us() - busy_us, 990000);
    pass_ms(30);
    cr_assert_eq(result(STATUS_FAILED), 1);
    cr_assert_eq(result(STATUS_WRITTEN), 1);
}

/* Of statuses and Events. */
static uint64_t failures(void)
{
    return result(STATUS_FAILED) + counter_get(&events_stats(sw.events)->failed);
}

Test(status, survives_a_server_that_is_away)
{
    uint64_t end_us = clock_monotonic_us() + 10000000;

    add("greeter");
    fake_server_stop(&sw.server);
    while (failures() == 0 && clock_monotonic_us() < end_us)
        pass_ms(20);
    cr_assert_geq(failures(), 1);
    fake_server_start(&sw.server, sw.loop, sw.server.port);
    wait_for(&sw.patches, 1);
}

Test(status, that_the_server_prunes_is_not_written_again_and_again)
{
    sw.prunes = true;
    sw.clients = 20;
    add("greeter");
    wait_for(&sw.patches, 1);
    status_touch_all(sw.writer);
    expect_silence(3 * COUNTERS_MS);
}

Test(status, older_news_than_the_own_write_does_not_undo_it)
{
    struct resource *greeter = add("greeter");
    char before[8192];

    wait_for(&sw.patches, 1);
    pass_ms(20);
    memcpy(before, greeter->stored, sizeof(before));
    greeter->status.generation = 2;
    touch(greeter);
    wait_for(&sw.patches, 2);
    pass_ms(20);
    memcpy(greeter->stored, before, sizeof(before)); /* the watch is late */
    observe(greeter);
    expect_silence(3 * PAUSE_MS);
}

Test(status, of_many_is_written_in_the_pace_of_the_budget)
{
    uint64_t begin_us = clock_monotonic_us();

    for (size_t i = 0; i < RESOURCES_MAX; i++) {
        char name[16];

        snprintf(name, sizeof(name), "s%zu", i);
        add(name);
    }
    wait_for(&sw.patches, RESOURCES_MAX);
    /* Their Events share it. */
    cr_assert_geq(clock_monotonic_us() - begin_us, (RESOURCES_MAX - 1) * 5000);
    for (size_t i = 0; i < RESOURCES_MAX; i++)
        cr_assert_eq(sw.resources[i].patches, 1);
}
