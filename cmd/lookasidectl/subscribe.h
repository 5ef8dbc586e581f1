/*
 * One lookaside.v1.BackendDiscovery/Watch stream on a connection of its own, for the commands that
 * follow lists. A stream that is lost is opened again, with backoff; every target is answered anew
 * then, where its list is still the same by a confirmation only.
 *
 * Threads: everything on the loop.
 * Limits:  subscription_fit() targets.
 */
#ifndef LOOKASIDECTL_SUBSCRIBE_H
#define LOOKASIDECTL_SUBSCRIBE_H

#include "command.h"
#include "held.h"
#include "loop/loop.h"
#include "model/place.h"

struct subscription;

/* All is borrowed for life. */
struct subscription_options {
    const char *server; /* "host:port", "dns:///host:port", "unix:/path" */
    struct dial dial;
    const char *const *targets;
    size_t targets_len;
    const char *namespace_name; /* of targets that name none; "" */
    const struct place *place;  /* NULL: the server finds it out */
    /* The whole list, whatever of it came; or, without a version, what keeps it from coming. Borrowed
     * during the call. */
    void (*on_list)(void *ctx, const watch_response *response);
    /* The stream is lost; the next attempt comes in `retry_ms`, 0: there is none, the same request
     * would get the same answer. */
    void (*on_lost)(void *ctx, enum code code, const char *reason, uint64_t retry_ms);
    void *ctx;
};

/* Connects from the next turn of the loop on. */
struct subscription *subscription_new(struct loop *loop,
                                      const struct subscription_options *options) must_check;
/* Not inside its callbacks. NULL is fine. */
void subscription_free(struct subscription *subscription);
/* How many of these targets, counted from the first, go into one stream: at least 1. */
size_t subscription_fit(const char *const *targets, size_t len);

#endif
