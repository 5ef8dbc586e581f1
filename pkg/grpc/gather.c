#include "grpc/gather.h"

#include <assert.h>

void gather_reset(struct gather *gather)
{
    gather->count = 0;
    gather->bytes = 0;
    gather->arena_len = 0;
    while (gather->kept_len > 0)
        blob_unref(gather->kept[--gather->kept_len]);
}

size_t gather_slices_left(const struct gather *gather)
{
    return CONN_SLICES_MAX - gather->count;
}

bool gather_has_room(const struct gather *gather)
{
    return gather->bytes < GATHER_BYTES_MAX && gather_slices_left(gather) >= GATHER_SLICES_MIN &&
           GATHER_ARENA_SIZE - gather->arena_len >= GATHER_FRAME_MAX;
}

static void add_slice(struct gather *gather, struct conn_slice slice)
{
    assert(gather->count < CONN_SLICES_MAX);
    gather->slices[gather->count++] = slice;
    gather->bytes += slice.len;
}

void gather_copy(struct gather *gather, const void *ptr, size_t len)
{
    char *to = gather->arena + gather->arena_len;
    struct conn_slice *last = gather->count ? &gather->slices[gather->count - 1] : NULL;

    assert(len <= GATHER_ARENA_SIZE - gather->arena_len);
    memcpy(to, ptr, len);
    gather->arena_len += len;
    if (last && !last->blob && (const char *)last->ptr + last->len == to) {
        last->len += len; /* neighbours in the arena are one slice */
        gather->bytes += len;
        return;
    }
    add_slice(gather, (struct conn_slice){.ptr = to, .len = len});
}

void gather_point(struct gather *gather, const void *ptr, size_t len)
{
    add_slice(gather, (struct conn_slice){.ptr = ptr, .len = len});
}

void gather_blob(struct gather *gather, struct blob *blob, size_t off, size_t len)
{
    add_slice(gather, (struct conn_slice){.blob = blob, .off = off, .len = len});
}

bool gather_keep(struct gather *gather, struct blob *const *blobs, size_t len)
{
    if (len > CONN_SLICES_MAX - gather->kept_len)
        return false;
    for (size_t i = 0; i < len; i++)
        gather->kept[gather->kept_len++] = blobs[i];
    return true;
}
