/*
 * Which users of this host are which service accounts of the cluster.
 *
 * Threads: any, once it is made.
 * Owns:    its accounts. {0} has none.
 * Limits:  UID_ACCOUNTS_MAX users.
 */
#ifndef NET_UID_ACCOUNTS_H
#define NET_UID_ACCOUNTS_H

#include <sys/types.h>

#include "base/err.h"
#include "net/account.h"

#define UID_ACCOUNTS_MAX 256

struct uid_account;

struct uid_accounts {
    struct uid_account *items;
    size_t len, cap;
};

/* "UID=NAMESPACE/ACCOUNT". INVALID_ARGUMENT: it is something else, or of a user that has an account already, or of the user
 * that all are who have no number here (net/credentials.h). */
enum code uid_accounts_add(struct uid_accounts *accounts, struct str text, struct err *err) must_check;
void uid_accounts_done(struct uid_accounts *accounts);
/* NULL: that user has none. Borrowed. */
const struct service_account *uid_accounts_find(const struct uid_accounts *accounts, uid_t uid);

#endif
