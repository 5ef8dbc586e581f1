/*
 * A named thread that runs one loop.
 *
 * Threads: start and join from the same (the control) thread.
 */
#ifndef LOOP_THREAD_H
#define LOOP_THREAD_H

#include "loop/loop.h"

struct thread;

/* `name` is cut at 15 bytes (as the kernel does); fn(ctx) runs on the new thread, signals blocked. */
enum code thread_start(const char *name, void (*fn)(void *ctx), void *ctx, struct thread **ret_thread,
                       struct err *err) must_check;
/* Waits for it to end and frees it. NULL is fine. */
void thread_join(struct thread *thread);

#endif
