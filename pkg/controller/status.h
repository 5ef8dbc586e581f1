/*
 * Writes the status of LookasideServices to the API server, and says in Events what became of them.
 *
 * Level-based: a resource that was touched is looked at, what its status is to be is compared with what the API server has (as read, or as answered to the last
 * write), and only a difference is written, by server-side apply with field manager `lookaside`. Generation, conditions and holds at once, and then at most
 * every STATUS_PAUSE_MS for one resource; counters (endpoints, clients, load) at most every STATUS_COUNTERS_MS. All in the pace of the budget, which also says
 * whether there may be a write at all (the Lease).
 * A write names the resourceVersion that it is based on: so it fails where another leader wrote meanwhile, and for an object that was made anew, and is composed afresh
 * from what the watch tells. (The UID alone would not do: the API server does not look at it when a status is applied.) What the API server refuses for good is
 * not tried again before it changes, or STATUS_REFUSED_MS later.
 * A condition that changes its status, or is False for another reason, is an Event; so is a generation that is accepted, and a hold that begins.
 *
 * Threads: the control loop.
 * Limits:  some 400 bytes for each LookasideService.
 */
#ifndef CONTROLLER_STATUS_H
#define CONTROLLER_STATUS_H

#include "controller/events.h"
#include "controller/resource.h"

#define STATUS_LOOK_MS 50
#define STATUS_PAUSE_MS 1000
#define STATUS_COUNTERS_MS 30000
#define STATUS_REFUSED_MS 300000
#define STATUS_FORBIDDEN_MS 30000

struct status_writer;

struct status_options {
    struct kube_client *client;
    struct budget *budget;
    struct events *events; /* may be NULL */
    /* What is to be said of it now (controller_resource_status()); false: there is no such resource. */
    bool (*read)(void *ctx, struct str namespace_name, struct str name, struct resource_status *ret_status);
    /* How many clients listen to the Service of that name, over all replicas that answered. May be NULL: none. */
    uint64_t (*clients)(void *ctx, struct str namespace_name, struct str name);
    /* What they call it, in calls of a second that ended, and those of them that failed. NULL: clients report none. */
    void (*load)(void *ctx, struct str namespace_name, struct str name, double *ret_calls, double *ret_failed);
    /* Names of those that did not; "": all did. May be NULL. */
    const char *(*uncounted)(void *ctx);
    void *ctx;
    uint64_t pause_ms, counters_ms; /* 0: as above */
};

enum status_result {
    STATUS_WRITTEN,
    STATUS_GONE,      /* 404: deleted meanwhile */
    STATUS_CONFLICT,  /* 409: changed meanwhile */
    STATUS_INVALID,   /* 400, 422: not by the schema that the API server has */
    STATUS_FORBIDDEN, /* 403 */
    STATUS_FAILED,    /* 429, 5xx, no answer: tried again */
    STATUS_RESULTS,
};
const char *status_result_name(enum status_result result); /* "written" */

struct status_stats {
    struct counter results[STATUS_RESULTS];
    struct counter resources; /* gauge */
};

/* Silent until status_set_active(). */
struct status_writer *status_new(const struct status_options *options) must_check;
void status_free(struct status_writer *writer); /* NULL is fine */
/* Whether this replica writes. False: writes under way are given up, and none begins. */
void status_set_active(struct status_writer *writer, bool active);
/* It may have come, changed or gone. */
void status_touch(struct status_writer *writer, struct str namespace_name, struct str name);
/* Counters of any may have changed. */
void status_touch_all(struct status_writer *writer);
/* The object as the API server has it; nothing is written before that. */
void status_observe(struct status_writer *writer, const struct json *object);
/* Those that wait for a turn, or for an answer. */
uint64_t status_pending(const struct status_writer *writer);
const struct status_stats *status_stats(const struct status_writer *writer);

#endif
