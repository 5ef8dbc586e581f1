#include "wire/reader.h"

#include "base/utf8.h"

#define VARINT_MAX 10 /* bytes of 64 bits in groups of seven */
#define FIELD_NUMBER_MAX ((1u << 29) - 1)

enum group_edge { GROUP_START = 3, GROUP_END = 4 };

static bool refuse(struct wire_reader *reader)
{
    reader->failed = true;
    return false;
}

static size_t left(const struct wire_reader *reader)
{
    return (size_t)(reader->end - reader->ptr);
}

static bool read_varint(struct wire_reader *reader, uint64_t *ret_value)
{
    size_t max = min_size(left(reader), VARINT_MAX);
    uint64_t value = 0;

    for (size_t i = 0; i < max; i++) {
        unsigned char byte = reader->ptr[i];

        if (i == VARINT_MAX - 1 && byte > 1)
            return refuse(reader);
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            reader->ptr += i + 1;
            *ret_value = value;
            return true;
        }
    }
    return refuse(reader);
}

static bool read_tag(struct wire_reader *reader, uint32_t *ret_number, unsigned *ret_type)
{
    uint64_t tag;

    if (!read_varint(reader, &tag))
        return false;
    if (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX)
        return refuse(reader);
    *ret_number = (uint32_t)(tag >> 3);
    *ret_type = (unsigned)tag & 7;
    return true;
}

static bool read_fixed(struct wire_reader *reader, size_t len, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (left(reader) < len)
        return refuse(reader);
    for (size_t i = 0; i < len; i++)
        value |= (uint64_t)reader->ptr[i] << (8 * i);
    reader->ptr += len;
    *ret_value = value;
    return true;
}

static bool read_bytes(struct wire_reader *reader, struct str *ret_bytes)
{
    uint64_t len;

    if (!read_varint(reader, &len))
        return false;
    if (len > left(reader))
        return refuse(reader);
    *ret_bytes = str_make(reader->ptr, (size_t)len);
    reader->ptr += len;
    return true;
}

/* What follows the tag of anything but a group. */
static bool read_value(struct wire_reader *reader, unsigned type, struct wire_field *ret_field)
{
    switch (type) {
    case WIRE_VARINT:
        return read_varint(reader, &ret_field->value);
    case WIRE_FIXED64:
        return read_fixed(reader, 8, &ret_field->value);
    case WIRE_FIXED32:
        return read_fixed(reader, 4, &ret_field->value);
    case WIRE_BYTES:
        return read_bytes(reader, &ret_field->bytes);
    default:
        return refuse(reader);
    }
}

/* A group ends with the number that it began with; those that are open stand on a stack of fixed
 * depth. */
static bool skip_group(struct wire_reader *reader, uint32_t number)
{
    uint32_t open[WIRE_GROUP_DEPTH_MAX] = {number};
    size_t depth = 1;

    while (depth > 0) {
        struct wire_field ignored;
        unsigned type;

        if (!read_tag(reader, &number, &type))
            return false;
        if (type == GROUP_END) {
            if (open[--depth] != number)
                return refuse(reader);
        } else if (type == GROUP_START) {
            if (depth == WIRE_GROUP_DEPTH_MAX)
                return refuse(reader);
            open[depth++] = number;
        } else if (!read_value(reader, type, &ignored)) {
            return false;
        }
    }
    return true;
}

bool wire_next(struct wire_reader *reader, struct wire_field *ret_field)
{
    while (!reader->failed && reader->ptr != reader->end) {
        struct wire_field field = {0};
        unsigned type;

        if (!read_tag(reader, &field.number, &type))
            return false;
        if (type == GROUP_START) {
            if (!skip_group(reader, field.number))
                return false;
            continue;
        }
        if (!read_value(reader, type, &field))
            return false;
        field.type = (enum wire_type)type;
        *ret_field = field;
        return true;
    }
    return false;
}

/* The next eight bytes are ASCII, as nearly all text here is. */
static bool is_ascii_word(struct str text, size_t at)
{
    uint64_t word;

    if (text.len - at < sizeof(word))
        return false;
    memcpy(&word, text.ptr + at, sizeof(word));
    return (word & 0x8080808080808080u) == 0;
}

bool wire_is_utf8(struct str text)
{
    size_t len;

    for (size_t at = 0; at < text.len; at += len) {
        len = is_ascii_word(text, at) ? sizeof(uint64_t) : utf8_char_len(text, at);
        if (len == 0)
            return false;
    }
    return true;
}
