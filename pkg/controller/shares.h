/*
 * How many of its streams a replica gives up, so that each of the replicas comes to hold its share of them: the mean.
 *
 * Clients connect once, through a Service that gives a new connection to any replica, so one that came later stays without. A replica with a surplus ends some of
 * its streams each round; their clients come back through the Service, one in N of them to the replica that lacks them. From round to round:
 *
 *   even      nothing is shed. Chance alone makes N replicas differ by about the square root of the mean: only what is beyond that (SHARES_CHANCE times, or half the
 *             mean where that is less) and beyond SHARES_BEGIN_PERCENT of the mean begins a move. When the replicas are others, whatever is not even does: who asks late
 *             may find that the others have moved the most of it.
 *   moving    of a surplus, SHARES_PACE_PERCENT times N are shed in a round, at least one and at most all of it: since one in N of these lands where it lacks, the gap
 *             shrinks by about SHARES_PACE_PERCENT a round, to 15 % of what it was in 12, and whoever holds its share or less sheds nothing. It ends when no replica differs by
 *             more than SHARES_END_PERCENT of the mean, or by more than one stream, in SHARES_CALM rounds in a row: what others have shed may be on its way in the first.
 *   given up  the gap is no smaller by a fifth after SHARES_PATIENCE rounds (a Service with session affinity, clients that may not be moved): nothing is shed until the
 *             replicas are others, or hold even shares.
 *
 * Who does not know what every replica holds has no round: unknown is not zero.
 *
 * Threads: any; pure.
 */
#ifndef CONTROLLER_SHARES_H
#define CONTROLLER_SHARES_H

#include "base/base.h"

#define SHARES_BEGIN_PERCENT 10
#define SHARES_END_PERCENT 5
#define SHARES_CHANCE 2
#define SHARES_PACE_PERCENT 15
#define SHARES_PATIENCE 30
#define SHARES_CALM 2
#define SHARES_STREAMS_MAX (UINT64_C(1) << 30) /* of a replica; more are taken for so many */

struct share {
    uint64_t replica; /* an id that no two replicas have, and that one keeps while it runs */
    uint64_t streams;
};

enum shares_state { SHARES_EVEN, SHARES_MOVING, SHARES_GIVEN_UP };

/* What is remembered from round to round; begin with {0}. */
struct shares {
    enum shares_state state;
    uint64_t set; /* of replicas, hashed */
    uint64_t gap; /* the smallest since the move began that was a fifth below the one before it */
    unsigned patience; /* rounds left for the next fifth */
    unsigned calm;     /* rounds in a row that found shares even */
};

struct shares_step {
    uint64_t mean;    /* rounded down */
    uint64_t surplus; /* of this replica; more is never shed */
    uint64_t shed;    /* in this round */
};

/* One round: all replicas, in any order; `own` is one of them. */
struct shares_step shares_next(struct shares *shares, const struct share *all, size_t len, uint64_t own);

#endif
