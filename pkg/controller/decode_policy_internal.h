/*
 * What the files that read a LookasideService share; nobody else includes it.
 */
#ifndef CONTROLLER_DECODE_POLICY_INTERNAL_H
#define CONTROLLER_DECODE_POLICY_INTERNAL_H

#include "controller/decode_policy.h"
#include "controller/policy_field.h"

#define PATH_TEXT_MAX 128
#define KNOWN_TEXT_MAX 256
#define SHOWN_MAX 64 /* of what an object says, in a message */

/* An object that is being read, and who hears what is wrong with it. */
struct policy_reader {
    const struct json *spec;
    struct policy fields;
    struct str hosts[POLICY_HOSTS_MAX];
    struct policy_backend backends[POLICY_BACKENDS_MAX];
    struct str namespaces[POLICY_ACCESS_MAX], accounts[POLICY_ACCESS_MAX];
    void (*fault)(void *ctx, const char *text);
    void *ctx;
    size_t faults;
    uint64_t last; /* hash of the last one: an object of a wrong type is met at each of its fields */
};

void policy_report(struct policy_reader *reader, const char *path, const char *fmt, ...) printf_like(3, 4);
void policy_check_rules(struct policy_reader *reader);
void policy_find_unknown(struct policy_reader *reader, const struct json *object);
/* Of an item of the list at `path`. */
void policy_item_path(char out[PATH_TEXT_MAX], const char *path, size_t index);

#endif
