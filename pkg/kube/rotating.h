/*
 * A small file that is replaced while we run: a token, a certificate, a key.
 *
 * Owns:   its text, which is wiped before it is freed.
 * Errors: a file that cannot be read, or whose content is refused, is an error only as long as it was never read; later the old
 *         text stays, with a warning.
 */
#ifndef KUBE_ROTATING_H
#define KUBE_ROTATING_H

#include <sys/stat.h>

#include "base/err.h"

#define ROTATING_SIZE_MAX (256 * 1024)

struct rotating {
    char *path; /* NULL: there is no file */
    char *text; /* NULL: never read */
    struct timespec mtime;
    ino_t inode;
    off_t size;
};

/* NULL: no file, and nothing ever to read. */
void rotating_init(struct rotating *file, const char *path);
void rotating_done(struct rotating *file);
/* Looks at the file's time and reads it when that moved. `check` may be NULL. */
enum code rotating_look(struct rotating *file,
                        enum code (*check)(const char *text, struct err *err),
                        struct err *err) must_check;

#endif
