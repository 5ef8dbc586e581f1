/*
 * A sorted table of pairs of texts, immutable and reference-counted, shared by all catalogs between two changes of it: the zones of nodes, the
 * owners of hosts.
 *
 * Threads: after pairs_new() any thread; ref and unref from any thread.
 */
#ifndef MODEL_PAIRS_H
#define MODEL_PAIRS_H

#include "base/str.h"

struct pair {
    struct str key, value;
};

struct pairs;

/* One reference; copies the text. Pairs with an empty half say nothing; of two with one key, the lesser value counts. NULL: the table is empty. */
struct pairs *pairs_new(const struct pair *items, size_t len) must_check;
/* NULL, the empty table, is fine in all of these. */
struct pairs *pairs_ref(struct pairs *pairs);
void pairs_unref(struct pairs *pairs);
bool pairs_equal(const struct pairs *a, const struct pairs *b);
/* Empty: it is not there. */
struct str pairs_find(const struct pairs *pairs, struct str key);
/* The keys whose values differ, in order. */
void pairs_diff(const struct pairs *a, const struct pairs *b, void (*visit)(void *ctx, struct str key), void *ctx);

#endif
