#include "grpc/message.h"

#include "grpc/gzip.h"

void message_reader_init(struct message_reader *reader, size_t limit)
{
    *reader = (struct message_reader){.limit = limit};
    buf_init(&reader->body, limit);
}

void message_reader_done(struct message_reader *reader)
{
    buf_done(&reader->body);
}

bool message_reader_idle(const struct message_reader *reader)
{
    return reader->prefix_len == 0;
}

void message_prefix(unsigned char out[MESSAGE_PREFIX_SIZE], size_t len)
{
    out[0] = 0;
    for (int i = 0; i < 4; i++)
        out[1 + i] = (unsigned char)(len >> (24 - 8 * i));
}

static size_t announced_len(const struct message_reader *reader)
{
    const unsigned char *p = reader->prefix;

    return (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
}

static enum code check_prefix(const struct message_reader *reader, struct err *err)
{
    if (reader->prefix[0] > MESSAGE_COMPRESSED)
        return fail(err, CODE_INTERNAL, "broken message prefix: flags %u are neither 0 nor 1",
                    reader->prefix[0]);
    if (reader->prefix[0] == MESSAGE_COMPRESSED && !reader->gzip)
        return fail(err, CODE_INTERNAL,
                    "a compressed message without grpc-encoding: say gzip, or do not compress");
    if (announced_len(reader) > reader->limit)
        return fail(err, CODE_RESOURCE_EXHAUSTED,
                    "a message of %zu bytes is longer than %zu: send less in one",
                    announced_len(reader), reader->limit);
    return CODE_OK;
}

/* Moves bytes into the prefix until it is complete. */
static enum code take_prefix(struct message_reader *reader, struct str *bytes, struct err *err)
{
    size_t n = min_size(MESSAGE_PREFIX_SIZE - reader->prefix_len, bytes->len);

    memcpy(reader->prefix + reader->prefix_len, bytes->ptr, n);
    reader->prefix_len = (uint8_t)(reader->prefix_len + n);
    *bytes = str_slice(*bytes, n, bytes->len);
    return reader->prefix_len == MESSAGE_PREFIX_SIZE ? check_prefix(reader, err) : CODE_OK;
}

static enum code deliver(struct message_reader *reader, struct str message, message_fn *on_message,
                         void *ctx, bool *ret_more, struct err *err)
{
    struct buf plain;
    enum code code;

    reader->prefix_len = 0;
    if (reader->prefix[0] != MESSAGE_COMPRESSED) {
        *ret_more = on_message(ctx, message);
        return CODE_OK;
    }
    buf_init(&plain, reader->limit);
    code = gzip_unpack(message, &plain, err);
    if (code == CODE_OK)
        *ret_more = on_message(ctx, buf_str(&plain));
    buf_done(&plain);
    return code;
}

/* Takes what there is of the message behind a complete prefix, and delivers it once whole. */
static enum code take_body(struct message_reader *reader, struct str *bytes, message_fn *on_message,
                           void *ctx, bool *ret_more, struct err *err)
{
    size_t missing = announced_len(reader) - reader->body.len;
    struct str part = str_slice(*bytes, 0, missing);
    struct buf whole;
    enum code code;

    *bytes = str_slice(*bytes, part.len, bytes->len);
    if (part.len == missing && reader->body.len == 0)
        return deliver(reader, part, on_message, ctx, ret_more, err);
    if (buf_append(&reader->body, part.ptr, part.len) != CODE_OK)
        return fail(err, CODE_RESOURCE_EXHAUSTED,
                    "a message is longer than %zu bytes: send less in one", reader->limit);
    if (part.len < missing)
        return CODE_OK;
    whole = reader->body;
    buf_init(&reader->body, reader->limit);
    code = deliver(reader, buf_str(&whole), on_message, ctx, ret_more, err);
    buf_done(&whole);
    return code;
}

enum code message_reader_feed(struct message_reader *reader, struct str bytes,
                              message_fn *on_message, void *ctx, struct err *err)
{
    bool more = true;
    enum code code = CODE_OK;

    while (more && code == CODE_OK) {
        if (reader->prefix_len < MESSAGE_PREFIX_SIZE) {
            if (bytes.len == 0)
                break;
            code = take_prefix(reader, &bytes, err);
        } else {
            if (bytes.len == 0 && announced_len(reader) > 0)
                break;
            code = take_body(reader, &bytes, on_message, ctx, &more, err);
        }
    }
    return code;
}
