/* Calls with many answers: a queue of those that are owed, each in its time. */
#include "server.h"
#include "support/testing.h"

#define ANSWERS_MAX 100000

enum kind { OUTPUT, FULL_DUPLEX, HALF_DUPLEX };

/* An answer that is owed, or the end. */
struct answer {
    struct list link;
    size_t size;
    uint64_t wait_us; /* behind the one before it */
    bool packed;
    struct echo_status *status; /* the end; NULL: an answer */
};

struct stream {
    struct rpc *rpc;
    struct testserver *server;
    enum kind kind;
    struct list answers;
    size_t answers_len;
    struct timer *timer;
    uint64_t last_us; /* the last answer was made */
    bool asked;       /* something came */
    bool ended;       /* the client has sent all */
};

static const enum kind output = OUTPUT, full_duplex = FULL_DUPLEX, half_duplex = HALF_DUPLEX;

static void on_time(void *ctx)
{
    struct stream *stream = ctx;

    rpc_wake(stream->rpc, RPC_WAKE_ANSWER);
}

static void on_open(struct rpc *rpc)
{
    struct stream *stream = xcalloc(1, sizeof(*stream));

    stream->rpc = rpc;
    stream->server = rpc_server_ctx(rpc);
    stream->kind = *(const enum kind *)rpc_handler_ctx(rpc);
    stream->timer = timer_new(stream->server->loop, on_time, stream);
    stream->last_us = rpc_opened_us(rpc);
    list_init(&stream->answers);
    rpc_set_state(rpc, stream);
    echo_metadata(rpc);
    rpc_offer_gzip(rpc);
}

static void drop_answer(struct stream *stream, struct answer *answer)
{
    list_remove(&answer->link);
    stream->answers_len--;
    free(answer->status);
    free(answer);
}

static void on_close(struct rpc *rpc, enum code code unused_arg)
{
    struct stream *stream = rpc_state(rpc);

    while (!list_empty(&stream->answers))
        drop_answer(stream, container_of(stream->answers.next, struct answer, link));
    timer_free(stream->timer);
    free(stream);
}

/* ---- requests ---- */

static struct answer *add_answer(struct stream *stream)
{
    struct answer *answer = xcalloc(1, sizeof(*answer));

    list_init(&answer->link);
    list_append(&stream->answers, &answer->link);
    stream->answers_len++;
    return answer;
}

/* ResponseParameters. */
static enum code read_answer(struct stream *stream, struct str bytes, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct answer *answer = add_answer(stream);
    struct wire_field field;
    uint64_t size = 0;

    while (wire_next(&reader, &field)) {
        if (field.number == RESPONSE_PARAMETERS_SIZE && field.type == WIRE_VARINT)
            size = field.value;
        if (field.number == RESPONSE_PARAMETERS_INTERVAL_US && field.type == WIRE_VARINT)
            answer->wait_us = min_u64(field.value, INT32_MAX);
        if (field.number == RESPONSE_PARAMETERS_COMPRESSED && field.type == WIRE_BYTES)
            answer->packed = read_bool_value(field.bytes);
    }
    if (reader.failed)
        return fail(err, CODE_INVALID_ARGUMENT, "malformed ResponseParameters");
    if (!is_payload_size(size))
        return fail(err, CODE_INVALID_ARGUMENT, "size is none that a message has room for");
    if (stream->answers_len > ANSWERS_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "more than %d answers are owed: read some first",
                    ANSWERS_MAX);
    answer->size = size;
    return CODE_OK;
}

static enum code read_request(struct stream *stream, struct str message, struct err *err)
{
    struct wire_reader reader = wire_reader(message);
    struct echo_status status = {0}, *end;
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type != WIRE_BYTES)
            continue;
        if (field.number == STREAMING_OUTPUT_CALL_REQUEST_RESPONSE_PARAMETERS)
            code = read_answer(stream, field.bytes, err);
        if (field.number == STREAMING_OUTPUT_CALL_REQUEST_RESPONSE_STATUS)
            status = read_status(field.bytes);
    }
    if (reader.failed)
        return fail(err, CODE_INVALID_ARGUMENT, "malformed StreamingOutputCallRequest");
    if (code != CODE_OK || status.code == CODE_OK)
        return code;
    end = xmalloc(sizeof(status));
    *end = status;
    add_answer(stream)->status = end;
    return CODE_OK;
}

static void on_message(struct rpc *rpc, struct str message)
{
    struct stream *stream = rpc_state(rpc);
    struct err err = {0};

    if (stream->kind == OUTPUT && stream->asked) {
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "one request, and not two");
        return;
    }
    stream->asked = true;
    if (read_request(stream, message, &err) != CODE_OK)
        rpc_finish(rpc, err.code, err.msg);
    else
        rpc_wake(rpc, RPC_WAKE_ANSWER);
}

static void on_half_close(struct rpc *rpc)
{
    struct stream *stream = rpc_state(rpc);

    stream->ended = true;
    if (stream->kind == OUTPUT && !stream->asked)
        rpc_finish(rpc, CODE_INVALID_ARGUMENT, "the request has no message");
    else
        rpc_wake(rpc, RPC_WAKE_ANSWER);
}

/* ---- answers ---- */

/* Whether the next thing may be said; if it is only early, the timer says when. */
static bool is_due(struct stream *stream, const struct answer *next)
{
    uint64_t now = loop_now_us(stream->server->loop);
    uint64_t due = stream->last_us + next->wait_us;

    if (stream->kind == HALF_DUPLEX && !stream->ended && !stream->server->draining)
        return false;
    if (now >= due || stream->server->draining)
        return true;
    timer_start(stream->timer, (due - now + 999) / 1000);
    return false;
}

static void put_answer(struct rpc *rpc, const struct answer *answer, struct rpc_out *out)
{
    struct blob *zeros = blob_new(answer->size);

    if (answer->size > 0)
        memset(zeros->bytes, 0, answer->size);
    put_payload_head(&out->head, STREAMING_OUTPUT_CALL_RESPONSE_PAYLOAD, answer->size);
    rpc_out_add(out, zeros);
    rpc_pack(rpc, answer->packed);
}

static bool on_pull(struct rpc *rpc, struct rpc_out *out)
{
    struct stream *stream = rpc_state(rpc);
    struct answer *next;
    bool is_message;

    if (list_empty(&stream->answers)) {
        if (stream->ended)
            rpc_finish(rpc, CODE_OK, NULL);
        return false;
    }
    next = container_of(stream->answers.next, struct answer, link);
    if (!is_due(stream, next))
        return false;
    stream->last_us = loop_now_us(stream->server->loop);
    if (next->status)
        rpc_finish(rpc, next->status->code, next->status->message);
    else
        put_answer(rpc, next, out);
    is_message = !next->status;
    drop_answer(stream, next);
    return is_message;
}

#define HANDLER(kind)                                                                              \
    {                                                                                              \
        .ctx = &(kind), .on_open = on_open, .on_message = on_message,                              \
        .on_half_close = on_half_close, .on_pull = on_pull, .on_close = on_close                   \
    }

const struct rpc_handler output_handler = HANDLER(output);
const struct rpc_handler full_duplex_handler = HANDLER(full_duplex);
const struct rpc_handler half_duplex_handler = HANDLER(half_duplex);
