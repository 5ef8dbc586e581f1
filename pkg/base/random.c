#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

/* xoshiro256** by Blackman and Vigna; all zeros means "not seeded yet". */
static _Thread_local uint64_t state[4];

static uint64_t rotate_left(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

/* splitmix64: turns one number into well spread ones. */
static uint64_t spread(uint64_t *seed)
{
    uint64_t value = *seed += UINT64_C(0x9E3779B97F4A7C15);

    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

void random_seed(uint64_t seed)
{
    for (size_t i = 0; i < ARRAY_LEN(state); i++)
        state[i] = spread(&seed);
}

static void seed_from_kernel(void)
{
    uint64_t seed;
    ssize_t got;

    do {
        got = getrandom(&seed, sizeof(seed), 0);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(seed)) /* a kernel without the call; jitter is no secret */
        seed = clock_monotonic_us() ^ clock_wall_us() << 20 ^ (uint64_t)getpid() << 40 ^
               (uint64_t)(uintptr_t)state;
    random_seed(seed);
}

uint64_t random_u64(void)
{
    uint64_t *s = state;
    uint64_t shifted;
    uint64_t result;

    if ((s[0] | s[1] | s[2] | s[3]) == 0)
        seed_from_kernel();
    result = rotate_left(s[1] * 5, 7) * 9;
    shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t random_range(uint64_t low, uint64_t high)
{
    uint64_t count = high - low + 1; /* 0 means all 2^64 */
    uint64_t value = random_u64();

    assert(low <= high);
    if (count == 0)
        return value;
    /* Values below 2^64 mod count would make the small results more likely. */
    while (value < -count % count)
        value = random_u64();
    return low + value % count;
}
