/*
 * The simulator's heart: virtual time, chance, the actors that take turns, and the account of what
 * happened.
 *
 * Everything that runs is an actor: a loop of the product, a client. Of those that have something to
 * do, chance picks the next; when nobody has, time jumps to whoever is due first. All chance comes
 * from one number, so that a run can be repeated byte for byte.
 *
 * Threads: one, and one run at a time; hence one global state.
 */
#ifndef SIMULATE_SIM_H
#define SIMULATE_SIM_H

#include "base/list.h"

#define SIM_NEVER UINT64_MAX
#define SIM_MS UINT64_C(1000)
#define SIM_S (1000 * SIM_MS)

struct actor {
    struct list link;
    /* When it has something to do: a time that has passed for now, SIM_NEVER for nothing. */
    uint64_t (*due)(void *ctx);
    void (*turn)(void *ctx);
    void *ctx;
    uint64_t stalled_until_us; /* does nothing before that */
    uint64_t idle_us;          /* had nothing to do last */
};

struct sim {
    uint64_t now_us;
    uint64_t start_us;
    uint64_t chance;
    uint64_t trace; /* hash of everything that happened */
    uint64_t turns;
    bool talk;      /* print the trace */
    bool busy;      /* work often takes long */
    char failure[8192]; /* the first one; empty: none */
    struct list actors;
};

extern struct sim sim;

void sim_start(bool talk);
/* From here on chance depends on `salt` only. */
void sim_reseed(uint64_t salt);
uint64_t sim_random(void);
/* [0, count) */
uint64_t sim_below(uint64_t count);
/* True once in `count` times. */
bool sim_rarely(uint64_t count);

void sim_join(struct actor *actor);
void sim_leave(struct actor *actor);
/* Turns until that time, or until something failed. */
void sim_run(uint64_t until_us);
static inline bool sim_failed(void)
{
    return sim.failure[0] != '\0';
}

/* One line of what happens; part of the hash. */
void sim_trace(const char *fmt, ...) printf_like(1, 2);
/* Ends the run; only the first failure counts. */
void sim_fail(const char *fmt, ...) printf_like(1, 2);

#endif
