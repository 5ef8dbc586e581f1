/*
 * Refusals on their way from a serving loop to the control loop.
 *
 * Threads: any serving loop.
 */
#ifndef SERVE_REFUSED_H
#define SERVE_REFUSED_H

#include "model/refusal.h"

struct serve;

/* Tells serve_options.refused, later. `ctx` is the struct serve; copies what it needs. */
void serve_tell_refused(void *ctx, const struct refusal *refusal);

#endif
