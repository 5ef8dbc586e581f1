#include "fixture.h"

#include <signal.h>

TestSuite(signal_watch, .init = make_loop, .fini = free_loop, .timeout = 20);

static struct signal_watch *watch;
static int calls, last;

static void on_signal(void *ctx, int signum)
{
    (void)ctx;
    calls++;
    last = signum;
}

static void free_self(void *ctx, int signum)
{
    on_signal(ctx, signum);
    signal_watch_free(watch);
}

Test(signal_watch, tells_the_signal)
{
    cr_assert_eq(signal_watch_new(loop, SIGHUP, on_signal, NULL, &watch, NULL), CODE_OK);
    raise(SIGHUP);
    turn_until(&calls, 1);
    cr_assert_eq(last, SIGHUP);
    raise(SIGHUP);
    turn_until(&calls, 2);
    signal_watch_free(watch);
}

Test(signal_watch, may_free_itself_with_another_signal_on_its_way)
{
    cr_assert_eq(signal_watch_new(loop, SIGHUP, free_self, NULL, &watch, NULL), CODE_OK);
    raise(SIGHUP);
    raise(SIGHUP);
    turn_until(&calls, 1);
    loop_turn(loop, 10);
    cr_assert_eq(calls, 1);
}

Test(signal_watch, of_a_signal_that_cannot_be_caught_is_refused)
{
    struct err err = {0};

    cr_assert_eq(signal_watch_new(loop, SIGKILL, on_signal, NULL, &watch, &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "cannot watch signal 9: invalid argument");
}
