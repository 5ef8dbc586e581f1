#include <assert.h>

#include "encode/xds.h"
#include "wire/fields.h"
#include "wire/writer.h"

#define ENDPOINT_MAX 256 /* an IPv6 address and a port, with room to spare */

void encode_backend(struct buf *out, const struct endpoint *endpoint, uint16_t port)
{
    size_t lb_endpoint = wire_open(out, LOCALITY_LB_ENDPOINTS_LB_ENDPOINTS);
    size_t inner = wire_open(out, LB_ENDPOINT_ENDPOINT);
    size_t address = wire_open(out, ENDPOINT_ADDRESS);
    size_t socket = wire_open(out, ADDRESS_SOCKET_ADDRESS);

    wire_put_bytes(out, SOCKET_ADDRESS_ADDRESS, endpoint->address);
    wire_put_varint(out, SOCKET_ADDRESS_PORT_VALUE, port);
    wire_close(out, socket);
    wire_close(out, address);
    wire_close(out, inner);
    wire_close(out, lb_endpoint);
}

/* Which backends of a list are meant, and how those without a port of their own are completed. */
struct view {
    uint16_t asked_port;
    struct str hostname;
    struct buf scratch;
};

/* What of a locality is in the view. */
struct part {
    struct str zone;
    size_t len;   /* endpoints, and the locality's weight */
    size_t bytes; /* of their lb_endpoints fields */
    size_t body;  /* of the LocalityLbEndpoints */
};

/* The backend as one lb_endpoints field; empty if it is not in the view. Valid until the next
 * call. */
static inline struct str wire_of(struct view *view, const struct backend *backend)
{
    if (view->hostname.len > 0 && !str_eq(view->hostname, backend->endpoint->hostname))
        return STR("");
    if (backend->port != 0)
        return backend->wire;
    buf_reset(&view->scratch);
    if (view->asked_port != 0)
        encode_backend(&view->scratch, backend->endpoint, view->asked_port);
    return buf_str(&view->scratch);
}

static size_t locality_size(struct str zone)
{
    return zone.len > 0 ? wire_sized(LOCALITY_ZONE, zone.len) : 0;
}

static struct part measure(struct view *view, const struct backend_list *list,
                           const struct locality *locality)
{
    struct part part = {.zone = locality->zone};

    for (size_t i = 0; i < locality->len; i++) {
        size_t len = wire_of(view, list->items[locality->first + i].backend).len;

        part.len += len > 0;
        part.bytes += len;
    }
    part.body = wire_sized(LOCALITY_LB_ENDPOINTS_LOCALITY, locality_size(part.zone)) + part.bytes +
                wire_sized(LOCALITY_LB_ENDPOINTS_LOAD_BALANCING_WEIGHT,
                           wire_sized_varint(UINT32_VALUE_VALUE, part.len));
    return part;
}

/* The locality message is there even when it is empty: clients refuse a list without it. */
static void put_locality(struct buf *out, struct str zone)
{
    wire_put_head(out, LOCALITY_LB_ENDPOINTS_LOCALITY, locality_size(zone));
    if (zone.len > 0)
        wire_put_bytes(out, LOCALITY_ZONE, zone);
}

static void put_endpoints(struct buf *out, struct view *view, const struct backend_list *list,
                          const struct locality *locality)
{
    char *at = out->ptr + out->len;

    for (size_t i = 0; i < locality->len; i++) {
        struct str wire = wire_of(view, list->items[locality->first + i].backend);

        if (wire.len > 0)
            memcpy(at, wire.ptr, wire.len);
        at += wire.len;
    }
    out->len = (size_t)(at - out->ptr);
}

static void put_part(struct buf *out, struct view *view, const struct backend_list *list,
                     const struct locality *locality, const struct part *part)
{
    wire_put_head(out, CLUSTER_LOAD_ASSIGNMENT_ENDPOINTS, part->body);
    put_locality(out, part->zone);
    put_endpoints(out, view, list, locality);
    wire_put_head(out, LOCALITY_LB_ENDPOINTS_LOAD_BALANCING_WEIGHT,
                  wire_sized_varint(UINT32_VALUE_VALUE, part->len));
    wire_put_varint(out, UINT32_VALUE_VALUE, part->len);
}

/* The blob's bytes as a buffer that is exactly full at the end. */
static struct buf buf_over(struct blob *blob)
{
    return (struct buf){.ptr = (char *)blob->bytes, .cap = blob->len, .max = blob->len};
}

static struct blob *encode(struct str name, struct view *view, const struct backend_list *list,
                           const struct part *parts, size_t parts_len)
{
    size_t size = wire_sized(CLUSTER_LOAD_ASSIGNMENT_CLUSTER_NAME, name.len);
    struct str url = STR(CLUSTER_LOAD_ASSIGNMENT_URL);
    struct blob *blob;
    struct buf out;
    size_t any;

    for (size_t i = 0; i < parts_len; i++)
        size += parts[i].len > 0 ? wire_sized(CLUSTER_LOAD_ASSIGNMENT_ENDPOINTS, parts[i].body) : 0;
    any = wire_sized(ANY_TYPE_URL, url.len) + wire_sized(ANY_VALUE, size);
    blob = blob_new(wire_sized(DISCOVERY_RESPONSE_RESOURCES, any));
    out = buf_over(blob);
    wire_put_head(&out, DISCOVERY_RESPONSE_RESOURCES, any);
    wire_put_bytes(&out, ANY_TYPE_URL, url);
    wire_put_head(&out, ANY_VALUE, size);
    wire_put_bytes(&out, CLUSTER_LOAD_ASSIGNMENT_CLUSTER_NAME, name);
    for (size_t i = 0; i < parts_len; i++) {
        if (parts[i].len > 0)
            put_part(&out, view, list, &list->localities[i], &parts[i]);
    }
    assert(out.len == blob->len && !buf_failed(&out));
    return blob;
}

struct blob *encode_assignment(struct str name, const struct backend_list *list,
                               uint16_t asked_port, struct str hostname)
{
    struct view view = {asked_port, hostname, BUFFER_INIT(ENDPOINT_MAX)};
    size_t parts_len = list ? list->localities_len : 0;
    CLEANUP(freep) struct part *parts = xmalloc(parts_len * sizeof(*parts));
    struct blob *blob;

    for (size_t i = 0; i < parts_len; i++)
        parts[i] = measure(&view, list, &list->localities[i]);
    blob = encode(name, &view, list, parts, parts_len);
    buf_done(&view.scratch);
    return blob;
}
