/*
 * Immutable bytes, encoded once and shared by reference.
 *
 * Threads: the counter is atomic, so a blob may be released by any thread. In the serving path a
 *          blob is made and used by one loop.
 * Owns:    its bytes, in the same allocation. Nobody changes them once the blob is shared.
 */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include <stdatomic.h>

#include "base/str.h"

struct blob {
    atomic_uint refs;
    size_t len;
    unsigned char bytes[];
};

/* A blob of `len` unwritten bytes with one reference; the maker fills `bytes`. */
struct blob *blob_new(size_t len) must_check;
struct blob *blob_copy(const void *ptr, size_t len) must_check;
struct blob *blob_ref(struct blob *blob);
/* NULL is fine. */
void blob_unref(struct blob *blob);

static inline struct str blob_str(const struct blob *blob)
{
    return (struct str){(const char *)blob->bytes, blob->len};
}

DEFINE_CLEANUP(struct blob, blob_unref)

#endif
