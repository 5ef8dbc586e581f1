#include <criterion/criterion.h>

#include "base/backoff.h"
#include "base/random.h"

static void assert_between(uint64_t value, uint64_t low, uint64_t high)
{
    cr_assert(value >= low && value <= high, "%llu is not between %llu and %llu",
              (unsigned long long)value, (unsigned long long)low, (unsigned long long)high);
}

Test(backoff, doubles_up_to_its_maximum)
{
    struct backoff backoff = {.base_ms = 800, .max_ms = 30000};
    static const uint64_t limits[] = {800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};

    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < ARRAY_LEN(limits); i++)
            assert_between(backoff_next_ms(&backoff, 0), limits[i] / 2, limits[i]);
        backoff_reset(&backoff);
    }
}

Test(backoff, stays_at_its_maximum_for_ever)
{
    struct backoff backoff = {.base_ms = 1, .max_ms = 1000};

    for (int i = 0; i < 10000; i++)
        backoff_next_ms(&backoff, 0);
    assert_between(backoff_next_ms(&backoff, 0), 500, 1000);
}

Test(backoff, does_not_overflow)
{
    struct backoff backoff = {.base_ms = 3, .max_ms = UINT64_MAX};

    for (int i = 0; i < 200; i++)
        cr_assert_geq(backoff_next_ms(&backoff, 0), 1);
    cr_assert_geq(backoff_next_ms(&backoff, 0), UINT64_MAX / 2);
}

Test(backoff, spreads)
{
    bool seen[11] = {false};

    random_seed(1);
    for (int i = 0; i < 1000; i++) {
        struct backoff backoff = {.base_ms = 20, .max_ms = 20};

        seen[backoff_next_ms(&backoff, 0) - 10] = true;
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        cr_assert(seen[i], "%zu ms never came", i + 10);
}

Test(backoff, waits_at_least_as_long_as_the_server_asks)
{
    struct backoff backoff = {.base_ms = 10, .max_ms = 100};

    assert_between(backoff_next_ms(&backoff, 5000), 5000, 6250);
    assert_between(backoff_next_ms(&backoff, 1), 10, 20);
}

Test(backoff, spreads_those_who_were_asked_to_wait_equally_long)
{
    bool early = false;
    bool late = false;

    random_seed(1);
    for (int i = 0; i < 1000; i++) {
        struct backoff backoff = {.base_ms = 10, .max_ms = 100};
        uint64_t delay = backoff_next_ms(&backoff, 1000);

        assert_between(delay, 1000, 1250);
        early = early || delay < 1050;
        late = late || delay > 1200;
    }
    cr_assert(early && late);
}

Test(backoff, follows_a_maximum_that_changes)
{
    struct backoff backoff = {.base_ms = 10, .max_ms = 100};

    for (int i = 0; i < 10; i++)
        backoff_next_ms(&backoff, 0);
    backoff.max_ms = 40;
    assert_between(backoff_next_ms(&backoff, 0), 20, 40);
    backoff.max_ms = 1000;
    assert_between(backoff_next_ms(&backoff, 0), 500, 1000);
}

Test(backoff, starts_at_its_maximum_if_the_base_is_larger)
{
    struct backoff backoff = {.base_ms = 500, .max_ms = 100};

    assert_between(backoff_next_ms(&backoff, 0), 50, 100);
}
