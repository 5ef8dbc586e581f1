/*
 * Which Services the clients of a serving thread depend on, for the thread that publishes: who is not concerned by a change is not woken for it.
 *
 * Counters by hashes of names, two for each: others may share them, so that it says yes too often, but never no wrongly. Of a thread whose clients
 * depend on 1,000 Services some 1 % of the others seem to be of them, of 100 none.
 *
 * The order makes it safe. A reader counts itself in and then looks whether something is in its mailbox (loop/latest.h); the publisher puts it there
 * and then looks whether it counts. So one of them sees the other, and what is not known when a subscription begins comes at once.
 *
 * Threads: heed_add(), heed_remove() and heed_set_all() on the reader's; heed_has() on any.
 */
#ifndef SERVE_HEED_H
#define SERVE_HEED_H

#include <stdatomic.h>

#include "base/str.h"

#define HEED_SLOTS 16384

struct heed {
    atomic_bool all; /* whatever the name is */
    atomic_uint slots[HEED_SLOTS];
};

/* `key` is "namespace/service". */
void heed_add(struct heed *heed, struct str key);
void heed_remove(struct heed *heed, struct str key);
bool heed_set_all(struct heed *heed, bool all); /* false: so it was */
bool heed_has(const struct heed *heed, struct str namespace_name, struct str service);

#endif
