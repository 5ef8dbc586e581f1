#include "reflector_world.h"

#define VERSION_EXPIRED                                                                            \
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}}\n"

TestSuite(reflector, .init = world_make, .fini = world_free);

Test(reflector, lists_then_watches_from_the_version_of_the_list)
{
    static const struct step steps[] = {{"/api/v1/services?limit=500", 200, NULL,
                                         LIST("10", OBJECT("a", "1") "," OBJECT("b", "2")), false,
                                         false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a b ]");
    cr_assert_eq(w.synced, 1);
    cr_assert(reflector_synced(w.refl));
    cr_assert_null(strstr(w.paths[0], "resourceVersion"));
    cr_assert_not_null(strstr(w.paths[1], "allowWatchBookmarks=true"));
    cr_assert_not_null(strstr(w.paths[1], "&resourceVersion=10"));
}

Test(reflector, asks_for_a_watch_of_five_to_ten_minutes)
{
    static const struct step steps[] = {{"limit", 200, NULL, LIST("10", ""), false, false}};
    unsigned seconds = 0;

    PLAY(steps);
    cr_assert_eq(sscanf(strstr(w.paths[1], "timeoutSeconds="), "timeoutSeconds=%u", &seconds), 1);
    cr_assert(seconds >= 300 && seconds <= 600, "%u", seconds);
}

Test(reflector, follows_pages_and_escapes_their_token)
{
    static const struct step steps[] = {
        {"?limit=500", 200, NULL, PAGE("10", "to/k=en", OBJECT("a", "1")), false, false},
        {"?limit=500&continue=to%2Fk%3Den", 200, NULL, PAGE("10", "t2", OBJECT("b", "2")), false,
         false},
        {"&continue=t2", 200, NULL, PAGE("10", "", OBJECT("c", "3")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a b c ]");
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->lists_paged), 1);
}

Test(reflector, is_not_synced_before_the_last_page)
{
    static const struct step steps[] = {
        {"?limit=500", 200, NULL, PAGE("10", "t", OBJECT("a", "1")), false, false},
        {"&continue=t", 0, NULL, NULL, false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.server.requests, 2);
    cr_assert_not(reflector_synced(w.refl));
    cr_assert_str_eq(reflector_last_error(w.refl), "the first list of services is not complete");
    cr_assert_eq(w.synced, 0);
}

Test(reflector, delivers_events_and_resumes_from_the_newest_version)
{
    static const struct step steps[] = {{"limit", 200, NULL, LIST("10", ""), false, false},
                                        {"resourceVersion=10", 0, NULL,
                                         EVENT("ADDED", "a", "11") EVENT("MODIFIED", "a", "12")
                                             EVENT("DELETED", "a", "13") BOOKMARK("20"),
                                         true, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ ] +a +a -a");
    cr_assert_not_null(strstr(w.paths[2], "&resourceVersion=20"), "%s", w.paths[2]);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->events), 3);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->bookmarks), 1);
}

Test(reflector, reads_events_that_arrive_byte_by_byte)
{
    static const struct step steps[] = {{"limit", 200, NULL, LIST("10", ""), false, false}};
    static const char text[] = EVENT("ADDED", "z\xc3\xbcrich", "11") EVENT("DELETED", "b", "12");

    PLAY(steps);
    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        fake_chunk(w.conn, (char[]){text[i], '\0'});
        loop_turn(w.loop, 1);
    }
    turn_until(w.loop, &w.calls, 4);
    cr_assert_str_eq(w.seen, "[ ] +z\xc3\xbcrich -b");
}

Test(reflector, resumes_at_once_after_a_watch_that_lived)
{
    static const struct step steps[] = {{"limit", 200, NULL, LIST("10", ""), false, false}};

    PLAY(steps);
    turn_for_ms(w.loop, 1100);
    fake_end(w.conn);
    turn_until(w.loop, &w.server.requests, 3);
    cr_assert_lt(gap_ms(2), 1400);
    cr_assert_not_null(strstr(w.paths[2], "watch=1"));
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->errors), 0);
}

Test(reflector, backs_off_from_a_server_that_ends_watches_at_once)
{
    static const struct step steps[] = {{"limit", 200, NULL, LIST("10", ""), false, false},
                                        {"watch=1", 0, NULL, NULL, true, false},
                                        {"watch=1", 0, NULL, NULL, true, false}};

    PLAY(steps);
    cr_assert_geq(gap_ms(2), 400);
    cr_assert_geq(gap_ms(3), 800);
    cr_assert_str_eq(w.seen, "[ ]");
}

Test(reflector, lists_again_at_once_when_its_version_is_gone)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", 410, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("20", OBJECT("b", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
    cr_assert_lt(gap_ms(2), 300);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->relists[RELIST_GONE]), 1);
    cr_assert_null(strstr(w.paths[2], "resourceVersion"));
    cr_assert_not_null(strstr(w.paths[3], "&resourceVersion=20"));
}

Test(reflector, lists_again_at_once_when_the_stream_says_gone)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", ""), false, false},
        {"watch=1", 0, NULL, EVENT("ADDED", "a", "11") VERSION_EXPIRED EVENT("ADDED", "x", "12"),
         false, false},
        {"limit", 200, NULL, LIST("20", OBJECT("b", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ ] +a [ b ]");
    cr_assert_lt(gap_ms(2), 300);
}

Test(reflector, backs_off_from_a_server_that_always_says_gone)
{
    static const struct step steps[] = {{"limit", 200, NULL, LIST("10", ""), false, false},
                                        {"watch=1", 410, NULL, NULL, false, false},
                                        {"limit", 200, NULL, LIST("10", ""), false, false},
                                        {"watch=1", 410, NULL, NULL, false, false},
                                        {"limit", 200, NULL, LIST("10", ""), false, false}};

    PLAY(steps);
    cr_assert_lt(gap_ms(2), 300);
    cr_assert_geq(gap_ms(4), 800);
}

Test(reflector, starts_the_list_again_when_a_continue_token_is_gone)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, PAGE("10", "t", OBJECT("a", "1")), false, false},
        {"continue=t", 410, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("20", OBJECT("b", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ! [ b ]");
    cr_assert_null(strstr(w.paths[2], "continue"));
    cr_assert_lt(gap_ms(2), 300);
}

Test(reflector, keeps_its_state_and_version_over_errors_of_the_server)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", 500, NULL, NULL, false, false},
        {"resourceVersion=10", 0, NULL, EVENT("ADDED", "b", "11"), false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 4);
    cr_assert_str_eq(w.seen, "[ a ] +b");
    cr_assert_geq(gap_ms(2), 400);
    cr_assert_str_eq(reflector_last_error(w.refl), "cannot watch services: HTTP 500");
    turn_for_ms(w.loop, 1100);
    cr_assert_str_eq(reflector_last_error(w.refl), "");
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->errors), 1);
}

Test(reflector, keeps_its_state_over_an_error_in_the_stream)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", 0, NULL,
         "{\"type\":\"ERROR\",\"object\":{\"code\":500,\"message\":\"etcd has no leader\"}}\n",
         false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ]");
    cr_assert_not_null(strstr(w.paths[2], "&resourceVersion=10"));
    cr_assert_geq(gap_ms(2), 400);
    cr_assert_str_eq(reflector_last_error(w.refl), "cannot watch services: the server sent error "
                                                   "500: etcd has no leader");
}

Test(reflector, waits_as_long_as_the_server_asks)
{
    static const struct step steps[] = {{"limit", 429, "Retry-After: 2\r\n", NULL, false, false},
                                        {"limit", 200, NULL, LIST("10", ""), false, false}};

    PLAY(steps);
    cr_assert_geq(gap_ms(1), 2000);
    cr_assert_lt(gap_ms(1), 3500);
}

Test(reflector, retries_what_it_is_not_allowed_to_list)
{
    static const struct step steps[] = {{"limit", 403, NULL, NULL, false, false},
                                        {"limit", 404, NULL, NULL, false, false},
                                        {"limit", 200, NULL, LIST("10", ""), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ ]");
}

Test(reflector, lists_after_a_watch_that_was_cut_in_mid_line)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", ""), false, false},
        {"watch=1", 0, NULL, EVENT("ADDED", "a", "11") "{\"type\":\"ADDED\",\"obj", false, true},
        {"limit", 200, NULL, LIST("12", OBJECT("b", "12")), false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 6);
    cr_assert_str_eq(w.seen, "[ ] +a [ b ]");
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->malformed), 0);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->relists[RELIST_LOST]), 1);
}

Test(reflector, does_not_take_the_rest_of_a_line_for_an_event_after_a_clean_end)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", ""), false, false},
        {"watch=1", 0, NULL, "{\"type\":\"ADDED\",", true, false},
        {"resourceVersion=10", 0, NULL, EVENT("ADDED", "b", "12"), false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 3);
    cr_assert_str_eq(w.seen, "[ ] +b");
}

Test(reflector, lists_after_a_connection_without_an_answer)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", -1, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("5", OBJECT("b", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
    cr_assert_not_null(strstr(w.paths[3], "&resourceVersion=5"));
}

Test(reflector, lists_after_five_seconds_without_a_watch)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", 503, "Retry-After: 6\r\n", NULL, false, false},
        {"limit", 200, NULL, LIST("12", OBJECT("b", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
}

Test(reflector, survives_a_server_that_is_away)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", 0, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false}};
    unsigned port = w.server.port;

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.server.requests, 2);
    fake_server_stop(&w.server);
    turn_for_ms(w.loop, 1500);
    cr_assert(reflector_synced(w.refl));
    cr_assert_neq(*reflector_last_error(w.refl), '\0');
    fake_server_start(&w.server, w.loop, port);
    turn_until(w.loop, &w.server.requests, 4);
    cr_assert_str_eq(w.seen, "[ a ] [ a ]");
}

Test(reflector, never_takes_half_a_page)
{
    static const struct step steps[] = {
        {"limit", 0, NULL,
         "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[", true,
         false},
        {"limit", 200, NULL, "{}", false, false},
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ]");
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->malformed), 2);
}

Test(reflector, aborts_a_list_that_fails_on_a_later_page)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, PAGE("10", "t", OBJECT("a", "1")), false, false},
        {"continue=t", 500, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("11", OBJECT("a", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ! [ a ]");
}

Test(reflector, does_not_follow_a_continue_token_in_a_circle)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, PAGE("10", "t", OBJECT("a", "1")), false, false},
        {"continue=t", 200, NULL, PAGE("10", "t", OBJECT("a", "1")), false, false},
        {"limit", 200, NULL, LIST("11", OBJECT("a", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ! [ a ]");
}

Test(reflector, lists_again_after_a_line_that_is_no_event)
{
    static const char *const lines[] = {"nonsense\n", "{\"type\":\"WHAT\",\"object\":{}}\n",
                                        "{\"type\":\"ADDED\",\"object\":{}}\n", "\xff\n"};
    struct step steps[] = {{"limit", 200, NULL, LIST("10", ""), false, false},
                           {"watch=1", 0, NULL, NULL, false, false},
                           {"limit", 200, NULL, LIST("20", OBJECT("b", "1")), false, false}};

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (i > 0) {
            world_free();
            world_make();
        }
        steps[1].body = lines[i];
        PLAY(steps);
        cr_assert_str_eq(w.seen, "[ ] [ b ]", "%s", lines[i]);
        cr_assert_eq(stat_of(&reflector_stats(w.refl)->malformed), 1);
        cr_assert_geq(gap_ms(2), 400);
    }
}

Test(reflector, skips_an_object_without_a_name_and_keeps_the_others)
{
    static const struct step steps[] = {
        {"limit", 200, NULL,
         LIST("10", "{\"metadata\":{}},7,{\"metadata\":{\"name\":5}}," OBJECT("a", "1")), false,
         false},
        {"watch=1", 0, NULL,
         "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"11\"}}}\n" EVENT(
             "ADDED", "b", "12"),
         false, false}};

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.calls, 4);
    cr_assert_str_eq(w.seen, "[ a ] +b");
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->bad_objects), 4);
}

Test(reflector, accepts_a_list_that_is_older_than_what_it_saw)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("1000", OBJECT("a", "1")), false, false},
        {"watch=1", 410, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("9", OBJECT("b", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
    cr_assert_not_null(strstr(w.paths[3], "&resourceVersion=9"));
}

Test(reflector, calls_nobody_after_it_is_freed)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", 0, NULL, NULL, false, false}};
    size_t calls;

    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.server.requests, 2);
    fake_chunk(w.conn, EVENT("ADDED", "b", "11"));
    calls = w.calls;
    reflector_free(TAKE(w.refl));
    turn_for_ms(w.loop, 50);
    cr_assert_eq(w.calls, calls);
}

Test(reflector, refuses_a_path_that_is_none)
{
    struct reflector_options options = {.path = "services", .sink = w.options.sink};
    struct reflector *refl = NULL;
    struct err err = {0};

    cr_assert_eq(reflector_new(w.client, &options, &refl, &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "path 'services' does not start with '/'");
}
