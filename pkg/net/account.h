/*
 * Who a client is: a service account of the cluster, as a certificate or a token proves it.
 *
 * Threads: any; immutable once made.
 * Owns:    one block of memory for it and its texts.
 */
#ifndef NET_ACCOUNT_H
#define NET_ACCOUNT_H

#include "base/str.h"

#define ACCOUNT_NAMESPACE_MAX 63
#define ACCOUNT_NAME_MAX 253

struct service_account {
    struct str namespace_name, name;
};

/* Of "spiffe://TRUSTDOMAIN/ns/NAMESPACE/sa/NAME"; NULL: it is something else. */
struct service_account *account_of_spiffe(struct str id) must_check;
/* Of "system:serviceaccount:NAMESPACE:NAME"; NULL: it is something else. */
struct service_account *account_of_subject(struct str subject) must_check;
/* NULL is fine. */
void account_free(struct service_account *account);
DEFINE_CLEANUP(struct service_account, account_free)

#endif
