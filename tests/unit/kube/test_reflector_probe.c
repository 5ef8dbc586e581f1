/* Of a reflector: the probe, lists that are doubted, and resources that are optional. */
#include "reflector_world.h"

#define STREAM "sendInitialEvents"
#define PROBE_MS 200

TestSuite(reflector_probe, .init = world_make, .fini = world_free, .timeout = 60);

static const struct reflector_stats *stats(void)
{
    return reflector_stats(w.refl);
}

/* One watch that begins with a list of "a" at version 10. */
#define WATCH_AT_10                                                                                \
    {                                                                                              \
        STREAM, 0, NULL, EVENT("ADDED", "a", "5") STREAM_END("10"), false, false                   \
    }
#define PROBE(version)                                                                             \
    {                                                                                              \
        "?limit=1", 200, NULL, PAGE(version, "t", OBJECT("a", "5")), false, false                  \
    }

static void play(const struct step *steps, size_t len)
{
    w.options.probe_ms = PROBE_MS;
    start(steps, len);
    turn_until(w.loop, &w.step, len);
}

Test(reflector_probe, leaves_a_watch_alone_that_is_current)
{
    static const struct step steps[] = {WATCH_AT_10, PROBE("10"), PROBE("10"),
                                        PROBE("10"), PROBE("10"), PROBE("10")};

    play(steps, ARRAY_LEN(steps));
    cr_assert_str_eq(w.seen, "[ a ]");
    cr_assert_geq(stat_of(&stats()->probes), 4);
    cr_assert_eq(stat_of(&stats()->reconnects), 0);
    cr_assert_eq(w.server.accepted, 2); /* the watch, and everything else */
}

Test(reflector_probe, proves_the_view_current_when_versions_agree)
{
    static const struct step steps[] = {WATCH_AT_10, PROBE("10"), PROBE("11")};
    uint64_t listed;

    w.options.probe_ms = PROBE_MS;
    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 3);
    listed = stat_of(&stats()->last_contact_us);
    turn_until(w.loop, &w.step, 3);
    cr_assert_geq(stat_of(&stats()->last_contact_us), listed + PROBE_MS * 1000 / 2);
}

Test(reflector_probe, lists_again_when_the_server_was_rewound)
{
    static const struct step steps[] = {
        WATCH_AT_10,
        PROBE("9"),
        {STREAM, 0, NULL, EVENT("ADDED", "b", "4") STREAM_END("9"), false, false}};

    play(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 6);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
    cr_assert_lt(gap_ms(2), 300);
    cr_assert_eq(stat_of(&stats()->relists[RELIST_REWOUND]), 1);
    cr_assert_eq(stat_of(&stats()->reconnects), 1);
    cr_assert_eq(w.server.accepted, 3);
}

/* Resumed at a version that the restored server has not reached, before a probe looks. */
Test(reflector_probe, lists_again_when_a_watch_goes_back)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL, EVENT("ADDED", "a", "5") STREAM_END("10") BOOKMARK("9"), false, false},
        {STREAM, 0, NULL,
         EVENT("ADDED", "b", "4") STREAM_END("9") BOOKMARK("9") EVENT("MODIFIED", "b", "8"), false,
         false},
        {STREAM, 0, NULL, EVENT("ADDED", "c", "4") STREAM_END("8"), false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 9);
    cr_assert_str_eq(w.seen, "[ a ] [ b ] [ c ]", "what is older does not count");
    cr_assert_lt(gap_ms(1), 100);
    cr_assert_gt(gap_ms(2), 0);
    cr_assert_eq(stat_of(&stats()->relists[RELIST_REWOUND]), 2);
    cr_assert_eq(stat_of(&stats()->relists[RELIST_GONE]), 0);
}

/* Events that come while the probe is under way are newer than its answer may be. */
Test(reflector_probe, compares_with_the_version_of_when_it_was_sent)
{
    static const struct step steps[] = {WATCH_AT_10, {"?limit=1", 0, NULL, NULL, false, false}};
    struct fake_conn *watch;

    w.options.probe_ms = PROBE_MS;
    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 3);
    watch = w.conn;
    turn_until(w.loop, &w.step, 2);
    fake_chunk(watch, EVENT("ADDED", "b", "12"));
    turn_until(w.loop, &w.calls, 4);
    fake_chunk(w.conn, PAGE("11", "t", OBJECT("a", "5")));
    fake_end(w.conn);
    turn_for_ms(w.loop, PROBE_MS / 2);
    cr_assert_str_eq(w.seen, "[ a ] +b");
    cr_assert_eq(stat_of(&stats()->relists[RELIST_REWOUND]), 0);
    cr_assert_eq(stat_of(&stats()->probes), 1);
}

Test(reflector_probe, gives_up_a_watch_that_does_not_follow_the_server)
{
    static const struct step steps[] = {
        WATCH_AT_10, {STREAM, 0, NULL, EVENT("ADDED", "b", "15") STREAM_END("20"), false, false}};

    w.newest = "20";
    play(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 6);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
    cr_assert_geq(gap_ms(1), PROBE_MS * 2); /* half a one to the first probe at least */
    cr_assert_lt(gap_ms(1), PROBE_MS * 5);
    cr_assert_eq(stat_of(&stats()->relists[RELIST_BEHIND]), 1);
    cr_assert_eq(w.server.accepted, 3);
}

Test(reflector_probe, is_content_with_a_bookmark_that_reaches_what_it_saw)
{
    static const struct step steps[] = {WATCH_AT_10};
    static const char *const versions[] = {"20", "30", "40", "50"};
    struct fake_conn *watch;

    w.newest = "10";
    play(steps, ARRAY_LEN(steps));
    watch = w.conn;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        CLEANUP(freep) char *line = NULL;
        uint64_t probes = stat_of(&stats()->probes);

        w.newest = versions[i];
        while (stat_of(&stats()->probes) == probes)
            loop_turn(w.loop, 10);
        cr_assert_gt(asprintf(&line,
                              "{\"type\":\"%s\",\"object\":{\"metadata\":{\"name\":\"b\","
                              "\"resourceVersion\":\"%s\"}}}\n",
                              i % 2 ? "ADDED" : "BOOKMARK", versions[i]),
                     0);
        fake_chunk(watch, line);
    }
    turn_for_ms(w.loop, PROBE_MS * 3);
    cr_assert_str_eq(w.seen, "[ a ] +b +b");
    cr_assert_eq(stat_of(&stats()->reconnects), 0);
}

/* Bookmarks that come less often than once a minute do no harm for long. */
Test(reflector_probe, has_more_patience_when_the_list_was_for_nothing)
{
    static const struct step again = {STREAM, 0,    NULL, EVENT("ADDED", "a", "5") STREAM_END("20"),
                                      false,  false};
    const struct step steps[] = {WATCH_AT_10, again, again};

    w.newest = "20";
    play(steps, 1);
    w.steps_len = 3;
    turn_until(w.loop, &w.step, 2);
    w.newest = "30";
    turn_until(w.loop, &w.step, 3);
    cr_assert_geq(gap_ms(2), PROBE_MS * 4);
    cr_assert_eq(stat_of(&stats()->relists[RELIST_BEHIND]), 2);
}

Test(reflector_probe, keeps_its_patience_when_the_list_found_more)
{
    static const struct step more = {STREAM, 0,    NULL, EVENT("ADDED", "b", "15") STREAM_END("20"),
                                     false,  false};
    const struct step steps[] = {WATCH_AT_10, more, more};

    w.newest = "20";
    play(steps, 1);
    w.steps_len = 3;
    turn_until(w.loop, &w.step, 2);
    w.newest = "30";
    turn_until(w.loop, &w.step, 3);
    cr_assert_lt(gap_ms(2), PROBE_MS * 4);
}

Test(reflector_probe, does_not_compare_versions_that_are_no_numbers)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL, EVENT("ADDED", "a", "x") STREAM_END("x"), false, false},
        PROBE("5"),
        PROBE("y"),
        PROBE("99"),
        PROBE("99"),
        PROBE("99")};

    play(steps, ARRAY_LEN(steps));
    cr_assert_str_eq(w.seen, "[ a ]");
}

Test(reflector_probe, takes_its_own_failure_for_no_more_than_that)
{
    static const struct step steps[] = {WATCH_AT_10,
                                        {"?limit=1", 500, NULL, NULL, false, false},
                                        {"?limit=1", 200, NULL, "nonsense", false, false},
                                        {"?limit=1", 429, "Retry-After: 1\r\n", NULL, false, false},
                                        PROBE("10")};

    play(steps, ARRAY_LEN(steps));
    cr_assert_str_eq(w.seen, "[ a ]");
    cr_assert_geq(gap_ms(4), 1000);
    cr_assert_eq(stat_of(&stats()->reconnects), 0);
    cr_assert_eq(stat_of(&stats()->errors), 2);
}

/* ---- doubt ---- */

Test(reflector_probe, lists_again_in_five_seconds_when_the_sink_doubts)
{
    static const struct step steps[] = {
        WATCH_AT_10, {STREAM, 0, NULL, EVENT("ADDED", "b", "15") STREAM_END("20"), false, false}};

    w.doubts = 1;
    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 3);
    fake_chunk(w.conn, EVENT("ADDED", "c", "11"));
    turn_until(w.loop, &w.calls, 7);
    cr_assert_str_eq(w.seen, "[ a ] +c [ b ]");
    cr_assert(gap_ms(1) >= KUBE_SINK_DOUBT_MS && gap_ms(1) < KUBE_SINK_DOUBT_MS + 500, "%llu",
              (unsigned long long)gap_ms(1));
    cr_assert_eq(stat_of(&stats()->relists[RELIST_DOUBT]), 1);
    turn_for_ms(w.loop, 100);
    cr_assert_eq(w.server.requests, 2);
}

/* ---- optional ---- */

#define ABSENT_MS 200

static void start_optional(const struct step *steps, size_t len)
{
    w.options.need = NEED_IF_EASY;
    w.options.absent_ms = ABSENT_MS;
    start(steps, len);
}

#define FORBIDDEN_MS 1500

static void start_if_served(const struct step *steps, size_t len)
{
    w.options.need = NEED_IF_SERVED;
    w.options.absent_ms = ABSENT_MS;
    w.options.forbidden_advice = "ask for it";
    w.options.forbidden_ms = FORBIDDEN_MS;
    start(steps, len);
}

Test(reflector_probe, waits_for_a_resource_that_may_be_there)
{
    static const struct step steps[] = {{"limit", 503, NULL, NULL, false, false},
                                        {"limit", 429, NULL, NULL, false, false},
                                        {"limit", 503, NULL, NULL, false, false},
                                        {"limit", 403, NULL, NULL, false, false},
                                        {"limit", 200, NULL, LIST("12", ""), false, false}};

    start_if_served(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.step, 4);
    turn_for_ms(w.loop, 50);
    cr_assert_eq(w.synced, 0);
    cr_assert_str_eq(reflector_problem(w.refl),
                     "cannot list services: services is forbidden: ask for it (HTTP 403)");
    turn_until(w.loop, &w.synced, 1);
    cr_assert_str_eq(w.seen, "[ ]");
}

Test(reflector_probe, serves_without_a_resource_that_is_not_served)
{
    static const struct step steps[] = {{"limit", 404, NULL, NULL, false, false}};

    start_if_served(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.synced, 1);
    cr_assert_eq(w.step, 1);
    cr_assert_eq(stat_of(&stats()->absent), 1);
}

/* Other answers between them begin its time anew. */
Test(reflector_probe, serves_without_a_resource_that_is_forbidden_for_long)
{
    static const struct step steps[] = {{"limit", 403, NULL, NULL, false, false},
                                        {"limit", 503, NULL, NULL, false, false},
                                        {"limit", 403, NULL, NULL, false, false},
                                        {"limit", 403, NULL, NULL, false, false},
                                        {"limit", 403, NULL, NULL, false, false},
                                        {"limit", 403, NULL, NULL, false, false},
                                        {"limit", 403, NULL, NULL, false, false},
                                        {"limit", 403, NULL, NULL, false, false}};

    start_if_served(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.synced, 1);
    cr_assert(w.step_us[w.step - 1] - w.step_us[2] >= FORBIDDEN_MS * 1000);
    cr_assert(w.step_us[w.step - 1] - w.step_us[2] < FORBIDDEN_MS * 1000 + 500 * 1000);
    cr_assert_eq(stat_of(&stats()->absent), 1);
    cr_assert_str_eq(reflector_problem(w.refl), "");
}

Test(reflector_probe, never_serves_without_what_is_forbidden_unless_told)
{
    static const struct step steps[] = {{"limit", 403, NULL, NULL, false, false},
                                        {"limit", 403, NULL, NULL, false, false},
                                        {"limit", 403, NULL, NULL, false, false}};

    w.options.need = NEED_IF_SERVED;
    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.step, 3);
    turn_for_ms(w.loop, 50);
    cr_assert_eq(w.synced, 0);
    cr_assert_str_eq(reflector_problem(w.refl), "cannot list services: HTTP 403");
}

Test(reflector_probe, serves_without_a_resource_that_is_absent_and_asks_again)
{
    static const int statuses[] = {403, 404};
    struct step steps[] = {
        {"limit", 404, NULL, NULL, false, false},
        {"limit", 404, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        if (i > 0) {
            world_free();
            world_make();
        }
        steps[0].status = steps[1].status = statuses[i];
        start_optional(steps, ARRAY_LEN(steps));
        turn_until(w.loop, &w.synced, 1);
        cr_assert_eq(stat_of(&stats()->absent), 1);
        cr_assert(reflector_synced(w.refl));
        turn_until(w.loop, &w.calls, 3);
        cr_assert_str_eq(w.seen, "[ a ]");
        cr_assert_geq(gap_ms(1), ABSENT_MS);
        cr_assert_geq(gap_ms(2), ABSENT_MS);
        cr_assert_eq(w.synced, 1);
        cr_assert_eq(stat_of(&stats()->absent), 0);
        cr_assert_eq(stat_of(&stats()->errors), 0);
    }
}

Test(reflector_probe, keeps_what_it_knew_of_a_resource_that_went)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", 403, NULL, NULL, false, false},
        {"limit", 403, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("12", OBJECT("b", "1")), false, false}};

    start_optional(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.step, 3);
    cr_assert_str_eq(w.seen, "[ a ]");
    turn_until(w.loop, &w.calls, 6);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
    cr_assert_eq(w.synced, 1);
}

Test(reflector_probe, keeps_nobody_waiting_for_an_optional_resource_that_fails)
{
    static const struct step steps[] = {{"limit", 503, NULL, NULL, false, false},
                                        {"limit", 503, NULL, NULL, false, false},
                                        {"limit", 503, NULL, NULL, false, false},
                                        {"limit", 200, NULL, LIST("12", ""), false, false}};

    start_optional(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.synced, 1);
    cr_assert_eq(w.step, 3);
    cr_assert_str_eq(w.seen, "");
    cr_assert_eq(stat_of(&stats()->absent), 0);
    turn_until(w.loop, &w.calls, 2);
    cr_assert_eq(w.synced, 1);
}
