/*
 * Lists that are too short to be believed (hold "relist"): an API server that has lost its memory, or another one that answers in its
 * place, would take all clients' backends away with one answer.
 *
 * A list that would remove more than half of its scope's Services, or of its scope's endpoints, is doubted: what it lacks stays, object by
 * object, and so does an object that it leaves less than half of its endpoints, until a list that was begun KUBE_SINK_DOUBT_MS later says
 * so too, a watch deletes or changes it, or an operator releases it. Should the server not answer any more, it stays until it does. What
 * comes back is no longer doubted.
 *
 * Threads: the control loop. Changes nothing.
 */
#ifndef CONTROLLER_DOUBT_H
#define CONTROLLER_DOUBT_H

#include "controller/store.h"

/* The complete list of the scope, not yet applied, would remove too much. What is known to be gone does not count. */
bool doubt_arises(const struct controller_scope *scope);
/* The list, should it be doubted, takes the object or most of it, and neither did a watch say so meanwhile nor was it doubted before and for
 * long enough. */
bool doubt_concerns(const struct controller_scope *scope, const struct object *object);

#endif
