/*
 * What controller_resource_status() reads; nobody but it and the tests of it includes this.
 */
#ifndef CONTROLLER_RESOURCE_INTERNAL_H
#define CONTROLLER_RESOURCE_INTERNAL_H

#include "controller/publish.h"
#include "controller/resource.h"

struct resource_sources {
    const struct store *store;
    const struct publisher *publisher;
};

/* `object` is a LookasideService's. */
void resource_read(const struct resource_sources *sources, const struct object *object, struct resource_status *ret_status);
void resource_each(const struct resource_sources *sources, void (*visit)(void *ctx, const struct resource_status *status), void *ctx);
/* True, with what some kinds of clients do instead of what the policy asks for; make conformance compares it with what they do. */
void resource_set_noted(const struct policy *policy, bool reports_load, struct condition *condition);
void resource_set_condition(struct condition *condition, bool status, const char *reason, const char *fmt, ...) printf_like(4, 5);
/* controller_resource_faults(). */
void resource_each_fault(const struct resource_sources *sources, const struct object *object,
                         void (*visit)(void *ctx, const struct resource_fault *fault), void *ctx);

#endif
