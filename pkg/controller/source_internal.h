/*
 * What the kinds of sources have in common.
 */
#ifndef CONTROLLER_SOURCE_INTERNAL_H
#define CONTROLLER_SOURCE_INTERNAL_H

#include "controller/source.h"

/* Contracts: source.h. */
struct source_ops {
    void (*free)(struct source *source);
    bool (*synced)(const struct source *source, struct buf *ret_reason);
    uint64_t (*staleness_us)(const struct source *source);
    void (*problem)(const struct source *source, struct buf *ret_problem);
    void (*write_metrics)(const struct source *source, struct buf *out);
};

/* First in every kind of source. */
struct source {
    const struct source_ops *ops;
};

/* A further label of a family; {0}: none. */
struct source_label {
    const char *key;
    const char *value;
};

/* One sample: <name>{resource="...",namespace="...",<label>}. */
void source_write_u64(struct buf *out, const char *name, const char *resource,
                      const char *namespace_name, struct source_label label, uint64_t value);
/* The whole family for a source with one collection is head and sample; with several, one head. */
void source_write_staleness_head(struct buf *out);
void source_write_staleness(struct buf *out, const char *resource, const char *namespace_name,
                            uint64_t us);

#endif
