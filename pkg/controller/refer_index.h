/*
 * Which LookasideServices share out calls to which Service, so that a Service that comes, changes or goes is told of to those alone.
 *
 * Threads: the control loop. Borrows the objects; owns the rest. {0} is empty, as is one that every object left.
 */
#ifndef CONTROLLER_REFER_INDEX_H
#define CONTROLLER_REFER_INDEX_H

#include "model/policy.h"

struct object;
struct referred;

struct refer_index {
    struct referred *services; /* by "namespace/name" */
};

/* The object's policy becomes another one; NULL: none. One names a Service once at most. */
void refer_index_change(struct refer_index *index, const struct object *object, const struct policy *before,
                        const struct policy *after);
/* Those that name the Service "namespace/name" as a backend, each once, in no order. */
void refer_index_each(const struct refer_index *index, const char *key, void (*visit)(void *ctx, const struct object *object),
                      void *ctx);

#endif
