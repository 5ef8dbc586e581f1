/*
 * A loop for one test, and waiting that always ends.
 *
 * Owns: the loop; tests free their watchers before they return, or loop_free() aborts them.
 */
#ifndef TESTS_UNIT_LOOP_FIXTURE_H
#define TESTS_UNIT_LOOP_FIXTURE_H

#include <criterion/criterion.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"

#define WAIT_MS 5000

static struct loop *loop;

static inline void make_loop(void)
{
    cr_assert_eq(loop_new(&loop, NULL), CODE_OK);
}

static inline void free_loop(void)
{
    loop_free(loop);
}

/* Turns the loop until *count reaches `wanted`. */
static inline void turn_until(const int *count, int wanted)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;

    while (*count < wanted && clock_monotonic_us() < end_us)
        loop_turn(loop, 100);
    cr_assert_geq(*count, wanted, "waited %d ms for %d, saw %d", WAIT_MS, wanted, *count);
}

/* A callback's trace: what ran, in order. */
static char trace[64];

static inline void trace_add(char ch)
{
    size_t len = strlen(trace);

    if (len + 1 < sizeof(trace))
        trace[len] = ch;
}

#endif
