#include "fixture.h"

TestSuite(deferred, .init = make_loop, .fini = free_loop, .timeout = 20);

static struct deferred first, second;
static int calls;

static void count(void *ctx)
{
    (void)ctx;
    calls++;
}

static void add_ctx(void *ctx)
{
    trace_add(*(const char *)ctx);
}

static void cancel_ctx(void *ctx)
{
    deferred_cancel(ctx);
    calls++;
}

static void schedule_self_until_3(void *ctx)
{
    (void)ctx;
    trace_add('d');
    if (++calls < 3)
        deferred_schedule(loop, &first);
}

static void schedule_first(void *ctx, int events)
{
    char byte;

    (void)events;
    trace_add('i');
    deferred_schedule(loop, &first);
    cr_assert_eq(read(*(int *)ctx, &byte, 1), 1);
}

static struct fd_watch *watch_pipe(int pipe_fds[2])
{
    struct fd_watch *watch;

    cr_assert_eq(pipe(pipe_fds), 0);
    cr_assert_eq(fd_watch_new(loop, pipe_fds[0], schedule_first, &pipe_fds[0], &watch, NULL),
                 CODE_OK);
    fd_watch_set(watch, FD_READABLE);
    return watch;
}

Test(deferred, runs_once_however_often_it_is_scheduled)
{
    deferred_init(&first, count, NULL);
    deferred_schedule(loop, &first);
    deferred_schedule(loop, &first);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    cr_assert_eq(calls, 1);
}

Test(deferred, runs_in_order_of_scheduling)
{
    deferred_init(&first, add_ctx, "1");
    deferred_init(&second, add_ctx, "2");
    deferred_schedule(loop, &second);
    deferred_schedule(loop, &first);
    loop_turn(loop, 0);
    cr_assert_str_eq(trace, "21");
}

Test(deferred, runs_after_all_io_callbacks_of_the_turn)
{
    int a[2], b[2];
    struct fd_watch *watch_a = watch_pipe(a), *watch_b = watch_pipe(b);

    deferred_init(&first, add_ctx, "d");
    cr_assert_eq(write(a[1], "x", 1), 1);
    cr_assert_eq(write(b[1], "x", 1), 1);
    loop_turn(loop, WAIT_MS);
    cr_assert_str_eq(trace, "iid");
    fd_watch_free(watch_a);
    fd_watch_free(watch_b);
}

Test(deferred, that_schedules_itself_lets_sockets_in_between)
{
    int fds[2];
    struct fd_watch *watch = watch_pipe(fds);

    deferred_init(&first, schedule_self_until_3, NULL);
    deferred_schedule(loop, &first);
    loop_turn(loop, WAIT_MS);
    cr_assert_eq(write(fds[1], "x", 1), 1);
    loop_turn(loop, WAIT_MS);
    loop_turn(loop, WAIT_MS);
    cr_assert_str_eq(trace, "didd");
    fd_watch_free(watch);
}

Test(deferred, keeps_the_loop_from_sleeping_while_it_waits)
{
    uint64_t start_us = clock_monotonic_us();

    deferred_init(&first, schedule_self_until_3, NULL);
    deferred_schedule(loop, &first);
    for (int i = 0; i < 3; i++)
        loop_turn(loop, WAIT_MS);
    cr_assert_eq(calls, 3);
    cr_assert_lt(clock_monotonic_us() - start_us, WAIT_MS * 1000 / 2);
}

Test(deferred, that_is_done_lets_the_loop_sleep)
{
    uint64_t start_us = clock_monotonic_us();

    deferred_init(&first, count, NULL);
    deferred_schedule(loop, &first);
    loop_turn(loop, 0);
    loop_turn(loop, 20);
    cr_assert_geq(clock_monotonic_us() - start_us, 19000);
}

Test(deferred, cancelled_never_runs)
{
    deferred_init(&first, count, NULL);
    deferred_schedule(loop, &first);
    deferred_cancel(&first);
    deferred_cancel(&first);
    loop_turn(loop, 0);
    cr_assert_eq(calls, 0);
}

Test(deferred, cancelled_by_an_earlier_one_of_the_same_turn_never_runs)
{
    deferred_init(&first, cancel_ctx, &second);
    deferred_init(&second, count, NULL);
    deferred_schedule(loop, &first);
    deferred_schedule(loop, &second);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    cr_assert_eq(calls, 1);
}

Test(deferred, left_scheduled_aborts_loop_free, .signal = SIGABRT)
{
    deferred_init(&first, count, NULL);
    deferred_schedule(loop, &first);
    loop_free(loop);
}
