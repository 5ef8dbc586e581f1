/*
 * One grpc.lb.v1.LoadBalancer/BalanceLoad stream as a pure state machine. The client's first request says whose backends it wants; it gets
 * an initial_response, and then whole lists: the newest at once, and again whenever its version is another one. Its reports are summed up.
 *
 * Where there is no list, the answer is a fallback_response: of a Service that does not exist, or has no such port, or no addresses (an
 * ExternalName); of what is no name at all; and of a list that is too long, while the client has none. A Service that exists and has no
 * endpoints is an empty list: its calls fail at once. Reasons: an empty list is no fallback for any client, and whom we do not know, the
 * client's DNS may; a stream that ends after its initial_response is opened again without any pause. So none ends for what its name means:
 * once that means something, the list follows.
 *
 * Threads: everything on one loop. Owns: a copy of the name.
 * Limits:  GRPCLB_REQUEST_MAX, GRPCLB_NAME_MAX, GRPCLB_COUNT_MAX; the calls of GRPCLB_DROP_TOKENS_MAX tokens are told apart. A list that
 *          does not fit into GRPCLB_RESPONSE_MAX is not sent; the one before stays.
 * Errors:  RESOURCE_EXHAUSTED for a limit, INVALID_ARGUMENT for what is no LoadBalanceRequest, FAILED_PRECONDITION for one at the wrong
 *          time (a report first, a second initial_request); all end the stream.
 */
#ifndef PROTOCOL_GRPCLB_H
#define PROTOCOL_GRPCLB_H

#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#define GRPCLB_REQUEST_MAX (64 * 1024)
/* What the protocol allows. A Service's longest name has 152 bytes. */
#define GRPCLB_NAME_MAX 255
#define GRPCLB_RESPONSE_MAX (4 * 1024 * 1024 - 64 * 1024)
#define GRPCLB_COUNT_MAX (UINT64_C(1) << 40) /* of a number in a report */
#define GRPCLB_DROP_TOKENS_MAX 16
#define GRPCLB_DROP_TOKEN_MAX 50
/* What clients are asked for. */
#define GRPCLB_REPORT_SECONDS 10

struct grpclb_session;

struct grpclb_list {
    uint64_t version; /* not 0 */
    /* A LoadBalanceResponse with a server_list; NULL: there is none. Borrowed until the next call to the host. */
    struct blob *blob;
    /* For people: why it is empty, or why there is none; lives as long as the session. NULL: all is well. */
    const char *problem;
};

/* Calls that clients have told of. */
struct grpclb_calls {
    uint64_t started;
    uint64_t finished;       /* in any way, of these: */
    uint64_t failed_to_send; /* never left the client */
    uint64_t received;       /* got a first byte of an answer */
    uint64_t dropped;        /* by entries that drop */
};

struct grpclb_host {
    /* Once, when the client has said what it wants; until then nothing is resolved. The text is the session's. */
    void (*subscribe)(void *ctx, struct str name);
    void (*resolve)(void *ctx, struct grpclb_list *ret_list);
    void (*wake)(void *ctx, bool answer);
    /* The list has so many bytes, and is not sent. */
    void (*too_large)(void *ctx, size_t len);
    /* What one report adds. */
    void (*report)(void *ctx, const struct grpclb_calls *calls);
    /* May be NULL. Members of the target's open object in a dump. */
    void (*describe)(void *ctx, struct json_writer *writer);
};

struct grpclb_session *grpclb_session_new(const struct grpclb_host *host, void *ctx) must_check;
void grpclb_session_free(struct grpclb_session *session);
enum code grpclb_session_request(struct grpclb_session *session, struct str message, struct err *err) must_check;
/* The list may be another one. */
void grpclb_session_touch(struct grpclb_session *session);

enum grpclb_said { GRPCLB_NOTHING, GRPCLB_INITIAL, GRPCLB_LIST, GRPCLB_FALLBACK };
/* One LoadBalanceResponse: `head`, or a list by reference (*ret_blob, the caller's). GRPCLB_NOTHING: there is nothing to say. */
enum grpclb_said grpclb_session_next(struct grpclb_session *session, struct buf *head, struct blob **ret_blob) must_check;

/* Sums over the stream's reports. */
const struct grpclb_calls *grpclb_session_calls(const struct grpclb_session *session);
/* Members of an open object: counters, calls, and the name as the only one of `targets`. */
void grpclb_session_dump(const struct grpclb_session *session, struct json_writer *writer);

#endif
