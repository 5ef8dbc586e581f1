#include "net/backlog.h"

#include <assert.h>

struct piece {
    struct blob *blob; /* NULL: ptr is in our own copy */
    const char *ptr;
    size_t len;
};

struct backlog {
    size_t size;
    size_t first; /* piece */
    size_t count;
    struct piece pieces[];
    /* then the copied bytes */
};

struct backlog *backlog_new(const struct conn_slice *slices, size_t count, size_t sent)
{
    struct backlog *backlog;
    size_t copied = 0;
    char *copy;

    for (; count > 0 && sent >= slices->len; slices++, count--)
        sent -= slices->len;
    for (size_t i = 0; i < count; i++)
        copied += slices[i].blob ? 0 : slices[i].len;
    backlog = xmalloc(sizeof(*backlog) + count * sizeof(struct piece) + copied);
    *backlog = (struct backlog){.count = count};
    copy = (char *)&backlog->pieces[count];
    for (size_t i = 0; i < count; i++) {
        struct piece *piece = &backlog->pieces[i];
        size_t skip = i == 0 ? sent : 0;

        *piece = (struct piece){.ptr = slice_bytes(&slices[i]) + skip, .len = slices[i].len - skip};
        backlog->size += piece->len;
        if (slices[i].blob) {
            piece->blob = blob_ref(slices[i].blob);
        } else {
            memcpy(copy, piece->ptr, piece->len);
            piece->ptr = copy;
            copy += piece->len;
        }
    }
    return backlog;
}

void backlog_free(struct backlog *backlog)
{
    if (!backlog)
        return;
    for (size_t i = backlog->first; i < backlog->count; i++)
        blob_unref(backlog->pieces[i].blob);
    free(backlog);
}

size_t backlog_size(const struct backlog *backlog)
{
    return backlog ? backlog->size : 0;
}

size_t backlog_vector(const struct backlog *backlog, struct iovec out[CONN_SLICES_MAX])
{
    size_t count = backlog->count - backlog->first;

    for (size_t i = 0; i < count; i++) {
        const struct piece *piece = &backlog->pieces[backlog->first + i];

        out[i] = (struct iovec){(char *)piece->ptr, piece->len};
    }
    return count;
}

void backlog_consume(struct backlog *backlog, size_t sent)
{
    assert(sent <= backlog->size);
    backlog->size -= sent;
    while (backlog->first < backlog->count) {
        struct piece *piece = &backlog->pieces[backlog->first];

        if (sent < piece->len) {
            piece->ptr += sent;
            piece->len -= sent;
            return;
        }
        sent -= piece->len;
        blob_unref(piece->blob);
        backlog->first++;
    }
}
