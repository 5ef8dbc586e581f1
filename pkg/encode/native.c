#include "encode/native.h"

#include <assert.h>

#include "base/hash.h"
#include "wire/fields.h"
#include "wire/writer.h"

static void put_text(struct buf *out, uint32_t number, struct str text)
{
    if (text.len > 0)
        wire_put_bytes(out, number, text);
}

static void put_other(struct buf *out, const struct backend *other, uint16_t asked_port)
{
    wire_put_bytes(out, BACKEND_OTHER_ADDRESS, other->endpoint->address);
    wire_put_varint(out, BACKEND_OTHER_PORT, other->port != 0 ? other->port : asked_port);
}

static void put_backend(struct buf *out, const struct listed *item, unsigned priority,
                        uint16_t asked_port)
{
    const struct backend *backend = item->backend;
    size_t mark = wire_open(out, WATCH_RESPONSE_BACKENDS);

    wire_put_bytes(out, BACKEND_ADDRESS, backend->endpoint->address);
    wire_put_varint(out, BACKEND_PORT, backend->port != 0 ? backend->port : asked_port);
    put_text(out, BACKEND_ZONE, item->zone);
    wire_put_varint(out, BACKEND_WEIGHT, 1);
    put_text(out, BACKEND_POD, backend->endpoint->pod);
    put_text(out, BACKEND_NODE, backend->endpoint->node);
    if (backend_is_draining(backend))
        wire_put_varint(out, BACKEND_HEALTH, BACKEND_HEALTH_DRAINING);
    if (item->other)
        put_other(out, item->other, asked_port);
    if (priority > 0)
        wire_put_varint(out, BACKEND_PRIORITY, priority);
    wire_close(out, mark);
}

static bool is_listed(const struct backend *backend, uint16_t asked_port, struct str hostname)
{
    return (backend->port != 0 || asked_port != 0) &&
           (hostname.len == 0 || str_eq(hostname, backend->endpoint->hostname));
}

static void put_backends(struct buf *out, const struct backend_list *list, uint16_t asked_port,
                         struct str hostname)
{
    for (size_t i = 0; i < list->localities_len; i++) {
        const struct locality *locality = &list->localities[i];
        const struct listed *items = list->items + locality->first;

        for (size_t k = 0; k < locality->len; k++) {
            if (is_listed(items[k].backend, asked_port, hostname))
                put_backend(out, &items[k], locality->priority, asked_port);
        }
    }
}

static struct blob *finish(struct buf *out, uint64_t *ret_version)
{
    struct blob *blob;
    uint64_t hash;

    assert(!buf_failed(out));
    blob = blob_copy(out->ptr, out->len);
    hash = hash_content(blob->bytes, blob->len);
    *ret_version = hash != 0 ? hash : 1;
    buf_done(out);
    return blob;
}

struct blob *encode_native_list(const struct backend_list *list, uint16_t asked_port,
                                struct str hostname, uint64_t *ret_version)
{
    struct buf out = BUFFER_INIT(SIZE_MAX / 2); /* the list is our own, and bounds it */

    if (list)
        put_backends(&out, list, asked_port, hostname);
    return finish(&out, ret_version);
}

struct blob *encode_native_host(struct str host, uint16_t port, uint64_t *ret_version)
{
    struct buf out = BUFFER_INIT(SIZE_MAX / 2);
    size_t mark = wire_open(&out, WATCH_RESPONSE_BACKENDS);

    wire_put_bytes(&out, BACKEND_ADDRESS, host);
    wire_put_varint(&out, BACKEND_PORT, port);
    wire_put_varint(&out, BACKEND_WEIGHT, 1);
    wire_close(&out, mark);
    return finish(&out, ret_version);
}
