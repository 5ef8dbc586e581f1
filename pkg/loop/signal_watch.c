#include "loop/internal.h"

struct signal_watch {
    uv_signal_t uv;
    void (*fn)(void *ctx, int signum);
    void *ctx;
};

static void on_signal(uv_signal_t *uv, int signum)
{
    struct signal_watch *watch = container_of(uv, struct signal_watch, uv);

    watch->fn(watch->ctx, signum);
}

static void on_close(uv_handle_t *handle)
{
    free(container_of((uv_signal_t *)handle, struct signal_watch, uv));
}

enum code signal_watch_new(struct loop *loop, int signum, void (*fn)(void *ctx, int signum),
                           void *ctx, struct signal_watch **ret_watch, struct err *err)
{
    struct signal_watch *watch = xcalloc(1, sizeof(*watch));
    int status = uv_signal_init(&loop->uv, &watch->uv);

    if (status < 0) {
        free(watch);
        return fail(err, loop_code(status), "cannot watch signals: %s", uv_strerror(status));
    }
    watch->fn = fn;
    watch->ctx = ctx;
    status = uv_signal_start(&watch->uv, on_signal, signum);
    if (status < 0) {
        signal_watch_free(watch);
        return fail(err, CODE_INVALID_ARGUMENT, "cannot watch signal %d: %s", signum,
                    uv_strerror(status));
    }
    *ret_watch = watch;
    return CODE_OK;
}

void signal_watch_free(struct signal_watch *watch)
{
    if (watch)
        uv_close((uv_handle_t *)&watch->uv, on_close);
}
