#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash.h"

#include "base/random.h"

static uint64_t key_seed;

/* Before main(), so that no thread has to ask whether it is there. */
__attribute__((constructor)) static void choose_seed(void)
{
    key_seed = random_u64();
}

static uint64_t avalanche(uint64_t value)
{
    value = (value ^ value >> 33) * UINT64_C(0xFF51AFD7ED558CCD);
    value = (value ^ value >> 33) * UINT64_C(0xC4CEB9FE1A85EC53);
    return value ^ value >> 33;
}

uint64_t hash_content(const void *ptr, size_t len)
{
    return XXH3_64bits(ptr, len);
}

/* Arithmetic only: the same on machines of either byte order. */
uint64_t hash_mix(uint64_t a, uint64_t b)
{
    return avalanche(avalanche(a + UINT64_C(0x9E3779B97F4A7C15)) + b);
}

uint64_t hash_key(struct str key)
{
    return XXH3_64bits_withSeed(key.ptr, key.len, key_seed);
}
