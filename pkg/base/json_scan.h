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

struct json_found {
    size_t offset; /* where it is wrong */
    size_t values; /* at most so many are inside the outermost one */
    bool nul;      /* \u0000 is in it, where cJSON would end the string */
};

/* NULL when the text passes; else what is wrong. */
const char *json_scan(struct str text, struct json_found *ret_found) must_check;

#endif
