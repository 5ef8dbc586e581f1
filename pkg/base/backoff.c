#include "base/backoff.h"

#include "base/random.h"

uint64_t backoff_next_ms(struct backoff *backoff, uint64_t floor_ms)
{
    uint64_t delay = backoff->max_ms;
    uint64_t jittered;

    if (backoff->attempts < 64 && backoff->base_ms <= backoff->max_ms >> backoff->attempts)
        delay = backoff->base_ms << backoff->attempts;
    if (backoff->attempts < 64)
        backoff->attempts++;
    jittered = random_range(delay / 2, delay);
    if (jittered >= floor_ms)
        return jittered;
    return floor_ms + random_range(0, max_u64(floor_ms, delay) / 4);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->attempts = 0;
}
