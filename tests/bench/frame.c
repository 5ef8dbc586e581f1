#include "frame.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"

uint32_t frame_u16(const char *ptr)
{
    const unsigned char *bytes = (const unsigned char *)ptr;

    return (uint32_t)bytes[0] << 8 | bytes[1];
}

uint32_t frame_u32(const char *ptr)
{
    const unsigned char *bytes = (const unsigned char *)ptr;

    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put_u32(char *ptr, uint32_t value)
{
    ptr[0] = (char)(value >> 24);
    ptr[1] = (char)(value >> 16);
    ptr[2] = (char)(value >> 8);
    ptr[3] = (char)value;
}

void frame_put(struct buf *out, enum frame_type type, unsigned flags, uint32_t stream,
               struct str payload)
{
    char head[FRAME_HEAD];

    put_u32(head, (uint32_t)payload.len << 8);
    head[3] = (char)type;
    head[4] = (char)flags;
    put_u32(head + 5, stream);
    buf_append(out, head, sizeof(head));
    buf_add_str(out, payload);
}

bool frame_take(struct str *bytes, struct frame *ret_frame)
{
    size_t len;

    if (bytes->len < FRAME_HEAD)
        return false;
    len = frame_u32(bytes->ptr) >> 8;
    if (bytes->len < FRAME_HEAD + len)
        return false;
    ret_frame->type = (enum frame_type)bytes->ptr[3];
    ret_frame->flags = (unsigned char)bytes->ptr[4];
    ret_frame->stream = frame_u32(bytes->ptr + 5) & 0x7fffffff;
    ret_frame->payload = str_make(bytes->ptr + FRAME_HEAD, len);
    *bytes = str_slice(*bytes, FRAME_HEAD + len, bytes->len);
    return true;
}

void frame_put_prefix(struct buf *out, size_t message_len)
{
    char prefix[FRAME_PREFIX] = {0};

    put_u32(prefix + 1, (uint32_t)message_len);
    buf_append(out, prefix, sizeof(prefix));
}

void frame_put_message(struct buf *out, uint32_t stream, struct str message)
{
    struct buf whole = BUFFER_INIT(FRAME_BUFFER_MAX);

    frame_put_prefix(&whole, message.len);
    buf_add_str(&whole, message);
    for (size_t at = 0; at < whole.len; at += FRAME_PAYLOAD_MAX)
        frame_put(out, FRAME_DATA, 0, stream,
                  str_slice(buf_str(&whole), at, at + FRAME_PAYLOAD_MAX));
    buf_done(&whole);
}

bool frame_take_message(struct buf *whole, size_t *at, struct str *ret_message)
{
    struct str left = str_slice(buf_str(whole), *at, whole->len);
    size_t len;

    if (left.len < FRAME_PREFIX)
        return false;
    len = frame_u32(left.ptr + 1);
    if (left.len < FRAME_PREFIX + len)
        return false;
    *ret_message = str_make(left.ptr + FRAME_PREFIX, len);
    *at += FRAME_PREFIX + len;
    return true;
}

uint64_t bench_now_us(void)
{
    return clock_monotonic_us();
}

void bench_die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}
