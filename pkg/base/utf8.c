#include "base/utf8.h"

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* What the lead byte says, and the range of its second byte (table 3-7 of the Unicode standard). */
static size_t lead_len(unsigned char lead, unsigned char *ret_low, unsigned char *ret_high)
{
    *ret_low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    *ret_high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 2;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 3;
    return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

size_t utf8_char_len(struct str text, size_t at)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr + at;
    unsigned char low;
    unsigned char high;
    size_t len = lead_len(bytes[0], &low, &high);

    if (len <= 1)
        return len;
    if (len > text.len - at || bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (!is_continuation(bytes[i]))
            return 0;
    }
    return len;
}

struct str utf8_tail(struct str text, size_t max)
{
    size_t at = text.len > max ? text.len - max : 0;

    while (at > 0 && at < text.len && is_continuation((unsigned char)text.ptr[at]))
        at++;
    return str_slice(text, at, text.len);
}

struct str utf8_cut(struct str text, size_t max)
{
    size_t end = max;

    if (text.len <= max)
        return text;
    /* A character has at most three continuation bytes; what has more is no UTF-8: cut anywhere. */
    while (end > 0 && max - end < 4 && is_continuation((unsigned char)text.ptr[end]))
        end--;
    if (max - end >= 4)
        end = max;
    return str_make(text.ptr, end);
}

void utf8_position(struct str text, size_t offset, size_t *ret_line, size_t *ret_column)
{
    size_t line = 1;
    size_t column = 1;

    offset = min_size(offset, text.len);
    for (size_t i = 0; i < offset; i++) {
        if (text.ptr[i] == '\n') {
            line++;
            column = 1;
        } else if (!is_continuation((unsigned char)text.ptr[i])) {
            column++;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

static uint32_t code_point(const char *ptr, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)ptr;
    uint32_t point = len == 1 ? bytes[0] : bytes[0] & (0x7Fu >> len);

    for (size_t i = 1; i < len; i++)
        point = point << 6 | (bytes[i] & 0x3F);
    return point;
}

static bool is_harmful(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point <= 0x9F) ||
           (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

static bool is_escaped(uint32_t point)
{
    return point == '"' || point == '\\' || is_harmful(point);
}

/* The character at `at`: its length in *ret_len; false if it has to be escaped. */
static bool is_plain(struct str text, size_t at, size_t *ret_len)
{
    unsigned char byte = (unsigned char)text.ptr[at];

    if (byte < 0x80) {
        *ret_len = 1;
        return !is_escaped(byte);
    }
    *ret_len = utf8_char_len(text, at);
    return *ret_len > 0 && !is_escaped(code_point(text.ptr + at, *ret_len));
}

static void add_escaped(struct buf *buf, uint32_t point)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";

    for (size_t i = 0; i + 1 < sizeof(shorts); i += 2) {
        if ((uint32_t)shorts[i] == point) {
            buf_append(buf, (char[]){'\\', shorts[i + 1]}, 2);
            return;
        }
    }
    buf_printf(buf, "\\u%04x", (unsigned)point);
}

enum code utf8_add_quoted(struct buf *buf, struct str text)
{
    size_t done = 0; /* everything before it is written */
    size_t len;

    buf_add_char(buf, '"');
    for (size_t at = 0; at < text.len; at += len) {
        if (is_plain(text, at, &len))
            continue;
        buf_append(buf, text.ptr + done, at - done);
        add_escaped(buf, len > 0 ? code_point(text.ptr + at, len) : 0xFFFD);
        len = len > 0 ? len : 1;
        done = at + len;
    }
    if (done < text.len) /* an empty text may have no address */
        buf_append(buf, text.ptr + done, text.len - done);
    return buf_add_char(buf, '"');
}

bool utf8_needs_escape(struct str text)
{
    size_t len;

    for (size_t at = 0; at < text.len; at += len) {
        if (!is_plain(text, at, &len))
            return true;
    }
    return false;
}
