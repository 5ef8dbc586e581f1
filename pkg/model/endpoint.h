/*
 * An endpoint of an EndpointSlice, and the same endpoint at one port (a backend).
 *
 * Values are immutable and live as long as the slice that holds them. Text is borrowed from the slice's arena.
 */
#ifndef MODEL_ENDPOINT_H
#define MODEL_ENDPOINT_H

#include "base/str.h"

enum address_family { FAMILY_IPV4 = 4, FAMILY_IPV6 = 6 };

/* Conditions with the defaults of the API applied: ready nil → true, serving nil → true, terminating nil → false. */
struct endpoint {
    struct str address;      /* canonical text of the first address */
    unsigned char bytes[16]; /* network order; IPv4 in the first four */
    enum address_family family;
    bool ready;
    bool serving;
    bool terminating;
    struct str hostname; /* of a StatefulSet's pod */
    struct str node;
    struct str zone;
    struct str pod; /* targetRef.name, where the kind is Pod */
    struct str uid; /* targetRef.uid */
    /* hints.forZones and hints.forNodes */
    size_t zone_hints_len, node_hints_len;
    const struct str *zone_hints, *node_hints;
};

#define ENDPOINT_HINTS_MAX 8 /* of each kind, as the API server's own validation has it */

struct slice;

struct backend {
    const struct endpoint *endpoint;
    const struct slice *slice;
    uint16_t port;   /* target port; 0 where the slice leaves it open: the number that the client asked */
    struct str wire; /* made once by the slice's maker: this backend as one encoded lb_endpoints field of a
                      * LocalityLbEndpoints; empty where port is 0 */
};

/* By address family, address bytes, port. */
int backend_cmp_address(const struct backend *a, const struct backend *b);
/* Of the same; the same on every machine. */
uint64_t backend_hash(const struct backend *backend);
/* At a port of that number, which stands for one that is left open. */
uint16_t backend_port_at(const struct backend *backend, uint16_t number);
int backend_cmp_at(const struct backend *a, const struct backend *b, uint16_t number);
/* In the list while the service has ready ones / as the kube-proxy fallback when it has none. */
bool backend_is_ready(const struct backend *backend);
bool backend_is_draining(const struct backend *backend); /* serving and terminating, not ready */
/* In the same order. */
bool endpoint_same_zone_hints(const struct endpoint *a, const struct endpoint *b);
bool endpoint_same_node_hints(const struct endpoint *a, const struct endpoint *b);
/* Text as of an IP address of that family, and no other → network order, IPv4 in the first four bytes. */
bool endpoint_read_address(struct str text, enum address_family family, unsigned char ret_bytes[16]) must_check;
/* Every field. */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

#endif
