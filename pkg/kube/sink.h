/*
 * Where the objects of one API collection go: the contract between a source (API server, directory) and the store.
 *
 * A list replaces the collection: list_begin, list_object..., then list_end, with which what was named is in force and
 * everything else is gone, at once; list_abort ends a list that failed half-way: nothing changes.
 * Between lists, upsert and remove carry single changes. Objects are borrowed for the duration of the call.
 *
 * Threads: all calls on the loop of the source.
 */
#ifndef KUBE_SINK_H
#define KUBE_SINK_H

#include "base/json.h"

struct kube_sink {
    void (*list_begin)(void *ctx);
    void (*list_object)(void *ctx, const struct json *object);
    void (*list_end)(void *ctx);
    void (*list_abort)(void *ctx);
    void (*upsert)(void *ctx, const struct json *object);
    void (*remove)(void *ctx, const struct json *object);
};

#endif
