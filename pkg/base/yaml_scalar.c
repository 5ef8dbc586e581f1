#include "base/yaml_scalar.h"

#include <math.h>

static bool is_one_of(struct str text, const char *const *words)
{
    for (; *words; words++) {
        if (str_eq(text, str_of(*words)))
            return true;
    }
    return false;
}

static size_t skip_digits(struct str text, size_t at)
{
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
        at++;
    return at;
}

static bool is_sign(struct str text, size_t at)
{
    return at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-');
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_decimal(struct str text)
{
    size_t from = is_sign(text, 0) ? 1 : 0;
    size_t at = skip_digits(text, from);
    size_t digits = at - from;

    if (at < text.len && text.ptr[at] == '.') {
        from = at + 1;
        at = skip_digits(text, from);
        digits += at - from;
    }
    if (digits == 0)
        return false;
    if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
        from = at + 1 + (is_sign(text, at + 1) ? 1 : 0);
        at = skip_digits(text, from);
        if (at == from)
            return false;
    }
    return at == text.len;
}

/* 0o17 and 0x1F */
static bool read_based(struct str text, const char *prefix, unsigned base, double *ret_number)
{
    static const char digits[] = "0123456789abcdef";
    double number = 0;

    if (text.len < 3 || !str_starts_with(text, str_of(prefix)))
        return false;
    for (size_t i = 2; i < text.len; i++) {
        char ch =
            text.ptr[i] >= 'A' && text.ptr[i] <= 'F' ? (char)(text.ptr[i] | 0x20) : text.ptr[i];
        size_t digit = str_find(STR(digits), ch);

        if (digit >= base)
            return false;
        number = number * base + (double)digit;
    }
    *ret_number = number;
    return true;
}

static bool read_number(struct str text, double *ret_number)
{
    static const char *const infinities[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const no_numbers[] = {".nan", ".NaN", ".NAN", NULL};

    if (read_based(text, "0o", 8, ret_number) || read_based(text, "0x", 16, ret_number))
        return true;
    if (is_decimal(text)) {
        *ret_number = strtod(text.ptr, NULL);
        return true;
    }
    if (is_one_of(text, no_numbers) ||
        is_one_of(str_slice(text, is_sign(text, 0) ? 1 : 0, text.len), infinities)) {
        *ret_number = NAN;
        return true;
    }
    return false;
}

struct yaml_scalar yaml_scalar_resolve(struct str text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    struct yaml_scalar scalar = {.type = JSON_STRING};

    if (is_one_of(text, nulls)) {
        scalar.type = JSON_NULL;
    } else if (is_one_of(text, trues) || is_one_of(text, falses)) {
        scalar.type = JSON_BOOL;
        scalar.truth = is_one_of(text, trues);
    } else if (read_number(text, &scalar.number)) {
        scalar.type = JSON_NUMBER;
    }
    return scalar;
}
