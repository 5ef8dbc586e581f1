#include "fixture.h"

#include "loop/latest.h"

TestSuite(latest, .init = make_loop, .fini = free_loop, .timeout = 20);

static struct latest *latest;
static int calls, released;

static void on_value(void *ctx, void *value)
{
    (void)ctx;
    calls++;
    trace_add(*(char *)value);
}

static void free_self(void *ctx, void *value)
{
    on_value(ctx, value);
    latest_free(latest);
    latest = NULL;
}

static void release(void *value)
{
    (void)value;
    released++;
}

static void start(void (*fn)(void *ctx, void *value))
{
    const struct latest_options options = {.on_value = fn, .unref = release};

    latest = latest_new(loop, &options);
}

Test(latest, delivers_only_the_newest_and_releases_the_others)
{
    start(on_value);
    latest_publish(latest, "1");
    latest_publish(latest, "2");
    latest_publish(latest, "3");
    turn_until(&calls, 1);
    loop_turn(loop, 10);
    cr_assert_str_eq(trace, "3");
    cr_assert_eq(released, 2);
    latest_free(latest);
}

Test(latest, delivers_each_when_the_reader_keeps_up)
{
    start(on_value);
    latest_publish(latest, "1");
    turn_until(&calls, 1);
    latest_publish(latest, "2");
    turn_until(&calls, 2);
    cr_assert_str_eq(trace, "12");
    cr_assert_eq(released, 0, "delivered values belong to the reader");
    latest_free(latest);
}

Test(latest, what_is_put_waits_until_somebody_looks)
{
    start(on_value);
    latest_put(latest, "1");
    loop_turn(loop, 10);
    cr_assert_eq(calls, 0);
    latest_put(latest, "2");
    cr_assert_eq(released, 1);
    latest_take(latest);
    cr_assert_str_eq(trace, "2");
    latest_take(latest);
    latest_wake(latest);
    loop_turn(loop, 10);
    cr_assert_eq(calls, 1, "there is nothing more");
    latest_put(latest, "3");
    latest_wake(latest);
    turn_until(&calls, 2);
    cr_assert_str_eq(trace, "23");
    latest_put(latest, "4");
    latest_publish(latest, "5");
    turn_until(&calls, 3);
    cr_assert_str_eq(trace, "235");
    latest_free(latest);
}

Test(latest, free_releases_what_nobody_took)
{
    start(on_value);
    latest_publish(latest, "1");
    latest_free(latest);
    loop_turn(loop, 10);
    cr_assert_eq(calls, 0);
    cr_assert_eq(released, 1);
}

Test(latest, may_be_freed_by_its_own_callback)
{
    start(free_self);
    latest_publish(latest, "1");
    turn_until(&calls, 1);
    cr_assert_eq(released, 0);
}

static void publish_again(void *ctx, void *value)
{
    on_value(ctx, value);
    if (calls == 1)
        latest_publish(latest, "2");
}

Test(latest, published_during_delivery_is_delivered_next)
{
    start(publish_again);
    latest_publish(latest, "1");
    turn_until(&calls, 2);
    cr_assert_str_eq(trace, "12");
    latest_free(latest);
}
