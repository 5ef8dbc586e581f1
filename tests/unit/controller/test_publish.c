/* Objects in, catalogs out: when it is published. */
#include "fixture.h"

#define WINDOW_US 10000
#define TIMER_LATE_US 2000 /* what libuv's whole milliseconds may add */

TestSuite(publish, .init = world_start, .fini = world_stop);

static void put_slice(int number)
{
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, "{'addresses':['10.0.0.%d']}"), number);
}

static void put_service(void)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn();
    cr_assert_eq(world.publications, 1);
}

Test(publish, sends_a_later_change_when_the_window_has_passed)
{
    uint64_t first;

    put_service();
    first = world.published_us;
    put_slice(1);
    turn();
    cr_assert_eq(world.publications, 1);
    turn_until(&world.publications, 2);
    cr_assert_geq(world.published_us - first, WINDOW_US);
    cr_assert_leq(world.published_us - first, WINDOW_US + TIMER_LATE_US);
}

Test(publish, sends_a_change_at_once_when_the_service_was_quiet)
{
    put_service();
    turn_for_ms(15);
    put_slice(1);
    turn();
    cr_assert_eq(world.publications, 2);
}

Test(publish, does_not_hold_one_service_for_another)
{
    put_service();
    upsert(world.services, SERVICE_JSON("other", 80));
    turn();
    cr_assert_eq(world.publications, 2);
}

Test(publish, coalesces_a_service_that_keeps_changing)
{
    size_t before;

    put_service();
    before = world.publications;
    for (int ms = 0; ms < 200; ms++) {
        put_slice(1 + ms);
        turn_for_ms(1);
    }
    cr_assert_leq(world.publications - before, 200 * 1000 / WINDOW_US);
    /* Every change takes an address away, which settles before the next window. */
    cr_assert_geq(world.publications - before,
                  200 * 1000 / (WINDOW_US + HOLD_SETTLE_US + TIMER_LATE_US));
}

Test(publish, ends_with_the_newest)
{
    put_service();
    for (int i = 1; i < 100; i++)
        put_slice(i);
    turn_until_published("greeter", "8001: 10.0.0.99:9001");
    cr_assert_eq(world.publications, 2);
}

Test(publish, widens_the_window_with_the_last_fan_out)
{
    uint64_t first;

    world.fanout_us = 30 * 1000;
    put_service();
    first = world.published_us;
    put_slice(1);
    turn_until(&world.publications, 2);
    cr_assert_geq(world.published_us - first, 120 * 1000);
    cr_assert_leq(world.published_us - first, 120 * 1000 + TIMER_LATE_US);
}

Test(publish, never_waits_longer_than_a_second)
{
    uint64_t first;

    world.fanout_us = UINT64_MAX;
    put_service();
    first = world.published_us;
    put_slice(1);
    turn_until(&world.publications, 2);
    cr_assert_geq(world.published_us - first, 1000 * 1000);
    cr_assert_leq(world.published_us - first, 1000 * 1000 + TIMER_LATE_US);
}

Test(publish, an_emptied_group_still_has_its_window)
{
    uint64_t gone;

    put_service();
    turn_for_ms(15);
    remove_object(world.services, "greeter");
    turn();
    cr_assert_str_eq(published("greeter"), "none");
    gone = world.published_us;
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn_until_published("greeter", "8001:");
    cr_assert_geq(world.published_us - gone, WINDOW_US);
}
