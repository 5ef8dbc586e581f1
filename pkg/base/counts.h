/*
 * Numbers by name, summed up; to and from a JSON object.
 *
 * Limits: what is read from others has at most COUNTS_NAMES_MAX names of COUNTS_NAME_MAX bytes; more are left out.
 */
#ifndef BASE_COUNTS_H
#define BASE_COUNTS_H

#include "base/json.h"

#define COUNTS_NAMES_MAX 1000000
#define COUNTS_NAME_MAX 512
#define COUNTS_VALUE_MAX (UINT64_C(1) << 40)

struct counts;

struct counts *counts_new(void) must_check;
void counts_free(struct counts *counts); /* NULL is fine */
DEFINE_CLEANUP(struct counts, counts_free)

void counts_add(struct counts *counts, struct str name, uint64_t value);
/* 0: there is none of that name. */
uint64_t counts_get(const struct counts *counts, struct str name);
/* An object with a member for each name, in no order. */
void counts_write(const struct counts *counts, struct json_writer *writer, const char *key);
/* Adds an object's members; what is no count is left out. */
void counts_add_json(struct counts *counts, const struct json *object);

#endif
