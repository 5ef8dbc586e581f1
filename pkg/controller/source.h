/*
 * Where objects come from: the API server or a directory of manifests. Both speak to the store through struct kube_sink, and call
 * controller_set_synced() when all that is required was read: a controller has one source.
 *
 * Threads: the control loop.
 */
#ifndef CONTROLLER_SOURCE_H
#define CONTROLLER_SOURCE_H

#include "base/buf.h"
#include "controller/controller.h"
#include "controller/pods.h"
#include "kube/client.h"

struct source;

struct source_kube_options {
    struct kube_client *client;
    const char *const *namespaces; /* NULL-terminated; NULL: all */
    bool endpoints; /* v1 Endpoints in place of EndpointSlices, for clusters without them */
    bool nodes;     /* Node objects too, for the zone of a client that only says its node; optional: served without */
    struct pods *pods; /* Pod objects too, for this; required then. NULL: they are not read */
    /* LookasideServices decide what is published, or claim hosts: where they are there, but forbidden, nothing is synced. Else, for 30 s. */
    bool policies_required;
};

/* Starts at once and feeds the controller until freed. */
enum code source_kube_new(struct loop *loop, struct controller *controller, const struct source_kube_options *options,
                          struct source **ret_source, struct err *err) must_check;
/* .yaml .yml .json below `path` (not recursive), several documents a file, kind: List; watched. A file that cannot be read or parsed keeps
 * the objects that it gave before. A folder that does not exist is an error here; one that vanishes later is waited for. The first look is made here, so that the first
 * catalog is published before this returns. */
enum code source_directory_new(struct loop *loop, struct controller *controller, const char *path, struct source **ret_source,
                               struct err *err) must_check;
void source_free(struct source *source);

/* True once all that is required was read completely. `ret_reason` (may be NULL) gets what is missing. */
bool source_synced(const struct source *source, struct buf *ret_reason);
/* Microseconds since the view was last proved current, the oldest of all that is required. */
uint64_t source_staleness_us(const struct source *source);
/* Why the view is older than it should be, one reason of several; nothing while all is well. */
void source_problem(const struct source *source, struct buf *ret_problem);
/* Prometheus text of the source's own counters. */
void source_write_metrics(const struct source *source, struct buf *out);

#endif
