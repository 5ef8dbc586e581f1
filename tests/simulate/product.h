/*
 * The product in one thread: source, controller and serving loops, wired as cmd/lookaside does.
 */
#ifndef SIMULATE_PRODUCT_H
#define SIMULATE_PRODUCT_H

#include "sim.h"

struct product_options {
    unsigned workers;
};

void product_start(const struct product_options *options);
/* Everything is freed; what clients have open ends. */
void product_stop(void);
/* A loop, by any number: the control loop, then the workers. */
void product_stall(unsigned loop, uint64_t us);
bool product_release(unsigned service);
/* Asks for the dump of all streams, which the clients compare with what they know. */
void product_dump(void);
/* Nobody is connected: what belonged to the clients must be gone. */
void product_check_bare(void);
/* Nothing is on its way: what the product says of itself must be true. */
void product_check_quiet(void);

#endif
