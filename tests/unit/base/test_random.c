#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>

#include "base/random.h"

Test(random, repeats_after_the_same_seed)
{
    uint64_t first[10];

    random_seed(42);
    for (size_t i = 0; i < ARRAY_LEN(first); i++)
        first[i] = random_u64();
    random_seed(42);
    for (size_t i = 0; i < ARRAY_LEN(first); i++)
        cr_assert_eq(random_u64(), first[i]);
    random_seed(43);
    cr_assert_neq(random_u64(), first[0]);
}

/* The reference sequence of xoshiro256** seeded by splitmix64(0), computed apart from this code. */
Test(random, is_xoshiro256)
{
    random_seed(0);
    cr_assert_eq(random_u64(), UINT64_C(0x99EC5F36CB75F2B4));
    cr_assert_eq(random_u64(), UINT64_C(0xBF6E1F784956452A));
}

static void *draw(void *arg)
{
    *(uint64_t *)arg = random_u64();
    return NULL;
}

Test(random, differs_between_threads)
{
    uint64_t drawn[2];
    pthread_t thread;

    drawn[0] = random_u64();
    cr_assert_eq(pthread_create(&thread, NULL, draw, &drawn[1]), 0);
    pthread_join(thread, NULL);
    cr_assert_neq(drawn[0], drawn[1]);
}

Test(random, stays_in_range_and_reaches_its_ends)
{
    unsigned seen[7] = {0};

    random_seed(1);
    for (int i = 0; i < 7000; i++) {
        uint64_t value = random_range(3, 9);

        cr_assert(value >= 3 && value <= 9);
        seen[value - 3]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        cr_assert(seen[i] > 850 && seen[i] < 1150, "%zu came %u times of 1000", i + 3, seen[i]);
}

/* With plain modulo, values in the lower half of a range of 3 * 2^62 come twice as often. */
Test(random, is_fair_in_large_ranges)
{
    uint64_t count = UINT64_C(3) << 62;
    int low = 0;

    random_seed(1);
    for (int i = 0; i < 10000; i++)
        low += random_range(0, count - 1) < count / 3;
    cr_assert(low > 3100 && low < 3600, "%d of 10000 in the lowest third", low);
}

Test(random, takes_the_ends_of_the_numbers)
{
    cr_assert_eq(random_range(5, 5), 5);
    cr_assert_eq(random_range(UINT64_MAX, UINT64_MAX), UINT64_MAX);
    cr_assert_neq(random_range(0, UINT64_MAX), random_range(0, UINT64_MAX));
}

Test(random, refuses_a_range_upside_down, .signal = SIGABRT)
{
    random_range(2, 1);
}
