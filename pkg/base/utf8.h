/*
 * UTF-8: checking, cutting between characters, and quoting for logs and JSON.
 *
 * Threads: any; pure.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buf.h"

/* Length (1..4) of the well-formed character that begins at `at` < text.len, or 0: stray or missing
 * bytes, overlong forms, surrogates, beyond U+10FFFF. */
size_t utf8_char_len(struct str text, size_t at);
/* The longest prefix of at most `max` bytes that does not split a character. */
struct str utf8_cut(struct str text, size_t max);
/* The longest suffix that is. */
struct str utf8_tail(struct str text, size_t max);
/* Line and column, both from 1 and the column in characters, of the byte at `offset`. */
void utf8_position(struct str text, size_t offset, size_t *ret_line, size_t *ret_column);
/* Appends the text as a JSON string with its quotes. Escaped beyond JSON's needs is what would move a
 * terminal's cursor or turn its text around: DEL, C1 controls, line separators, bidi controls. Bytes
 * that are not UTF-8 become U+FFFD. */
enum code utf8_add_quoted(struct buf *buf, struct str text);
/* True if utf8_add_quoted() would change it: then even its first byte may be an escape. */
bool utf8_needs_escape(struct str text);

#endif
