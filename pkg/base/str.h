/*
 * Borrowed text: pointer and length, passed by value, never owning, not NUL-terminated.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/base.h"

struct str {
    const char *ptr;
    size_t len;
};

/* printf("%" STR_FMT, STR_ARG(s)) */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_INIT(literal) {(literal), sizeof(literal) - 1}
#define STR_FMT ".*s"
#define STR_ARG(s) (int)(s).len, (s).ptr

static inline struct str str_of(const char *text)
{
    return (struct str){text, text ? strlen(text) : 0};
}

static inline struct str str_make(const void *ptr, size_t len)
{
    return (struct str){ptr, len};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Bytewise order; a prefix is smaller. */
int str_cmp(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b);
bool str_starts_with(struct str text, struct str prefix);
bool str_ends_with(struct str text, struct str suffix);
/* Index of `ch`, or text.len. */
size_t str_find(struct str text, char ch);
size_t str_find_last(struct str text, char ch);
/* text[from..to), clamped. */
struct str str_slice(struct str text, size_t from, size_t to);
/* Splits at the first `sep`: returns the part before it and moves *rest behind it (len 0 and
 * ptr NULL when nothing is left to cut). */
struct str str_cut(struct str *rest, char sep);
struct str str_trim(struct str text);
bool str_is_digits(struct str text); /* and not empty */
/* Decimal without sign, at most `max`; false leaves *ret_value alone. */
bool str_to_u64(struct str text, uint64_t max, uint64_t *ret_value) must_check;
/* 1 to 16 lower case digits; as above. */
bool str_hex_to_u64(struct str text, uint64_t *ret_value) must_check;
/* What printf would make of "%016llx" and "%llu", for paths where printf is too slow. NUL-terminated; returns the length. */
size_t str_format_hex(uint64_t value, char out[17]);
size_t str_format_u64(uint64_t value, char out[21]);
/* A copy at *at, which moves behind it. */
struct str str_put(char **at, struct str text);
/* A NUL-terminated copy; the caller frees it. */
char *str_dup(struct str text) must_check;

#endif
