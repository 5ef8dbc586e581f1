/*
 * What the files of the status writer share; nobody else includes it.
 */
#ifndef CONTROLLER_STATUS_INTERNAL_H
#define CONTROLLER_STATUS_INTERNAL_H

#include "controller/status.h"
#include "controller/status_text.h"

/* What has become of a resource, from `before` to `after`, as Events. */
void status_tell(struct events *events, const struct resource_status *status, const struct status_digest *before,
                 const struct status_digest *after);

#endif
