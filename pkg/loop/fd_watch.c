#include "loop/internal.h"

#include <assert.h>

struct fd_watch {
    uv_poll_t uv;
    void (*fn)(void *ctx, int events);
    void *ctx;
    int events; /* asked for */
};

static void on_poll(uv_poll_t *uv, int status, int uv_events);

static int to_uv(int events)
{
    return (events & FD_READABLE ? UV_READABLE : 0) | (events & FD_WRITABLE ? UV_WRITABLE : 0);
}

static void apply(struct fd_watch *watch)
{
    /* Fails only if the fd already has a watch that is active, which is our bug. */
    int status = uv_poll_start(&watch->uv, to_uv(watch->events), on_poll);

    assert(status == 0);
    (void)status;
}

static void on_poll(uv_poll_t *uv, int status, int uv_events)
{
    struct fd_watch *watch = container_of(uv, struct fd_watch, uv);
    int seen =
        (uv_events & UV_READABLE ? FD_READABLE : 0) | (uv_events & UV_WRITABLE ? FD_WRITABLE : 0);

    /* An error on the socket: libuv has stopped the watch. The user learns which one from its next
     * system call; until then the watch is level-triggered like any other. */
    if (status < 0)
        seen = watch->events;
    watch->fn(watch->ctx, seen & watch->events);
    if (status < 0 && !uv_is_closing((uv_handle_t *)uv) && !uv_is_active((uv_handle_t *)uv))
        apply(watch);
}

static void on_close(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct fd_watch, uv));
}

enum code fd_watch_new(struct loop *loop, int fd, void (*fn)(void *ctx, int events), void *ctx,
                       struct fd_watch **ret_watch, struct err *err)
{
    CLEANUP(freep) struct fd_watch *watch = xcalloc(1, sizeof(*watch));
    int status = uv_poll_init(&loop->uv, &watch->uv, fd);

    if (status < 0)
        return fail(err, loop_code(status), "cannot watch descriptor %d: %s", fd,
                    uv_strerror(status));
    watch->fn = fn;
    watch->ctx = ctx;
    *ret_watch = TAKE(watch);
    return CODE_OK;
}

void fd_watch_free(struct fd_watch *watch)
{
    if (watch)
        uv_close((uv_handle_t *)&watch->uv, on_close);
}

void fd_watch_set(struct fd_watch *watch, int events)
{
    if (events == watch->events)
        return;
    watch->events = events;
    apply(watch);
}
