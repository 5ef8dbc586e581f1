/*
 * A schedule: what happens, and when, as data. Made whole before it runs, so that it can be shrunk; every
 * action means something whatever came before it.
 */
#ifndef SIMULATE_SCHEDULE_H
#define SIMULATE_SCHEDULE_H

#include "base/base.h"

struct action_kind;

struct action {
    const struct action_kind *kind;
    uint32_t a, b, c;  /* the kind's own */
    uint64_t salt;     /* of all chance until the next action */
    uint64_t delay_us; /* that the world goes on before the next action */
};

struct schedule {
    uint64_t seed; /* of the world that it begins with */
    struct action *actions;
    size_t len;
};

struct action_kind {
    const char *name;
    unsigned weight;
    void (*apply)(const struct action *action);
};

/* actions_cluster.c, actions_world.c; ended by a kind without a name. */
extern const struct action_kind cluster_actions[], world_actions[];

/* How a world begins. */
struct setup {
    size_t clients, page;
    unsigned workers;
    bool streams, portless;
    bool busy; /* the machine: a turn's millisecond is soon over */
};

struct setup schedule_setup(uint64_t seed) must_check;
void schedule_make(uint64_t seed, struct schedule *ret_schedule);
void schedule_copy(const struct schedule *from, struct schedule *ret_schedule);
void schedule_done(struct schedule *schedule);

#endif
