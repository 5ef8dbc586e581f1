/*
 * A DiscoveryRequest or a DeltaDiscoveryRequest, read by the bounded reader: text is borrowed from the message.
 *
 * Limits: XDS_NAMES_MAX names (of those that a delta client subscribes to, and of those that it unsubscribes from, as many each),
 *         XDS_KNOWN_MAX initial versions, XDS_NAME_MAX bytes each, and so many for every text of the Node
 *         (RESOURCE_EXHAUSTED); of Node.metadata only string members at its first level are looked
 *         at, nothing recurses.
 * Errors: INVALID_ARGUMENT for what is no protobuf, or no UTF-8 where it should be (except in
 *         error_detail's message).
 */
#ifndef PROTOCOL_REQUEST_H
#define PROTOCOL_REQUEST_H

#include "base/err.h"
#include "base/str.h"

#define XDS_NAMES_MAX 10000
#define XDS_NAME_MAX 1024
#define XDS_KNOWN_MAX 50000

struct xds_node {
    struct str id, cluster, user_agent, user_agent_version, region, zone, sub_zone;
    struct str namespace_name; /* metadata "namespace" */
    struct str node;           /* metadata "node" */
};

/* Sorted, each once; owned. */
struct xds_names {
    struct str *items;
    size_t len, cap;
    bool has_wildcard; /* "*" was among them; it is not in `items` */
    bool too_many;     /* there are more: why the request was refused */
};

/* What a delta client has from an earlier stream. */
struct xds_known {
    struct str name, version;
};

struct xds_request {
    struct str type_url, nonce; /* version_info is opaque and says nothing that we use */
    bool has_node;
    struct xds_node node;
    struct xds_names names; /* all that is wanted; of a delta client: besides */
    struct xds_names gone;  /* of a delta client: no longer */
    struct xds_known *known;
    size_t known_len, known_cap;
    bool has_error;
    uint32_t error_code;
    struct str error_message;
};

/* The request may be reused: start with {0}, its memory is kept between calls. xds_request_done() afterwards. */
enum code xds_request_parse(struct str message, struct xds_request *request,
                            struct err *err) must_check;
enum code xds_delta_request_parse(struct str message, struct xds_request *request,
                                  struct err *err) must_check;
void xds_request_done(struct xds_request *request);
/* A Node by itself; start with {0}. */
enum code xds_node_parse(struct str bytes, struct xds_node *node, struct err *err) must_check;

#endif
