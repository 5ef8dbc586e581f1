/*
 * Where the objects of one API collection go: the contract between a source (API server, directory) and the store.
 *
 * A list replaces the collection: list_begin, list_object..., then list_end, with which what was named is in force and
 * everything else is gone, at once; list_abort ends a list that failed half-way: nothing changes. list_end may doubt a list that
 * would remove too much (false): what it adds and changes is in force, what it lacks (objects, or most of what is in one) stays until a
 * further list, asked for KUBE_SINK_DOUBT_MS later, lacks it too. A watch goes on meanwhile, and what it says always counts.
 * The collection changes while it is listed: of an object that a list names twice the last one counts, and a remove within a list takes its name out
 * again. Between lists, upsert and remove carry single changes. Objects are borrowed for the duration of the call.
 *
 * Threads: all calls on the loop of the source.
 */
#ifndef KUBE_SINK_H
#define KUBE_SINK_H

#include "base/json.h"

#define KUBE_SINK_DOUBT_MS 5000

struct kube_sink {
    void (*list_begin)(void *ctx);
    void (*list_object)(void *ctx, const struct json *object);
    bool (*list_end)(void *ctx); /* false: list again in KUBE_SINK_DOUBT_MS */
    void (*list_abort)(void *ctx);
    void (*upsert)(void *ctx, const struct json *object);
    void (*remove)(void *ctx, const struct json *object); /* also within a list */
};

#endif
