#include "loop/latest.h"

#include <assert.h>

#include "loop/internal.h"

struct latest {
    uv_async_t wake;
    _Atomic(void *) slot;
    struct latest_options options;
};

void latest_take(struct latest *latest)
{
    void *value = atomic_load_explicit(&latest->slot, memory_order_relaxed)
                      ? atomic_exchange(&latest->slot, NULL)
                      : NULL;

    if (value)
        latest->options.on_value(latest->options.ctx, value);
}

static void on_wake(uv_async_t *wake)
{
    latest_take(container_of(wake, struct latest, wake));
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

/* Sequentially consistent, as latest_wake(): who puts and then reads something else, and who writes
 * that and then looks here, cannot miss each other. */
void latest_put(struct latest *latest, void *value)
{
    void *overtaken = atomic_exchange(&latest->slot, value);

    if (overtaken)
        latest->options.unref(overtaken);
}

void latest_wake(struct latest *latest)
{
    if (atomic_load(&latest->slot))
        uv_async_send(&latest->wake);
}

void latest_publish(struct latest *latest, void *value)
{
    latest_put(latest, value);
    latest_wake(latest);
}
