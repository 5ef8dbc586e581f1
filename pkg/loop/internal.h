/*
 * What the files of this layer share: the loop's own handles. Nobody else includes this header.
 *
 * Owns: every watcher's memory is freed in the close callback of its handle and nowhere else, because
 *       libuv links handles until then.
 */
#ifndef LOOP_INTERNAL_H
#define LOOP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "loop/loop.h"

/* Calls from other threads: linked under the mutex, run by the loop. */
struct post_queue {
    pthread_mutex_t mutex;
    struct list waiting; /* under the mutex */
    bool closed;         /* under the mutex */
    struct list running; /* of the loop alone: taken, not yet called */
};

struct loop {
    uv_loop_t uv;
    uv_async_t wake;       /* posts and loop_stop() */
    uv_prepare_t pre_poll; /* a new turn: the clock must be read again */
    uv_check_t post_poll;  /* runs the deferred calls */
    uv_idle_t no_sleep;    /* active while deferred calls wait: libuv then polls without sleeping */
    uv_timer_t turn_limit; /* bounds loop_turn() */
    uint64_t now_us;       /* 0: not read in this turn */
    atomic_bool stop;
    struct list deferred;
    struct post_queue posts;
    char scratch[LOOP_SCRATCH_SIZE];
};

void post_queue_init(struct post_queue *posts);
void post_queue_done(struct post_queue *posts);
/* Calls what is queued, in order. May be entered again from a call: the inner one goes on with the rest. */
void post_queue_run(struct post_queue *posts);

/* Calls what was scheduled up to now, and lets the loop sleep again if nothing new came. */
void deferred_run(struct loop *loop);
/* The next poll will not sleep. */
void deferred_stay_awake(struct loop *loop);

/* A loop_turn() in which a timer was due has had its event and must not sleep. */
void loop_note_timeout(struct loop *loop);

/* The code that a caller can branch on, of a libuv status < 0. */
enum code loop_code(int status);

#endif
