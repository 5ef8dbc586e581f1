/*
 * Cuts a stream of DATA bytes into gRPC messages: one byte of flags, four of length, the message.
 *
 * Threads: belongs to its owner's loop.
 * Owns:    the bytes of a message that came in parts. A message that came in one piece is delivered
 *          without a copy.
 * Errors:  CODE_RESOURCE_EXHAUSTED for a message over the limit, CODE_INTERNAL for anything that
 *          breaks the framing. Memory grows with the bytes that came, never with the length that
 *          was announced.
 */
#ifndef GRPC_MESSAGE_H
#define GRPC_MESSAGE_H

#include "base/buf.h"

#define MESSAGE_PREFIX_SIZE 5
#define MESSAGE_COMPRESSED 1 /* in the first byte of a prefix */

struct message_reader {
    unsigned char prefix[MESSAGE_PREFIX_SIZE];
    uint8_t prefix_len;
    bool gzip;       /* compressed messages are gzip; else they are refused */
    size_t limit;    /* of one message, before and after decompression */
    struct buf body; /* of a message that came in parts */
};

/* One message, borrowed during the call. False: take no more. */
typedef bool message_fn(void *ctx, struct str message);

void message_reader_init(struct message_reader *reader, size_t limit);
void message_reader_done(struct message_reader *reader);
enum code message_reader_feed(struct message_reader *reader, struct str bytes,
                              message_fn *on_message, void *ctx, struct err *err) must_check;
/* Nothing of a message is waiting for its rest. */
bool message_reader_idle(const struct message_reader *reader);

/* Writes the prefix of an uncompressed message. `len` fits into 32 bits. */
void message_prefix(unsigned char out[MESSAGE_PREFIX_SIZE], size_t len);

#endif
