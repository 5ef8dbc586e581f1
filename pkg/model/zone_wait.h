/*
 * Which zones of a Service port wait until they are preferred again (ZONE_WAIT_US in model/service.h).
 *
 * Only a zone that was preferred waits: what a version has follows from the one before it, so that a replica that just began prefers at once,
 * and all agree as soon as nothing has changed for ZONE_WAIT_US.
 *
 * Pure.
 */
#ifndef MODEL_ZONE_WAIT_H
#define MODEL_ZONE_WAIT_H

#include "model/arena.h"
#include "model/service.h"

/* port->waits, from its list and the earlier version of the port (NULL: there is none). */
void zone_wait_make(struct service_port *port, const struct service_port *before, uint64_t now_us, struct arena *arena);
/* When the first of them is over if nothing changes; 0: none has enough. */
uint64_t zone_wait_due(const struct service_port *port);

#endif
