/*
 * What the files of the reflector share; nobody else includes it.
 *
 *   reflector.c        its life: what comes next, failing and recovering
 *   reflector_list.c   lists: what they mean for the sink, and the paged one
 *   reflector_watch.c  watches, and lists that are streamed in one
 *   reflector_probe.c  whether the server's newest version fits ours
 */
#ifndef KUBE_REFLECTOR_INTERNAL_H
#define KUBE_REFLECTOR_INTERNAL_H

#include "base/backoff.h"
#include "kube/lines.h"
#include "kube/object.h"
#include "kube/query.h"
#include "kube/reflector.h"

#define LIST_IDLE_MS 30000
#define PATH_BYTES_MAX (4 * CONTINUE_TOKEN_MAX)
#define STATUS_FORBIDDEN 403
#define STATUS_NOT_FOUND 404
#define STATUS_TOO_MANY_REQUESTS 429

/* Why the reader of a watch ended it. */
enum verdict {
    VERDICT_NONE,
    VERDICT_GONE,
    VERDICT_SERVER_ERROR,
    VERDICT_MALFORMED,
    VERDICT_REWOUND,   /* it told a version from before it began */
    VERDICT_NO_STREAM, /* the server does not stream lists */
};

/* The comparison with the server's newest version. */
struct probe {
    struct timer *timer; /* to the next look */
    struct kube_request *request;
    struct buf page;
    uint64_t sent_us;
    uint64_t ours;  /* our version when it was sent; 0: not a number */
    uint64_t ahead; /* a version of the server's that our watch has to reach; 0: none */
    uint64_t ahead_since_us;
    uint64_t patience_ms;
    uint64_t given_up_at; /* our version when a watch was given up for being behind; 0: not so */
};

struct reflector {
    struct kube_client *client;
    struct loop *loop;
    struct reflector_options options; /* path and label are ours */
    struct kube_request *request;     /* a page or a watch; NULL while waiting */
    struct timer
        *timer; /* waiting: the next attempt; streaming: the end of patience; else: proven */
    struct timer *doubt; /* to the list that the sink asked for */
    struct backoff backoff;
    char *version;  /* the newest we saw; NULL before the first list */
    bool synced;    /* on_synced was called */
    bool must_list; /* resuming is impossible or unsafe; a request in progress is a list */
    bool failing;   /* an episode of failures was announced */
    bool away;      /* and the server was not there, or answered 5xx, in it */
    bool back;      /* and answers again */

    /* the list in progress */
    struct buf page;
    char *next;           /* its continue token */
    bool page_shrunk;     /* said once that pages were too large */
    bool list_open;       /* the sink has it begun */
    uint64_t list_newest; /* the highest version of an object in it */
    uint64_t stream_refused_until_us;
    unsigned streams_broken; /* in a row */

    /* the watch in progress */
    struct lines lines;
    uint64_t watch_seconds; /* how long the server was asked to keep it */
    uint64_t watch_from;    /* our version when it began; 0: not a number */
    bool bookmarked;        /* by this watch */
    enum verdict verdict;
    struct err verdict_err;
    struct kube_response verdict_status; /* of VERDICT_SERVER_ERROR; its message is verdict_err's */
    uint64_t watch_open_us;              /* 0: no answer yet */
    uint64_t unwatched_since_us;

    struct probe probe;
    struct reflector_stats stats;
    unsigned early_failures;      /* before on_synced */
    uint64_t forbidden_since_us;  /* 403 is the only answer since then; 0: it is not */
    char last_error[FAIL_MESSAGE_MAX];
};

/* ---- reflector.c ---- */

/* Frees what was there; empty becomes NULL. */
void reflector_set_text(char **slot, struct str text);
/* 0: not a number. */
uint64_t reflector_version(const struct reflector *refl);
/* The view is proved current. */
void reflector_contact(struct reflector *refl);
/* Once only. */
void reflector_tell_synced(struct reflector *refl);
/* What comes next is a list: counted under its cause, unless one was due already. */
void reflector_must_list(struct reflector *refl, enum relist_cause cause);
/* List or watch, now. No request may be in progress. */
void reflector_proceed(struct reflector *refl);
/* A whole view, now: by a streamed list, or by pages where that is refused. */
void reflector_obtain(struct reflector *refl);
/* Gives up the watch in progress, if there is one, and obtains a view. */
void reflector_start_over(struct reflector *refl, enum relist_cause cause);
/* After a failure; `doing` is "list" or "watch". */
void reflector_retry(struct reflector *refl, const char *doing,
                     const struct kube_response *response);
/* What it answered was of no use. */
void reflector_retry_useless(struct reflector *refl, const char *doing, const char *cause);
/* Our version, or that of a list in progress, is too old; or the server is. */
void reflector_retry_gone(struct reflector *refl, const char *doing, const char *cause);
/* The watch works. */
void reflector_recovered(struct reflector *refl);
/* False if the object has no name: it is skipped, the others live on. */
bool reflector_named(struct reflector *refl, const struct object_meta *meta, const char *where);
void reflector_request(struct reflector *refl, const struct kube_request_options *options,
                       const char *doing);

/* ---- reflector_list.c ---- */

/* By pages. */
void reflector_list(struct reflector *refl);
/* One object of the list in progress, which begins with the first. */
void reflector_list_object(struct reflector *refl, const struct json *object);
/* Begins it if nothing has. */
void reflector_list_open(struct reflector *refl);
/* The list is in force, as of `version`. */
void reflector_list_complete(struct reflector *refl, struct str version, struct counter *kind);
/* Nothing of it counts. */
void reflector_list_failed(struct reflector *refl);
/* Forgets what belongs to a list in progress. */
void reflector_list_close(struct reflector *refl);

/* ---- reflector_watch.c ---- */

void reflector_watch(struct reflector *refl);
/* True unless it was refused lately. */
bool reflector_may_stream(const struct reflector *refl);
/* By the first events of a watch. */
void reflector_stream(struct reflector *refl);
/* A list is being streamed, and its time is up. */
void reflector_stream_overdue(struct reflector *refl);
/* Ends the watch in progress without another word. */
void reflector_watch_give_up(struct reflector *refl);

/* ---- reflector_probe.c ---- */

void reflector_probe_init(struct reflector *refl);
void reflector_probe_done(struct reflector *refl);
/* A list is complete: versions are compared anew. */
void reflector_probe_listed(struct reflector *refl);

#endif
