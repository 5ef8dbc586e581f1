/*
 * Which LookasideService owns which host, of those that claim one under an allowed suffix: who has it, as long as it claims it; else the
 * oldest, then by namespace and name. So nobody takes a host that is in use by an older resource that begins to claim it. What is in use is
 * known from the catalog before: after a restart the oldest has it.
 *
 * Threads: the control loop.
 */
#ifndef CONTROLLER_HOSTS_H
#define CONTROLLER_HOSTS_H

#include "controller/store.h"
#include "model/catalog.h"

struct host_rules {
    const char *const *suffixes;
    /* Called for every claimant ("namespace/name") of a host that gets another owner. */
    void (*concern)(void *ctx, struct str claimant);
    void *ctx;
};
/* For catalog_set_hosts(): each host once, with "namespace/name" of its owner; the caller frees the array, the text is the store's.
 * `before`: the owners so far. */
struct pair *hosts_assign(const struct store *store, const struct host_rules *rules, const struct catalog *before,
                          size_t *ret_len) must_check;

#endif
