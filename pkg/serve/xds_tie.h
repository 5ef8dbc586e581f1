/*
 * An xDS subscription's tie to its topic, and to the topic's plain twin once the client has refused what a policy makes of it.
 *
 * A client that refuses a Listener or Cluster gets the plain one at once: round robin and nothing else, but the weights of backends. It keeps
 * that until the policy is another one (policy_same_spec), which it gets again; should the one that it refused last come back, so does
 * the plain one. A kind of client that the controller has told to refuse a policy begins with the plain one.
 *
 * Threads: the worker's loop.
 */
#ifndef SERVE_XDS_TIE_H
#define SERVE_XDS_TIE_H

#include "model/refusal.h"
#include "protocol/xds.h"
#include "serve/topic.h"

struct xds_tie {
    struct subscriber subscriber;
    struct xds_subscription *subscription;
    void *stream;
    const struct policy *refused; /* the topic is the plain twin because of it; a reference; NULL: it is not */
    const struct policy *declined; /* what the client has refused last, itself; a reference or NULL */
};

/* What the client is, as far as ties go. */
struct xds_tie_client {
    struct topic_table *topics;
    struct topic_client client;
    struct str agent; /* "gRPC Go 1.85.0" */
    void *stream;
    void (*changed)(struct subscriber *subscriber);
    void (*refused)(struct subscriber *subscriber); /* as struct subscriber has it */
};

enum topic_kind xds_tie_kind(enum xds_type type);
/* Sets subscription->host; NULL, and an error, when the name is malformed for its type. */
enum code xds_tie_join(struct xds_subscription *subscription, const struct xds_tie_client *client, struct err *err) must_check;
void xds_tie_leave(struct xds_subscription *subscription);
/* The client may have refused this one. True: it gets the plain one now, *ret_policy (borrowed) is what it refused. */
bool xds_tie_refuse(struct xds_subscription *subscription, const struct xds_tie_client *client, const struct policy **ret_policy);
/* What the subscription gets now; NULL: nothing. A plain one whose policy is another by now: xds_tie_retry() first. */
const struct topic_content *xds_tie_content(const struct xds_subscription *subscription);
bool xds_tie_is_outdated(const struct xds_subscription *subscription);
void xds_tie_retry(struct xds_subscription *subscription, const struct xds_tie_client *client);

#endif
