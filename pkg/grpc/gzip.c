#include "grpc/gzip.h"

#include <zlib.h>

#define GZIP_ONLY (16 + MAX_WBITS) /* with the gzip head and trailer, and without any other */
#define MEM_LEVEL 8                /* zlib's default */
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

/* What there is of the input; with Z_FINISH, all that is left. */
static enum code deflate_all(z_stream *stream, int flush, struct buf *out, struct err *err)
{
    do {
        char step[STEP_SIZE];

        stream->next_out = (unsigned char *)step;
        stream->avail_out = STEP_SIZE;
        (void)deflate(stream, flush);
        if (buf_append(out, step, STEP_SIZE - stream->avail_out) != CODE_OK)
            return fail(err, CODE_RESOURCE_EXHAUSTED,
                        "a message is longer than %zu bytes when packed", out->max);
    } while (stream->avail_out == 0);
    return CODE_OK;
}

enum code gzip_pack(const struct str *parts, size_t len, struct buf *out, struct err *err)
{
    z_stream stream = {0};
    enum code code = CODE_OK;

    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_ONLY, MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "no memory to pack a message: try again later");
    for (size_t i = 0; i <= len && code == CODE_OK; i++) {
        stream.next_in = i < len ? (unsigned char *)(uintptr_t)parts[i].ptr : NULL;
        stream.avail_in = i < len ? (uInt)parts[i].len : 0;
        code = deflate_all(&stream, i < len ? Z_NO_FLUSH : Z_FINISH, out, err);
    }
    deflateEnd(&stream);
    return code;
}
