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

/* De-duplicates, counts, chooses and orders (rules in model/service.h) into port->list, ready, draining
 * and total. Memory of the result comes from `arena`. */
void merge_rows(const struct row *rows, size_t rows_len, struct arena *arena,
                struct service_port *port);

#endif
