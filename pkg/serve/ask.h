/*
 * Asking every worker for a text: what dumps and counts are made of.
 *
 * Threads: asked and answered on the control loop; written on the workers'.
 * Order:   questions that are asked at the same time are put one after the other, since each answer may be large.
 */
#ifndef SERVE_ASK_H
#define SERVE_ASK_H

#include "serve/internal.h"

struct question {
    /* A worker's part, on its loop: what does not fit shows as buf_failed(). */
    void (*write)(struct worker *worker, void *ctx, struct buf *out);
    /* All parts, in order of workers; borrowed. */
    void (*on_done)(void *ctx, const struct buf *parts, unsigned len);
    /* Of ctx: behind on_done, or in its place when the serving side ends. May be NULL. */
    void (*release)(void *ctx);
    void *ctx;
    size_t max; /* bytes of one part */
};

void serve_ask(struct serve *serve, const struct question *question);
/* When the workers have ended: those that wait are released. */
void serve_forget_questions(struct serve *serve);

#endif
