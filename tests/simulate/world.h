/*
 * One run of a schedule: the cluster, its API servers, the product and the clients, from nothing to rest.
 *
 * In the end all faults are healed, time passes, and what every client has must be what the oracle makes of
 * the cluster. Then everybody leaves, and nothing may be left.
 */
#ifndef SIMULATE_WORLD_H
#define SIMULATE_WORLD_H

#include "schedule.h"

struct result {
    bool failed;
    char failure[8192];
    uint64_t trace; /* hash of all that happened */
    uint64_t virtual_us;
};

void world_run(const struct schedule *schedule, bool talk, struct result *ret_result);
/* The product stops and starts, as an update does it. */
void world_restart(void);

#endif
