/*
 * The backends of one Service port, out of the sorted rows of all its slices.
 *
 * Pure. Cost: endpoints × log(slices).
 */
#ifndef MODEL_MERGE_H
#define MODEL_MERGE_H

#include "model/arena.h"
#include "model/service.h"

/* One slice's backends at one port: sorted by backend_cmp_address. */
struct row {
    const struct backend *backends;
    size_t len;
};

/* De-duplicates and counts (rules in model/service.h) into port->all, ready, draining and total. Endpoints that are in `before` (NULL: no
 * earlier version) keep their zones. Memory of the result comes from `arena`. */
void merge_rows(const struct row *rows, size_t rows_len, const struct service_port *before, struct arena *arena,
                struct service_port *port);

#endif
