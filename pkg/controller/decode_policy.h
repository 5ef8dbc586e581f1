/*
 * A LookasideService as JSON → struct policy, by the table of controller/policy_field.h and the rules between fields, which are the schema's
 * (crds/) and say the same words.
 *
 * Errors: name the object and the field, and say what to write instead.
 * Pure.
 */
#ifndef CONTROLLER_DECODE_POLICY_H
#define CONTROLLER_DECODE_POLICY_H

#include "controller/decode.h"
#include "model/policy.h"

#define POLICY_API "lookaside.dev/v1alpha1"
#define POLICY_KIND "LookasideService"

/* One reference. *ret_created_us: metadata.creationTimestamp, 0 where there is none. CODE_OK with a message in *err: taken, but for a field
 * that nobody knows, which the API server would have left out. */
enum code decode_policy(const struct json *object, const struct object_meta *meta, const struct policy **ret_policy,
                        uint64_t *ret_created_us, struct err *err) must_check;
/* What holds of one that cannot be decoded, and of which no earlier version can: who may see the Service, as spec.access says, or nobody where that cannot be
 * read either. One reference; NULL: it does not say. */
const struct policy *decode_policy_access(const struct json *object, const struct object_meta *meta) must_check;
/* Everything that is wrong with it: "spec.retry.attempts: missing". Fields that nobody knows are, too. */
void policy_check(const struct json *object, const struct object_meta *meta, void (*fault)(void *ctx, const char *text), void *ctx);

/* What holds between fields: where, and what is said. For the test that compares. */
#define POLICY_RULES 7
struct policy_rule {
    const char *path; /* of the object that the schema has it at, from the root */
    const char *message;
    bool (*broken)(const struct policy *policy, const struct json *spec);
};
extern const struct policy_rule policy_rules[POLICY_RULES];
/* What is said of one field that is not what it should be. */
extern const char policy_namespace_message[], policy_account_message[];
extern const char policy_host_message[], policy_service_message[], policy_header_message[], policy_port_message[];

#endif
