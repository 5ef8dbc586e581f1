/*
 * Cuts a stream of bytes into lines, wherever the chunks' borders fall (inside a UTF-8 character
 * too).
 *
 * Owns: a copy of the line that is not complete yet; a line that lies whole in a chunk is not
 *       copied.
 */
#ifndef KUBE_LINES_H
#define KUBE_LINES_H

#include "base/buf.h"

struct lines {
    struct buf partial;
};

/* No line may have more than `max` bytes. */
void lines_init(struct lines *lines, size_t max);
void lines_done(struct lines *lines);
/* Forgets the incomplete line. */
void lines_reset(struct lines *lines);

/* Calls on_line for every line that is complete, without its "\n" or "\r\n"; empty lines are
 * skipped. `line` is borrowed for the call. CODE_CANCELLED: on_line returned false and the rest was
 * dropped. CODE_RESOURCE_EXHAUSTED: a line is too long. After an error only reset or done. */
enum code lines_feed(struct lines *lines, struct str chunk,
                     bool (*on_line)(void *ctx, struct str line), void *ctx,
                     struct err *err) must_check;

#endif
