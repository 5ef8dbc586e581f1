#include "loop/latest.h"

#include <assert.h>

#include "loop/internal.h"

struct latest {
    uv_async_t wake;
    _Atomic(void *) slot;
    struct latest_options options;
};

static void on_wake(uv_async_t *wake)
{
    struct latest *latest = container_of(wake, struct latest, wake);
    void *value = atomic_exchange_explicit(&latest->slot, NULL, memory_order_acq_rel);

    if (value)
        latest->options.on_value(latest->options.ctx, value);
}

static void on_close(uv_handle_t *handle)
{
    free(container_of((uv_async_t *)handle, struct latest, wake));
}

struct latest *latest_new(struct loop *reader, const struct latest_options *options)
{
    struct latest *latest = xcalloc(1, sizeof(*latest));
    int status = uv_async_init(&reader->uv, &latest->wake, on_wake);

    assert(status ==
           0); /* the loop has one of its own, so the descriptor behind all of them exists */
    (void)status;
    latest->options = *options;
    return latest;
}

void latest_free(struct latest *latest)
{
    void *value;

    if (!latest)
        return;
    value = atomic_exchange_explicit(&latest->slot, NULL, memory_order_acq_rel);
    if (value)
        latest->options.unref(value);
    uv_close((uv_handle_t *)&latest->wake, on_close);
}

void latest_publish(struct latest *latest, void *value)
{
    void *overtaken = atomic_exchange_explicit(&latest->slot, value, memory_order_acq_rel);

    /* A value that was still there has a wakeup on its way. */
    if (overtaken)
        latest->options.unref(overtaken);
    else
        uv_async_send(&latest->wake);
}
