/*
 * Which zone a node is in: a sorted table, immutable and reference-counted, shared by all catalogs between two changes of the nodes.
 *
 * Threads: after nodes_new() any thread; ref and unref from any thread.
 */
#ifndef MODEL_NODES_H
#define MODEL_NODES_H

#include "base/str.h"

struct node_zone {
    struct str node, zone;
};

struct nodes;

/* One reference; copies the text. Entries without a zone say nothing; of two for one node, the lesser zone counts. NULL: the table is empty. */
struct nodes *nodes_new(const struct node_zone *items, size_t len) must_check;
/* NULL, the empty table, is fine in all of these. */
struct nodes *nodes_ref(struct nodes *nodes);
void nodes_unref(struct nodes *nodes);
bool nodes_equal(const struct nodes *a, const struct nodes *b);
/* Empty: unknown. */
struct str nodes_zone(const struct nodes *nodes, struct str node);

#endif
