#include "status_world.h"

#include "base/clock.h"

TestSuite(events, .init = status_world_make, .fini = status_world_free);

static void say(const char *name, const char *reason, const char *note)
{
    events_say(sw.events, &(struct event){.namespace_name = STR("shop"),
                                          .name = str_of(name),
                                          .uid = STR("u1"),
                                          .warning = true,
                                          .reason = reason,
                                          .note = str_of(note)});
}

static bool has(const char *text)
{
    return strstr(sw.event_body, text) != NULL;
}

#define cr_assert_has(text) cr_assert(has(text), "%s is not in %s", text, sw.event_body)

Test(events, are_of_the_api_and_regard_the_resource)
{
    say("greeter", "Invalid", "spec.port: no such port");
    wait_for(&sw.event_creates, 1);
    cr_assert_str_eq(sw.event_path, "/apis/events.k8s.io/v1/namespaces/shop/events");
    cr_assert_has("\"apiVersion\":\"events.k8s.io/v1\",\"kind\":\"Event\"");
    cr_assert_has("\"name\":\"greeter.");
    cr_assert_has(
        "\"reportingController\":\"lookaside.dev/lookaside\",\"reportingInstance\":\"me\"");
    cr_assert_has("\"action\":\"Publish\",\"type\":\"Warning\",\"reason\":\"Invalid\","
                  "\"note\":\"spec.port: no such port\"");
    cr_assert_has("\"regarding\":{\"apiVersion\":\"lookaside.dev/v1alpha1\","
                  "\"kind\":\"LookasideService\",\"namespace\":\"shop\",\"name\":\"greeter\","
                  "\"uid\":\"u1\"}");
}

Test(events, said_again_are_counted_once_in_a_while)
{
    uint64_t begin_us = clock_monotonic_us();

    say("greeter", "Invalid", "x");
    wait_for(&sw.event_creates, 1);
    for (size_t i = 0; i < 40; i++)
        say("greeter", "Invalid", "x");
    wait_for(&sw.event_patches, 1);
    cr_assert_geq(clock_monotonic_us() - begin_us, 295000);
    cr_assert_has("{\"series\":{\"count\":41,\"lastObservedTime\":\"20");
    cr_assert_not_null(strstr(sw.event_path, "/events/greeter."));
    pass_ms(700);
    cr_assert_eq(sw.event_creates, 1);
    cr_assert_eq(sw.event_patches, 1);
    cr_assert_eq(counter_get(&events_stats(sw.events)->written), 2);
}

Test(events, differ_by_object_reason_and_note)
{
    say("greeter", "Invalid", "x");
    say("greeter", "Invalid", "y");
    say("greeter", "HostConflict", "x");
    say("other", "Invalid", "x");
    wait_for(&sw.event_creates, 4);
}

Test(events, whose_time_is_up_are_made_anew)
{
    say("greeter", "Invalid", "x");
    wait_for(&sw.event_creates, 1);
    say("greeter", "Invalid", "x");
    pass_ms(100);
    sw.event_answer = 404;
    wait_for(&sw.event_patches, 1);
    sw.event_answer = 0;
    wait_for(&sw.event_creates, 2);
    cr_assert_has("\"note\":\"x\"");
}

Test(events, refused_are_not_tried_again)
{
    sw.event_answer = 403;
    say("greeter", "Invalid", "x");
    wait_for(&sw.event_creates, 1);
    pass_ms(100);
    cr_assert_eq(sw.event_creates, 1);
    cr_assert_eq(counter_get(&events_stats(sw.events)->refused), 1);
}

Test(events, that_exist_already_were_made_by_an_attempt_without_an_answer)
{
    sw.event_answer = 409;
    say("greeter", "Invalid", "x");
    wait_for(&sw.event_creates, 1);
    pass_ms(50);
    cr_assert_eq(counter_get(&events_stats(sw.events)->written), 1);
}

Test(events, wait_for_a_busy_server)
{
    sw.event_answer = 503;
    say("greeter", "Invalid", "x");
    wait_for(&sw.event_creates, 1);
    sw.event_answer = 0;
    wait_for(&sw.event_creates, 2);
    cr_assert_eq(counter_get(&events_stats(sw.events)->failed), 1);
}

Test(events, of_a_replica_that_lost_the_lease_are_not_said)
{
    sw.may = false;
    say("greeter", "Invalid", "x");
    pass_ms(50);
    events_silence(sw.events);
    sw.may = true;
    budget_wake(sw.budget);
    pass_ms(100);
    cr_assert_eq(sw.event_creates, 0);
}

Test(events, are_bounded)
{
    sw.may = false;
    for (size_t i = 0; i < EVENTS_MAX + 10; i++) {
        char note[16];

        snprintf(note, sizeof(note), "%zu", i);
        say("greeter", "Invalid", note);
    }
    cr_assert_eq(counter_get(&events_stats(sw.events)->dropped), 10);
}

Test(events, notes_are_cut)
{
    char note[3000];

    memset(note, 'x', sizeof(note) - 1);
    note[sizeof(note) - 1] = '\0';
    say("greeter", "Invalid", note);
    wait_for(&sw.event_creates, 1);
    note[EVENT_NOTE_MAX] = '\0';
    cr_assert_not_null(strstr(sw.event_body, note));
    cr_assert_lt(strlen(sw.event_body), 2000);
}

/* ---- what of a status is an Event ---- */

Test(events, tell_acceptance_rejection_quarantine_and_holds)
{
    struct resource *greeter = add("greeter");

    wait_for(&sw.event_creates, 1);
    cr_assert_str_eq(sw.reasons, "Accepted");
    cr_assert_has("\"type\":\"Normal\"");
    cr_assert_has("generation 1 is in force");
    set_condition(greeter, CONDITION_ACCEPTED, false, "Invalid", "generation 1 stays in force");
    greeter->status.generation = 2;
    touch(greeter);
    wait_for(&sw.event_creates, 2);
    set_condition(greeter, CONDITION_ACCEPTED, true, "Accepted", "");
    set_condition(greeter, CONDITION_PUBLISHED, false, "ClientRejected", "no");
    greeter->status.generation = 3;
    touch(greeter);
    wait_for(&sw.event_creates, 4);
    greeter->status.hold = HOLD_SERVICE_CHANGE;
    touch(greeter);
    wait_for(&sw.event_creates, 5);
    cr_assert_str_eq(sw.reasons, "Accepted Invalid Accepted ClientRejected ListKept");
    cr_assert_has("hold 'service-change'");
    greeter->status.hold = HOLD_NONE;
    set_condition(greeter, CONDITION_PUBLISHED, true, "Published", "");
    touch(greeter);
    wait_for(&sw.event_creates, 6);
    cr_assert_has("all is well again");
}

Test(events, are_not_told_again_by_the_next_leader)
{
    struct resource *greeter = add("greeter");

    set_condition(greeter, CONDITION_RESOLVED_REFS, false, "PortNotFound", "no port");
    wait_for(&sw.event_creates, 2);
    wait_for(&sw.patches, 1);
    pass_ms(50);
    another_replica();
    pass_ms(200);
    cr_assert_eq(sw.event_creates, 2);
    cr_assert_eq(sw.patches, 1);
}
