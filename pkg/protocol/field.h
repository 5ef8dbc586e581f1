/*
 * What the readers of requests share: text that a peer sends and that is kept or compared, and what is said of bytes that are no message.
 *
 * Pure.
 */
#ifndef PROTOCOL_FIELD_H
#define PROTOCOL_FIELD_H

#include "base/err.h"
#include "wire/reader.h"

/* The field's bytes, borrowed: RESOURCE_EXHAUSTED beyond `max`, INVALID_ARGUMENT unless UTF-8. `what` names it. */
enum code field_text(const struct wire_field *field, size_t max, const char *what, struct str *ret_text, struct err *err) must_check;
/* INVALID_ARGUMENT. */
enum code field_malformed(struct err *err, const char *what);

#endif
