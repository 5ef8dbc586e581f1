#include "grpc/gzip.h"

#include <zlib.h>

#define GZIP_ONLY (16 + MAX_WBITS) /* inflateInit2(): expect the gzip head and trailer */
#define STEP_SIZE (16 * 1024)

static enum code inflate_all(z_stream *stream, struct buf *out, struct err *err)
{
    for (;;) {
        size_t room = min_size(STEP_SIZE, out->max - out->len + 1); /* one more: sees the excess */
        char step[STEP_SIZE];
        int result;

        stream->next_out = (unsigned char *)step;
        stream->avail_out = (uInt)room;
        result = inflate(stream, Z_NO_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END)
            return fail(err, CODE_INTERNAL,
                        "a message of grpc-encoding gzip is not gzip, or is cut");
        if (buf_append(out, step, room - stream->avail_out) != CODE_OK)
            return fail(err, CODE_RESOURCE_EXHAUSTED,
                        "a message is longer than %zu bytes when unpacked: send less in one",
                        out->max);
        if (result == Z_STREAM_END)
            return stream->avail_in == 0
                       ? CODE_OK
                       : fail(err, CODE_INTERNAL, "a message has something behind its gzip end");
    }
}

enum code gzip_unpack(struct str packed, struct buf *out, struct err *err)
{
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)packed.ptr,
                       .avail_in = (uInt)packed.len};
    enum code code;

    if (inflateInit2(&stream, GZIP_ONLY) != Z_OK)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "no memory to unpack a message: try again later");
    code = inflate_all(&stream, out, err);
    inflateEnd(&stream);
    return code;
}
