#include "base/base64.h"

#define SKIP -1
#define PAD -2
#define BAD -3

static int digit_value(char ch)
{
    if (ch >= 'A' && ch <= 'Z')
        return ch - 'A';
    if (ch >= 'a' && ch <= 'z')
        return ch - 'a' + 26;
    if (ch >= '0' && ch <= '9')
        return ch - '0' + 52;
    if (ch == '+' || ch == '/')
        return ch == '+' ? 62 : 63;
    if (ch == '=')
        return PAD;
    return ch == '\n' || ch == '\r' || ch == ' ' || ch == '\t' ? SKIP : BAD;
}

struct decoder {
    unsigned bits;
    size_t digits;
    size_t pads;
    char *bytes;
    size_t len;
};

static bool decoder_take(struct decoder *dec, char ch)
{
    int value = digit_value(ch);

    if (value == SKIP)
        return true;
    if (value == PAD)
        return ++dec->pads <= 2;
    if (value == BAD || dec->pads > 0)
        return false;
    dec->bits = dec->bits << 6 | (unsigned)value;
    if (++dec->digits % 4 != 1) {
        unsigned shift = 6 - 2 * (unsigned)((dec->digits - 1) % 4);

        dec->bytes[dec->len++] = (char)(dec->bits >> shift);
    }
    return true;
}

enum code base64_decode(struct str text, char **ret_bytes, size_t *ret_len, struct err *err)
{
    CLEANUP(freep) char *bytes = xmalloc(text.len / 4 * 3 + 4);
    struct decoder dec = {.bytes = bytes};

    for (size_t i = 0; i < text.len; i++)
        if (!decoder_take(&dec, text.ptr[i]))
            return fail(err, CODE_INVALID_ARGUMENT, "not base64 at character %zu", i + 1);
    if ((dec.digits + dec.pads) % 4 != 0)
        return fail(err, CODE_INVALID_ARGUMENT, "base64 that ends early");
    bytes[dec.len] = '\0';
    *ret_len = dec.len;
    *ret_bytes = TAKE(bytes);
    return CODE_OK;
}

void base64_add(struct buf *out, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t at = 0; at < bytes.len; at += 3) {
        size_t left = min_size(bytes.len - at, 3);
        unsigned bits = 0;
        char four[4];

        for (size_t i = 0; i < 3; i++)
            bits = bits << 8 | (i < left ? (unsigned char)bytes.ptr[at + i] : 0);
        for (size_t i = 0; i < 4; i++)
            four[i] = i <= left ? digits[bits >> (18 - 6 * i) & 63] : '=';
        (void)buf_append(out, four, sizeof(four));
    }
}
