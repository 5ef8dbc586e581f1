/*
 * The inside of an xDS session, shared by the files that read requests, build responses and dump.
 */
#ifndef PROTOCOL_XDS_INTERNAL_H
#define PROTOCOL_XDS_INTERNAL_H

#include "protocol/name_set.h"
#include "protocol/xds.h"

struct xds_brought; /* xds_delta.c */

struct xds_nack {
    uint64_t nonce;
    uint32_t code;
    size_t len;
    char message[];
};

struct xds_type_state {
    struct name_set names; /* of struct xds_subscription */
    struct list dirty;     /* those that may have something to say */
    uint64_t last_nonce;   /* of the newest response; 0: none was sent */
    uint64_t acked_nonce;  /* the newest that the client took, and all before it but for NACKs */
    /* What the client was sent and still names, as one number that does not depend on order: the
     * sum over version_term(). Two replicas that serve equal resources to equal subscriptions
     * agree. */
    uint64_t sum;
    uint64_t every_sum;    /* the same for what a wildcard brought */
    struct xds_brought *brought; /* a delta client, by a wildcard: a table by name */
    struct xds_nack *nack; /* the newest; NULL: none */
    uint32_t looks; /* at what a wildcard brings */
    bool wildcard;
    /* Then an empty list of names means "nothing", no longer the legacy wildcard. */
    bool named_before;
    /* An answer is owed, changed or not: a wildcard began or ended. */
    bool every_due;
    bool every_dirty;
};

/* Memory of an idle stream counts: ten thousand of them wait on one machine. */
struct xds_session {
    const struct xds_host *host;
    void *ctx;
    struct xds_variant variant;
    struct xds_node *node; /* with its text behind it; NULL until the client says who it is */
    struct xds_session_stats stats;
    uint64_t nonces; /* given out on this stream, over all types */
    struct xds_type_state types[XDS_TYPES];
};

extern const struct name_set_ops xds_subscription_ops;

/* ---- requests ---- */

/* For xds_subscription_ops. */
struct xds_add_ctx {
    struct xds_session *session;
    enum xds_type type;
};

void xds_read_nonce(struct xds_session *session, enum xds_type type, const struct xds_request *request);
void xds_set_sent_version(struct xds_type_state *state, struct xds_subscription *subscription, uint64_t version);
/* True: an answer is owed. */
bool xds_delta_apply(struct xds_session *session, enum xds_type type, const struct xds_request *request);
/* It was in that response, by a wildcard. */
bool xds_delta_was_in(const struct xds_type_state *state, struct str name, uint64_t nonce);
void xds_delta_done(struct xds_session *session, enum xds_type type);

/* ---- responses ---- */

#define XDS_HEAD_MAX 512 /* version_info, type_url and nonce, with room to spare */
#define XDS_RESOURCES_MAX (XDS_RESPONSE_MAX - XDS_HEAD_MAX)

/* One response in the making. */
struct xds_draft {
    struct xds_session *session;
    struct xds_type_state *state;
    struct xds_response *response;
    uint64_t nonce;
    size_t left;       /* bytes that still fit */
    size_t len;        /* resources in it */
    size_t removed;    /* names in it, of a delta response */
    bool after_routes; /* no list waits for them */
    bool looked;       /* at all routes: what has changed of them is dirty */
    struct xds_subscription *last;
};

/* Bytes that it takes in a response. */
size_t xds_draft_sized(const struct xds_draft *draft, struct str name,
                       const struct xds_resource *resource);
/* It fits. */
void xds_draft_add(struct xds_draft *draft, struct str name, const struct xds_resource *resource);
/* False: it does not fit. */
bool xds_draft_remove(struct xds_draft *draft, struct str name) must_check;
/* What the wildcard brings and nobody names: what has changed, as far as it fits. */
void xds_draft_add_unnamed(struct xds_draft *draft);

/* ---- the rest ---- */

/* A response of these types replaces everything that the client had of it. */
static inline bool xds_is_full_state(enum xds_type type)
{
    return type == XDS_LISTENER || type == XDS_CLUSTER;
}

/* One resource's part in the version of its type. */
uint64_t xds_version_term(struct str name, uint64_t version);

#define XDS_NONCE_TEXT_MAX 24

/* "e17": the type, so that a nonce cannot count for another one, and the stream's counter. */
void xds_nonce_format(enum xds_type type, uint64_t nonce, char out[XDS_NONCE_TEXT_MAX]);
/* 0: none of this type's. */
uint64_t xds_nonce_parse(enum xds_type type, struct str text);

#endif
