/*
 * Turning a test's loop.
 */
#ifndef TESTS_UNIT_KUBE_TURN_H
#define TESTS_UNIT_KUBE_TURN_H

#include "loop/loop.h"

/* Turns the loop until *count reaches `at_least`; fails the test after 10 s. */
void turn_until(struct loop *loop, const size_t *count, size_t at_least);
void turn_for_ms(struct loop *loop, uint64_t ms);

#endif
