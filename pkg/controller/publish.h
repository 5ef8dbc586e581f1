/*
 * Turns touched groups into catalogs: when, and what.
 *
 * When: the first change of a service at the end of the turn; what follows within the window, at its end. The window is
 * clamp(10 ms, 4 × the last fan-out, 1 s), counted from the last publication of that service; 2 ms from the last time that a hold kept a list.
 * A hold ends in time, whatever else changes.
 * What: the service rebuilt from all its slices; if that is equal to the published one, its pointer stays.
 *
 * Threads: the control loop.
 */
#ifndef CONTROLLER_PUBLISH_H
#define CONTROLLER_PUBLISH_H

#include "controller/store.h"

struct publisher;

struct publisher *publisher_new(const struct controller_options *options, struct store *store,
                                struct controller_stats *stats) must_check;
void publisher_free(struct publisher *publisher);
/* Something about the group changed; `received_us`: when the object that says so came in. */
void publisher_touch(struct publisher *publisher, struct group *group, uint64_t received_us);
/* Some Node changed: goes out at the end of the turn. */
void publisher_touch_nodes(struct publisher *publisher);
/* The hosts that a LookasideService claims may have changed, or its age: goes out at the end of the turn. */
void publisher_touch_hosts(struct publisher *publisher, const struct value *before, const struct value *after);
/* Who owns which host before the first publication; borrowed until then. Else nobody does. */
void publisher_set_owners(struct publisher *publisher, const struct catalog *owners);
const struct controller_options *publisher_options(const struct publisher *publisher);
/* There is a Service object, and it is one that is published. */
bool publisher_publishes(const struct publisher *publisher, const struct group *group);
/* For controller_options.resource_changed and .resource_seen. */
void publisher_resource_changed(const struct publisher *publisher, struct str namespace_name, struct str name);
void publisher_resource_seen(const struct publisher *publisher, const struct json *object);
/* Ends the group's holds at the end of the turn. */
void publisher_release(struct publisher *publisher, struct group *group);
/* Forgets that it was touched. */
void publisher_untouch(struct group *group);
/* From now on touched groups go out; those that are waiting at once. Again: nothing happens. */
void publisher_start(struct publisher *publisher);
/* The Service as its objects have it now, without holds: one reference, or NULL where there is no Service object, or it is not published. */
const struct service *publisher_build(const struct publisher *publisher, const struct group *group) must_check;
const struct catalog *publisher_catalog(const struct publisher *publisher);

#endif
