/*
 * Public keys that verify tokens, out of a JSON Web Key Set (RFC 7517): RSA of 2048 bits or more for RS256, P-256 for ES256.
 *
 * Threads: immutable once made; any.
 * Limits:  KEYS_MAX keys. What is no such key, or is for something else, is passed over.
 */
#ifndef NET_KEY_SET_H
#define NET_KEY_SET_H

#include "net/jwt.h"

#define KEYS_MAX 64

struct key_set;

/* INVALID_ARGUMENT unless there is a key in it. */
enum code key_set_parse(struct str text, struct key_set **ret_set, struct err *err) must_check;
void key_set_free(struct key_set *set); /* NULL is fine */
DEFINE_CLEANUP(struct key_set, key_set_free)
size_t key_set_len(const struct key_set *set);
/* Who signed it has a key of the set. NOT_FOUND: there is no key of that name; UNAUTHENTICATED: the signature is another's. */
enum code key_set_verify(const struct key_set *set, const struct jwt *jwt, struct err *err) must_check;

#endif
