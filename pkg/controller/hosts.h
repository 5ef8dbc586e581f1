/*
 * Which LookasideService owns which host: of those that claim one under an allowed suffix, the oldest, then by namespace and name.
 *
 * Threads: the control loop.
 */
#ifndef CONTROLLER_HOSTS_H
#define CONTROLLER_HOSTS_H

#include "controller/store.h"
#include "model/pairs.h"

/* A domain in lower case of two labels or more, as --host-suffixes has them: names of one could not be told from namespaces. */
bool host_is_suffix(struct str text);
/* For catalog_set_hosts(): each host once, with "namespace/name" of its owner; the caller frees the array, the text is the store's. */
struct pair *hosts_assign(const struct store *store, const char *const *suffixes, size_t *ret_len) must_check;

#endif
