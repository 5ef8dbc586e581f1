#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>

#define FIRST_CAPACITY 64

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf)BUFFER_INIT(max);
}

void buf_done(struct buf *buf)
{
    free(buf->ptr);
    buf_init(buf, buf->max);
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

static enum code refuse(struct buf *buf)
{
    buf->failed = true;
    return CODE_RESOURCE_EXHAUSTED;
}

/* Doubles, but never beyond max; behind the capacity is always a byte for a NUL. */
static enum code grow(struct buf *buf, size_t needed)
{
    size_t cap = buf->cap > FIRST_CAPACITY / 2 ? buf->cap : FIRST_CAPACITY / 2;
    char *ptr;

    cap = cap > buf->max / 2 ? buf->max : cap * 2;
    cap = cap < needed ? needed : cap;
    ptr = cap < SIZE_MAX ? realloc(buf->ptr, cap + 1) : NULL;
    if (!ptr)
        return refuse(buf);
    buf->ptr = ptr;
    buf->cap = cap;
    return CODE_OK;
}

static enum code ensure(struct buf *buf, size_t len)
{
    if (buf->failed)
        return CODE_RESOURCE_EXHAUSTED;
    if (len <= buf->cap - buf->len)
        return CODE_OK;
    if (buf->len > buf->max || len > buf->max - buf->len)
        return refuse(buf);
    return grow(buf, buf->len + len);
}

enum code buf_append(struct buf *buf, const void *ptr, size_t len)
{
    enum code code = ensure(buf, len);

    if (code == CODE_OK && len > 0) {
        memcpy(buf->ptr + buf->len, ptr, len);
        buf->len += len;
    }
    return code;
}

enum code buf_add_str(struct buf *buf, struct str text)
{
    return buf_append(buf, text.ptr, text.len);
}

enum code buf_add_char(struct buf *buf, char ch)
{
    return buf_append(buf, &ch, 1);
}

/* Prints where it fits, else says how much room it needs; the byte for the NUL counts as room. */
static enum code print(struct buf *buf, const char *fmt, va_list args, size_t *ret_len)
{
    size_t room = buf->ptr ? buf->cap - buf->len + 1 : 0;
    int len = vsnprintf(room > 0 ? buf->ptr + buf->len : NULL, room, fmt, args);

    if (len < 0)
        return refuse(buf);
    *ret_len = (size_t)len;
    return CODE_OK;
}

enum code buf_printf(struct buf *buf, const char *fmt, ...)
{
    size_t len;
    enum code code;
    va_list args;

    if (buf->failed)
        return CODE_RESOURCE_EXHAUSTED;
    va_start(args, fmt);
    code = print(buf, fmt, args, &len);
    va_end(args);
    if (code != CODE_OK || (buf->ptr && len <= buf->cap - buf->len)) {
        buf->len += code == CODE_OK ? len : 0;
        return code;
    }
    code = ensure(buf, len);
    if (code != CODE_OK || len == 0)
        return code;
    va_start(args, fmt);
    code = print(buf, fmt, args, &len);
    va_end(args);
    buf->len += code == CODE_OK ? len : 0;
    return code;
}

enum code buf_reserve(struct buf *buf, size_t len, char **ret_ptr)
{
    enum code code = ensure(buf, len);

    if (code == CODE_OK)
        *ret_ptr = buf->ptr ? buf->ptr + buf->len : NULL;
    return code;
}

void buf_consume(struct buf *buf, size_t len)
{
    assert(len <= buf->len);
    if (len == 0)
        return;
    memmove(buf->ptr, buf->ptr + len, buf->len - len);
    buf->len -= len;
}

const char *buf_cstr(struct buf *buf)
{
    if (!buf->ptr)
        return "";
    buf->ptr[buf->len] = '\0';
    return buf->ptr;
}

char *buf_take(struct buf *buf, size_t *ret_len)
{
    char *ptr = buf->ptr ? buf->ptr : xmalloc(1);

    ptr[buf->len] = '\0';
    if (ret_len)
        *ret_len = buf->len;
    buf_init(buf, buf->max);
    return ptr;
}
