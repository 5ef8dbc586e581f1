/*
 * LookasideServices in the world of fixture.h, under the suffixes example.com and apps.example.org.
 */
#ifndef TESTS_UNIT_CONTROLLER_RESOURCE_WORLD_H
#define TESTS_UNIT_CONTROLLER_RESOURCE_WORLD_H

#include "fixture.h"

#include "controller/resource.h"

#define GREETER SERVICE_JSON("greeter", 8001)
#define CANARY SERVICE_JSON("canary", 8002)
#define RING "{'loadBalancing':{'policy':'RingHash'}}"
#define RING_NOTE                                                                                  \
    "these clients use RoundRobin instead: C++ 1.50 to 1.51, Python 1.50 to 1.51 (it would "       \
    "crash them)"
#define HOST(host) "{'hosts':['" host "']}"

void resource_start(void);
/* Fails the test if there is no such resource. */
struct resource_status status_of(const char *name);
void expect(const char *name, enum condition_kind kind, bool status, const char *reason,
            const char *message);
/* Of a Service that is published. */
const struct policy *policy_at(const char *name);
void wait_for_policy(const char *name, enum lb_policy lb);

#endif
