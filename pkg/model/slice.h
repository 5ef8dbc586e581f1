/*
 * An EndpointSlice (discovery.k8s.io/v1) as an immutable, reference-counted value.
 *
 * Threads: after slice_finish() any thread may read it; ref and unref from any thread.
 * Owns:    one arena with all its text, endpoints and backends, freed whole.
 * Limits:  SLICE_ENDPOINTS_MAX and SLICE_PORTS_MAX, as the API server's own validation has them.
 */
#ifndef MODEL_SLICE_H
#define MODEL_SLICE_H

#include "base/err.h"
#include "model/endpoint.h"

#define SLICE_ENDPOINTS_MAX 1000
#define SLICE_PORTS_MAX 100

enum protocol { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP };

struct slice_port {
    struct str name; /* empty for an unnamed port */
    uint16_t number; /* 0: nil in the API, "all ports" */
    enum protocol protocol;
    struct str app_protocol;
};

struct slice {
    struct str namespace_name;
    struct str name;
    struct str service;   /* label kubernetes.io/service-name; empty: belongs to none */
    struct str owner_uid; /* of the ownerReference of kind v1 Service; empty: none */
    uint64_t resource_version; /* 0 where the source has none (directory) */
    enum address_family family;
    size_t ports_len; /* 0: a slice without ports */
    const struct slice_port *ports;
    size_t endpoints_len;
    const struct endpoint *endpoints;
    /* backends_of(slice, p)[0..endpoints_len) for port p, sorted by backend_cmp_address. A slice without ports has one row with
     * port 0. Only TCP ports have rows that are used. */
    const struct backend *backends;
};

static inline const struct backend *slice_backends(const struct slice *slice, size_t port)
{
    return slice->backends + port * slice->endpoints_len;
}

static inline size_t slice_rows(const struct slice *slice)
{
    return slice->ports_len > 0 ? slice->ports_len : 1;
}

const struct slice *slice_ref(const struct slice *slice);
void slice_unref(const struct slice *slice);

/* ---- making one ---- */

struct slice_builder;

/* What a builder is given is borrowed during the call and copied. */
struct slice_spec {
    struct str namespace_name, name, service, owner_uid;
    uint64_t resource_version;
    enum address_family family;
};

/* Encodes one backend for `wire`; called by slice_finish() for every backend with a port. Appends to `out`. */
struct buf;
typedef void slice_wire_fn(struct buf *out, const struct endpoint *endpoint, uint16_t port);

struct slice_builder *slice_builder_new(const struct slice_spec *spec) must_check;
void slice_builder_free(struct slice_builder *builder);
enum code slice_add_port(struct slice_builder *builder, const struct slice_port *port, struct err *err) must_check;
/* `endpoint->address` is parsed here into bytes and canonical text; not an IP of the slice's family, or one that
 * cannot be a backend's (unspecified, multicast, IPv4-mapped), → INVALID_ARGUMENT naming it.
 * At most ENDPOINT_HINTS_MAX hints of each kind: the caller's to see to. */
enum code slice_add_endpoint(struct slice_builder *builder, const struct endpoint *endpoint, struct err *err) must_check;
/* Consumes the builder; one reference. */
const struct slice *slice_finish(struct slice_builder *builder, slice_wire_fn *wire) must_check;

/* Same content, resource_version aside. */
bool slice_equal(const struct slice *a, const struct slice *b);

#endif
