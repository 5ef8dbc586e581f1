/*
 * Random numbers for jitter, load spreading and hash seeds; not for secrets.
 *
 * Threads: any (thread-local state, seeded from the kernel). random_seed() makes the calling
 *          thread's sequence repeatable, for tests and the simulator.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/base.h"

uint64_t random_u64(void);
/* Uniform in [low, high]. */
uint64_t random_range(uint64_t low, uint64_t high);
void random_seed(uint64_t seed);

#endif
