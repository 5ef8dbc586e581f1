#include <criterion/criterion.h>

#include "grpc/rate.h"

Test(rate, gives_a_burst_then_the_rate)
{
    struct rate rate = {0};
    uint64_t now = 5000000;
    unsigned taken = 0;

    while (rate_take(&rate, now, 10))
        taken++;
    cr_assert_eq(taken, 10 * RATE_BURST_SECONDS);
    cr_assert_not(rate_take(&rate, now + 99999, 10));
    cr_assert(rate_take(&rate, now + 100000, 10));
    cr_assert_not(rate_take(&rate, now + 100000, 10));
}

Test(rate, a_long_rest_fills_the_bucket_but_never_more)
{
    struct rate rate = {0};
    unsigned taken = 0;

    cr_assert(rate_take(&rate, 1, 3));
    while (rate_take(&rate, 1000000000000, 3))
        taken++;
    cr_assert_eq(taken, 3 * RATE_BURST_SECONDS);
}
