#include "controller/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE (16 * 1024)

static enum code read_all(int fd, struct buf *content, struct err *err)
{
    for (;;) {
        char *room;
        ssize_t got;

        if (buf_reserve(content, READ_SIZE, &room) != CODE_OK)
            return fail(err, CODE_RESOURCE_EXHAUSTED, "larger than %d MiB",
                        MANIFEST_BYTES_MAX >> 20);
        got = read(fd, room, READ_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(err, CODE_INTERNAL, "cannot read: %s", strerror(errno));
        if (got == 0)
            return CODE_OK;
        content->len += (size_t)got;
    }
}

/* A pipe or a device would block or never end. */
static enum code open_regular(int dir, const char *name, int *ret_fd, struct err *err)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;

    if (fd < 0)
        return fail(err, errno == ENOENT ? CODE_NOT_FOUND : CODE_PERMISSION_DENIED,
                    "cannot open: %s", strerror(errno));
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return fail(err, CODE_INVALID_ARGUMENT, "not a regular file");
    }
    *ret_fd = fd;
    return CODE_OK;
}

enum code manifest_read(int dir, const char *name, struct manifest *manifest, struct err *err)
{
    struct buf content = BUFFER_INIT(MANIFEST_BYTES_MAX + READ_SIZE);
    int fd = -1;
    enum code code = open_regular(dir, name, &fd, err);

    if (code != CODE_OK)
        return code;
    code = read_all(fd, &content, err);
    close(fd);
    if (code == CODE_OK)
        code = manifest_parse(buf_str(&content), str_ends_with(str_of(name), STR(".json")),
                              manifest, err);
    buf_done(&content);
    return code;
}
