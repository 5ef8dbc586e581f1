/*
 * Base64 of RFC 4648, section 4.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* White space between the characters is skipped; the rest must be complete, padding included. The
 * result is NUL-terminated and the caller's to free. */
enum code base64_decode(struct str text, char **ret_bytes, size_t *ret_len,
                        struct err *err) must_check;
/* Appends it, without line breaks. */
void base64_add(struct buf *out, struct str bytes);

#endif
