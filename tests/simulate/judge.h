/*
 * Whether a list that a client received is one that the API server really held.
 *
 * A Service's list follows from two collections that come on their own ways: Services and slices. A list
 * made at time t is explained by a pair of states of what the controller knew (known.h), one of each, when
 *   1. the oracle makes this very list of them;
 *   2. both were known by t;
 *   3. neither had been overtaken for longer than a change may take (DUE_US) or, while the controller says
 *      that it keeps that Service's list, for longer than holds may last besides, of those that have a cause;
 *   4. it is not older, in either collection, than what explained the list before on the same stream;
 *   5. no hold forbids it yet (judge_hold.c).
 *
 * Versions that clients see are content: equal for equal lists, and different for different ones.
 */
#ifndef SIMULATE_JUDGE_H
#define SIMULATE_JUDGE_H

#include "fake_grpc.h"
#include "oracle.h"
#include "sim.h"

struct states {
    size_t service, slices; /* states, as known.h counts them */
};

enum { FLOORS_MAX = 16 };

/* Of the client's zone, where that comes first. */
struct near_account {
    size_t service; /* the newest state of the collection that was looked at */
    bool was_first; /* since the Service changed last */
    uint64_t short_us; /* when it was seen with too few last; 0: it was not */
};

/* One name on one stream. {0}-initialised. */
struct account {
    bool answered;
    struct answer last;
    struct states floors[FLOORS_MAX]; /* none of them older than another: what may explain `last` */
    size_t floors_len;
    struct near_account near;
};

void judge_start(void);
/* Lists that were judged, of all runs. */
uint64_t judge_count(void);

/* The list of that query came. `who` and the query's text are for the message. */
void judge_list(struct account *account, const struct query *query, const struct answer *answer,
                const struct delivery *delivery, const char *who);
/* The list has not changed since: it is still the one to have at `at_us`. */
void judge_standing(const struct account *account, const struct query *query, uint64_t at_us,
                    const char *who);
/* The Cluster that a Listener led to at that time. */
void judge_cluster(const struct query *query, const char *cluster, const struct delivery *delivery,
                   const char *who);
/* The host that a Cluster sent its clients to ("": none, its backends come by EDS). */
void judge_host(const struct query *query, const char *host, unsigned port,
                const struct delivery *delivery, const char *who);
/* What is true now and for ever: nothing is on its way any more. */
void judge_final(const struct account *account, const struct query *query, const char *who);

/* The client sees `version` on what has this content (any bytes that tell it). */
void judge_version(const char *kind, struct str version, uint64_t content, const char *who);

/* Whether that Service's list is being kept, as the controller says; after every turn of its loop. */
void judge_note_hold(unsigned service, bool held);
/* A catalog goes out. */
void judge_note_publication(void);
/* The control loop does nothing for so long. */
void judge_note_stall(uint64_t us);
/* Holds of that Service were ended by hand. */
void judge_note_release(unsigned service);

#endif
