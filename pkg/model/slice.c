#include "model/slice.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "model/arena.h"

/* More than the encoding of one backend can take. */
#define WIRE_MAX 1024

struct slice_box {
    struct slice slice;
    atomic_uint refs;
    struct arena arena;
};

struct slice_builder {
    struct slice_box *box;
    struct slice_port *ports;
    size_t ports_cap;
    struct endpoint *endpoints;
    size_t endpoints_cap;
};

static struct slice_box *box_of(const struct slice *slice)
{
    return container_of(slice, struct slice_box, slice);
}

const struct slice *slice_ref(const struct slice *slice)
{
    atomic_fetch_add_explicit(&box_of(slice)->refs, 1, memory_order_relaxed);
    return slice;
}

static void box_free(struct slice_box *box)
{
    arena_done(&box->arena);
    free(box);
}

void slice_unref(const struct slice *slice)
{
    if (!slice)
        return;
    if (atomic_fetch_sub_explicit(&box_of(slice)->refs, 1, memory_order_acq_rel) == 1)
        box_free(box_of(slice));
}

struct slice_builder *slice_builder_new(const struct slice_spec *spec)
{
    struct slice_builder *builder = xcalloc(1, sizeof(*builder));
    struct slice_box *box = xcalloc(1, sizeof(*box));
    struct arena *arena = &box->arena;

    builder->box = box;
    atomic_init(&box->refs, 1);
    box->slice = (struct slice){
        .namespace_name = arena_text(arena, spec->namespace_name),
        .name = arena_text(arena, spec->name),
        .service = arena_text(arena, spec->service),
        .owner_uid = arena_text(arena, spec->owner_uid),
        .resource_version = spec->resource_version,
        .family = spec->family,
    };
    return builder;
}

void slice_builder_free(struct slice_builder *builder)
{
    if (!builder)
        return;
    if (builder->box)
        box_free(builder->box);
    free(builder->ports);
    free(builder->endpoints);
    free(builder);
}

enum code slice_add_port(struct slice_builder *builder, const struct slice_port *port,
                         struct err *err)
{
    struct slice *slice = &builder->box->slice;
    struct arena *arena = &builder->box->arena;

    if (slice->ports_len == SLICE_PORTS_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "more than %d ports", SLICE_PORTS_MAX);
    builder->ports =
        xgrow(builder->ports, &builder->ports_cap, slice->ports_len, sizeof(*builder->ports));
    builder->ports[slice->ports_len++] = (struct slice_port){
        .name = arena_text(arena, port->name),
        .number = port->number,
        .protocol = port->protocol,
        .app_protocol = arena_text(arena, port->app_protocol),
    };
    return CODE_OK;
}

/* Addresses that name no host which a client could call. */
static const char *address_fault(const struct endpoint *endpoint)
{
    static const unsigned char zero[16];
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    const unsigned char *bytes = endpoint->bytes;

    if (memcmp(bytes, zero, sizeof(zero)) == 0)
        return "is the unspecified address";
    if (endpoint->family == FAMILY_IPV4)
        return bytes[0] >= 224 && bytes[0] < 240 ? "is a multicast address" : NULL;
    if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
        return "is an IPv4-mapped address";
    return bytes[0] == 0xFF ? "is a multicast address" : NULL;
}

/* inet_ntop() prints IPv4 by sprintf(), which shows where endpoints come by the thousand. */
static void format_address(const struct endpoint *endpoint, char out[INET6_ADDRSTRLEN])
{
    if (endpoint->family == FAMILY_IPV6) {
        inet_ntop(AF_INET6, endpoint->bytes, out, INET6_ADDRSTRLEN);
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        out += str_format_u64(endpoint->bytes[i], out);
        *out++ = i < 3 ? '.' : '\0';
    }
}

/* Fills bytes and family; writes the canonical text to `out`. */
static enum code parse_address(enum address_family family, struct endpoint *endpoint,
                               char out[INET6_ADDRSTRLEN], struct err *err)
{
    struct str shown = str_slice(endpoint->address, 0, 64);
    const char *fault;

    memset(endpoint->bytes, 0, sizeof(endpoint->bytes));
    endpoint->family = family;
    if (!endpoint_read_address(endpoint->address, family, endpoint->bytes))
        fault = family == FAMILY_IPV4 ? "is no IPv4 address" : "is no IPv6 address";
    else
        fault = address_fault(endpoint);
    if (fault)
        return fail(err, CODE_INVALID_ARGUMENT, "'%" STR_FMT "' %s", STR_ARG(shown), fault);
    format_address(endpoint, out);
    return CODE_OK;
}

static const struct str *take_texts(struct arena *arena, const struct str *texts, size_t len)
{
    struct str *copies = len > 0 ? arena_alloc(arena, len * sizeof(*copies)) : NULL;

    for (size_t i = 0; i < len; i++)
        copies[i] = arena_text(arena, texts[i]);
    return copies;
}

/* Neighbours mostly share their zone and their hints. `before` may be NULL. */
static void take_place(struct arena *arena, const struct endpoint *before,
                       const struct endpoint *given, struct endpoint *endpoint)
{
    if (before && str_eq(before->zone, given->zone))
        endpoint->zone = before->zone;
    else
        endpoint->zone = arena_text(arena, given->zone);
    if (before && endpoint_same_zone_hints(before, given))
        endpoint->zone_hints = before->zone_hints;
    else
        endpoint->zone_hints = take_texts(arena, given->zone_hints, given->zone_hints_len);
    if (before && endpoint_same_node_hints(before, given))
        endpoint->node_hints = before->node_hints;
    else
        endpoint->node_hints = take_texts(arena, given->node_hints, given->node_hints_len);
}

enum code slice_add_endpoint(struct slice_builder *builder, const struct endpoint *endpoint,
                             struct err *err)
{
    struct slice *slice = &builder->box->slice;
    struct arena *arena = &builder->box->arena;
    struct endpoint copy = *endpoint;
    char text[INET6_ADDRSTRLEN];
    enum code code;

    if (slice->endpoints_len == SLICE_ENDPOINTS_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "more than %d endpoints", SLICE_ENDPOINTS_MAX);
    assert(endpoint->zone_hints_len <= ENDPOINT_HINTS_MAX &&
           endpoint->node_hints_len <= ENDPOINT_HINTS_MAX);
    code = parse_address(slice->family, &copy, text, err);
    if (code != CODE_OK)
        return code;
    builder->endpoints = xgrow(builder->endpoints, &builder->endpoints_cap, slice->endpoints_len,
                               sizeof(*builder->endpoints));
    copy.address = arena_text(arena, str_of(text));
    copy.hostname = arena_text(arena, endpoint->hostname);
    copy.node = arena_text(arena, endpoint->node);
    copy.pod = arena_text(arena, endpoint->pod);
    copy.uid = arena_text(arena, endpoint->uid);
    take_place(arena,
               slice->endpoints_len > 0 ? &builder->endpoints[slice->endpoints_len - 1] : NULL,
               endpoint, &copy);
    builder->endpoints[slice->endpoints_len++] = copy;
    return CODE_OK;
}

static void *move_in(struct arena *arena, const void *items, size_t len, size_t size)
{
    void *copy = arena_alloc(arena, len * size);

    if (len > 0)
        memcpy(copy, items, len * size);
    return copy;
}

/* Of twins in one slice, the one that the slice names first comes first. */
static int cmp_in_row(const void *a, const void *b)
{
    const struct backend *left = a;
    const struct backend *right = b;
    int order = backend_cmp_address(left, right);

    if (order == 0)
        order = (left->endpoint > right->endpoint) - (left->endpoint < right->endpoint);
    return order;
}

/* The order of addresses is the same in every row: sorted once. */
static struct backend *make_rows(const struct slice *slice, struct arena *arena)
{
    size_t len = slice->endpoints_len;
    size_t rows = slice->ports_len ? slice->ports_len : 1;
    struct backend *backends = arena_alloc(arena, rows * len * sizeof(*backends));

    for (size_t i = 0; i < len; i++)
        backends[i] = (struct backend){&slice->endpoints[i], slice, 0, STR("")};
    qsort(backends, len, sizeof(*backends), cmp_in_row);
    for (size_t row = rows; row-- > 0;) {
        for (size_t i = 0; i < len; i++) {
            backends[row * len + i] = backends[i];
            backends[row * len + i].port = slice->ports_len ? slice->ports[row].number : 0;
        }
    }
    return backends;
}

static bool row_has_wire(const struct slice *slice, size_t row)
{
    return slice->ports[row].protocol == PROTOCOL_TCP && slice->ports[row].number != 0;
}

/* All encodings lie next to each other: encoded into one buffer, then moved into the arena. */
static void make_wires(const struct slice *slice, struct backend *backends, struct arena *arena,
                       slice_wire_fn *wire)
{
    size_t total = slice->ports_len * slice->endpoints_len;
    struct buf buf = BUFFER_INIT(total * WIRE_MAX + 1);
    const char *bytes;

    for (size_t i = 0; i < total; i++) {
        size_t from = buf.len;

        if (row_has_wire(slice, i / slice->endpoints_len))
            wire(&buf, backends[i].endpoint, backends[i].port);
        backends[i].wire.len = buf.len - from;
    }
    assert(!buf_failed(&buf));
    bytes = arena_text(arena, buf_str(&buf)).ptr;
    buf_done(&buf);
    for (size_t i = 0; i < total; i++) {
        backends[i].wire.ptr = bytes;
        bytes += backends[i].wire.len;
    }
}

const struct slice *slice_finish(struct slice_builder *builder, slice_wire_fn *wire)
{
    struct slice_box *box = TAKE(builder->box);
    struct slice *slice = &box->slice;
    struct backend *backends;

    slice->ports = move_in(&box->arena, builder->ports, slice->ports_len, sizeof(*slice->ports));
    slice->endpoints =
        move_in(&box->arena, builder->endpoints, slice->endpoints_len, sizeof(*slice->endpoints));
    backends = make_rows(slice, &box->arena);
    make_wires(slice, backends, &box->arena, wire);
    slice->backends = backends;
    slice_builder_free(builder);
    return slice;
}

static bool port_equal(const struct slice_port *a, const struct slice_port *b)
{
    return a->number == b->number && a->protocol == b->protocol && str_eq(a->name, b->name) &&
           str_eq(a->app_protocol, b->app_protocol);
}

bool slice_equal(const struct slice *a, const struct slice *b)
{
    if (a == b)
        return true;
    if (a->family != b->family || a->ports_len != b->ports_len ||
        a->endpoints_len != b->endpoints_len || !str_eq(a->namespace_name, b->namespace_name) ||
        !str_eq(a->name, b->name) || !str_eq(a->service, b->service) ||
        !str_eq(a->owner_uid, b->owner_uid))
        return false;
    for (size_t i = 0; i < a->ports_len; i++) {
        if (!port_equal(&a->ports[i], &b->ports[i]))
            return false;
    }
    for (size_t i = 0; i < a->endpoints_len; i++) {
        if (!endpoint_equal(&a->endpoints[i], &b->endpoints[i]))
            return false;
    }
    return true;
}
