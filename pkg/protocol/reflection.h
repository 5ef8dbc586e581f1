/*
 * What grpc.reflection.v1.ServerReflection, and v1alpha of the same numbers, answers to one request: pure,
 * from the .proto files that the program carries (wire/proto_file.h) and the names of the services.
 *
 * Limits: REFLECTION_NAME_MAX bytes for each text of a request. An answer is as long as a file with all
 *         that it imports, some 30 KiB, and the request, which it repeats.
 * Errors: what is not to be found is an answer (ErrorResponse with NOT_FOUND). INVALID_ARGUMENT for what
 *         is no ServerReflectionRequest or asks nothing, RESOURCE_EXHAUSTED for a limit: both end the stream.
 * Threads: any.
 */
#ifndef PROTOCOL_REFLECTION_H
#define PROTOCOL_REFLECTION_H

#include "base/buf.h"
#include "base/str.h"

#define REFLECTION_NAME_MAX 1024

/* The full names of what is served. */
struct reflection_services {
    const struct str *names;
    size_t len;
};

/* Whether the message is a request that can be answered. */
enum code reflection_check(struct str message, struct err *err) must_check;
/* Appends the answer to a message that was checked. */
void reflection_answer(struct str message, const struct reflection_services *services, struct buf *out);

#endif
