/* Of a reflector: lists that are streamed, and the fallback to pages. */
#include "reflector_world.h"

#define STREAM "sendInitialEvents"

TestSuite(reflector_stream, .init = world_make, .fini = world_free);

static uint64_t paged(void)
{
    return stat_of(&reflector_stats(w.refl)->lists_paged);
}

static uint64_t streamed(void)
{
    return stat_of(&reflector_stats(w.refl)->lists_streamed);
}

Test(reflector_stream, lists_and_watches_in_one_request)
{
    static const struct step steps[] = {{STREAM, 0, NULL,
                                         EVENT("ADDED", "b", "7") EVENT("ADDED", "a", "5")
                                             STREAM_END("10") EVENT("ADDED", "c", "11"),
                                         false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 5);
    cr_assert_str_eq(w.seen, "[ b a ] +c");
    cr_assert_eq(w.synced, 1);
    cr_assert_eq(w.server.requests, 1);
    cr_assert_not_null(strstr(w.paths[0], "watch=1"));
    cr_assert_not_null(strstr(w.paths[0], "resourceVersionMatch=NotOlderThan"));
    cr_assert_not_null(strstr(w.paths[0], "allowWatchBookmarks=true"));
    cr_assert_null(strstr(w.paths[0], "resourceVersion="));
    cr_assert_eq(streamed(), 1);
    cr_assert_eq(paged(), 0);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->events), 1);
}

Test(reflector_stream, resumes_from_the_version_of_its_end)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL, EVENT("ADDED", "a", "12") STREAM_END("20"), true, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ]");
    cr_assert_not_null(strstr(w.paths[1], "&resourceVersion=20"), "%s", w.paths[1]);
}

Test(reflector_stream, takes_an_empty_collection)
{
    static const struct step steps[] = {{STREAM, 0, NULL, STREAM_END("10"), false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 2);
    cr_assert_str_eq(w.seen, "[ ]");
    cr_assert(reflector_synced(w.refl));
}

Test(reflector_stream, is_not_synced_before_its_end)
{
    static const struct step steps[] = {{STREAM, 0, NULL, EVENT("ADDED", "a", "5"), false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 2);
    cr_assert_str_eq(w.seen, "[ a");
    cr_assert_not(reflector_synced(w.refl));
    cr_assert_str_eq(reflector_last_error(w.refl), "the first list of services is not complete");
}

Test(reflector_stream, follows_changes_while_it_lists)
{
    static const struct step steps[] = {{STREAM, 0, NULL,
                                         EVENT("ADDED", "a", "5") EVENT("ADDED", "b", "6")
                                             EVENT("MODIFIED", "a", "11")
                                                 EVENT("DELETED", "b", "12") STREAM_END("12"),
                                         false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 6);
    cr_assert_str_eq(w.seen, "[ a b a -b ]");
}

Test(reflector_stream, reads_pages_at_once_where_it_is_refused)
{
    static const int refusals[] = {400, 403, 405, 422, 500, 501};
    struct step steps[] = {{STREAM, 0, NULL, NULL, false, false},
                           {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false}};

    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        if (i > 0) {
            world_free();
            world_make();
        }
        steps[0].status = refusals[i];
        PLAY(steps);
        cr_assert_str_eq(w.seen, "[ a ]", "%d", refusals[i]);
        cr_assert_lt(gap_ms(1), 300, "%d", refusals[i]);
        cr_assert_eq(stat_of(&reflector_stats(w.refl)->streams_refused), 1);
        cr_assert_eq(stat_of(&reflector_stats(w.refl)->errors), 0);
        cr_assert_eq(streamed(), 0);
        cr_assert_eq(paged(), 1);
    }
}

Test(reflector_stream, does_not_ask_again_soon_where_it_was_refused)
{
    static const struct step steps[] = {
        {STREAM, 422, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", 410, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("20", OBJECT("b", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
}

Test(reflector_stream, asks_again_when_the_server_was_away)
{
    static const struct step steps[] = {
        {STREAM, 422, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", -1, NULL, NULL, false, false},
        {STREAM, 0, NULL, EVENT("ADDED", "b", "5") STREAM_END("20"), false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 6);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
}

Test(reflector_stream, takes_other_failures_for_failures)
{
    static const struct step steps[] = {{STREAM, 503, NULL, NULL, false, false},
                                        {STREAM, 429, "Retry-After: 1\r\n", NULL, false, false},
                                        {STREAM, -1, NULL, NULL, false, false},
                                        {STREAM, 0, NULL, STREAM_END("20"), false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 1);
    cr_assert_geq(gap_ms(1), 400);
    cr_assert_geq(gap_ms(2), 1000);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->streams_refused), 0);
}

Test(reflector_stream, reads_pages_after_an_error_in_the_stream)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL,
         EVENT("ADDED", "a", "5") "{\"type\":\"ERROR\",\"object\":{\"code\":500,\"message\":"
                                  "\"required storage feature "
                                  "RequestWatchProgress is disabled\"}}\n",
         true, false},
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ! [ a ]");
    cr_assert_lt(gap_ms(1), 300);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->errors), 0);
}

Test(reflector_stream, waits_as_long_as_an_error_in_the_stream_asks)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL,
         "{\"type\":\"ERROR\",\"object\":{\"code\":429,\"message\":\"busy\","
         "\"details\":{\"retryAfterSeconds\":2}}}\n",
         true, false},
        {STREAM, 0, NULL, STREAM_END("20"), false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 2);
    cr_assert_geq(gap_ms(1), 2000);
}

Test(reflector_stream, reads_pages_when_its_end_does_not_come)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL, EVENT("ADDED", "a", "5"), false, false},
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false}};

    w.options.stream_ms = 200;
    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ! [ a ]");
    cr_assert(gap_ms(1) >= 150 && gap_ms(1) < 3000, "%llu", (unsigned long long)gap_ms(1));
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->streams_refused), 1);
}

/* It streams as it would any watch, and the collection never rests. */
Test(reflector_stream, reads_pages_when_the_server_takes_no_notice_of_what_was_asked)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL, EVENT("ADDED", "a", "5"), false, false},
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false}};

    w.options.stream_ms = 100;
    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 2);
    for (int i = 0; i < 40 && w.step < 2; i++) {
        fake_chunk(w.conn, EVENT("MODIFIED", "a", "6"));
        turn_for_ms(w.loop, 30);
    }
    cr_assert_eq(w.step, 2);
    cr_assert(gap_ms(1) >= 450 && gap_ms(1) < 4000, "%llu", (unsigned long long)gap_ms(1));
    turn_until(w.loop, &w.server.requests, 3);
    cr_assert_eq(w.synced, 1);
}

Test(reflector_stream, reads_pages_when_a_bookmark_marks_no_end)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL, EVENT("ADDED", "a", "5") BOOKMARK("9"), false, false},
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ! [ a ]");
    cr_assert_lt(gap_ms(1), 300);
}

Test(reflector_stream, aborts_what_is_cut_and_reads_pages_after_the_second_time)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL, EVENT("ADDED", "b", "6"), false, true},
        {STREAM, 0, NULL, EVENT("ADDED", "b", "6") "{\"type\":", true, false},
        {"limit", 200, NULL, LIST("20", OBJECT("b", "6")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ b ! [ b ! [ b ]");
    cr_assert_geq(gap_ms(1), 400);
    cr_assert_geq(gap_ms(2), 800);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->errors), 2);
}

Test(reflector_stream, lists_again_after_a_line_that_is_no_event)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL, EVENT("ADDED", "b", "6") "nonsense\n", false, false},
        {STREAM, 0, NULL, EVENT("ADDED", "b", "6") STREAM_END("10"), false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 6);
    cr_assert_str_eq(w.seen, "[ b ! [ b ]");
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->malformed), 1);
}

Test(reflector_stream, skips_an_object_without_a_name)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL,
         "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"5\"}}}\n" EVENT(
             "ADDED", "b", "6") "{\"type\":\"DELETED\",\"object\":{\"metadata\":"
                                "{\"resourceVersion\":\"7\"}}}\n" STREAM_END("10"),
         false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 3);
    cr_assert_str_eq(w.seen, "[ b ]");
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->bad_objects), 1);
}

/* The mark of the end does not promise bookmarks: a watch may be silent. */
Test(reflector_stream, lets_the_watch_behind_it_be_silent)
{
    static const struct step steps[] = {{STREAM, 0, NULL, STREAM_END("10"), false, false}};

    w.options.stream_ms = 50;
    w.options.idle_ms = 100;
    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 2);
    turn_for_ms(w.loop, 700);
    cr_assert_eq(w.server.requests, 1);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->errors), 0);
}

Test(reflector_stream, lists_again_when_the_version_is_gone)
{
    static const struct step steps[] = {
        {STREAM, 0, NULL, EVENT("ADDED", "a", "5") STREAM_END("10"), true, false},
        {"resourceVersion=10", 410, NULL, NULL, false, false},
        {STREAM, 0, NULL, EVENT("ADDED", "b", "15") STREAM_END("20"), false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 6);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->relists[RELIST_GONE]), 1);
    cr_assert_eq(w.synced, 1);
}

Test(reflector_stream, calls_nobody_after_it_is_freed_in_mid_list)
{
    static const struct step steps[] = {{STREAM, 0, NULL, EVENT("ADDED", "b", "6"), false, false}};
    size_t calls;

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 2);
    fake_chunk(w.conn, STREAM_END("10"));
    calls = w.calls;
    reflector_free(TAKE(w.refl));
    turn_for_ms(w.loop, 50);
    cr_assert_eq(w.calls, calls);
}
