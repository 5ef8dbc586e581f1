#include "turn.h"

#include <criterion/criterion.h>

#include "base/clock.h"

void turn_until(struct loop *loop, const size_t *count, size_t at_least)
{
    uint64_t deadline = clock_monotonic_us() + 10000000;

    while (*count < at_least && clock_monotonic_us() < deadline)
        loop_turn(loop, 100);
    cr_assert_geq(*count, at_least, "gave up waiting: %zu of %zu", *count, at_least);
}

void turn_for_ms(struct loop *loop, uint64_t ms)
{
    uint64_t end = clock_monotonic_us() + ms * 1000;

    for (uint64_t now = clock_monotonic_us(); now < end; now = clock_monotonic_us())
        loop_turn(loop, (end - now) / 1000 + 1);
}
