/*
 * The values of gRPC's headers: timeouts, content types, percent-encoded messages.
 *
 * Threads: any; pure.
 */
#ifndef GRPC_HEADER_H
#define GRPC_HEADER_H

#include "base/err.h"
#include "base/str.h"

#define GRPC_STATUS_MESSAGE_MAX 512 /* bytes of grpc-message, percent-encoded */

/* "250m" → microseconds: at most eight digits and one of H M S m u n. */
bool grpc_timeout_parse(struct str text, uint64_t *ret_us) must_check;
/* The same backwards, NUL-terminated: at least a millisecond, at most 99,999,999 of a unit. */
void grpc_timeout_format(uint64_t ms, char out[16]);
/* application/grpc, application/grpc+proto, application/grpc;...; not application/grpc-web. */
bool grpc_content_type(struct str text);
/* Whether a user-agent is grpc-js's: one of its words is grpc-node-js/VERSION. */
bool grpc_agent_is_node(struct str text);
/* Percent-encodes what is not printable ASCII, and '%'; cut before GRPC_STATUS_MESSAGE_MAX;
 * NUL-terminated. */
size_t grpc_message_encode(const char *text, char out[GRPC_STATUS_MESSAGE_MAX]);
/* Tolerant: what is no escape stays as it is. Cut at `size` - 1; NUL-terminated. */
void grpc_message_decode(struct str text, char *out, size_t size);

#endif
