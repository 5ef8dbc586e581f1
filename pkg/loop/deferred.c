#include "loop/internal.h"

/* Exists to be active. */
static void on_idle(unused_arg uv_idle_t *no_sleep)
{
}

void deferred_stay_awake(struct loop *loop)
{
    uv_idle_start(&loop->no_sleep, on_idle);
}

void deferred_init(struct deferred *deferred, void (*fn)(void *ctx), void *ctx)
{
    list_init(&deferred->link);
    deferred->fn = fn;
    deferred->ctx = ctx;
}

void deferred_schedule(struct loop *loop, struct deferred *deferred)
{
    if (!list_empty(&deferred->link))
        return;
    if (list_empty(&loop->deferred))
        deferred_stay_awake(loop);
    list_append(&loop->deferred, &deferred->link);
}

void deferred_cancel(struct deferred *deferred)
{
    list_remove(&deferred->link);
}

void deferred_run(struct loop *loop)
{
    struct list batch, *link;

    list_init(&batch);
    if (!list_empty(&loop->deferred)) {
        /* The batch becomes the head of the ring: what is scheduled from now on is for the next
         * turn. */
        list_append(&loop->deferred, &batch);
        list_remove(&loop->deferred);
    }
    while ((link = list_pop(&batch))) {
        struct deferred *deferred = container_of(link, struct deferred, link);

        deferred->fn(deferred->ctx);
    }
    if (list_empty(&loop->deferred))
        uv_idle_stop(&loop->no_sleep);
}
