/* Of a reflector: pages that are too large, silence, and how long it waits. */
#include "reflector_world.h"

#define LONG_NAME                                                                                  \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaa"
#define LARGE OBJECT(LONG_NAME, "1") "," OBJECT(LONG_NAME, "2") "," OBJECT(LONG_NAME, "3")

TestSuite(reflector_limits, .init = world_make, .fini = world_free);

static void small_pages(uint64_t page_size)
{
    w.options.page_size = page_size;
    w.options.page_bytes = 300;
}

Test(reflector_limits, asks_at_once_for_smaller_pages_when_one_is_too_large)
{
    static const struct step steps[] = {
        {"?limit=5", 200, NULL, LIST("10", LARGE), false, false},
        {"?limit=2", 200, NULL, LIST("10", LARGE), false, false},
        {"?limit=1", 200, NULL, PAGE("10", "t", OBJECT("a", "1")), false, false},
        {"?limit=1&continue=t", 200, NULL, LIST("10", OBJECT("b", "2")), false, false},
        {"watch=1", 410, NULL, NULL, false, false},
        {"?limit=1", 200, NULL, LIST("20", OBJECT("c", "1")), false, false}};

    small_pages(5);
    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a b ] [ c ]");
    cr_assert_lt(gap_ms(1), 300);
    cr_assert_lt(gap_ms(2), 300);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->errors), 2);
}

Test(reflector_limits, aborts_the_list_whose_later_page_is_too_large)
{
    static const struct step steps[] = {
        {"?limit=2", 200, NULL, PAGE("10", "t", OBJECT("a", "1")), false, false},
        {"?limit=2&continue=t", 200, NULL, LIST("10", LARGE), false, false},
        {"?limit=1", 200, NULL, LIST("11", OBJECT("a", "1")), false, false}};

    small_pages(2);
    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ! [ a ]");
    cr_assert_null(strstr(w.paths[2], "continue"));
}

Test(reflector_limits, backs_off_when_one_object_alone_is_too_large)
{
    static const struct step steps[] = {
        {"?limit=1", 200, NULL, LIST("10", LARGE), false, false},
        {"?limit=1", 200, NULL, LIST("11", OBJECT("a", "1")), false, false}};

    small_pages(1);
    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ]");
    cr_assert_geq(gap_ms(1), 400);
}

Test(reflector_limits, does_not_take_a_refusal_for_a_page_that_is_too_large)
{
    static const struct step steps[] = {{"?limit=2", 429, NULL, NULL, false, false},
                                        {"?limit=2", 200, NULL, LIST("11", ""), false, false}};

    small_pages(2);
    PLAY(steps);
    cr_assert_geq(gap_ms(1), 400);
}

Test(reflector_limits, gives_up_a_watch_that_fell_silent_after_a_bookmark)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", 0, NULL, BOOKMARK("11"), false, false},
        {"limit", 200, NULL, LIST("12", OBJECT("b", "1")), false, false}};

    w.options.idle_ms = 300;
    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
    cr_assert_geq(gap_ms(2), 700); /* 300 of silence, 400 of backoff */
    cr_assert_lt(gap_ms(2), 2000);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->errors), 1);
    cr_assert_not_null(strstr(reflector_last_error(w.refl), "nothing received for 300 ms"));
    cr_assert_geq(w.server.accepted, 3); /* every watch on a new connection */
}

Test(reflector_limits, keeps_a_watch_whose_bookmarks_go_on)
{
    static const struct step steps[] = {{"limit", 200, NULL, LIST("10", ""), false, false},
                                        {"watch=1", 0, NULL, BOOKMARK("11"), false, false}};

    w.options.idle_ms = 1500;
    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.server.requests, 2);
    for (int i = 0; i < 20; i++) {
        turn_for_ms(w.loop, 100);
        fake_chunk(w.conn, BOOKMARK("12"));
    }
    cr_assert_eq(w.server.requests, 2);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->errors), 0);
}

Test(reflector_limits, lets_a_watch_without_bookmarks_be_silent)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", ""), false, false},
        {"watch=1", 0, NULL, EVENT("ADDED", "a", "11"), false, false}};

    w.options.idle_ms = 100;
    start(steps, ARRAY_LEN(steps));
    turn_until(w.loop, &w.server.requests, 2);
    turn_for_ms(w.loop, 700);
    cr_assert_eq(w.server.requests, 2);
    cr_assert_eq(stat_of(&reflector_stats(w.refl)->errors), 0);
}

Test(reflector_limits, resumes_after_a_long_wait_that_the_server_asked_for)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", 429, "Retry-After: 6\r\n", NULL, false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ]");
    cr_assert_geq(gap_ms(2), 6000);
    cr_assert_not_null(strstr(w.paths[2], "watch=1"));
}

Test(reflector_limits, waits_as_long_as_an_error_in_the_stream_asks)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", ""), false, false},
        {"watch=1", 0, NULL,
         "{\"type\":\"ERROR\",\"object\":{\"code\":429,\"message\":\"busy\","
         "\"details\":{\"retryAfterSeconds\":2}}}\n",
         false, false}};

    PLAY(steps);
    cr_assert_geq(gap_ms(2), 2000);
    cr_assert_lt(gap_ms(2), 3000);
}

Test(reflector_limits, keeps_its_state_when_a_server_that_came_back_refuses_it_at_first)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", -1, NULL, NULL, false, false},
        {"limit", 403, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("12", OBJECT("b", "1")), false, false}};

    PLAY(steps);
    cr_assert_str_eq(w.seen, "[ a ] [ b ]");
    cr_assert(reflector_synced(w.refl));
    cr_assert_eq(w.synced, 1);
}

/* A reused connection that is reset is tried again at once, so that two steps may be one failure. */
Test(reflector_limits, asks_a_server_that_came_back_again_soon)
{
    static const struct step steps[] = {
        {"limit", 200, NULL, LIST("10", OBJECT("a", "1")), false, false},
        {"watch=1", -1, NULL, NULL, false, false},
        {"limit", -1, NULL, NULL, false, false},
        {"limit", -1, NULL, NULL, false, false},
        {"limit", -1, NULL, NULL, false, false},
        {"limit", -1, NULL, NULL, false, false},
        {"limit", 403, NULL, NULL, false, false},
        {"limit", 200, NULL, LIST("12", OBJECT("b", "1")), false, false}};

    PLAY(steps);
    cr_assert_lt(w.step_us[7] - w.step_us[6], 1500000); /* else it would be 1,600 ms at least */
}
