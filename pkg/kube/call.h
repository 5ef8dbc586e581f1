/*
 * One request whose answer is read whole, and that is over within a time: for what is small.
 *
 * Threads: the client's loop.
 * Owns:    a call frees itself when it is over; whoever does not want to hear of it frees it before.
 * Limits:  CALL_ANSWER_MAX bytes of an answer, unless asked for otherwise.
 */
#ifndef KUBE_CALL_H
#define KUBE_CALL_H

#include "kube/client.h"

#define CALL_ANSWER_MAX (1024 * 1024)
#define CALL_TIMEOUT_MS 10000

struct kube_call;

struct kube_call_options {
    const char *method; /* as kube_request_options have it, and what follows */
    const char *path;
    struct str body;
    const char *content_type;
    const char *accept;
    uint64_t max_body;   /* 0: CALL_ANSWER_MAX */
    uint64_t timeout_ms; /* from the start to the last byte, else DEADLINE_EXCEEDED; 0: CALL_TIMEOUT_MS */
    /* Once, later, unless freed before; the call is no more then. `body` (of a 2xx answer, else empty) is borrowed. */
    void (*on_done)(void *ctx, const struct kube_response *response, struct str body);
    void *ctx;
};

/* Never fails here: what is wrong is told by on_done. */
struct kube_call *kube_call_start(struct kube_client *client, const struct kube_call_options *options) must_check;
/* Cancels: on_done does not come. What was sent may still have its effect. NULL is fine. */
void kube_call_free(struct kube_call *call);
DEFINE_CLEANUP(struct kube_call, kube_call_free)

#endif
