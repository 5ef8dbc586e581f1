#include "fixture.h"

#include "loop/thread.h"

TestSuite(post, .init = make_loop, .fini = free_loop, .timeout = 20);

static int calls;

static void add_ctx(void *ctx)
{
    trace_add(*(const char *)ctx);
    calls++;
}

static void must_post(void (*fn)(void *ctx), void *ctx)
{
    cr_assert(loop_post(loop, fn, ctx));
}

static void post_again(void *ctx)
{
    add_ctx("a");
    must_post(add_ctx, ctx);
}

static void close_then_add(void *ctx)
{
    loop_close_posts(loop);
    add_ctx(ctx);
}

static void post_three(void *ctx)
{
    must_post(add_ctx, "1");
    must_post(add_ctx, "2");
    must_post(add_ctx, "3");
    (void)ctx;
}

Test(post, calls_come_in_order)
{
    post_three(NULL);
    loop_turn(loop, WAIT_MS);
    cr_assert_str_eq(trace, "123");
}

Test(post, from_another_thread_wakes_the_loop)
{
    struct thread *thread;

    cr_assert_eq(thread_start("poster", post_three, NULL, &thread, NULL), CODE_OK);
    turn_until(&calls, 3);
    thread_join(thread);
    cr_assert_str_eq(trace, "123");
}

Test(post, from_a_post_waits_for_the_next_turn)
{
    must_post(post_again, "b");
    loop_turn(loop, WAIT_MS);
    cr_assert_str_eq(trace, "a");
    loop_turn(loop, WAIT_MS);
    cr_assert_str_eq(trace, "ab");
}

Test(post, close_runs_what_is_queued_and_refuses_what_comes_later)
{
    post_three(NULL);
    loop_close_posts(loop);
    cr_assert_str_eq(trace, "123");
    cr_assert_not(loop_post(loop, add_ctx, "4"));
    loop_turn(loop, 0);
    cr_assert_str_eq(trace, "123");
}

Test(post, close_inside_a_post_runs_the_rest_in_order)
{
    must_post(close_then_add, "c");
    must_post(add_ctx, "1");
    must_post(add_ctx, "2");
    loop_turn(loop, WAIT_MS);
    cr_assert_str_eq(trace, "12c");
}

Test(post, that_nobody_ran_runs_at_loop_free)
{
    struct loop *mine = loop;

    must_post(add_ctx, "1");
    cr_assert_eq(loop_new(&loop, NULL), CODE_OK);
    loop_free(mine);
    cr_assert_str_eq(trace, "1");
}
