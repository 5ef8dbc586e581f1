/*
 * A bounded reader of protobuf fields: iterates over the fields of one message without allocating,
 * recursing or copying.
 *
 *   struct wire_reader r = wire_reader(bytes);
 *   struct wire_field f;
 *   while (wire_next(&r, &f)) switch (f.number) { case DISCOVERY_REQUEST_NODE: ... }
 *   if (r.failed) ...
 *
 * Accepts what protobuf parsers accept: unknown fields are the caller's to ignore, groups are
 * skipped up to WIRE_GROUP_DEPTH_MAX.
 * Threads: a value.
 */
#ifndef WIRE_READER_H
#define WIRE_READER_H

#include "base/str.h"

#define WIRE_GROUP_DEPTH_MAX 16

/* The fields of a map's entry. */
enum { WIRE_MAP_KEY = 1, WIRE_MAP_VALUE = 2 };

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire_reader {
    const unsigned char *ptr;
    const unsigned char *end;
    bool failed; /* truncated, overlong varint, field number 0, bad wire type */
};

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;   /* VARINT, FIXED64, FIXED32 */
    struct str bytes; /* BYTES */
};

static inline struct wire_reader wire_reader(struct str bytes)
{
    const unsigned char *ptr = (const unsigned char *)bytes.ptr;

    return (struct wire_reader){ptr, bytes.len > 0 ? ptr + bytes.len : ptr, false};
}

/* False at the end and on failure. */
bool wire_next(struct wire_reader *reader, struct wire_field *ret_field) must_check;
/* Text that is to be shown or kept must be UTF-8. */
bool wire_is_utf8(struct str text);

#endif
