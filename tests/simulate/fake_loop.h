/*
 * What else than posts and timers wakes a fake loop (fake_loop.c): the network's ends.
 */
#ifndef SIMULATE_FAKE_LOOP_H
#define SIMULATE_FAKE_LOOP_H

#include "loop/loop.h"
#include "sim.h"

struct loop_io {
    struct list link;
    uint64_t (*due)(void *ctx); /* as an actor's */
    void (*turn)(void *ctx);    /* called in every turn of the loop */
    void *ctx;
};

void loop_io_join(struct loop *loop, struct loop_io *io);
void loop_io_leave(struct loop_io *io);
/* Called when a turn of the loop is over. */
void loop_set_after_turn(struct loop *loop, void (*after)(void));
struct actor *loop_actor(struct loop *loop);

#endif
