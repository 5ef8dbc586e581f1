#include "loop/internal.h"

#include <assert.h>

struct timer {
    uv_timer_t uv;
    void (*fn)(void *ctx);
    void *ctx;
};

static void on_timeout(uv_timer_t *uv)
{
    struct timer *timer = container_of(uv, struct timer, uv);

    loop_note_timeout(container_of(uv->loop, struct loop, uv));
    timer->fn(timer->ctx);
}

static void on_close(uv_handle_t *handle)
{
    free(container_of((uv_timer_t *)handle, struct timer, uv));
}

/* libuv counts in whole milliseconds and would be up to one early: then a caller that compares with
 * its deadline would find it not reached and start again, many times. One more is never early, and
 * keeps a timer that starts itself with 0 from holding the turn for ever. */
static void start(struct timer *timer, uint64_t delay_ms, uint64_t every_ms)
{
    assert(!uv_is_closing((uv_handle_t *)&timer->uv));
    uv_update_time(timer->uv.loop);
    uv_timer_start(&timer->uv, on_timeout, delay_ms + 1, every_ms);
}

struct timer *timer_new(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
    struct timer *timer = xcalloc(1, sizeof(*timer));

    timer->fn = fn;
    timer->ctx = ctx;
    uv_timer_init(&loop->uv, &timer->uv);
    return timer;
}

void timer_free(struct timer *timer)
{
    if (timer)
        uv_close((uv_handle_t *)&timer->uv, on_close);
}

void timer_start(struct timer *timer, uint64_t delay_ms)
{
    start(timer, delay_ms, 0);
}

void timer_repeat(struct timer *timer, uint64_t delay_ms, uint64_t every_ms)
{
    assert(every_ms > 0);
    start(timer, delay_ms, every_ms);
}

void timer_stop(struct timer *timer)
{
    uv_timer_stop(&timer->uv);
}

bool timer_active(const struct timer *timer)
{
    return uv_is_active((const uv_handle_t *)&timer->uv);
}
