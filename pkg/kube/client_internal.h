/*
 * What client.c (the multi handle on the loop) and request.c (one transfer) share; nobody else
 * includes it.
 *
 * Re-entrance: libcurl forbids adding and removing transfers inside its callbacks. So a request
 *              joins the multi handle from a deferred call, and one that is freed inside libcurl
 *              (client->inside) waits among the zombies until the stack is unwound.
 */
#ifndef KUBE_CLIENT_INTERNAL_H
#define KUBE_CLIENT_INTERNAL_H

#include <curl/curl.h>

#include "kube/client.h"
#include "kube/identity.h"

struct kube_client {
    struct loop *loop;
    const struct kube_config *config;
    CURLM *multi;
    struct timer *timer; /* libcurl's own */
    struct deferred chores;
    struct list
        starting; /* kube_request.link: not yet with libcurl; they wait for nothing but the identity */
    struct list running;
    struct list zombies; /* freed by their owner */
    bool inside;         /* a libcurl call is on the stack */
    struct identity *identity;
    struct endpoint_url {
        char *base;       /* what request paths are appended to */
        char *connect_to; /* the server's address where base names the TLS server name; or NULL */
        char *host;       /* Host header that goes with connect_to; or NULL */
        char *proxy;      /* as libcurl understands it; or NULL */
        bool loopback;
    } url;
};

struct kube_request {
    struct list link;
    struct kube_client *client;
    struct kube_request_options options; /* path and body are ours */
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    struct timer *silence;
    uint64_t last_byte_us;
    uint64_t generation; /* of the credentials that it went out with */
    bool identified;     /* has its credentials */
    bool again;          /* it was refused once, and went out again with new credentials */
    bool with_libcurl;   /* added to the multi handle */
    bool freed;
    bool open;             /* the head of a 2xx answer was seen */
    bool refused_by_owner; /* on_data said no */
    bool too_large;
    uint64_t body_len;
    struct buf error_body;   /* the start of an answer that is not 2xx */
    uint64_t retry_after_ms; /* as the Status object in it says */
    char curl_error[CURL_ERROR_SIZE];
    char message[FAIL_MESSAGE_MAX];
};

/* Splits the server's URL; CODE_INVALID_ARGUMENT. */
enum code endpoint_url_make(const struct kube_config *config, struct endpoint_url *ret_url,
                            struct err *err) must_check;
void endpoint_url_done(struct endpoint_url *url);

/* Makes the easy handle, without credentials; the caller adds it to a list. */
struct kube_request *request_new(struct kube_client *client,
                                 const struct kube_request_options *options) must_check;
/* Gives it its credentials; CODE_UNAUTHENTICATED. Only while the identity is ready. */
enum code request_identify(struct kube_request *request, struct err *err) must_check;
/* Hands it to libcurl. Outside libcurl only. */
void request_go(struct kube_request *request);
/* It never went out. Tells the owner, who may free it. */
void request_fail(struct kube_request *request, const struct err *err);
/* Outside libcurl only. */
void request_destroy(struct kube_request *request);
/* The transfer is over: takes it from the multi handle and tells the owner, who may free it.
 * Outside libcurl only. */
void request_finish(struct kube_request *request, CURLcode result);

#endif
