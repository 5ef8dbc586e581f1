/*
 * Which file an object comes from, where several name it: the first by name.
 *
 * Threads: one.
 */
#ifndef CONTROLLER_CLAIMS_H
#define CONTROLLER_CLAIMS_H

#define HASH_FUNCTION HASH_FUNCTION_SEEDED
#include "base/hash.h"
#include <uthash.h>

#include "base/base.h"

/* A file, as far as claims go. */
struct claimant {
    const char *name;
};

struct claim {
    UT_hash_handle hh;
    char *key;
    struct claimant **by; /* sorted by name; by[0] has the object */
    size_t len, cap;
};

struct claims {
    struct claim *table;
};

/* Adds; true if `by` has the object now. */
bool claims_add(struct claims *claims, const char *key, struct claimant *by);
/* Removes; *ret_heir is who has the object now, NULL: nobody. False if `by` did not have it. */
bool claims_drop(struct claims *claims, const char *key, struct claimant *by, struct claimant **ret_heir);
/* NULL: nobody. */
struct claimant *claims_owner(struct claims *claims, const char *key);
size_t claims_len(const struct claims *claims);
void claims_done(struct claims *claims);

#endif
