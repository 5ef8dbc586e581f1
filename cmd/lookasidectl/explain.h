/*
 * What `explain` prints for people, part by part. The trees are those of /debug/explain
 * (controller/explain.h) and /debug/streams.
 */
#ifndef LOOKASIDECTL_EXPLAIN_H
#define LOOKASIDECTL_EXPLAIN_H

#include "command.h"

/* The answer in a sentence, and what is left out by reason. */
void explain_print_answer(const struct json *explain);
/* How the name was read, the place, and the hold that is in force. */
void explain_print_name(const struct json *explain);
/* Of its LookasideService, if there is one. */
void explain_print_policy(const struct json *explain);
/* Every endpoint of every slice. */
void explain_print_endpoints(const struct json *explain);
/* Who gets which list. */
void explain_print_views(const struct json *explain);
/* Who listens, and what became of what was sent. */
void explain_print_clients(const struct json *streams);

/* "a client in zone a" and the like. */
void explain_place(struct buf *out, struct str zone, struct str node);

#endif
