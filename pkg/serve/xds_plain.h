/*
 * Clusters of a wildcard that its client has refused, or its kind before the wildcard began: by name, because of which policy. It gets those
 * plain, each until its policy is another one, and again should that one come back (serve/xds_tie.h does the same for what is named).
 *
 * Threads: the worker's loop.
 * Limits:  XDS_NAMES_MAX of one stream; what is refused beyond that stays as it is.
 */
#ifndef SERVE_XDS_PLAIN_H
#define SERVE_XDS_PLAIN_H

#include "model/policy.h"

struct xds_plain_entry;

/* Zeroed: none. */
struct xds_plain {
    struct xds_plain_entry *entries;
};

/* False: it is plain already, or there are too many. */
bool xds_plain_add(struct xds_plain *plain, struct str name, const struct policy *policy);
bool xds_plain_has(const struct xds_plain *plain, struct str name, const struct policy *policy);
void xds_plain_done(struct xds_plain *plain);

#endif
