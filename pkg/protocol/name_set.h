/*
 * A sorted set of items with names, replaced by a sorted list of names: what a client asks for.
 *
 * An array of pointers and no hash table: a stream has few names, there are many streams, and a
 * request that changes nothing (every ACK) is compared in one pass without allocating.
 *
 * Threads: a value of its owner's loop. Owns: the array, not the items.
 */
#ifndef PROTOCOL_NAME_SET_H
#define PROTOCOL_NAME_SET_H

#include "base/str.h"

struct name_set {
    void **items;
    size_t len;
};

struct name_set_ops {
    struct str (*name)(const void *item);
    void *(*add)(void *ctx, struct str name); /* a new item; the name is borrowed */
    void (*remove)(void *ctx, void *item);    /* the set has forgotten it */
};

/* Sorts and drops what stands there twice; returns the new length. */
size_t names_sort(struct str *names, size_t len);

/* Makes the set equal to `names` (sorted, each once): adds all that is new before it removes
 * what is gone. Returns how many were added. */
size_t name_set_replace(struct name_set *set, const struct str *names, size_t len,
                        const struct name_set_ops *ops, void *ctx);
/* Adds those of `names` (sorted, each once) that are not in the set; removes those that are. Return how many. */
size_t name_set_add(struct name_set *set, const struct str *names, size_t len,
                    const struct name_set_ops *ops, void *ctx);
size_t name_set_remove(struct name_set *set, const struct str *names, size_t len,
                       const struct name_set_ops *ops, void *ctx);
/* NULL: not in the set. */
void *name_set_find(const struct name_set *set, struct str name, const struct name_set_ops *ops);
/* Removes everything. */
void name_set_clear(struct name_set *set, const struct name_set_ops *ops, void *ctx);

#endif
