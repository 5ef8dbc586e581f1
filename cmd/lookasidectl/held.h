/*
 * The lists that a stream of lookaside.v1.BackendDiscovery/Watch has brought: whole lists, and the
 * changes to them, put together. They outlive the stream, for the next one.
 *
 * Owns:   the lists; the names of targets are borrowed for life.
 * Errors: DATA_LOSS for changes that do not go with what came before.
 */
#ifndef LOOKASIDECTL_HELD_H
#define LOOKASIDECTL_HELD_H

#include "base/err.h"
#include "lookaside/v1/discovery.pb-c.h"

typedef Lookaside__V1__WatchResponse watch_response;
typedef Lookaside__V1__Backend watch_backend;

static inline bool is_draining(const watch_backend *backend)
{
    return backend->health == LOOKASIDE__V1__BACKEND__HEALTH__DRAINING;
}

struct held_list {
    const char *target;
    watch_response *list; /* whole, its backends by address and port; NULL: none came yet */
};

struct held {
    struct held_list *lists; /* by target */
    size_t len;
};

void held_init(struct held *held, const char *const *targets, size_t len);
void held_done(struct held *held);
/* Takes over a response that has a version. *ret_list: the list as it is with it, borrowed until the
 * next call. */
enum code held_take(struct held *held, watch_response *response, const watch_response **ret_list,
                    struct err *err) must_check;

#endif
