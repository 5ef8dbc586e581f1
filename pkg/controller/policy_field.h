/*
 * The fields of a LookasideService's spec, once: their names, defaults and bounds. The decoder reads by them, explain and diff write by them; a
 * test compares them with the schema in crds/ and with the README.
 * Pure.
 */
#ifndef CONTROLLER_POLICY_FIELD_H
#define CONTROLLER_POLICY_FIELD_H

#include "base/buf.h"
#include "model/policy.h"

enum policy_field_kind {
    POLICY_COUNT,    /* uint32_t: a whole number from min to max */
    POLICY_DURATION, /* uint64_t in microseconds; min and max in milliseconds */
    POLICY_CHOICE,   /* an enum: which of the words */
    POLICY_FLAG,     /* bool: the same of two words */
    POLICY_GIVEN,    /* bool: there is this object */
    POLICY_PORT,     /* struct port_ref */
    POLICY_SERVICE,  /* struct str */
    POLICY_HEADER,   /* struct str */
    POLICY_STATUSES, /* unsigned: from min to max of the words, each a bit */
    POLICY_HOSTS,    /* the policy's: from min to max of them */
    POLICY_BACKENDS,
    POLICY_NAMESPACES, /* struct policy_texts: at most max of them */
    POLICY_ACCOUNTS,   /* the same */
};

struct policy_field {
    const char *path; /* below spec: "retry.backoff.base"; below an item of spec.backends: "weight" */
    enum policy_field_kind kind;
    size_t offset; /* in struct policy, or struct policy_backend */
    uint64_t min, max;
    const char *words; /* with spaces between them */
    const char *def;   /* where the object around it is given, and it is not; NULL: as in policy_default() */
    bool required;     /* where the object around it is given */
};

#define POLICY_FIELDS 33
#define POLICY_BACKEND_FIELDS 4
#define POLICY_DURATION_LEN_MAX 13

extern const struct policy_field policy_fields[POLICY_FIELDS];
extern const struct policy_field policy_backend_fields[POLICY_BACKEND_FIELDS];

/* Word number `index`; empty: there are fewer. */
struct str policy_word(const char *words, size_t index);
/* Appends the value of the field as a person would write it; nothing where it says nothing. */
void policy_add_value(struct buf *out, const struct policy_field *field, const struct policy *policy);
/* The fields of which the two say otherwise, in the order of the table. */
void policy_diff(const struct policy *a, const struct policy *b, void (*visit)(void *ctx, const struct policy_field *field), void *ctx);

#endif
