/*
 * Changes between two native lists: whoever has the one and takes them has the other, and they are
 * shorter than it.
 *
 * Input: backends of two bytes. The first is what a backend goes by and in which lists it is: bit 7:
 * the first one, bit 6: the second one; the second byte is the rest, low bits for the first list, high
 * bits for the second.
 */
#include "encode/native.h"
#include "must_hold.h"
#include "wire/fields.h"
#include "wire/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEYS = 64, GONE = 0 };

/* By key: what is known of the backend, from 1. */
static unsigned lists[2][KEYS];
static struct buf bytes[2];

static void put(size_t list, unsigned key, unsigned rest)
{
    char address[32];
    size_t mark;

    if (lists[list][key] != GONE)
        return; /* no list has a backend twice */
    lists[list][key] = rest + 1;
    snprintf(address, sizeof(address), "10.0.0.%u", key / 2);
    mark = wire_open(&bytes[list], WATCH_RESPONSE_BACKENDS);
    wire_put_bytes(&bytes[list], BACKEND_ADDRESS, str_of(address));
    wire_put_varint(&bytes[list], BACKEND_PORT, 8000 + key % 2);
    wire_put_varint(&bytes[list], BACKEND_WEIGHT, rest + 1);
    wire_close(&bytes[list], mark);
}

/* Which backend a field is of; `ret_rest` 0: it says nothing but that. */
static unsigned read_key(struct str message, unsigned *ret_rest)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;
    struct str host = STR("");
    uint64_t number = 0, port = 0;

    *ret_rest = 0;
    while (wire_next(&reader, &field)) {
        if (field.number == BACKEND_ADDRESS)
            host = field.bytes;
        else if (field.number == BACKEND_PORT)
            port = field.value;
        else if (field.number == BACKEND_WEIGHT)
            *ret_rest = (unsigned)field.value;
    }
    must_hold(!reader.failed && port >= 8000 && host.len > 7);
    must_hold(str_to_u64(str_slice(host, 7, host.len), KEYS, &number));
    return (unsigned)(2 * number + port - 8000);
}

static void apply(struct str changes)
{
    struct wire_reader reader = wire_reader(changes);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        unsigned rest, key = read_key(field.bytes, &rest);

        must_hold(key < KEYS);
        if (field.number == WATCH_RESPONSE_REMOVED) {
            must_hold(rest == 0 && lists[0][key] != GONE);
            lists[0][key] = GONE;
        } else {
            must_hold(field.number == WATCH_RESPONSE_BACKENDS && rest != lists[0][key]);
            lists[0][key] = rest;
        }
    }
    must_hold(!reader.failed);
    must_hold(memcmp(lists[0], lists[1], sizeof(lists[0])) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blob *changes;

    memset(lists, 0, sizeof(lists));
    for (size_t i = 0; i < 2; i++)
        buf_init(&bytes[i], 64 * 1024);
    for (size_t i = 0; i + 1 < size; i += 2) {
        if (data[i] & 0x80)
            put(0, data[i] % KEYS, data[i + 1] & 15);
        if (data[i] & 0x40)
            put(1, data[i] % KEYS, data[i + 1] >> 4);
    }
    changes = encode_native_changes(buf_str(&bytes[0]), buf_str(&bytes[1]));
    if (changes) {
        must_hold(changes->len < bytes[1].len || bytes[1].len == 0);
        apply(blob_str(changes));
    }
    blob_unref(changes);
    for (size_t i = 0; i < 2; i++)
        buf_done(&bytes[i]);
    return 0;
}
