#include "loop/internal.h"

#include <sys/stat.h>

struct path_watch {
    uv_fs_event_t uv;
    void (*fn)(void *ctx, const char *name);
    void *ctx;
    bool directory;
};

static void on_change(uv_fs_event_t *uv, const char *name, unused_arg int events,
                      unused_arg int status)
{
    struct path_watch *watch = container_of(uv, struct path_watch, uv);

    watch->fn(watch->ctx, watch->directory && name ? name : "");
}

static void on_close(uv_handle_t *handle)
{
    free(container_of((uv_fs_event_t *)handle, struct path_watch, uv));
}

enum code path_watch_new(struct loop *loop, const char *path,
                         void (*fn)(void *ctx, const char *name), void *ctx,
                         struct path_watch **ret_watch, struct err *err)
{
    struct path_watch *watch = xcalloc(1, sizeof(*watch));
    struct stat info;
    int status;

    watch->fn = fn;
    watch->ctx = ctx;
    uv_fs_event_init(&loop->uv, &watch->uv);
    status = uv_fs_event_start(&watch->uv, on_change, path, 0);
    if (status < 0) {
        path_watch_free(watch);
        return fail(err, loop_code(status), "cannot watch '%s': %s", path, uv_strerror(status));
    }
    watch->directory = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    *ret_watch = watch;
    return CODE_OK;
}

void path_watch_free(struct path_watch *watch)
{
    if (watch)
        uv_close((uv_handle_t *)&watch->uv, on_close);
}
