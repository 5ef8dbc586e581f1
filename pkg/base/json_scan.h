/*
 * What cJSON lets pass, found before it reads: one look at every byte.
 *
 * Refused: bytes that are not UTF-8, control characters, broken escapes, numbers outside
 *          JSON's grammar or a double's range, depth above JSON_DEPTH_MAX (cJSON recurses), and more
 *          values than JSON_VALUES_MAX, brackets left open. The order of tokens is left to cJSON.
 * Threads: any; pure.
 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "base/str.h"

/* NULL when the text passes; else what is wrong, and *ret_offset is where. *ret_nul: \u0000 is in it, where cJSON would end the string. */
const char *json_scan(struct str text, size_t *ret_offset, bool *ret_nul) must_check;

#endif
