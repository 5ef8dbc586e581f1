#include "fixture.h"

#include <sys/timerfd.h>

#include "loop/thread.h"

TestSuite(loop, .init = make_loop, .fini = free_loop, .timeout = 20);

static void stop(void *ctx)
{
    (void)ctx;
    loop_stop(loop);
}

static void compare_now(void *ctx)
{
    uint64_t before_us = loop_now_us(loop), after_us;

    usleep(2000);
    cr_assert_eq(loop_now_us(loop), before_us, "the clock stands still inside a turn");
    after_us = loop_update_now(loop);
    cr_assert_geq(after_us - before_us, 2000);
    cr_assert_eq(loop_now_us(loop), after_us);
    *(uint64_t *)ctx = after_us;
}

Test(loop, stop_from_another_thread_ends_run)
{
    struct thread *thread;

    cr_assert_eq(thread_start("stopper", stop, NULL, &thread, NULL), CODE_OK);
    loop_run(loop);
    thread_join(thread);
}

Test(loop, stop_before_run_is_remembered_once)
{
    loop_stop(loop);
    loop_turn(loop, 0);
    loop_run(loop);
    cr_assert(loop_post(loop, stop, NULL));
    loop_run(loop);
}

Test(loop, now_is_the_same_through_a_turn_and_new_in_the_next)
{
    uint64_t seen_us = 0;

    cr_assert(loop_post(loop, compare_now, &seen_us));
    loop_turn(loop, WAIT_MS);
    cr_assert_neq(seen_us, 0);
    loop_turn(loop, 2);
    cr_assert_gt(loop_now_us(loop), seen_us);
}

static void work(void *ctx)
{
    *(uint64_t *)ctx = loop_now_us(loop);
    usleep(5000);
}

static void read_now(void *ctx)
{
    *(uint64_t *)ctx = loop_now_us(loop);
}

Test(loop, now_is_read_again_for_timers_that_follow_long_work)
{
    uint64_t worked_us = 0, fired_us = 0;
    struct timer *timer = timer_new(loop, read_now, &fired_us);

    timer_start(timer, 2);
    cr_assert(loop_post(loop, work, &worked_us));
    loop_turn(loop, WAIT_MS);
    cr_assert_geq(fired_us, worked_us + 5000, "the timer ran in the same turn, after the work");
    timer_free(timer);
}

static void read_now_and_stop(void *ctx, int events)
{
    (void)events;
    if (*(uint64_t *)ctx == 0)
        read_now(ctx);
    loop_stop(loop);
}

Test(loop, now_is_read_again_after_sleeping)
{
    uint64_t before_us = 0, after_us = 0;
    struct timer *timer = timer_new(loop, read_now, &before_us);
    const struct itimerspec in_10_ms = {.it_value.tv_nsec = 10000000};
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    struct fd_watch *watch;

    cr_assert_eq(fd_watch_new(loop, fd, read_now_and_stop, &after_us, &watch, NULL), CODE_OK);
    fd_watch_set(watch, FD_READABLE);
    timer_start(timer, 0);
    usleep(2000); /* the timer is due: it runs before the loop looks at the descriptor */
    cr_assert_eq(timerfd_settime(fd, 0, &in_10_ms, NULL), 0);
    loop_run(loop);
    cr_assert(before_us != 0 && after_us >= before_us + 5000);
    timer_free(timer);
    fd_watch_free(watch);
    close(fd);
}

Test(loop, turn_waits_no_longer_than_told)
{
    uint64_t start_us = clock_monotonic_us(), took_us;

    loop_turn(loop, 20);
    took_us = clock_monotonic_us() - start_us;
    cr_assert(took_us >= 19000 && took_us < WAIT_MS * 1000, "%lu us", (unsigned long)took_us);
}

Test(loop, turn_does_not_wait_when_a_timer_was_due)
{
    uint64_t start_us = clock_monotonic_us(), fired_us = 0;
    struct timer *timer = timer_new(loop, read_now, &fired_us);

    timer_start(timer, 0);
    usleep(2000);
    loop_turn(loop, WAIT_MS);
    cr_assert(fired_us != 0 && clock_monotonic_us() - start_us < WAIT_MS * 1000 / 2);
    timer_free(timer);
}

Test(loop, scratch_holds_a_whole_read)
{
    memset(loop_scratch(loop), 0x5a, LOOP_SCRATCH_SIZE);
    cr_assert_eq(loop_scratch(loop)[LOOP_SCRATCH_SIZE - 1], 0x5a);
}

Test(loop, free_of_null_is_fine)
{
    loop_free(NULL);
}

static int count_descriptors(void)
{
    int open = 0;

    for (int fd = 0; fd < 1024; fd++)
        open += dup2(fd, fd) == fd;
    return open;
}

Test(loop, free_closes_all_its_descriptors)
{
    int before = count_descriptors();
    struct loop *another;

    cr_assert_eq(loop_new(&another, NULL), CODE_OK);
    cr_assert_gt(count_descriptors(), before);
    loop_free(another);
    cr_assert_eq(count_descriptors(), before);
}
