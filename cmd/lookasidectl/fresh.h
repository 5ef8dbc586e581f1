/*
 * What the API server (or a directory) holds, read afresh and followed by the controller's own
 * code: the other opinion that `verify` asks for.
 *
 * Threads: everything on the loop.
 */
#ifndef LOOKASIDECTL_FRESH_H
#define LOOKASIDECTL_FRESH_H

#include "base/buf.h"
#include "loop/loop.h"
#include "model/catalog.h"

#define FRESH_NAMESPACES_MAX 256

struct fresh;

/* Text is borrowed for life. */
struct fresh_options {
    const char *kubeconfig, *context; /* NULL: the pod's own; current-context */
    const char *directory;            /* in place of an API server; or NULL */
    const char *const *namespaces;    /* NULL-terminated; NULL: all */
    bool endpoints, nodes;
    /* There is another catalog; the first one comes when all was read, perhaps before fresh_new()
     * returns. */
    void (*on_catalog)(void *ctx);
    void *ctx;
};

enum code fresh_new(struct loop *loop, const struct fresh_options *options,
                    struct fresh **ret_fresh, struct err *err) must_check;
void fresh_free(struct fresh *fresh);
/* Borrowed until the next one; empty before the first. */
const struct catalog *fresh_catalog(const struct fresh *fresh);
/* True once all was read; else `ret_reason` gets what is missing. */
bool fresh_synced(const struct fresh *fresh, struct buf *ret_reason);
/* Objects that were left out because they are malformed, or of which something was. */
uint64_t fresh_bad_objects(const struct fresh *fresh);

#endif
