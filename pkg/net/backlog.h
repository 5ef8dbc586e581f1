/*
 * The rest of a write that the kernel did not take: blobs by reference, everything else copied.
 * One allocation per short write, none when writes are not short.
 *
 * Owns: a reference to each blob until its last byte is out.
 */
#ifndef NET_BACKLOG_H
#define NET_BACKLOG_H

#include <sys/uio.h>

#include "net/conn.h"

struct backlog;

static inline const char *slice_bytes(const struct conn_slice *slice)
{
    const void *base = slice->blob ? slice->blob->bytes : slice->ptr;

    return slice->len > 0 ? (const char *)base + slice->off : "";
}

/* What is behind the first `sent` bytes of the slices; more than that must be there. */
struct backlog *backlog_new(const struct conn_slice *slices, size_t count, size_t sent) must_check;
void backlog_free(struct backlog *backlog); /* NULL is fine */
/* Bytes left. NULL has none. */
size_t backlog_size(const struct backlog *backlog);
/* Fills at most CONN_SLICES_MAX entries; returns how many. */
size_t backlog_vector(const struct backlog *backlog, struct iovec out[CONN_SLICES_MAX]);
/* The next `sent` bytes are out. */
void backlog_consume(struct backlog *backlog, size_t sent);

#endif
