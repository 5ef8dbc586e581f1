#include "base/str.h"

static char lower(char ch)
{
    return ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch;
}

static bool is_space(char ch)
{
    return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

int str_cmp(struct str a, struct str b)
{
    size_t common = min_size(a.len, b.len);
    int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool str_starts_with(struct str text, struct str prefix)
{
    return text.len >= prefix.len && str_eq(str_make(text.ptr, prefix.len), prefix);
}

bool str_ends_with(struct str text, struct str suffix)
{
    return text.len >= suffix.len &&
           str_eq(str_slice(text, text.len - suffix.len, text.len), suffix);
}

size_t str_find(struct str text, char ch)
{
    const char *found = text.len > 0 ? memchr(text.ptr, ch, text.len) : NULL;

    return found ? (size_t)(found - text.ptr) : text.len;
}

size_t str_find_last(struct str text, char ch)
{
    const char *found = text.len > 0 ? memrchr(text.ptr, ch, text.len) : NULL;

    return found ? (size_t)(found - text.ptr) : text.len;
}

struct str str_slice(struct str text, size_t from, size_t to)
{
    to = min_size(to, text.len);
    from = min_size(from, to);
    return str_make(text.ptr ? text.ptr + from : NULL, to - from);
}

struct str str_cut(struct str *rest, char sep)
{
    struct str text = *rest;
    size_t at = str_find(text, sep);

    *rest = at < text.len ? str_slice(text, at + 1, text.len) : (struct str){NULL, 0};
    return str_slice(text, 0, at);
}

struct str str_trim(struct str text)
{
    size_t from = 0;
    size_t to = text.len;

    while (from < to && is_space(text.ptr[from]))
        from++;
    while (to > from && is_space(text.ptr[to - 1]))
        to--;
    return str_slice(text, from, to);
}

bool str_is_digits(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return text.len > 0;
}

bool str_to_u64(struct str text, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';

        if (digit > 9 || digit > max || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

bool str_hex_to_u64(struct str text, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > 16)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        size_t digit = str_find(STR("0123456789abcdef"), text.ptr[i]);

        if (digit > 15)
            return false;
        value = value << 4 | digit;
    }
    *ret_value = value;
    return true;
}

struct str str_put(char **at, struct str text)
{
    struct str copy = str_make(*at, text.len);

    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

char *str_dup(struct str text)
{
    char *copy = xmalloc(text.len + 1);

    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

size_t str_format_hex(uint64_t value, char out[17])
{
    for (size_t i = 16; i > 0; i--) {
        out[i - 1] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
    out[16] = '\0';
    return 16;
}

size_t str_format_u64(uint64_t value, char out[21])
{
    char digits[20];
    size_t len = 0;

    do {
        digits[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < len; i++)
        out[i] = digits[len - 1 - i];
    out[len] = '\0';
    return len;
}
