#include "base/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536

static void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static enum code file_open(const char *path, int *ret_fd, struct err *err)
{
    struct stat st;
    /* NONBLOCK: a FIFO must not hang us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return fail(err, errno == ENOENT ? CODE_NOT_FOUND : CODE_PERMISSION_DENIED,
                    "cannot read '%s': %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return fail(err, CODE_INVALID_ARGUMENT, "cannot read '%s': not a regular file", path);
    }
    *ret_fd = fd;
    return CODE_OK;
}

/* Reads until the end, which may lie elsewhere than fstat() said. */
static enum code fd_read(int fd, const char *path, size_t max, char **ret_text, struct err *err)
{
    CLEANUP(secret_freep) char *text = xcalloc(1, max + 2);
    size_t len = 0;

    for (;;) {
        ssize_t got = read(fd, text + len, min_size(max + 1 - len, CHUNK));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(err, CODE_UNAVAILABLE, "cannot read '%s': %s", path, strerror(errno));
        if (got == 0)
            break;
        len += (size_t)got;
        if (len > max)
            return fail(err, CODE_RESOURCE_EXHAUSTED, "'%s' is larger than %zu bytes", path, max);
    }
    if (memchr(text, '\0', len))
        return fail(err, CODE_INVALID_ARGUMENT, "'%s' holds a NUL byte", path);
    *ret_text = TAKE(text);
    return CODE_OK;
}

enum code secret_file_read(const char *path, size_t max, char **ret_text, struct err *err)
{
    CLEANUP(fd_close) int fd = -1;
    enum code code = file_open(path, &fd, err);

    return code != CODE_OK ? code : fd_read(fd, path, max, ret_text, err);
}

enum code secret_file_check(const char *path, struct err *err)
{
    CLEANUP(fd_close) int fd = -1;

    return file_open(path, &fd, err);
}

void secret_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}
