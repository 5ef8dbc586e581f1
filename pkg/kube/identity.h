/*
 * Who a client is to its server: what the kubeconfig says, out of files that rotate, or what its credential plugin says.
 *
 * Threads: the loop's.
 * Plugin:  run when a request needs it, once for all who wait: for the first, when what it gave has ended, and when the server refused that. When it ends
 *          within a minute (or a quarter of its life), the plugin is run beside the request, which does not wait; a failure then is a warning,
 *          and it is asked again in ten seconds.
 * Owns:    secrets are wiped before they are freed.
 */
#ifndef KUBE_IDENTITY_H
#define KUBE_IDENTITY_H

#include "kube/config.h"
#include "loop/loop.h"

struct identity;

struct identity_options {
    struct loop *loop;
    const struct kube_config *config; /* borrowed; outlives the identity */
    /* What identity_ready() promised: it is ready, or an error says why not. */
    void (*on_settled)(void *ctx, const struct err *err);
    void *ctx;
};

/* Borrowed until the next call. NULL: there is none. */
struct credentials {
    const char *authorization; /* a header line */
    const char *cert;          /* PEM, as is the key */
    const char *key;
    uint64_t generation; /* grows with every answer of the plugin */
};

struct identity *identity_new(const struct identity_options *options) must_check;
/* NULL is fine. */
void identity_free(struct identity *identity);

/* False: the plugin has been asked, and on_settled comes, not inside this call. It may come at other times too. */
bool identity_ready(struct identity *identity);
/* What to send with a request now; files are read again if they changed. CODE_UNAUTHENTICATED: one was never readable. With a plugin only
 * while identity_ready(). */
enum code identity_get(struct identity *identity, struct credentials *ret_credentials, struct err *err) must_check;
/* The server did not accept what it was given (401). False: there is nothing else to be had, and the answer stands. */
bool identity_refused(struct identity *identity, uint64_t generation);

#endif
