/*
 * Who may say who a client is: the keys and the issuer of service-account tokens, and the audience that they must be for.
 *
 * Threads: immutable once made; references on any.
 */
#ifndef NET_VERIFIER_H
#define NET_VERIFIER_H

#include "net/account.h"
#include "net/key_set.h"

#define VERIFIER_SKEW_S 10 /* that clocks may differ */

struct verifier;

/* `keys`: the text of a JSON Web Key Set. */
enum code verifier_new(struct str keys, struct str issuer, struct str audience,
                       struct verifier **ret_verifier, struct err *err) must_check;
struct verifier *verifier_ref(struct verifier *verifier); /* NULL is fine */
void verifier_unref(struct verifier *verifier);           /* NULL is fine */
DEFINE_CLEANUP(struct verifier, verifier_unref)
size_t verifier_keys(const struct verifier *verifier);

/* The account whose token it is. NOT_FOUND: its key is none of ours, which a newer set of keys may have;
 * UNAUTHENTICATED: it does not hold. The message is for the log. */
enum code verifier_check(const struct verifier *verifier, struct str token, uint64_t wall_us,
                         struct service_account **ret_account, struct err *err) must_check;

#endif
