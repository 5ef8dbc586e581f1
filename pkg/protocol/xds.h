/*
 * One xDS stream as a pure state machine over named, versioned bytes: requests in, responses out. State of the world or delta, of all types
 * (ADS) or of one. Knows no sockets and no Services.
 *
 * Rules of both (xDS protocol; gRFC A27, A30, A46, A53, A57, A74; and what clients were seen to do):
 * - New names are sent, also when the client has them already; names that are gone are forgotten, so that a later subscription is answered
 *   again. A stale nonce changes the subscription but acknowledges nothing.
 * - A NACK (error_detail present) is recorded and never answered with the same bytes, however late
 *   it comes: a subscription knows the nonce that it was sent with. A version that was refused
 *   alone (one resource in the response, so that it was this one) is not sent again until the
 *   client has taken another one, or subscribes anew. Sending never waits for an ACK. The host is told whose resource the client
 *   may mean, and may have another one for this stream.
 * - Versions are hashes of content: equal on every replica, and hexadecimal digits as text, unless the host has texts of its own. Nonces
 *   never repeat on a stream.
 *
 * State of the world:
 * - A request carries the full subscription of its type; it is compared with the stream's own, never with versions.
 * - Listener and Cluster responses are full state of the subscription; the others carry what changed.
 * - An empty nonce after something of the type was sent means "forget what I had": everything named is sent again.
 * - A name that has no resource is not answered, but remembered.
 * - Empty names: nothing, for user agents that start with "gRPC"; the legacy wildcard for others, as long as nothing was ever named.
 *
 * Delta:
 * - A request adds names and takes some away. A name that is added again is answered again.
 * - Every response carries what changed, with a version for each resource, and the names of what is no more. A name that has no resource is
 *   answered as one that is no more.
 * - The first request of a type may tell what the client has from an earlier stream (initial_resource_versions): what is still so is not sent,
 *   on any replica; of what a wildcard brought, what is no more is told.
 * - "*" begins and ends a wildcard; a first request that names nothing is one, too. What is named beside it no longer is sent as a part of it.
 *
 * The host answers "what is the resource of this name now" and is told about subscriptions; it
 * calls xds_subscription_touch() when a resource may have changed. A stream keeps what it sent last
 * (a version per name) and dirty marks, never bytes.
 *
 * Threads: everything on one loop. Owns: copies of names and node.
 * Limits:  XDS_NAMES_MAX per stream (all types together), or fewer, which the host says; a response stays below XDS_RESPONSE_MAX:
 *          what is not full state is split, so all of delta; full state that does not fit is refused by name
 *          (counted, logged once), and the last good one stays.
 */
#ifndef PROTOCOL_XDS_H
#define PROTOCOL_XDS_H

#include "base/blob.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/list.h"
#include "protocol/request.h"

#define XDS_RESPONSE_MAX (4 * 1024 * 1024 - 64 * 1024)
#define XDS_NACK_TEXT_MAX 1024

enum xds_type { XDS_LISTENER, XDS_ROUTE, XDS_CLUSTER, XDS_ENDPOINT, XDS_TYPES };

const char *xds_type_url(enum xds_type type);
const char *xds_type_name(enum xds_type type); /* "Listener" */

struct xds_session;

/* What a stream speaks. {0}: state of the world, of all types. */
struct xds_variant {
    bool delta;
    bool single;        /* only `type`, which requests need not name */
    enum xds_type type;
};

struct xds_subscription {
    struct list dirty; /* session's */
    struct xds_session *session;
    enum xds_type type;
    bool must_send;        /* the client forgot it: send even if equal */
    bool sent_alone;       /* the only resource of its response */
    bool rejected;         /* sent last in a response that the client refused, wholly or in part */
    bool refused;          /* too big to be sent */
    bool told_absent;      /* a delta client knows that there is no such resource */
    uint64_t sent_version; /* 0: nothing sent */
    uint64_t sent_nonce;
    uint64_t nacked_version; /* refused alone, and no other was taken since; 0: none */
    struct str name;
    void *host; /* the host's own */
};

struct xds_resource {
    uint64_t version;  /* another one for other bytes, never 0 */
    struct blob *blob; /* of each() only: one encoded DiscoveryResponse.resources field */
    bool empty;        /* a ClusterLoadAssignment without endpoints: what still leads there fails */
};

#define XDS_VERSION_TEXT_MAX 256

/* The texts of versions, of a host that does not leave them to the session. */
struct xds_texts {
    /* Of the resource's version, which the host has told of it just now; at most XDS_VERSION_TEXT_MAX bytes, borrowed until the next
     * call to the host. */
    struct str (*of_resource)(void *ctx, enum xds_type type, struct str name, uint64_t version);
    /* The same, of everything that there is of a type: a response's version. */
    struct str (*of_type)(void *ctx, enum xds_type type);
    /* The version that a client means, which has the resource from an earlier stream; 0: none that there is. */
    uint64_t (*read)(void *ctx, enum xds_type type, struct str name, struct str text);
};

struct xds_host {
    /* NULL: digits. */
    const struct xds_texts *texts;
    /* May be NULL. Before a request is applied: the stream has so many names, and would have so many. An error ends the stream; nothing of
     * the request was applied. */
    enum code (*admit)(void *ctx, size_t names, size_t names_after, struct err *err);
    /* A name is new on the stream. Set subscription->host. */
    void (*subscribe)(void *ctx, struct xds_subscription *subscription);
    void (*unsubscribe)(void *ctx, struct xds_subscription *subscription);
    /* The resource now, without its blob; false: there is none (a malformed name): unanswered but
     * remembered. */
    bool (*resolve)(void *ctx, struct xds_subscription *subscription,
                    struct xds_resource *ret_resource);
    /* The blob of what resolve() has just told; borrowed until the next call to the host. */
    struct blob *(*bytes)(void *ctx, struct xds_subscription *subscription);
    /* Every resource of a type, for wildcard subscriptions. */
    void (*each)(void *ctx, enum xds_type type,
                 void (*visit)(void *visit_ctx, struct str name,
                               const struct xds_resource *resource),
                 void *visit_ctx);
    /* May be NULL. A response was refused: for every subscription whose resource the client may mean, once per response; of those in it
     * the ones that its message names (each as a word of its own), or all of them if it names none. The host may have another resource
     * from now on, and touches then. `message` is the client's, cut, any bytes. */
    void (*suspected)(void *ctx, struct xds_subscription *subscription, struct str message);
    /* May be NULL. The same for what a wildcard brought and nobody named, if all of that is now as it was sent. */
    void (*suspected_unnamed)(void *ctx, enum xds_type type, struct str name, struct str message);
    /* May be NULL. A resource does not fit into a response (or a full state not into one): once
     * until it fits again. */
    void (*refused)(void *ctx, const struct xds_subscription *subscription, size_t len);
    /* May be NULL. A delta stream keeps (+1) or drops (-1) what it knows of a resource that a wildcard brought: that takes memory, as a
     * subscription does. */
    void (*brought)(void *ctx, int change);
    /* Something is to be said: call xds_session_next() when the stream can take a message. May
     * be called often. */
    void (*wake)(void *ctx, bool answer);
    /* May be NULL. Members of the subscription's open object in a dump. */
    void (*describe)(void *ctx, const struct xds_subscription *subscription,
                     struct json_writer *writer);
};

/* Chooses subscriptions. */
typedef bool xds_choice_fn(void *ctx, const struct xds_subscription *subscription);

/* What a response is made of: head bytes, then the blobs (references of the caller's to
 * release). */
struct xds_response {
    enum xds_type type;
    struct buf *head;
    void (*add)(void *ctx, struct blob *blob); /* takes over one reference */
    void *ctx;
};

struct xds_session_stats { /* of one stream, for /debug/streams and metrics */
    uint64_t responses, acks, nacks, stale, requests;
    uint64_t unknown_types; /* requests of a type that is none of ours */
    uint64_t refused;       /* resources too big to be sent */
};

struct xds_session *xds_session_new(const struct xds_host *host, const struct xds_variant *variant, void *ctx) must_check;
/* Unsubscribes everything. */
void xds_session_free(struct xds_session *session);
/* An error ends the stream with that code (limits, malformed, another type than the stream's only one); on ADS a request of an unknown type
 * is counted and ignored. */
enum code xds_session_request(struct xds_session *session, const struct xds_request *request,
                              struct err *err) must_check;
/* The subscription's resource may have changed. O(1). */
void xds_subscription_touch(struct xds_subscription *subscription);
/* Wildcard subscriptions of the type may have changed. */
void xds_session_touch_wildcard(struct xds_session *session, enum xds_type type);
bool xds_session_has_wildcard(const struct xds_session *session, enum xds_type type);
/* Builds the next response; false: nothing to say. Make before break, both ways: what a route may
 * lead to is there before it (Clusters, lists), a list that is empty comes after the routes that
 * leave it. All of it is as the host has it then, touched or not. */
bool xds_session_next(struct xds_session *session, struct xds_response *response) must_check;

/* The node as the first request gave it; its text lives as long as the session. */
const struct xds_node *xds_session_node(const struct xds_session *session);
const struct xds_session_stats *xds_session_stats(const struct xds_session *session);
/* How many names it is subscribed to, of all types together. */
size_t xds_session_names(const struct xds_session *session);
/* Whether one of the stream's subscriptions is chosen. */
bool xds_session_has(const struct xds_session *session, xds_choice_fn *choose, void *ctx);
/* Members of an open object: node, and per type: names that are chosen (`choose` NULL: all) with
 * sent and acknowledged versions, last NACK. Types of which nothing is chosen are left out. */
void xds_session_dump(const struct xds_session *session, struct json_writer *writer,
                      xds_choice_fn *choose, void *ctx);

#endif
