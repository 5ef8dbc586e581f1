/*
 * What this replica tells the API server: statuses and Events, while it holds the Lease.
 *
 * Threads: the control loop.
 */
#ifndef LOOKASIDE_REPORT_H
#define LOOKASIDE_REPORT_H

#include "base/buf.h"
#include "base/json.h"
#include "controller/controller.h"
#include "kube/client.h"
#include "options.h"

struct report;

struct report_options {
    const struct options *options;
    struct loop *loop;
    struct kube_client *client;
    const char *namespace_name; /* of the Lease, where none is named */
    const struct controller *controller;
    struct serve *serve;
};

/* Silent until report_start(). */
struct report *report_new(const struct report_options *options) must_check;
/* Before the client; once nothing comes from the workers any more. NULL is fine. */
void report_free(struct report *report);
/* All that is required was read: before that, what could be said would be wrong. */
void report_start(struct report *report);
/* Nothing more is written, and the Lease is given up. on_done once, not inside this call, within seconds. */
void report_stop(struct report *report, void (*on_done)(void *ctx), void *ctx);

/* For the controller: contracts of resource_changed and resource_seen. */
void report_changed(struct report *report, struct str namespace_name, struct str name);
void report_seen(struct report *report, const struct json *object);

void report_write_metrics(const struct report *report, struct buf *out);

#endif
