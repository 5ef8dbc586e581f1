#include "encode/native.h"

#include <assert.h>

#include "base/hash.h"
#include "wire/fields.h"
#include "wire/writer.h"

#define VERSION_LEN 16

static void put_text(struct buf *out, uint32_t number, struct str text)
{
    if (text.len > 0)
        wire_put_bytes(out, number, text);
}

static void put_backend(struct buf *out, const struct backend *backend, struct str zone,
                        uint16_t asked_port)
{
    size_t mark = wire_open(out, WATCH_RESPONSE_BACKENDS);

    wire_put_bytes(out, BACKEND_ADDRESS, backend->endpoint->address);
    wire_put_varint(out, BACKEND_PORT, backend->port != 0 ? backend->port : asked_port);
    put_text(out, BACKEND_ZONE, zone);
    wire_put_varint(out, BACKEND_WEIGHT, 1);
    put_text(out, BACKEND_POD, backend->endpoint->pod);
    put_text(out, BACKEND_NODE, backend->endpoint->node);
    if (backend_is_draining(backend))
        wire_put_varint(out, BACKEND_DRAINING, true);
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

        for (size_t j = 0; j < locality->len; j++) {
            const struct backend *backend = list->items[locality->first + j].backend;

            if (is_listed(backend, asked_port, hostname))
                put_backend(out, backend, locality->zone, asked_port);
        }
    }
}

static void format_version(uint64_t version, char text[VERSION_LEN + 1])
{
    snprintf(text, VERSION_LEN + 1, "%016llx", (unsigned long long)version);
}

/* The version stands in front of what it is the hash of: its place is kept free and filled at
 * the end. */
struct blob *encode_native_list(const struct backend_list *list, uint16_t asked_port,
                                struct str hostname, uint64_t *ret_version)
{
    struct buf out = BUFFER_INIT(SIZE_MAX / 2); /* the list is our own, and bounds it */
    char version[VERSION_LEN + 1];
    struct blob *blob;
    uint64_t hash;
    size_t from;

    format_version(0, version);
    wire_put_bytes(&out, WATCH_RESPONSE_VERSION, str_of(version));
    from = out.len;
    if (list)
        put_backends(&out, list, asked_port, hostname);
    assert(!buf_failed(&out));
    hash = hash_content(out.ptr + from, out.len - from);
    hash = hash != 0 ? hash : 1;
    format_version(hash, version);
    memcpy(out.ptr + from - VERSION_LEN, version, VERSION_LEN);
    blob = blob_copy(out.ptr, out.len);
    buf_done(&out);
    *ret_version = hash;
    return blob;
}
