#include "loop/internal.h"

#include <assert.h>

#include "base/clock.h"

/* A signal on its way delays the close of its watch by a turn; more than a few turns is a leak. */
#define CLOSE_TURNS_MAX 16

enum code loop_code(int status)
{
    switch (status) {
    case UV_ENOENT:
        return CODE_NOT_FOUND;
    case UV_EEXIST:
        return CODE_ALREADY_EXISTS;
    case UV_EACCES:
    case UV_EPERM:
        return CODE_PERMISSION_DENIED;
    case UV_EMFILE:
    case UV_ENFILE:
    case UV_ENOMEM:
    case UV_ENOSPC: /* too many inotify watches */
        return CODE_RESOURCE_EXHAUSTED;
    default:
        return CODE_INTERNAL;
    }
}

static void on_wake(uv_async_t *wake)
{
    struct loop *loop = container_of(wake, struct loop, wake);

    if (atomic_load(&loop->stop))
        uv_stop(&loop->uv);
    post_queue_run(&loop->posts);
}

static void on_pre_poll(uv_prepare_t *pre_poll)
{
    container_of(pre_poll, struct loop, pre_poll)->now_us = 0;
}

static void on_post_poll(uv_check_t *post_poll)
{
    struct loop *loop = container_of(post_poll, struct loop, post_poll);

    deferred_run(loop);
    loop->now_us = 0; /* timers come next, and are late already if this turn was long */
}

/* Ends the wait, also one that has not begun: on a busy machine the time may be over before. */
static void on_turn_limit(uv_timer_t *turn_limit)
{
    deferred_stay_awake(container_of(turn_limit, struct loop, turn_limit));
}

static void init_handles(struct loop *loop)
{
    uv_prepare_init(&loop->uv, &loop->pre_poll);
    uv_prepare_start(&loop->pre_poll, on_pre_poll);
    uv_check_init(&loop->uv, &loop->post_poll);
    uv_check_start(&loop->post_poll, on_post_poll);
    uv_idle_init(&loop->uv, &loop->no_sleep);
    uv_timer_init(&loop->uv, &loop->turn_limit);
}

enum code loop_new(struct loop **ret_loop, struct err *err)
{
    CLEANUP(freep) struct loop *loop = xcalloc(1, sizeof(*loop));
    int status = uv_loop_init(&loop->uv);

    if (status < 0)
        return fail(err, loop_code(status), "cannot make an event loop: %s", uv_strerror(status));
    status = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (status < 0) {
        uv_loop_close(&loop->uv);
        return fail(err, loop_code(status), "cannot make an event loop: %s", uv_strerror(status));
    }
    init_handles(loop);
    list_init(&loop->deferred);
    post_queue_init(&loop->posts);
    *ret_loop = TAKE(loop);
    return CODE_OK;
}

void loop_free(struct loop *loop)
{
    int turns = 0;

    if (!loop)
        return;
    loop_close_posts(loop);
    assert(list_empty(&loop->deferred) && "a deferred call was not cancelled");
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->pre_poll, NULL);
    uv_close((uv_handle_t *)&loop->post_poll, NULL);
    uv_close((uv_handle_t *)&loop->no_sleep, NULL);
    uv_close((uv_handle_t *)&loop->turn_limit, NULL);
    do {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    } while (uv_loop_close(&loop->uv) < 0 && ++turns < CLOSE_TURNS_MAX);
    assert(turns < CLOSE_TURNS_MAX && "a watcher was not freed");
    post_queue_done(&loop->posts);
    free(loop);
}

void loop_run(struct loop *loop)
{
    /* The wakeup keeps the loop alive; uv_run() returns for uv_stop() only. */
    while (!atomic_exchange(&loop->stop, false))
        uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_turn(struct loop *loop, uint64_t timeout_ms)
{
    if (timeout_ms == 0) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        return;
    }
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->turn_limit, on_turn_limit, timeout_ms, 0);
    uv_run(&loop->uv, UV_RUN_ONCE);
    uv_timer_stop(&loop->turn_limit);
}

void loop_note_timeout(struct loop *loop)
{
    if (uv_is_active((uv_handle_t *)&loop->turn_limit))
        deferred_stay_awake(loop);
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stop, true);
    uv_async_send(&loop->wake);
}

uint64_t loop_now_us(const struct loop *loop)
{
    /* Filled when first asked for, so that turns in which nobody asks cost nothing. */
    struct loop *cache = (struct loop *)loop;

    if (cache->now_us == 0)
        cache->now_us = clock_monotonic_us();
    return cache->now_us;
}

uint64_t loop_update_now(struct loop *loop)
{
    loop->now_us = clock_monotonic_us();
    return loop->now_us;
}

char *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}
