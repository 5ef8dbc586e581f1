/*
 * Two API servers over one etcd (cluster.h): what they say to a request.
 *
 * As real ones do: paged lists at one version with continue tokens, watches that resume from a version
 * and send bookmarks, streaming lists, 410 for what is compacted, errors inside a watch; one server may
 * lag behind the other. How the bytes come to the controller is fake_kube.h.
 */
#ifndef SIMULATE_API_SERVER_H
#define SIMULATE_API_SERVER_H

#include "api_body.h"
#include "kube/client.h"

enum { API_SERVERS = 2 };

enum api_list_fault {
    LIST_FINE,
    LIST_UNAVAILABLE, /* 503 */
    LIST_PATIENCE,    /* 429 with Retry-After */
    LIST_EXPIRED,     /* 410 for a continue token */
    LIST_CUT,         /* the body ends in the middle */
    LIST_FAULTS,
};

struct api_options {
    size_t page;  /* objects in a page, at most */
    bool streams; /* lists by watch */
};

void api_server_start(const struct api_options *options);

/* ---- faults ---- */

void api_lag(unsigned server, bool lag);
/* Connections that are made from now on go to that one. */
void api_prefer(unsigned server);
void api_fail_list(enum api_list_fault fault);
/* The next line of a watch of the resource is not JSON. */
void api_garble(enum resource resource);
void api_compact(void);
/* etcd is restored from a snapshot that is so many changes older. */
void api_rewind(size_t changes);
void api_server_heal(void);

/* ---- requests ---- */

struct api_request {
    char *path;
    enum resource resource;
    bool watch, streams, probe, continues;
    unsigned server;
    bool open;                /* the head says that a body comes */
    bool ending;              /* nothing is added any more */
    struct kube_response end; /* once the body is delivered */
    struct api_body body;
    /* of a watch */
    size_t next; /* entry of the log that it tells next */
    uint64_t ends_us, bookmark_us;
};

void api_request_init(struct api_request *request, const char *path);
void api_request_done(struct api_request *request);
void api_request_end(struct api_request *request, unsigned status, enum code code,
                     const char *message);
/* False: it is of a kind that this cluster has not. */
bool api_is_there(const struct api_request *request);
/* The request has come in. */
void api_answer(struct api_request *request);
/* When it has something more to say: 0 for changes that a watch has not told; SIM_NEVER for nothing. */
uint64_t api_request_due(const struct api_request *request);
/* Says what is due. */
void api_request_proceed(struct api_request *request);

#endif
