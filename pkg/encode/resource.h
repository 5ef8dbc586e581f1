/*
 * What the encoders of small resources, Listeners and Clusters, share.
 *
 * Pure.
 */
#ifndef ENCODE_RESOURCE_H
#define ENCODE_RESOURCE_H

#include <assert.h>

#include "base/blob.h"
#include "model/xdstp.h"
#include "wire/fields.h"
#include "wire/writer.h"

/* At most 16 names of backends of a few hundred bytes, the own one four times, and constants. */
#define SMALL_RESOURCE_MAX (64 * 1024)

/* Of what Listeners and Clusters refer to. A list's has its client's id, up to what a client may ask for. */
#define RESOURCE_NAME_MAX (NAME_CLUSTER_MAX + XDSTP_AUTHORITY_MAX + 1024)

/* What stands behind "type.googleapis.com/". */
static inline struct str resource_type(struct str url)
{
    return str_slice(url, str_find(url, '/') + 1, url.len);
}

static inline struct blob *resource_take(struct buf *buf)
{
    struct blob *blob;

    assert(!buf_failed(buf));
    blob = blob_copy(buf->ptr, buf->len);
    buf_done(buf);
    return blob;
}

static inline void put_empty(struct buf *out, uint32_t number)
{
    wire_put_bytes(out, number, STR(""));
}

/* google.protobuf.UInt32Value */
static inline void put_u32_value(struct buf *out, uint32_t number, uint32_t value)
{
    size_t wrapper = wire_open(out, number);

    wire_put_varint(out, UINT32_VALUE_VALUE, value);
    wire_close(out, wrapper);
}

/* google.protobuf.Duration */
static inline void put_duration(struct buf *out, uint32_t number, uint64_t us)
{
    size_t duration = wire_open(out, number);

    if (us >= 1000000)
        wire_put_varint(out, DURATION_SECONDS, us / 1000000);
    if (us % 1000000 > 0)
        wire_put_varint(out, DURATION_NANOS, us % 1000000 * 1000);
    wire_close(out, duration);
}

#endif
