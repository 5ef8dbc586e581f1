/* What the files of the xDS clients share: what one of them wants and has, on one call. */
#ifndef SIMULATE_CLIENT_XDS_H
#define SIMULATE_CLIENT_XDS_H

#include "client.h"
#include "xds_read.h"

enum { RESOURCES_HELD = 40, NONCES = 512 };

/* A resource by name, as this call has it. */
struct xds_resource {
    char name[XDS_TEXT];
    bool wanted;             /* in the newest request */
    size_t wanted_in;        /* since that request */
    bool has;                /* was sent since it was wanted */
    bool refused;            /* some version was, on this call */
    uint64_t sent;           /* hash of the bytes sent last; 0: none */
    uint64_t refused_alone;  /* hash of bytes that were refused and stood alone */
    size_t refused_in;       /* by that request */
    char leads_to[XDS_TEXT]; /* a Listener: its Cluster; a Cluster: the host to look up */
    unsigned port;           /* of the host */
    struct query query;
    struct account account; /* of a ClusterLoadAssignment */
};

struct xds_type {
    struct xds_resource items[RESOURCES_HELD];
    size_t len;
    char nonce[32], version[32]; /* of the newest response; of the newest that was taken */
    char taken[32];              /* the nonce of that */
    size_t changed_in;           /* the request that changed its names last */
};

struct xds {
    struct xds_type types[XDS_KINDS];
    uint64_t nonces[NONCES];
    size_t nonces_len;
    bool said_node;
    size_t sent; /* the number of the newest request */
    size_t responses, refusals;
};

static inline bool xds_is_envoy(const struct client *client)
{
    return client->ops == &envoy_client_ops;
}

/* ---- client_xds.c ---- */

/* NULL: there is none of that name. */
const struct xds_resource *xds_find(const struct xds_type *type, const char *name);
/* The one of that name, which is made where there is none. */
struct xds_resource *xds_get(struct xds_type *type, const char *name);
/* The answer to the newest response, and what is wanted now. `error`: it is refused; NULL: it is not. */
void xds_send(struct client *client, enum xds_kind kind, const char *error);
/* Wants what the resources lead to that it has, and nothing else. */
void xds_follow(struct client *client, enum xds_kind kind);

/* ---- client_xds_take.c: responses ---- */

void xds_receive(struct client *client, const struct delivery *delivery);

/* ---- client_xds_check.c: what must be true of what it has ---- */

void xds_check(struct client *client, uint64_t at_us, bool final);
void xds_compare(const struct client *client, const struct json *stream);

#endif
