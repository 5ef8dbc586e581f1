/*
 * A world of named, versioned resources behind an xDS session, and a client that talks to the
 * session in protobuf.
 *
 * Names are given as text, "a b" for two; "-a" is one that a delta client unsubscribes from. Responses come back as text: "Cluster a b", "" for
 * none; "Cluster a -b": b is no more.
 */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include "protocol/xds.h"

#define FAKE_RESOURCES_MAX 64

struct fake_resource {
    char name[32];
    enum xds_type type;
    struct xds_resource resource; /* version 0: does not exist */
};

struct fake_host {
    struct fake_resource resources[FAKE_RESOURCES_MAX];
    size_t resources_len;
    struct xds_subscription *subscriptions[FAKE_RESOURCES_MAX];
    size_t subscriptions_len;
    size_t subscribed, unsubscribed; /* so far */
    size_t answers, updates;         /* wakes */
    size_t room;                     /* for names; 0: no end of it */
    int brought;                     /* by wildcards, as it is told */
    size_t encoded;                  /* resources whose bytes were asked for */
    char suspected[2 * XDS_NACK_TEXT_MAX]; /* "a: why; *b: why; ": b was not named */
    char refused[64];
    struct xds_session *session;
    struct xds_variant variant;
    struct xds_host host;
    char text[32]; /* of the version that was asked for last */
    const char *known; /* "a=1 b=2": what a delta client tells in its next request */
    const char *agent; /* the client's; sent with its first request */
    /* What the client has received last, by type. */
    char nonce[XDS_TYPES][32];
    char version[XDS_TYPES][32];
    size_t response_len; /* bytes of the last response */
    struct err err;
};

void fake_open(struct fake_host *fake, const char *agent);
void fake_open_variant(struct fake_host *fake, const char *agent, const struct xds_variant *variant);
/* Whose versions have texts of its own: "v17" a resource's, "all" a type's. */
void fake_open_texts(struct fake_host *fake, const char *agent, const struct xds_variant *variant);
void fake_close(struct fake_host *fake);
/* A new stream of the same client to the same world. */
void fake_reconnect(struct fake_host *fake);

/* Puts a resource of about `len` bytes and touches those who named it. */
void fake_put_sized(struct fake_host *fake, enum xds_type type, const char *name, uint64_t version,
                    size_t len);
void fake_put(struct fake_host *fake, enum xds_type type, const char *name, uint64_t version);
/* A list without endpoints. */
void fake_put_empty(struct fake_host *fake, const char *name, uint64_t version);
/* Touches nobody: what there is has changed, and it has not been told yet. */
void fake_put_quietly(struct fake_host *fake, enum xds_type type, const char *name, uint64_t version);
void fake_remove(struct fake_host *fake, enum xds_type type, const char *name);
/* Touches without a change. */
void fake_touch(struct fake_host *fake, enum xds_type type, const char *name);

enum code fake_request(struct fake_host *fake, enum xds_type type, const char *names,
                       const char *nonce);
/* As fake_request(), with the nonce of the last response of the type. */
void fake_ack(struct fake_host *fake, enum xds_type type, const char *names);
void fake_nack(struct fake_host *fake, enum xds_type type, const char *names, const char *why);
void fake_nack_nonce(struct fake_host *fake, enum xds_type type, const char *names,
                     const char *nonce, const char *why);
/* The next response; valid until the next call. */
const char *fake_next(struct fake_host *fake);
/* Request and response: what a client sees. */
const char *fake_ask(struct fake_host *fake, enum xds_type type, const char *names,
                     const char *nonce);
struct str fake_dump(struct fake_host *fake, struct buf *out);

#endif
