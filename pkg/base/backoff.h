/*
 * Exponential delay with full jitter above half: between d/2 and d, d doubling from base to max.
 *
 * Threads: belongs to its owner's loop. Pure but for random_u64().
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include "base/base.h"

struct backoff {
    uint64_t base_ms;
    uint64_t max_ms;
    unsigned attempts;
};

/* The delay before the next attempt; at least `floor_ms` (a server's Retry-After, which it may have
 * told to many: so up to a quarter is added to that). `max_ms` may change between calls. */
uint64_t backoff_next_ms(struct backoff *backoff, uint64_t floor_ms);
/* After a success. */
void backoff_reset(struct backoff *backoff);

#endif
