/*
 * Even shares: this replica asks all of them how many streams they hold, and sheds some of its own while it holds more than its share (controller/shares.h).
 *
 * Asked every quarter of --rebalance-age (30 s), and every twelfth (10 s) while shares are not even. A round in which a replica does not answer, or that cannot
 * tell this replica among them, changes nothing. Streams go at random moments of three quarters of the time until the next round.
 *
 * Threads: the control loop.
 */
#ifndef LOOKASIDE_REBALANCE_H
#define LOOKASIDE_REBALANCE_H

#include "base/buf.h"
#include "kube/client.h"
#include "options.h"

struct rebalance;

struct rebalance_options {
    const struct options *options; /* replicas_service and rebalance are set */
    struct loop *loop;
    struct kube_client *client;
    struct serve *serve;
    uint64_t replica; /* this one's id, as it tells the others */
};

/* Silent until rebalance_start(). */
struct rebalance *rebalance_new(const struct rebalance_options *options) must_check;
/* Before the client and the serving side. NULL is fine. */
void rebalance_free(struct rebalance *rebalance);
/* Clients are served from now on. */
void rebalance_start(struct rebalance *rebalance);
/* For good: this replica ends. */
void rebalance_stop(struct rebalance *rebalance);

/* How many streams replica `id` holds, for the others: {"replica":"1f2e...","streams":12}. */
#define REBALANCE_PATH "/streams"
#define REBALANCE_ANSWER_MAX 1024
void rebalance_write_answer(uint64_t id, uint64_t streams, struct buf *out);

void rebalance_write_metrics(const struct rebalance *rebalance, struct buf *out);

#endif
