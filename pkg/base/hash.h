/*
 * Two hashes over XXH3 (libxxhash).
 *
 * hash_content  the same on every machine and in every run: versions of published lists.
 * hash_key      seeded per process: hash tables whose keys a peer chooses.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

uint64_t hash_content(const void *ptr, size_t len);
/* Order matters: hash_mix(a, b) != hash_mix(b, a). */
uint64_t hash_mix(uint64_t a, uint64_t b);
uint64_t hash_key(struct str key);

/* For uthash: #define HASH_FUNCTION HASH_FUNCTION_SEEDED before including uthash.h. */
#define HASH_FUNCTION_SEEDED(keyptr, keylen, hashv)                                                \
    ((hashv) = (unsigned)hash_key((struct str){(const char *)(keyptr), (keylen)}))

#endif
