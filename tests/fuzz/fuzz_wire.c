/*
 * Any bytes as a protobuf message: fields lie inside of it, what was read can be written and read
 * again, and where protobuf-c takes the message too, it reads the same.
 */
#include "helloworld.pb-c.h"
#include "must_hold.h"
#include "wire/fields.h"
#include "wire/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX (64 << 20)

static void write_field(struct buf *out, const struct wire_field *field)
{
    double number;

    switch (field->type) {
    case WIRE_VARINT:
        wire_put_varint(out, field->number, field->value);
        break;
    case WIRE_BYTES: {
        size_t mark = wire_open(out, field->number);

        buf_add_str(out, field->bytes);
        wire_close(out, mark);
        break;
    }
    case WIRE_FIXED64:
        memcpy(&number, &field->value, sizeof(number));
        wire_put_double(out, field->number, number);
        break;
    case WIRE_FIXED32: /* has no writer */
        wire_put_varint(out, field->number, field->value);
        break;
    }
}

static bool is_inside(struct str part, struct str whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

/* Writes all fields again; false if the message is malformed. */
static bool copy(struct str message, struct buf *out)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        must_hold(field.number > 0 && field.number < 1u << 29);
        must_hold(is_inside(field.bytes, message));
        (void)wire_is_utf8(field.bytes);
        write_field(out, &field);
    }
    must_hold(!wire_next(&reader, &field));
    return !reader.failed;
}

static void check_same(struct str a, struct str b)
{
    struct wire_reader left = wire_reader(a);
    struct wire_reader right = wire_reader(b);
    struct wire_field x;
    struct wire_field y;

    while (wire_next(&left, &x)) {
        must_hold(wire_next(&right, &y));
        must_hold(x.number == y.number && x.value == y.value && str_eq(x.bytes, y.bytes));
        must_hold(x.type == y.type || x.type == WIRE_FIXED32);
    }
    must_hold(!wire_next(&right, &y) && !right.failed);
}

static void check_against_protobuf_c(struct str message)
{
    Helloworld__HelloRequest *request =
        helloworld__hello_request__unpack(NULL, message.len, (const uint8_t *)message.ptr);
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;
    struct str name = STR("");

    if (!request)
        return;
    while (wire_next(&reader, &field)) {
        if (field.number == HELLO_REQUEST_NAME && field.type == WIRE_BYTES)
            name = field.bytes;
    }
    must_hold(reader.failed || (strlen(request->name) <= name.len &&
                                memcmp(request->name, name.ptr, strlen(request->name)) == 0));
    helloworld__hello_request__free_unpacked(request, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str message = str_make(data, size);
    struct buf out = BUFFER_INIT(OUT_MAX);

    if (copy(message, &out))
        check_same(message, buf_str(&out));
    check_against_protobuf_c(message);
    buf_done(&out);
    return 0;
}
