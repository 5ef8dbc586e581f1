/*
 * A growing byte buffer that is born with a maximum.
 *
 * Owns:   its bytes. Release with buf_done(); {0}-initialised or buf_init()ed.
 * Errors: an append that would pass `max` returns CODE_RESOURCE_EXHAUSTED and leaves the content
 *         as it was. Writers of bounded output (dumps, metrics) may append without checks and ask
 *         buf_failed() once at the end: after a failed append, all others fail too.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/str.h"

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max;
    bool failed;
};

#define BUFFER_INIT(maximum) {NULL, 0, 0, (maximum), false}

void buf_init(struct buf *buf, size_t max);
void buf_done(struct buf *buf);
/* Empties and keeps the memory; clears the failed mark. */
void buf_reset(struct buf *buf);
enum code buf_append(struct buf *buf, const void *ptr, size_t len);
enum code buf_add_str(struct buf *buf, struct str text);
enum code buf_add_char(struct buf *buf, char ch);
enum code buf_printf(struct buf *buf, const char *fmt, ...) printf_like(2, 3);
/* Room for at least `len` more bytes at ret_ptr; commit with buf->len += written. */
enum code buf_reserve(struct buf *buf, size_t len, char **ret_ptr) must_check;
/* Drops the first `len` bytes. */
void buf_consume(struct buf *buf, size_t len);
/* NUL-terminates without counting the NUL; "" for an empty buffer. */
const char *buf_cstr(struct buf *buf);
/* Moves the bytes out, NUL-terminated; the caller frees them; buf is empty afterwards. */
char *buf_take(struct buf *buf, size_t *ret_len) must_check;

static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->ptr, buf->len};
}

static inline bool buf_failed(const struct buf *buf)
{
    return buf->failed;
}

#endif
