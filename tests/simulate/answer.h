/* A list of backends: as a client got it, and as the oracle has it. */
#ifndef SIMULATE_ANSWER_H
#define SIMULATE_ANSWER_H

#include "cluster.h"

enum { ANSWER_MAX = SLICES * ENDPOINTS_MAX };

struct entry {
    char address[TEXT];
    unsigned port;
    char other[TEXT]; /* the same pod in the other family */
    unsigned other_port;
    char zone[8];
    char pod[8];
    bool draining;
    unsigned priority; /* these are judged by themselves: judge_near.c */
    char sub_zone[16]; /* xDS */
    bool ready, terminating; /* the oracle's, not compared */
    unsigned node;
    uint64_t order;
};

struct answer {
    size_t len;
    struct entry items[ANSWER_MAX]; /* sorted by address and port */
};

void answer_sort(struct answer *answer);
/* The same backends; zones aside, which stay as they were when an endpoint was seen first, and what xDS
 * does not say where one of them does not say it. */
bool answer_equal(const struct answer *a, const struct answer *b);

#endif
