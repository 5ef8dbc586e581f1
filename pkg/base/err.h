/*
 * Errors. The code is what a caller branches on; the message is what a person reads.
 *
 * Codes carry gRPC's numbers (grpc/status.h of the protocol), so that an error found while
 * serving becomes a grpc-status without a table. Messages: lower case, no full stop, the
 * problem first, the subject in single quotes; every layer adds its context in front, once.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/base.h"

enum code {
    CODE_OK = 0,
    CODE_CANCELLED = 1,
    CODE_UNKNOWN = 2,
    CODE_INVALID_ARGUMENT = 3,
    CODE_DEADLINE_EXCEEDED = 4,
    CODE_NOT_FOUND = 5, /* HTTP 404 */
    CODE_ALREADY_EXISTS = 6,
    CODE_PERMISSION_DENIED = 7,   /* HTTP 403 */
    CODE_RESOURCE_EXHAUSTED = 8,  /* HTTP 429; a limit of ours */
    CODE_FAILED_PRECONDITION = 9, /* HTTP 422 */
    CODE_ABORTED = 10,            /* HTTP 409 */
    CODE_OUT_OF_RANGE = 11,       /* HTTP 410: resource version too old */
    CODE_UNIMPLEMENTED = 12,
    CODE_INTERNAL = 13,
    CODE_UNAVAILABLE = 14, /* HTTP 5xx, connection lost */
    CODE_DATA_LOSS = 15,
    CODE_UNAUTHENTICATED = 16, /* HTTP 401 */
};

#define FAIL_MESSAGE_MAX 384

/* Lives on the caller's stack and owns nothing. Start with {0}. */
struct err {
    enum code code;
    char msg[FAIL_MESSAGE_MAX];
};

/* Fills *err (may be NULL) and returns `code`:  return fail(err, CODE_NOT_FOUND, "no port '%s'", p); */
enum code fail(struct err *err, enum code code, const char *fmt, ...) printf_like(3, 4);

/* Puts context and ": " in front of a message that is already there; returns err->code, or CODE_UNKNOWN
 * when err is NULL: a caller that goes by the code of its callee returns that one. */
enum code fail_in(struct err *err, const char *fmt, ...) printf_like(2, 3);

/* "NOT_FOUND"; never NULL. */
const char *code_name(enum code code);

#endif
