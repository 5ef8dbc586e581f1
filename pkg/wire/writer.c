#include "wire/writer.h"

#include "wire/fields.h"

#define VARINT_MAX 10

static size_t varint_len(uint64_t value)
{
    size_t len = 1;

    for (; value >= 0x80; value >>= 7)
        len++;
    return len;
}

static size_t encode_varint(unsigned char out[VARINT_MAX], uint64_t value)
{
    size_t len = 0;

    for (; value >= 0x80; value >>= 7)
        out[len++] = (unsigned char)(value | 0x80);
    out[len++] = (unsigned char)value;
    return len;
}

static void put_raw_varint(struct buf *out, uint64_t value)
{
    unsigned char bytes[VARINT_MAX];

    buf_append(out, bytes, encode_varint(bytes, value));
}

static uint64_t tag_of(uint32_t number, enum wire_type type)
{
    return (uint64_t)number << 3 | type;
}

void wire_put_varint(struct buf *out, uint32_t number, uint64_t value)
{
    put_raw_varint(out, tag_of(number, WIRE_VARINT));
    put_raw_varint(out, value);
}

void wire_put_bytes(struct buf *out, uint32_t number, struct str bytes)
{
    wire_put_head(out, number, bytes.len);
    buf_add_str(out, bytes);
}

void wire_put_double(struct buf *out, uint32_t number, double value)
{
    unsigned char bytes[8];
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(bits >> (8 * i));
    put_raw_varint(out, tag_of(number, WIRE_FIXED64));
    buf_append(out, bytes, sizeof(bytes));
}

/* One byte is kept for the length: most messages are shorter than 128 bytes. */
size_t wire_open(struct buf *out, uint32_t number)
{
    put_raw_varint(out, tag_of(number, WIRE_BYTES));
    buf_add_char(out, 0);
    return out->len;
}

void wire_close(struct buf *out, size_t mark)
{
    unsigned char head[VARINT_MAX];
    static const char room[VARINT_MAX];
    size_t len;
    size_t head_len;

    if (buf_failed(out))
        return;
    len = out->len - mark;
    head_len = encode_varint(head, len);
    if (head_len > 1 && buf_append(out, room, head_len - 1) != CODE_OK)
        return;
    memmove(out->ptr + mark + head_len - 1, out->ptr + mark, len);
    memcpy(out->ptr + mark - 1, head, head_len);
}

size_t wire_open_any(struct buf *out, uint32_t number, struct str type_url, size_t *ret_value_mark)
{
    size_t mark = wire_open(out, number);

    wire_put_bytes(out, ANY_TYPE_URL, type_url);
    *ret_value_mark = wire_open(out, ANY_VALUE);
    return mark;
}

void wire_close_any(struct buf *out, size_t mark, size_t value_mark)
{
    wire_close(out, value_mark);
    wire_close(out, mark);
}

size_t wire_sized_varint(uint32_t number, uint64_t value)
{
    return varint_len(tag_of(number, WIRE_VARINT)) + varint_len(value);
}

size_t wire_sized(uint32_t number, size_t len)
{
    return varint_len(tag_of(number, WIRE_BYTES)) + varint_len(len) + len;
}

void wire_put_head(struct buf *out, uint32_t number, size_t len)
{
    put_raw_varint(out, tag_of(number, WIRE_BYTES));
    put_raw_varint(out, len);
}
