/*
 * Time. Durations are uint64_t named _ms or _us; monotonic time starts anywhere.
 *
 * Threads: any. Code below `serve` and `controller` never asks for the time: it is told (loop_now_us),
 *          so that a simulator can turn the clock by hand.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/err.h"
#include "base/str.h"

uint64_t clock_monotonic_us(void);
uint64_t clock_wall_us(void); /* since 1970 */

/* "30s", "1m30s", "250ms", "0" → milliseconds (Go's duration syntax, whole milliseconds). */
enum code duration_parse(struct str text, uint64_t max_ms, uint64_t *ret_ms,
                         struct err *err) must_check;
#define DURATION_TEXT_MAX 48
/* The inverse: "1m30s"; "0s". NUL-terminated. */
void duration_format(uint64_t ms, char out[DURATION_TEXT_MAX]);
/* RFC 3339 in UTC with milliseconds, 24 characters and a NUL. */
void clock_format_wall(uint64_t wall_us, char out[32]);
/* RFC 3339, with any offset and fraction, not before 1970; false leaves *ret_us alone. */
bool clock_parse_wall(struct str text, uint64_t *ret_us) must_check;

#endif
