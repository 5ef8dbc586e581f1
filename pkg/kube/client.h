/*
 * Requests to one API server over libcurl (HTTP/1.1, one connection per watch, one for everything else).
 *
 * Threads: everything on the loop given to kube_client_new().
 * Owns:    kube_client_free() first requires every request to be freed.
 */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include "base/metric.h"
#include "kube/config.h"
#include "loop/loop.h"

struct kube_client;
struct kube_request;

struct kube_response {
    unsigned status;         /* HTTP; 0 when the request did not get an answer */
    uint64_t retry_after_ms; /* from Retry-After or the Status object, 0 if absent */
    enum code code;          /* of the transfer and the status together; DEADLINE_EXCEEDED: silence */
    const char *message;     /* for people, never NULL; the Status object's message where there is one */
};

struct kube_request_options {
    const char *path;         /* "/api/v1/services?limit=500" */
    const char *method;       /* "POST", "PUT", "PATCH"; NULL: GET. Static text */
    struct str body;          /* what is sent; copied */
    const char *accept;       /* what is wanted; NULL: "application/json". Static text */
    const char *content_type; /* of the body; NULL: "application/json". Static text */
    bool watch;               /* a connection of its own; no limit to the body */
    uint64_t idle_timeout_ms; /* no byte for so long after the head: DEADLINE_EXCEEDED; 0: none */
    uint64_t max_body;        /* decoded bytes of a body that is not a watch; 0: the default of 64 MiB */
    /* The head of a 2xx answer has come; may be NULL. */
    void (*on_open)(void *ctx);
    /* Decoded bytes as they come, of a 2xx answer only. Return false to end the request with DATA_LOSS. May be NULL. */
    bool (*on_data)(void *ctx, const char *ptr, size_t len);
    /* Once, unless freed before. The request may be freed inside. */
    void (*on_done)(void *ctx, const struct kube_response *response);
    void *ctx;
};

/* `config` is borrowed and outlives the client. A token file is read again when it has changed, before every request. */
enum code kube_client_new(struct loop *loop, const struct kube_config *config, struct kube_client **ret_client,
                          struct err *err) must_check;
/* Not inside a callback of one of its requests. NULL is fine. */
void kube_client_free(struct kube_client *client);
DEFINE_CLEANUP(struct kube_client, kube_client_free)
struct loop *kube_client_loop(const struct kube_client *client);

/* Callbacks come later from the loop. A request whose connection breaks before the first byte of an answer may go out again, on another connection: what it
 * writes has to bear that (resourceVersion, apply, a name of its own). May be called inside any callback. CODE_UNAUTHENTICATED: the token file cannot be read. */
enum code kube_request_start(struct kube_client *client, const struct kube_request_options *options,
                             struct kube_request **ret_request, struct err *err) must_check;
/* From now on; counted from the last byte. May be called inside on_open and on_data. */
void kube_request_set_idle_timeout(struct kube_request *request, uint64_t idle_timeout_ms);
/* Cancels; no callback after it. May be called inside any callback, on_data of the same request included. NULL is fine. */
void kube_request_free(struct kube_request *request);
DEFINE_CLEANUP(struct kube_request, kube_request_free)

#endif
