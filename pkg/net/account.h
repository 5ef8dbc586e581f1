/*
 * Who a client is: a service account of the cluster, and what proves it.
 *
 * Threads: any; immutable once made.
 * Owns:    one block of memory for it and its texts.
 */
#ifndef NET_ACCOUNT_H
#define NET_ACCOUNT_H

#include "base/str.h"

#define ACCOUNT_NAMESPACE_MAX 63
#define ACCOUNT_NAME_MAX 253

/* Its token; its certificate; the user that it is at the other end of a unix socket; the pod whose address it calls from. */
enum account_by { ACCOUNT_BY_TOKEN, ACCOUNT_BY_CERTIFICATE, ACCOUNT_BY_UNIX, ACCOUNT_BY_POD };
/* "token", ... */
const char *account_by_name(enum account_by by);

struct service_account {
    struct str namespace_name, name;
    enum account_by by;
};

/* Of "spiffe://TRUSTDOMAIN/ns/NAMESPACE/sa/NAME"; NULL: it is something else. */
struct service_account *account_of_spiffe(struct str id) must_check;
/* Of "system:serviceaccount:NAMESPACE:NAME"; NULL: it is something else. */
struct service_account *account_of_subject(struct str subject) must_check;
/* Of "NAMESPACE/NAME"; NULL: it is something else. */
struct service_account *account_of_text(struct str text, enum account_by by) must_check;
struct service_account *account_copy(const struct service_account *account) must_check;
/* NULL is fine. */
void account_free(struct service_account *account);
DEFINE_CLEANUP(struct service_account, account_free)

#endif
