/*
 * Events of events.k8s.io/v1 about LookasideServices: what `kubectl describe` tells beside the status.
 *
 * Not core/v1: the same objects to whoever reads them, but there a repetition is a convention of each client's (count, firstTimestamp) where here it is a field
 * with rules (series), and only it may be patched.
 * The same thing said again of the same object (reason and note) is one Event whose series counts it, written at most once in EVENTS_AGAIN_MS.
 *
 * Threads: the control loop.
 * Limits:  EVENTS_MAX kinds of Events remembered; of more the one that was said longest ago is forgotten, and said again it is another Event. What would pass the limit
 *          while all wait to be written is dropped and counted.
 */
#ifndef CONTROLLER_EVENTS_H
#define CONTROLLER_EVENTS_H

#include "base/metric.h"
#include "kube/budget.h"

#define EVENTS_MAX 512
#define EVENTS_AGAIN_MS 300000
#define EVENT_NOTE_MAX 1024

struct events;

struct events_options {
    struct kube_client *client;
    struct budget *budget;
    const char *identity; /* who says it; borrowed */
    uint64_t again_ms;    /* 0: EVENTS_AGAIN_MS */
};

struct event {
    struct str namespace_name, name, uid; /* of the LookasideService */
    bool warning;
    const char *reason; /* CamelCase */
    struct str note;
};

struct events_stats {
    struct counter written; /* created, or counted on */
    struct counter refused; /* by the API server; not tried again */
    struct counter failed;  /* and what is tried again */
    struct counter dropped;
};

struct events *events_new(const struct events_options *options) must_check;
void events_free(struct events *events); /* NULL is fine */
/* Copied. Written as the budget has it. */
void events_say(struct events *events, const struct event *event);
/* What was not written is not said any more; what was is remembered. */
void events_silence(struct events *events);
const struct events_stats *events_stats(const struct events *events);

#endif
