#include "controller/folder_watch.h"

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "controller/stamp.h"

#define WRITING_MASK IN_MODIFY
#define WRITTEN_MASK IN_CLOSE_WRITE
#define ARRIVED_MASK IN_MOVED_TO
#define CHANGED_MASK (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_ATTRIB)
#define LOST_MASK (IN_DELETE_SELF | IN_MOVE_SELF)

struct folder_watch {
    int fd;
    struct stamp on; /* what is watched; zero: not known */
    struct fd_watch *readable;
    folder_event_fn *fn;
    void *ctx;
};

static enum folder_event event_of(uint32_t mask)
{
    if (mask & (LOST_MASK | IN_IGNORED | IN_UNMOUNT))
        return FOLDER_LOST;
    if (mask & WRITING_MASK)
        return FOLDER_WRITING;
    if (mask & WRITTEN_MASK)
        return FOLDER_WRITTEN;
    return mask & ARRIVED_MASK ? FOLDER_ARRIVED : FOLDER_CHANGED;
}

static void on_readable(void *ctx, unused_arg int events)
{
    struct folder_watch *watch = ctx;
    _Alignas(struct inotify_event) char bytes[16 * 1024];
    ssize_t len = read(watch->fd, bytes, sizeof(bytes));

    for (ssize_t at = 0; at < len;) {
        const struct inotify_event *event = (const void *)(bytes + at);

        at += (ssize_t)(sizeof(*event) + event->len);
        watch->fn(watch->ctx, event_of(event->mask), event->len > 0 ? event->name : "");
    }
}

static enum code code_of(int error)
{
    switch (error) {
    case ENOENT:
        return CODE_NOT_FOUND;
    case EACCES:
        return CODE_PERMISSION_DENIED;
    case ENOTDIR:
        return CODE_INVALID_ARGUMENT;
    default: /* descriptors or watches are used up */
        return CODE_RESOURCE_EXHAUSTED;
    }
}

static struct stamp stamp_of_path(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 ? stamp_of(&info) : (struct stamp){0};
}

static enum code watch_path(struct folder_watch *watch, const char *path, struct err *err)
{
    const uint32_t mask =
        WRITING_MASK | WRITTEN_MASK | ARRIVED_MASK | CHANGED_MASK | LOST_MASK | IN_ONLYDIR;
    struct stamp before = stamp_of_path(path);
    struct stamp after;

    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0 || inotify_add_watch(watch->fd, path, mask) < 0) {
        int error = errno;

        return fail(err, code_of(error), "cannot watch folder '%s': %s", path, strerror(error));
    }
    after = stamp_of_path(path);
    if (stamp_same_file(&before, &after))
        watch->on = after;
    return CODE_OK;
}

enum code folder_watch_new(struct loop *loop, const char *path, folder_event_fn *fn, void *ctx,
                           struct folder_watch **ret_watch, struct err *err)
{
    struct folder_watch *watch = xcalloc(1, sizeof(*watch));
    enum code code;

    watch->fn = fn;
    watch->ctx = ctx;
    code = watch_path(watch, path, err);
    if (code == CODE_OK)
        code = fd_watch_new(loop, watch->fd, on_readable, watch, &watch->readable, err);
    if (code != CODE_OK) {
        folder_watch_free(watch);
        return code;
    }
    fd_watch_set(watch->readable, FD_READABLE);
    *ret_watch = watch;
    return CODE_OK;
}

bool folder_watch_is_on(const struct folder_watch *watch, const char *path)
{
    struct stamp now = stamp_of_path(path);

    return stamp_same_file(&now, &watch->on);
}

void folder_watch_free(struct folder_watch *watch)
{
    if (!watch)
        return;
    fd_watch_free(watch->readable);
    if (watch->fd >= 0)
        close(watch->fd);
    free(watch);
}
