#include "base/blob.h"

struct blob *blob_new(size_t len)
{
    struct blob *blob = xmalloc(sizeof(*blob) + len);

    atomic_init(&blob->refs, 1);
    blob->len = len;
    return blob;
}

struct blob *blob_copy(const void *ptr, size_t len)
{
    struct blob *blob = blob_new(len);

    if (len > 0)
        memcpy(blob->bytes, ptr, len);
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (blob && atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) == 1)
        free(blob);
}
