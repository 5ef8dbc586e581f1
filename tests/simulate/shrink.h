/*
 * Makes a failing schedule as small as it stays failing: leaves out ever smaller pieces, then waits.
 * Any failure counts: the smallest schedule is the most telling.
 */
#ifndef SIMULATE_SHRINK_H
#define SIMULATE_SHRINK_H

#include "world.h"

/* Runs at most `runs` schedules. `schedule` is replaced; the result is that of the last that failed. */
void shrink(struct schedule *schedule, size_t runs, struct result *result);

#endif
