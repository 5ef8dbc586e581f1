/*
 * Bounded compression and decompression of gzip (RFC 1952) messages.
 *
 * Threads: any; keeps nothing.
 */
#ifndef GRPC_GZIP_H
#define GRPC_GZIP_H

#include "base/buf.h"

/* Appends the content of `packed` to `out`. CODE_RESOURCE_EXHAUSTED when it would pass out->max,
 * CODE_INTERNAL when the bytes are broken, end early or carry garbage. */
enum code gzip_unpack(struct str packed, struct buf *out, struct err *err) must_check;
/* Appends all parts as one to `out`. CODE_RESOURCE_EXHAUSTED when that would pass out->max. */
enum code gzip_pack(const struct str *parts, size_t len, struct buf *out,
                    struct err *err) must_check;

#endif
