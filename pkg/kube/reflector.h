/*
 * Keeps a sink equal to one API collection: list, then watch with bookmarks, then list again when the server says that our
 * resource version is gone (410, also inside a 200 stream).
 *
 * Threads: every call and callback on the loop of the client.
 * Owns:    its requests and timers. Borrows client and sink; both outlive it.
 * Lists:   streamed in the first events of a watch; where that is refused, breaks twice or has no end, by pages, at once, and without asking for a
 *          stream in the next ten minutes (or until the server was away: another one may have taken its place).
 * Order:   a watch resumes where the last one ended, if the server ended it, also with an error; but after a connection that broke, was refused
 *          or fell silent, or 5 s without a watch, it lists, because a restored etcd may meanwhile have passed our version.
 *          An answered 429 is no time without a watch: the server lives and asks for patience.
 * Silence: servers send a bookmark a minute, so a watch that had one and then fell silent is given up and opened anew.
 * Probe:   while it watches, a list of one object tells the server's newest version. Lower than ours: the server was restored, so list. Higher
 *          means little, because all resources count together; but when no event and no bookmark has reached it 1.5 intervals later, the
 *          watch may be stuck: it is given up for a list. If that finds nothing newer, the server's bookmarks are slow: patience doubles.
 * Never:   gives up. Errors become backoff with jitter (Retry-After honoured), a counter, and a warning; state is kept.
 */
#ifndef KUBE_REFLECTOR_H
#define KUBE_REFLECTOR_H

#include "kube/client.h"
#include "kube/sink.h"

struct reflector;

/* What it means that the first list is not to be had. Whatever is known already stays in any case. */
enum reflector_need {
    NEED_REQUIRED,  /* a failure: on_synced waits for a list */
    NEED_IF_SERVED, /* 404 is the absence of the resource, and no failure: on_synced comes without a list. So it is with 403 once it was the only
                     * answer for forbidden_ms. Every other failure is one. */
    NEED_IF_EASY,   /* 403 and 404 are absence at once, and on_synced does not wait for long while the server fails otherwise */
};

struct reflector_options {
    const char *path;  /* "/api/v1/services", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices" */
    const char *label; /* for logs and metrics: "services" */
    const struct kube_sink *sink;
    void *sink_ctx;
    void (*on_synced)(void *ctx); /* after the first complete list; may be NULL */
    void *ctx;
    uint64_t page_size;  /* 0: 500; halved for good when a page is too large */
    uint64_t page_bytes; /* the largest page; 0: 64 MiB */
    uint64_t idle_ms;    /* a watch that had a bookmark is dead if silent for so long; 0: 150 s */
    uint64_t stream_ms;  /* a streamed list may be silent for so long, and last six times that; 0: 10 s */
    uint64_t probe_ms;   /* how often the server's newest version is compared with ours; 0: 60 s */
    uint64_t absent_ms;  /* how often an absent optional resource is asked for again; 0: 30 s */
    enum reflector_need need;
    const char *forbidden_advice; /* what to do about 403, in words; static; NULL: nothing is said */
    uint64_t forbidden_ms;        /* of NEED_IF_SERVED; 0: 403 is a failure for ever */
};

/* Why it listed although it had a list. */
enum relist_cause {
    RELIST_GONE,      /* 410 */
    RELIST_LOST,      /* the connection broke, was refused or silent, or there was no watch for too long */
    RELIST_MALFORMED, /* a watch line that is no event */
    RELIST_REWOUND,   /* the server's newest version, or one that a watch tells, is below ours */
    RELIST_BEHIND,    /* the watch does not follow the server */
    RELIST_DOUBT,     /* the sink asked for it */
    RELIST_CAUSES,
};
/* "gone", ... */
const char *relist_cause_name(enum relist_cause cause);

struct reflector_stats {
    struct counter lists_paged, lists_streamed; /* complete ones */
    struct counter streams_refused;             /* streamed lists that the server would not give */
    struct counter relists[RELIST_CAUSES];
    struct counter watches;    /* watches opened, the streamed lists' too */
    struct counter reconnects; /* watches that were lost, or given up */
    struct counter events;     /* ADDED, MODIFIED, DELETED */
    struct counter bookmarks;
    struct counter probes;      /* versions compared */
    struct counter errors;      /* requests that failed, and in-stream ERRORs */
    struct counter bad_objects; /* without metadata.name: skipped */
    struct counter malformed;   /* watch lines and pages that are not what the API serves: listed again */
    struct counter absent;      /* gauge: 1 while an optional resource is not there, or not for us */
    struct counter last_contact_us; /* monotonic: last byte or answer that proved the view current */
};

enum code reflector_new(struct kube_client *client, const struct reflector_options *options,
                        struct reflector **ret_reflector, struct err *err) must_check;
/* Not inside a call of its sink. No sink call comes after it. NULL is fine. */
void reflector_free(struct reflector *reflector);
bool reflector_synced(const struct reflector *reflector);
const struct reflector_stats *reflector_stats(const struct reflector *reflector);
/* Why it is not synced, or what went wrong last; "" when all is well. */
const char *reflector_last_error(const struct reflector *reflector);
/* The same while attempts fail; else empty. */
const char *reflector_problem(const struct reflector *reflector);

#endif
