/*
 * A server's certificate and its key, and the authorities of its clients' certificates, in files that are replaced while
 * we run: a mounted Secret's, or a renewal's.
 *
 * A change is noticed within a fraction of a second where the file system tells of it (in the folders that the paths name),
 * else within ten seconds. Files that are bad, or do not belong together because only one of them is new, change
 * nothing: the last good pair stays, a line in the log says why, and they are looked at again. The log also says when the
 * certificate is about to end, and when it has.
 *
 * Threads: the loop's.
 */
#ifndef NET_KEYPAIR_H
#define NET_KEYPAIR_H

#include "base/metric.h"
#include "loop/loop.h"
#include "net/tls.h"

struct keypair;

struct keypair_options {
    struct loop *loop;
    const char *cert_path; /* borrowed for life */
    const char *key_path;
    const char *client_ca_path; /* tls_ask_clients()'s; NULL: clients are not asked */
    bool client_required;
    /* Another pair is in use from here on; `tls` is borrowed during the call. Not called by keypair_new(). */
    void (*on_change)(void *ctx, struct tls *tls);
    void *ctx;
};

struct keypair_stats {
    struct counter loads;
    struct counter failures;
    struct counter expiry_s;  /* gauge: when the certificate in use ends, since 1970 */
    struct counter ends_soon; /* gauge: 1 when it has a fifth of its life left, or a week */
};

/* Fails unless there is a good pair now. */
enum code keypair_new(const struct keypair_options *options, struct keypair **ret_keypair,
                      struct err *err) must_check;
/* NULL is fine. */
void keypair_free(struct keypair *keypair);
/* What is in use; borrowed. */
struct tls *keypair_tls(const struct keypair *keypair);
const struct keypair_stats *keypair_stats(const struct keypair *keypair);

#endif
