/*
 * Two API servers over one etcd (cluster.h), and the network to them: kube/client.h without sockets.
 *
 * As real ones do: paged lists at one version with continue tokens, watches that resume from a version
 * and send bookmarks, streaming lists, 410 for what is compacted, errors inside a watch; one server may
 * lag behind the other. The network cuts bodies anywhere, falls silent, and refuses connections.
 *
 * What the controller was told goes to known.h, once the bytes that say so are delivered whole.
 */
#ifndef SIMULATE_FAKE_KUBE_H
#define SIMULATE_FAKE_KUBE_H

#include "cluster.h"
#include "sim.h"

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
    size_t page; /* objects in a page, at most */
    bool streams; /* lists by watch */
};

void api_start(const struct api_options *options);
void api_done(void);

/* Ends every watch of the resource (RESOURCES: of all): in order, or in the middle of a line. */
void api_cut(enum resource resource, bool orderly);
/* Its connections fall silent, and nobody closes them. */
void api_silence(enum resource resource);
void api_lag(unsigned server, bool lag);
void api_prefer(unsigned server);
void api_down(uint64_t us);
void api_slow(uint64_t latency_us);
void api_fail_list(enum api_list_fault fault);
/* The next line of a watch of the resource is not JSON. */
void api_garble(enum resource resource);
void api_compact(void);
/* etcd is restored from a snapshot that is so many changes older. */
void api_rewind(size_t changes);
/* All faults end; connections that are silent stay so, and servers that are down come back in their time. */
void api_heal(void);

#endif
