/*
 * A mailbox of one slot: the publisher replaces what lies in it, the reader takes what is newest.
 * A loop that was busy sees one value, never a queue.
 *
 * Threads: latest_publish() and latest_put() from one publishing thread, latest_wake() from any; latest_take() and the callback on the reader's loop.
 * Owns:    values are passed as references: publish hands one over, the callback receives one and keeps it;
 *          a value that is overtaken, or left at latest_free(), is released with `unref`.
 */
#ifndef LOOP_LATEST_H
#define LOOP_LATEST_H

#include "loop/loop.h"

struct latest;

struct latest_options {
    void (*on_value)(void *ctx, void *value); /* on the reader's loop; owns `value` */
    void *ctx;
    void (*unref)(void *value); /* any thread */
};

struct latest *latest_new(struct loop *reader, const struct latest_options *options) must_check;
/* On the reader's thread, or after it has ended. The publisher has stopped before. */
void latest_free(struct latest *latest);
void latest_publish(struct latest *latest, void *value);
/* Without waking the reader: the value lies there until latest_wake(), latest_take(), or the next one. */
void latest_put(struct latest *latest, void *value);
/* Has the reader look, if there is something. */
void latest_wake(struct latest *latest);
/* The callback now, if there is something. */
void latest_take(struct latest *latest);

#endif
