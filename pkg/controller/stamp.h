/*
 * What tells two states of a file apart without reading it.
 *
 * Threads: any.
 */
#ifndef CONTROLLER_STAMP_H
#define CONTROLLER_STAMP_H

#include <sys/stat.h>

#include "base/base.h"

/* All zero: of no file. */
struct stamp {
    struct timespec modified, changed;
    off_t size;
    ino_t inode;
    dev_t device;
};

static inline struct stamp stamp_of(const struct stat *info)
{
    return (struct stamp){info->st_mtim, info->st_ctim, info->st_size, info->st_ino, info->st_dev};
}

/* The same file, whatever was written to it. */
static inline bool stamp_same_file(const struct stamp *a, const struct stamp *b)
{
    return a->inode == b->inode && a->device == b->device;
}

/* And nobody wrote to it in between. */
static inline bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
    return stamp_same_file(a, b) && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

#endif
