/*
 * Which service account's pod calls from which address, as the Pods of the cluster say (decode_pod() of controller/decode.h): kept, and
 * published as tables (model/pod_table.h).
 *
 * What a watch says is published at the end of the turn; a list is applied whole when it ends. A pod that has ended, is gone, or that cannot be
 * decoded identifies nobody at once. Only a list that lacks more than half of the pods is doubted, as others are (controller/doubt.h): what it
 * lacks stays until a list that was begun KUBE_SINK_DOUBT_MS later lacks it too, since to believe it would end most streams at once. While nothing
 * is heard, what was heard last stays.
 *
 * Threads: the control loop.
 * Owns:    what it knows; a scope belongs to whoever made it, and goes first.
 * Limits:  below 100 bytes for a pod with one address, and its name.
 */
#ifndef CONTROLLER_PODS_H
#define CONTROLLER_PODS_H

#include "base/buf.h"
#include "kube/sink.h"
#include "loop/loop.h"
#include "model/pod_table.h"

struct pods;
struct pods_scope;

struct pods_options {
    struct loop *loop;
    /* Gets one reference for the callee to keep: first with the first list, which may be empty, then after every change. */
    void (*publish)(void *ctx, const struct pod_table *table);
    void *ctx;
};

struct pods *pods_new(const struct pods_options *options) must_check;
void pods_free(struct pods *pods); /* NULL is fine */
/* A namespace, or the whole cluster: a list replaces what its scope named. */
struct pods_scope *pods_scope_new(struct pods *pods, const char *label) must_check;
/* Silent: that a source ends says nothing about its pods. NULL is fine. */
void pods_scope_free(struct pods_scope *scope);
/* The sink's ctx is the scope. */
const struct kube_sink *pods_sink(void);

void pods_write_metrics(const struct pods *pods, struct buf *out);

#endif
