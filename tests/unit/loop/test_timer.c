#include "fixture.h"

TestSuite(timer, .init = make_loop, .fini = free_loop, .timeout = 20);

static struct timer *timer;
static int calls;
static uint64_t fired_us;

static void count(void *ctx)
{
    (void)ctx;
    calls++;
    fired_us = clock_monotonic_us();
}

static void free_self(void *ctx)
{
    (void)ctx;
    timer_free(timer);
    calls++;
}

static void start_self_with_0(void *ctx)
{
    (void)ctx;
    calls++;
    timer_start(timer, 0);
}

Test(timer, is_never_early)
{
    timer = timer_new(loop, count, NULL);
    for (int round = 1; round <= 20; round++) {
        uint64_t start_us;

        usleep(50 * round); /* every part of a millisecond */
        start_us = clock_monotonic_us();
        timer_start(timer, 3);
        usleep(500);
        turn_until(&calls, round);
        cr_assert_geq(fired_us - start_us, 3000);
    }
    timer_free(timer);
}

Test(timer, counts_from_now_even_after_long_work_in_the_turn)
{
    uint64_t start_us;

    timer = timer_new(loop, count, NULL);
    loop_turn(loop, 0);
    usleep(30000); /* the work */
    start_us = clock_monotonic_us();
    timer_start(timer, 10);
    turn_until(&calls, 1);
    cr_assert_geq(fired_us - start_us, 10000);
    timer_free(timer);
}

Test(timer, fires_once)
{
    timer = timer_new(loop, count, NULL);
    timer_start(timer, 0);
    cr_assert(timer_active(timer));
    turn_until(&calls, 1);
    cr_assert_not(timer_active(timer));
    loop_turn(loop, 10);
    cr_assert_eq(calls, 1);
    timer_free(timer);
}

Test(timer, repeats_until_stopped)
{
    timer = timer_new(loop, count, NULL);
    timer_repeat(timer, 0, 1);
    turn_until(&calls, 3);
    timer_stop(timer);
    calls = 0;
    loop_turn(loop, 10);
    cr_assert_eq(calls, 0);
    timer_free(timer);
}

Test(timer, started_again_moves)
{
    timer = timer_new(loop, count, NULL);
    timer_start(timer, 1);
    timer_start(timer, WAIT_MS * 10);
    loop_turn(loop, 20);
    cr_assert_eq(calls, 0);
    timer_free(timer);
}

Test(timer, may_free_itself)
{
    timer = timer_new(loop, free_self, NULL);
    timer_repeat(timer, 0, 1);
    turn_until(&calls, 1);
    loop_turn(loop, 10);
    cr_assert_eq(calls, 1);
}

Test(timer, that_starts_itself_with_0_does_not_hold_the_turn)
{
    timer = timer_new(loop, start_self_with_0, NULL);
    timer_start(timer, 0);
    turn_until(&calls, 3);
    timer_free(timer);
}

Test(timer, left_over_aborts_loop_free, .signal = SIGABRT)
{
    timer = timer_new(loop, count, NULL);
    loop_free(loop);
}

Test(timer, free_of_null_is_fine)
{
    timer_free(NULL);
}
