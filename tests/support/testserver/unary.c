/* Calls with one answer, and what all calls share. */
#include "server.h"
#include "support/testing.h"

#define HEAD_MAX 64 /* of a response: all but the payload's zeros */

/* ---- what all calls share ---- */

void echo_metadata(struct rpc *rpc)
{
    const char *initial = rpc_metadata(rpc, ECHO_INITIAL);
    const char *trailing = rpc_metadata(rpc, ECHO_TRAILING);

    if (initial)
        rpc_set_header(rpc, ECHO_INITIAL, initial);
    if (trailing)
        rpc_set_trailer(rpc, ECHO_TRAILING, trailing);
}

bool read_bool_value(struct str bytes)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    bool value = false;

    while (wire_next(&reader, &field))
        if (field.number == BOOL_VALUE_VALUE && field.type == WIRE_VARINT)
            value = field.value != 0;
    return value;
}

struct echo_status read_status(struct str bytes)
{
    struct wire_reader reader = wire_reader(bytes);
    struct echo_status status = {0};
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == ECHO_STATUS_CODE && field.type == WIRE_VARINT)
            status.code = (enum code)(int32_t)field.value;
        if (field.number == ECHO_STATUS_MESSAGE && field.type == WIRE_BYTES)
            snprintf(status.message, sizeof(status.message), "%" STR_FMT, STR_ARG(field.bytes));
    }
    return status;
}

bool check_compressed(struct rpc *rpc, struct str expected)
{
    if (!expected.ptr || read_bool_value(expected) == rpc_was_packed(rpc))
        return true;
    rpc_finish(rpc, CODE_INVALID_ARGUMENT,
               rpc_was_packed(rpc) ? "the request came compressed"
                                   : "the request did not come compressed");
    return false;
}

bool is_payload_size(uint64_t size)
{
    return size <= RPC_REPLY_MAX - HEAD_MAX;
}

void put_payload_head(struct buf *out, uint32_t number, size_t size)
{
    wire_put_head(out, number, wire_sized(PAYLOAD_BODY, size));
    wire_put_head(out, PAYLOAD_BODY, size);
}

static void on_open(struct rpc *rpc)
{
    echo_metadata(rpc);
    rpc_offer_gzip(rpc);
}

static void on_no_message(struct rpc *rpc)
{
    rpc_finish(rpc, CODE_INVALID_ARGUMENT, "the request has no message");
}

/* ---- EmptyCall ---- */

static void on_empty(struct rpc *rpc, struct str message unused_arg)
{
    rpc_reply(rpc, "", 0);
}

const struct rpc_handler empty_handler = {
    .on_open = on_open, .on_message = on_empty, .on_half_close = on_no_message};

/* ---- UnaryCall ---- */

struct simple_request {
    uint64_t size;
    bool fill_id;
    struct str compressed, expected; /* ptr NULL: not said */
    struct echo_status status;
};

static bool read_simple(struct str message, struct simple_request *request)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == SIMPLE_REQUEST_RESPONSE_SIZE && field.type == WIRE_VARINT)
            request->size = field.value;
        if (field.number == SIMPLE_REQUEST_FILL_SERVER_ID && field.type == WIRE_VARINT)
            request->fill_id = field.value != 0;
        if (field.type != WIRE_BYTES)
            continue;
        if (field.number == SIMPLE_REQUEST_RESPONSE_COMPRESSED)
            request->compressed = field.bytes;
        if (field.number == SIMPLE_REQUEST_EXPECT_COMPRESSED)
            request->expected = field.bytes;
        if (field.number == SIMPLE_REQUEST_RESPONSE_STATUS)
            request->status = read_status(field.bytes);
    }
    return !reader.failed;
}

static void reply_simple(struct rpc *rpc, const struct simple_request *request)
{
    const struct testserver *server = rpc_server_ctx(rpc);
    struct buf reply = BUFFER_INIT(RPC_REPLY_MAX);
    char *room;

    if (request->fill_id)
        wire_put_bytes(&reply, SIMPLE_RESPONSE_SERVER_ID, str_of(server->id));
    put_payload_head(&reply, SIMPLE_RESPONSE_PAYLOAD, request->size);
    if (buf_reserve(&reply, request->size, &room) == CODE_OK) {
        memset(room, 0, request->size);
        reply.len += request->size;
    }
    rpc_reply(rpc, reply.ptr, reply.len);
    buf_done(&reply);
}

static void on_simple(struct rpc *rpc, struct str message)
{
    struct simple_request request = {0};

    if (!read_simple(message, &request)) {
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "malformed SimpleRequest");
    } else if (!is_payload_size(request.size)) {
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "response_size is none that a message has room for");
    } else if (!check_compressed(rpc, request.expected)) {
        return;
    } else if (request.status.code != CODE_OK) {
        rpc_finish(rpc, request.status.code, request.status.message);
    } else {
        rpc_pack(rpc, request.compressed.ptr && read_bool_value(request.compressed));
        reply_simple(rpc, &request);
    }
}

const struct rpc_handler unary_handler = {
    .on_open = on_open, .on_message = on_simple, .on_half_close = on_no_message};

/* ---- StreamingInputCall ---- */

struct input {
    uint64_t size; /* of all payloads so far */
};

static void on_input_open(struct rpc *rpc)
{
    on_open(rpc);
    rpc_set_state(rpc, xcalloc(1, sizeof(struct input)));
}

static bool read_payload(struct str payload, uint64_t *size)
{
    struct wire_reader reader = wire_reader(payload);
    struct wire_field field;

    while (wire_next(&reader, &field))
        if (field.number == PAYLOAD_BODY && field.type == WIRE_BYTES)
            *size += field.bytes.len;
    return !reader.failed;
}

static void on_input(struct rpc *rpc, struct str message)
{
    struct input *input = rpc_state(rpc);
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;
    struct str expected = {0};
    bool good = true;

    while (wire_next(&reader, &field)) {
        if (field.number == STREAMING_INPUT_CALL_REQUEST_PAYLOAD && field.type == WIRE_BYTES)
            good &= read_payload(field.bytes, &input->size);
        if (field.number == STREAMING_INPUT_CALL_REQUEST_EXPECT_COMPRESSED &&
            field.type == WIRE_BYTES)
            expected = field.bytes;
    }
    if (reader.failed || !good)
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "malformed StreamingInputCallRequest");
    else
        (void)check_compressed(rpc, expected);
}

static void on_input_end(struct rpc *rpc)
{
    const struct input *input = rpc_state(rpc);
    struct buf reply = BUFFER_INIT(HEAD_MAX);

    wire_put_varint(&reply, STREAMING_INPUT_CALL_RESPONSE_AGGREGATED_PAYLOAD_SIZE, input->size);
    rpc_reply(rpc, reply.ptr, reply.len);
    buf_done(&reply);
}

static void on_input_close(struct rpc *rpc, enum code code unused_arg)
{
    free(rpc_state(rpc));
}

const struct rpc_handler input_handler = {.on_open = on_input_open,
                                          .on_message = on_input,
                                          .on_half_close = on_input_end,
                                          .on_close = on_input_close};
