#include "base/json_scan.h"

#include <endian.h>
#include <math.h>

#include "base/json.h"
#include "base/utf8.h"

/* cJSON copies a number into a buffer of 64 before it converts it. */
#define NUMBER_LEN_MAX 63

struct scan {
    struct str text;
    size_t at;
    size_t values;
    unsigned depth;
    bool nul; /* \u0000 stands somewhere */
};

static bool has(const struct scan *scan, char ch)
{
    return scan->at < scan->text.len && scan->text.ptr[scan->at] == ch;
}

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

static int hex_value(char ch)
{
    if (is_digit(ch))
        return ch - '0';
    ch |= 0x20;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* Four hex digits at `at`; -1 if they are not there. */
static int hex4(struct str text, size_t at)
{
    int value = 0;

    if (text.len < 4 || at > text.len - 4)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        int digit = hex_value(text.ptr[i]);

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* The escape that begins with the backslash at `at`. */
static const char *check_escape(struct str text, size_t at, size_t *ret_len)
{
    char kind = at + 1 < text.len ? text.ptr[at + 1] : '\0';
    int unit = kind == 'u' ? hex4(text, at + 2) : 1;

    *ret_len = kind == 'u' ? 6 : 2;
    if (!kind || !strchr("\"\\/bfnrtu", kind))
        return "no such escape";
    if (unit < 0)
        return "\\u without four hex digits";
    if (unit < 0xD800 || unit > 0xDFFF)
        return NULL;
    *ret_len = 12;
    if (unit <= 0xDBFF && str_starts_with(str_slice(text, at + 6, text.len), STR("\\u")) &&
        (hex4(text, at + 8) & ~0x3FF) == 0xDC00)
        return NULL;
    return "half a surrogate pair";
}

/* How many of the next eight bytes are neither quote, backslash, control character nor above ASCII.
 * The high bit of a lane is set by the byte itself, or by a borrow from "below 0x20" or "equal to x";
 * a borrow reaches only lanes behind the first that has its bit set. */
static size_t plain_run(const char *ptr)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t eight;
    uint64_t marks;

    memcpy(&eight, ptr, sizeof(eight));
    eight = le64toh(eight);
    marks = eight | (eight - ones * 0x20) | ((eight ^ ones * '"') - ones) |
            ((eight ^ ones * '\\') - ones);
    marks &= ones * 0x80;
    return marks ? (size_t)__builtin_ctzll(marks) / 8 : 8;
}

/* The character at `at`, inside a string; it is not the closing quote. */
static const char *check_char(struct str text, size_t at, size_t *ret_len)
{
    unsigned char byte = (unsigned char)text.ptr[at];

    if (byte == '\\')
        return check_escape(text, at, ret_len);
    if (byte < 0x20)
        return "a control character in a string";
    *ret_len = utf8_char_len(text, at);
    return *ret_len > 0 ? NULL : "not UTF-8";
}

/* Behind the opening quote. */
static const char *scan_string(struct scan *scan)
{
    const struct str text = scan->text;
    size_t at = scan->at;
    const char *wrong = NULL;

    while (!wrong && at < text.len) {
        size_t len = text.len - at >= 8 ? plain_run(text.ptr + at) : 0;

        if (len == 0 && text.ptr[at] == '"') {
            scan->at = at + 1;
            return NULL;
        }
        if (len == 0) {
            wrong = check_char(text, at, &len);
            scan->nul = scan->nul || str_starts_with(str_slice(text, at, text.len), STR("\\u0000"));
        }
        if (!wrong)
            at += len;
    }
    scan->at = at;
    return wrong ? wrong : "the text ends inside a string";
}

/* At least one digit. */
static bool scan_digits(struct scan *scan)
{
    size_t from = scan->at;

    while (scan->at < scan->text.len && is_digit(scan->text.ptr[scan->at]))
        scan->at++;
    return scan->at > from;
}

/* Only an exponent leads out of a double's range: there are at most NUMBER_LEN_MAX digits. */
static bool is_finite(struct str number)
{
    char text[NUMBER_LEN_MAX + 1];

    if (str_find(number, 'e') == number.len && str_find(number, 'E') == number.len)
        return true;
    memcpy(text, number.ptr, number.len);
    text[number.len] = '\0';
    return isfinite(strtod(text, NULL));
}

/* JSON's grammar, and nothing behind it that cJSON would take for a part of the number. */
static bool scan_digits_and_signs(struct scan *scan)
{
    scan->at += has(scan, '-');
    if (has(scan, '0'))
        scan->at++;
    else if (!scan_digits(scan))
        return false;
    if (has(scan, '.')) {
        scan->at++;
        if (!scan_digits(scan))
            return false;
    }
    if (has(scan, 'e') || has(scan, 'E')) {
        scan->at++;
        scan->at += has(scan, '+') || has(scan, '-');
        if (!scan_digits(scan))
            return false;
    }
    return scan->at == scan->text.len || !memchr("0123456789+-eE.", scan->text.ptr[scan->at], 15);
}

static const char *scan_number(struct scan *scan)
{
    size_t from = scan->at;
    bool good = scan_digits_and_signs(scan);
    struct str number = str_slice(scan->text, from, scan->at);

    if (good && number.len <= NUMBER_LEN_MAX && is_finite(number))
        return NULL;
    scan->at = from;
    if (!good)
        return "not a number";
    return number.len > NUMBER_LEN_MAX ? "a number too long" : "a number too large";
}

/* Anything outside a string. */
static const char *scan_token(struct scan *scan)
{
    char ch = scan->text.ptr[scan->at];

    switch (ch) {
    case '"':
        scan->at++;
        return scan_string(scan);
    case '{':
    case '[':
        if (++scan->depth > JSON_DEPTH_MAX)
            return "nested too deeply";
        scan->values++;
        break;
    case '}':
    case ']':
        scan->depth -= scan->depth > 0;
        break;
    case ',':
        if (++scan->values > JSON_VALUES_MAX)
            return "too many values";
        break;
    case ' ':
    case '\t':
    case '\n':
    case '\r':
        break;
    default:
        if (ch == '-' || is_digit(ch))
            return scan_number(scan);
        /* Letters of true, false and null, colons, and garbage that is ASCII: cJSON's to judge. */
        if (ch <= ' ' || ch >= 0x7F)
            return "unexpected character";
    }
    scan->at++;
    return NULL;
}

const char *json_scan(struct str text, struct json_found *ret_found)
{
    struct scan scan = {.text = text};
    const char *wrong = NULL;

    while (!wrong && scan.at < text.len)
        wrong = scan_token(&scan);
    if (!wrong && scan.depth > 0)
        wrong = "the text ends early";
    *ret_found = (struct json_found){scan.at, scan.values, scan.nul};
    return wrong;
}
