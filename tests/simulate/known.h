/*
 * What the controller knows of the cluster, as far as it was told: for each collection, every state in
 * turn, an exact account by the rules of listing and watching.
 *
 *   An event changes one object; a list all of them, at once.
 *   Of a malformed object the last good version stays.
 *   A list that would remove more than half of all Services, or of all endpoints, is doubted (hold
 *   "relist"): what it lacks stays, and a slice of which it leaves less than half, until a list that
 *   began 5 s later says so too, or an event, or an operator.
 *
 * A state is named by its index: 0 is the one before anything was told.
 */
#ifndef SIMULATE_KNOWN_H
#define SIMULATE_KNOWN_H

#include "cluster.h"

void known_start(void);
void known_done(void);

/* The collection as it was at `step`; the first of it was told at `began_us`. */
void known_list(enum resource resource, size_t step, uint64_t began_us);
/* The slot as it was at `step`. */
void known_event(unsigned slot, size_t step);
/* What is doubted of that Service is given up. */
void known_release(unsigned service);
/* The controller is another one, that knows nothing before its first lists. */
void known_forget(void);

/* The state at that time. */
size_t known_at(enum resource resource, uint64_t us);
/* Since when. */
uint64_t known_us(enum resource resource, size_t index);
const struct api_object *known_object(unsigned slot, size_t index);
/* Now: of the Service or its slices, something is doubted. */
bool known_doubts(unsigned service);

#endif
