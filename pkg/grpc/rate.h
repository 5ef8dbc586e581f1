/*
 * A token bucket in eight bytes: the time at which the bucket would be full again.
 *
 * Threads: belongs to its owner's loop. Pure: it is told the time.
 */
#ifndef GRPC_RATE_H
#define GRPC_RATE_H

#include "base/base.h"

#define RATE_BURST_SECONDS 10 /* what may come at once: so many seconds' worth */

struct rate {
    uint64_t full_us;
};

/* Takes one token; false when there is none. `per_second`: 1 to a million. */
static inline bool rate_take(struct rate *rate, uint64_t now_us, uint64_t per_second)
{
    uint64_t interval_us = 1000000 / per_second;

    rate->full_us = max_u64(rate->full_us, now_us);
    if (rate->full_us - now_us > RATE_BURST_SECONDS * (uint64_t)1000000 - interval_us)
        return false;
    rate->full_us += interval_us;
    return true;
}

#endif
