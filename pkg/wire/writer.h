/*
 * Writes protobuf fields at the end of a struct buf. A nested message is opened, filled and closed;
 * its length is put in place at closing (the bytes move when it needs more than one byte).
 *
 * Presence: every call emits its field, defaults too; leave the call out to leave the field out.
 * Empty sub-messages and oneof scalars that clients look for are therefore written as they are
 * called.
 * Threads: a value. Errors: the buf's own (buf_failed).
 */
#ifndef WIRE_WRITER_H
#define WIRE_WRITER_H

#include "base/buf.h"
#include "wire/reader.h"

void wire_put_varint(struct buf *out, uint32_t number, uint64_t value);
void wire_put_bytes(struct buf *out, uint32_t number, struct str bytes);
void wire_put_double(struct buf *out, uint32_t number, double value);
/* Returns a mark for wire_close(). */
size_t wire_open(struct buf *out, uint32_t number) must_check;
void wire_close(struct buf *out, size_t mark);
/* google.protobuf.Any. */
size_t wire_open_any(struct buf *out, uint32_t number, struct str type_url,
                     size_t *ret_value_mark) must_check;
void wire_close_any(struct buf *out, size_t mark, size_t value_mark);
/* Bytes that wire_put_varint() writes. */
size_t wire_sized_varint(uint32_t number, uint64_t value);
/* Bytes that a length-delimited field of `len` bytes takes, tag and length included. */
size_t wire_sized(uint32_t number, size_t len);
/* Tag and length only; `len` bytes follow by other means. At most 15 bytes. */
void wire_put_head(struct buf *out, uint32_t number, size_t len);

#endif
