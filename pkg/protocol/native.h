/*
 * One lookaside.v1.BackendDiscovery/Watch stream as a pure state machine: each request replaces the
 * set of targets; every target gets its whole list at once, or the confirmation that the version that
 * the stream's first request told is the newest, and changes whenever there is another version. What
 * its client has is the host's to know: where it does not, or changes are no shorter, the whole list
 * goes again. A target that a request leaves out is forgotten: named again, it is answered again.
 * Another namespace or place makes all targets new.
 *
 * Threads: everything on one loop. Owns: copies of the targets and of the namespace.
 * Limits:  NATIVE_TARGETS_MAX targets, or fewer, which the host says, and as many versions, of NATIVE_TARGET_MAX bytes each. A list
 *          that does not fit into NATIVE_RESPONSE_MAX is answered with a problem.
 * Errors:  RESOURCE_EXHAUSTED for a limit, INVALID_ARGUMENT for what is no WatchRequest; both end
 *          the stream.
 */
#ifndef PROTOCOL_NATIVE_H
#define PROTOCOL_NATIVE_H

#include "base/blob.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/list.h"

#define NATIVE_TARGETS_MAX 10000
#define NATIVE_TARGET_MAX 1024
#define NATIVE_GROUPS 64
#define NATIVE_RESPONSE_MAX (4 * 1024 * 1024 - 64 * 1024)

struct native_session;

/* Where the client says that it is. */
struct native_place {
    bool given; /* else it did not say */
    struct str zone, node; /* empty: unknown */
    unsigned group;        /* 1..NATIVE_GROUPS; 0: by its address */
};

struct native_target {
    struct list dirty;
    struct native_session *session;
    uint64_t known_version; /* the client says it has that from before; 0: none, or it was answered */
    uint64_t sent_version;  /* 0: nothing sent */
    struct str name;       /* as the client spelled it */
    void *host;
};

struct native_list {
    uint64_t version; /* 0: there is none */
    /* For people: why it is empty, or why there is none. NULL: all is well. */
    const char *problem;
};

struct native_host {
    /* May be NULL. Before a request is applied: the stream has so many targets, and would have so many. An error ends the stream; nothing of
     * the request was applied. */
    enum code (*admit)(void *ctx, size_t targets, size_t targets_after, struct err *err);
    void (*subscribe)(void *ctx, struct native_target *target);
    void (*unsubscribe)(void *ctx, struct native_target *target);
    void (*resolve)(void *ctx, const struct native_target *target, struct native_list *ret_list);
    /* The list that resolve() has just told: the backends of a WatchResponse; borrowed until the next
     * call to the host. */
    struct blob *(*bytes)(void *ctx, const struct native_target *target);
    /* The backends and those removed that make it of what the client has; borrowed as well. NULL: the
     * list is to be sent whole. */
    struct blob *(*changes)(void *ctx, const struct native_target *target);
    /* The client has it now, whichever of them it is sent. */
    void (*sent)(void *ctx, const struct native_target *target);
    void (*wake)(void *ctx, bool answer);
    /* May be NULL. Members of the target's open object in a dump. */
    void (*describe)(void *ctx, const struct native_target *target, struct json_writer *writer);
};

/* Chooses targets. */
typedef bool native_choice_fn(void *ctx, const struct native_target *target);

struct native_session_stats { /* of one stream */
    uint64_t requests, responses, problems;
    uint64_t changes, confirmations; /* of the responses */
};

struct native_session *native_session_new(const struct native_host *host, void *ctx) must_check;
void native_session_free(struct native_session *session);
enum code native_session_request(struct native_session *session, struct str message,
                                 struct err *err) must_check;
void native_target_touch(struct native_target *target);
/* One WatchResponse: its own fields into `head`, the host's blob by reference to *ret_blob (the
 * caller's; NULL: it has no backends). */
bool native_session_next(struct native_session *session, struct buf *head,
                         struct blob **ret_blob) must_check;
/* Namespace that the client gave for one-label targets; "" if none. */
struct str native_session_namespace(const struct native_session *session);
/* As the client gave it last; its text lives until the next request. */
const struct native_place *native_session_place(const struct native_session *session);
const struct native_session_stats *native_session_stats(const struct native_session *session);
/* Whether one of the stream's targets is chosen. */
bool native_session_has(const struct native_session *session, native_choice_fn *choose, void *ctx);
/* Members of an open object: namespace, counters, and the targets that are chosen (`choose` NULL:
 * all) with the versions sent. */
void native_session_dump(const struct native_session *session, struct json_writer *writer,
                         native_choice_fn *choose, void *ctx);

#endif
