/*
 * Limits that have names: tables from which flags, config files, help, errors and metrics are made.
 *
 * A limit is a uint64_t of a struct of its owner's; 0 there: not set.
 * Threads: any; pure.
 */
#ifndef BASE_LIMIT_H
#define BASE_LIMIT_H

#include "base/err.h"
#include "base/str.h"

enum limit_unit {
    LIMIT_COUNT,
    LIMIT_PER_SECOND,
    LIMIT_BYTES, /* a number, or one of KiB, MiB or GiB */
    LIMIT_MS,    /* a duration */
};

struct limit {
    const char *name; /* "header-list" */
    const char *help; /* of what, and who ends that passes it */
    enum limit_unit unit;
    size_t offset; /* of its uint64_t in the owner's struct */
    uint64_t otherwise, min, max;
    /* Whoever passes it is counted by another name, or nobody passes it. */
    bool counted_elsewhere;
};

/* NULL: none of them has that name. */
const struct limit *limit_find(const struct limit *table, size_t len, struct str name);
/* Where its value is in the owner's struct. */
uint64_t *limit_of(const struct limit *limit, void *values);
/* Sets those that are not set to what they are otherwise. */
void limits_fill(const struct limit *table, size_t len, void *values);
/* INVALID_ARGUMENT for what is no such value or out of range; the message names the limit and the range. */
enum code limit_parse(const struct limit *limit, struct str text, uint64_t *ret_value,
                      struct err *err) must_check;

#define LIMIT_TEXT_MAX 64
/* As limit_parse() takes it: "16KiB", "1m", "200". NUL-terminated. */
void limit_format(const struct limit *limit, uint64_t value, char out[LIMIT_TEXT_MAX]);

#endif
