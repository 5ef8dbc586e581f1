#include <assert.h>

#include "encode/address.h"
#include "encode/xds.h"

/* Two backends by themselves and joined: an IPv6 address and its port take 55 bytes. */
#define SCRATCH_SIZE 512

void encode_backend(struct buf *out, const struct endpoint *endpoint, uint16_t port)
{
    size_t lb_endpoint = wire_open(out, LOCALITY_LB_ENDPOINTS_LB_ENDPOINTS);
    size_t inner = wire_open(out, LB_ENDPOINT_ENDPOINT);

    encode_address(out, ENDPOINT_ADDRESS, endpoint->address, port);
    wire_close(out, inner);
    wire_close(out, lb_endpoint);
}

/* Tag and length of what is shorter than 128 bytes. */
#define HEAD_SIZE 2

/* The address field that encode_backend() put into two messages. */
static struct str address_of(struct str wire)
{
    assert(wire.len > 2 * HEAD_SIZE && wire.len < 128);
    return str_slice(wire, 2 * HEAD_SIZE, wire.len);
}

/* An additional address is a message of its own, in which the address has the same number. */
static void put_joined(struct buf *out, struct str wire, struct str other)
{
    struct str address = address_of(wire), additional = address_of(other);
    size_t endpoint = address.len + wire_sized(ENDPOINT_ADDITIONAL_ADDRESSES, additional.len);

    _Static_assert((int)ENDPOINT_ADDRESS == (int)ENDPOINT_ADDITIONAL_ADDRESS_ADDRESS,
                   "an address field can stand in either");
    wire_put_head(out, LOCALITY_LB_ENDPOINTS_LB_ENDPOINTS,
                  wire_sized(LB_ENDPOINT_ENDPOINT, endpoint));
    wire_put_head(out, LB_ENDPOINT_ENDPOINT, endpoint);
    buf_add_str(out, address);
    wire_put_bytes(out, ENDPOINT_ADDITIONAL_ADDRESSES, additional);
}

/* Which backends of a list are meant, and how those without a port of their own are completed. */
struct view {
    uint16_t asked_port;
    struct str hostname;
    struct buf scratch;
};

/* What of a locality is in the view. */
struct part {
    const struct locality *locality;
    unsigned priority;
    size_t len;   /* endpoints, and the locality's weight */
    size_t bytes; /* of their lb_endpoints fields */
    size_t body;  /* of the LocalityLbEndpoints */
};

/* Without its other address. Empty if nobody says the port. */
static struct str plain_wire(struct view *view, const struct backend *backend)
{
    size_t from = view->scratch.len;

    if (backend->port != 0)
        return backend->wire;
    if (view->asked_port != 0)
        encode_backend(&view->scratch, backend->endpoint, view->asked_port);
    return str_make(view->scratch.ptr + from, view->scratch.len - from);
}

/* What is not there already. The scratch has room for all of it. */
static struct str make_wire(struct view *view, const struct listed *item)
{
    struct str wire, other;
    size_t from;

    buf_reset(&view->scratch);
    wire = plain_wire(view, item->backend);
    if (!item->other || wire.len == 0)
        return wire;
    other = plain_wire(view, item->other);
    from = view->scratch.len;
    put_joined(&view->scratch, wire, other);
    return str_make(view->scratch.ptr + from, view->scratch.len - from);
}

/* The backend as one lb_endpoints field; empty if it is not in the view. Valid until the next
 * call. */
static inline struct str wire_of(struct view *view, const struct listed *item)
{
    if (view->hostname.len > 0 && !str_eq(view->hostname, item->backend->endpoint->hostname))
        return STR("");
    return item->backend->port != 0 && !item->other ? item->backend->wire : make_wire(view, item);
}

static size_t text_size(uint32_t number, struct str text)
{
    return text.len > 0 ? wire_sized(number, text.len) : 0;
}

static size_t locality_size(const struct locality *locality)
{
    return text_size(LOCALITY_ZONE, locality->zone) +
           text_size(LOCALITY_SUB_ZONE, locality->sub_zone);
}

static size_t priority_size(unsigned priority)
{
    return priority > 0 ? wire_sized_varint(LOCALITY_LB_ENDPOINTS_PRIORITY, priority) : 0;
}

static struct part measure(struct view *view, const struct backend_list *list,
                           const struct locality *locality)
{
    struct part part = {.locality = locality};

    for (size_t i = 0; i < locality->len; i++) {
        size_t len = wire_of(view, &list->items[locality->first + i]).len;

        part.len += len > 0;
        part.bytes += len;
    }
    return part;
}

/* Clients refuse priorities with gaps, which are there where nothing of one is in the view. */
static void finish_parts(struct part *parts, size_t len)
{
    const struct part *last = NULL;

    for (size_t i = 0; i < len; i++) {
        struct part *part = &parts[i];
        size_t locality = locality_size(part->locality);

        if (part->len == 0)
            continue;
        if (last)
            part->priority =
                last->priority + (part->locality->priority != last->locality->priority);
        part->body = wire_sized(LOCALITY_LB_ENDPOINTS_LOCALITY, locality) + part->bytes +
                     wire_sized(LOCALITY_LB_ENDPOINTS_LOAD_BALANCING_WEIGHT,
                                wire_sized_varint(UINT32_VALUE_VALUE, part->len)) +
                     priority_size(part->priority);
        last = part;
    }
}

static void put_text(struct buf *out, uint32_t number, struct str text)
{
    if (text.len > 0)
        wire_put_bytes(out, number, text);
}

/* The locality message is there even when it is empty: clients refuse a list without it. */
static void put_locality(struct buf *out, const struct locality *locality)
{
    wire_put_head(out, LOCALITY_LB_ENDPOINTS_LOCALITY, locality_size(locality));
    put_text(out, LOCALITY_ZONE, locality->zone);
    put_text(out, LOCALITY_SUB_ZONE, locality->sub_zone);
}

static void put_endpoints(struct buf *out, struct view *view, const struct backend_list *list,
                          const struct locality *locality)
{
    char *at = out->ptr + out->len;

    for (size_t i = 0; i < locality->len; i++) {
        struct str wire = wire_of(view, &list->items[locality->first + i]);

        if (wire.len > 0)
            memcpy(at, wire.ptr, wire.len);
        at += wire.len;
    }
    out->len = (size_t)(at - out->ptr);
}

static void put_part(struct buf *out, struct view *view, const struct backend_list *list,
                     const struct part *part)
{
    wire_put_head(out, CLUSTER_LOAD_ASSIGNMENT_ENDPOINTS, part->body);
    put_locality(out, part->locality);
    put_endpoints(out, view, list, part->locality);
    wire_put_head(out, LOCALITY_LB_ENDPOINTS_LOAD_BALANCING_WEIGHT,
                  wire_sized_varint(UINT32_VALUE_VALUE, part->len));
    wire_put_varint(out, UINT32_VALUE_VALUE, part->len);
    if (part->priority > 0)
        wire_put_varint(out, LOCALITY_LB_ENDPOINTS_PRIORITY, part->priority);
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
            put_part(&out, view, list, &parts[i]);
    }
    assert(out.len == blob->len && !buf_failed(&out));
    return blob;
}

struct blob *encode_assignment(struct str name, const struct backend_list *list,
                               uint16_t asked_port, struct str hostname)
{
    char scratch[SCRATCH_SIZE];
    struct view view = {
        asked_port, hostname, {.ptr = scratch, .cap = SCRATCH_SIZE - 1, .max = SCRATCH_SIZE - 1}};
    size_t parts_len = list ? list->localities_len : 0;
    CLEANUP(freep) struct part *parts = xmalloc(parts_len * sizeof(*parts));

    for (size_t i = 0; i < parts_len; i++)
        parts[i] = measure(&view, list, &list->localities[i]);
    finish_parts(parts, parts_len);
    return encode(name, &view, list, parts, parts_len);
}
