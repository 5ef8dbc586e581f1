/*
 * What is to be said of a LookasideService: the conditions and counts of its status, for the API server, `lookasidectl get lks`, explain.
 *
 *   condition      True      False
 *   Accepted       Accepted  Invalid (a field; the message names it and says what to write instead), HostNotAllowed, HostConflict
 *   ResolvedRefs   ResolvedRefs  ServiceNotFound, PortNotFound, BackendNotFound, BackendPortNotFound
 *   Published      Published     NotPublished (no such Service, or --publish leaves it out, or no such port), ClientRejected,
 *                             NeverAccepted, NobodyIdentified (it has spec.access, and nothing tells who clients are)
 *
 * A resource that becomes invalid keeps its last accepted policy in force: then the message of Accepted says which generation that is. A
 * condition that is True may have a message too: what some kinds of clients cannot do, and what they do instead.
 *
 * Threads: the control loop. Computed when asked; borrowed text lives until the next change of the store.
 */
#ifndef CONTROLLER_RESOURCE_H
#define CONTROLLER_RESOURCE_H

#include "controller/controller.h"
#include "controller/hold.h"
#include "model/policy.h"

#define CONDITION_MESSAGE_MAX 768

enum condition_kind { CONDITION_ACCEPTED, CONDITION_RESOLVED_REFS, CONDITION_PUBLISHED, CONDITIONS };

struct condition {
    bool status;
    const char *reason; /* CamelCase; static text */
    char message[CONDITION_MESSAGE_MAX];
};

struct resource_status {
    struct str namespace_name, name, uid;
    uint64_t created_us;         /* since 1970; 0: not known */
    uint64_t generation;         /* the newest that was seen */
    const struct policy *policy; /* in force; NULL: none was ever accepted */
    struct condition conditions[CONDITIONS];
    size_t ready, draining, total; /* endpoints of the Service, at the policy's port or at that with most */
    enum hold hold;
};

const char *condition_name(enum condition_kind kind); /* "Accepted" */
/* False: there is no such resource, or it was deleted. */
bool controller_resource_status(const struct controller *controller, struct str namespace_name, struct str name,
                                struct resource_status *ret_status);
/* In order of namespace and name; those with them that were deleted, and stay in force for a while. */
void controller_each_resource(const struct controller *controller, void (*visit)(void *ctx, const struct resource_status *status),
                              void *ctx);
/* What is wrong with its hosts, and with the Services that it names: all of it, where conditions tell the first. */
struct resource_fault {
    const struct condition *condition; /* as it would be if it were the first */
    struct str missing;                /* the Service that there is not; else empty */
};
void controller_resource_faults(const struct controller *controller, struct str namespace_name, struct str name,
                                void (*visit)(void *ctx, const struct resource_fault *fault), void *ctx);
/* As members of an open object: namespace, name, uid, generation (the newest), created (absent: not known), accepted (whether one ever was),
 * generationInForce, policy ("RingHash"), hosts: [...], settings: [{field, value, default}] other than the defaults, conditions: [{type,
 * status (a bool), reason, message}], ready, draining, total, hold ("": none). */
void resource_write(const struct resource_status *status, struct json_writer *writer);

#endif
