#include "controller/manifest.h"

#include <errno.h>
#include <fcntl.h>
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

/* Also when it became a pipe or a device meanwhile: nothing is read from those. */
static enum code check_stamp(int fd, const struct stamp *stamp, struct err *err)
{
    struct stat info;
    struct stamp now;

    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
        return fail(err, CODE_ABORTED, "not a regular file any more");
    now = stamp_of(&info);
    if (!stamp_equal(&now, stamp))
        return fail(err, CODE_ABORTED, "changes while it is read");
    if (info.st_size > MANIFEST_BYTES_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "larger than %d MiB", MANIFEST_BYTES_MAX >> 20);
    return CODE_OK;
}

static enum code read_stable(int fd, const struct stamp *stamp, struct buf *content,
                             struct err *err)
{
    enum code code = check_stamp(fd, stamp, err);

    if (code == CODE_OK)
        code = read_all(fd, content, err);
    if (code == CODE_OK)
        code = check_stamp(fd, stamp, err);
    return code;
}

enum code manifest_read(int dir, const char *name, const struct stamp *stamp,
                        struct manifest *manifest, struct err *err)
{
    struct buf content = BUFFER_INIT(MANIFEST_BYTES_MAX + READ_SIZE);
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    enum code code;

    if (fd < 0)
        return fail(err, errno == ENOENT ? CODE_NOT_FOUND : CODE_PERMISSION_DENIED,
                    "cannot open: %s", strerror(errno));
    code = read_stable(fd, stamp, &content, err);
    close(fd);
    if (code == CODE_OK)
        code = manifest_parse(buf_str(&content), str_ends_with(str_of(name), STR(".json")),
                              manifest, err);
    buf_done(&content);
    return code;
}

static bool is_json(const char *name, struct str text)
{
    struct str file = str_of(name);

    return str_ends_with(file, STR(".json")) ||
           (!str_ends_with(file, STR(".yaml")) && !str_ends_with(file, STR(".yml")) &&
            str_starts_with(str_trim(text), STR("{")));
}

enum code manifest_read_stream(int fd, const char *name, struct manifest *manifest, struct err *err)
{
    struct buf content = BUFFER_INIT(MANIFEST_BYTES_MAX + READ_SIZE);
    enum code code = read_all(fd, &content, err);

    if (code == CODE_OK)
        code = manifest_parse(buf_str(&content), is_json(name, buf_str(&content)), manifest, err);
    buf_done(&content);
    return code;
}
