/*
 * One serving loop: a thread, its connections, its topics, its mailbox.
 *
 * Threads: worker_new/free/publish/adopt/load/call from the control thread; the rest on the worker's own loop.
 */
#ifndef SERVE_WORKER_H
#define SERVE_WORKER_H

#include "base/buf.h"
#include "base/metric.h"
#include "grpc/server.h"
#include "model/place.h"
#include "model/refusal.h"
#include "net/credentials.h"
#include "net/uid_accounts.h"
#include "net/address_share.h"
#include "net/verifier.h"
#include "protocol/request.h"
#include "serve/heed.h"
#include "serve/limits.h"
#include "serve/load_table.h"
#include "serve/origin.h"
#include "serve/services.h"
#include "serve/topic.h"

/* What of a load report does not count: a Cluster of no Service, a row or a metric too many. */
enum load_left { LOAD_LEFT_UNKNOWN, LOAD_LEFT_ROWS, LOAD_LEFT_METRICS, LOAD_LEFT_KINDS };

/* Written by the worker's thread, read by any. */
struct worker_stats {
    struct counter streams_xds, streams_delta, streams_native, streams_grpclb; /* gauges */
    struct counter requests;
    struct counter pushes[TOPIC_KINDS]; /* responses, by topic kind */
    struct counter push_bytes;
    struct counter acks, nacks, stale_nonces;
    struct counter refused_policies; /* Listeners and Clusters that clients got in their plain form since they refused the other */
    struct counter shed; /* streams of lists ended so that their clients come to another replica */
    struct counter spared[SPARE_REASONS];
    struct counter refused_streams; /* ended for a limit or a malformed request */
    struct counter limit_hits[SERVE_LIMITS]; /* of these, by limit; connections-per-address is the acceptor's */
    struct counter malformed_names; /* asked for, never answered */
    struct counter too_large;       /* resources not sent because no client would accept the message */
    struct counter access_refused;  /* subscriptions to what the client may not see */
    struct counter tokens_accepted, tokens_refused, tokens_unknown_key, tokens_early; /* of calls */
    struct counter unix_known, unix_unknown; /* calls without a token or certificate */
    struct counter pod_known, pod_unknown, pod_clash, pods_early; /* the same, from elsewhere */
    struct counter moved; /* calls ended because their address has come to mean somebody else */
    struct counter subscriptions;   /* gauge */
    struct counter grpclb_fallbacks; /* responses */
    struct counter grpclb_reports;   /* of clients, and what they add up to: */
    struct counter grpclb_started, grpclb_finished, grpclb_failed_to_send, grpclb_received, grpclb_dropped;
    struct counter streams_load; /* gauge */
    struct counter load_reports;
    struct counter loads_left_out[LOAD_LEFT_KINDS];
    struct topic_table_stats topics;
    struct counter catalogs;        /* taken from the mailbox */
    struct counter fanout_us;       /* the last fan-out: from the mailbox until nothing was left to send */
    struct histogram convergence;   /* object received → written to a client */
};

/* One line per loop and second about clients that misbehave; the others are only counted. */
#define WORKER_COMPLAINT_US 1000000

struct worker_options {
    unsigned index;
    struct topic_table_options topics;
    const char *default_namespace;
    struct grpc_limits grpc_limits;
    struct serve_limits limits; /* all set */
    uint64_t load_interval_ms; /* of load reports; 0: none are wanted */
    /* A client refused what a policy makes of a Listener or Cluster; on the worker's loop. May be NULL. */
    void (*refused)(void *ctx, const struct refusal *refusal);
    void *refused_ctx;
    const struct uid_accounts *uids; /* of users on unix sockets; NULL: none is known */
    bool pods;                       /* clients are known by their addresses */
    bool tokens;
    void (*unknown_key)(void *ctx); /* on the worker's loop. May be NULL */
    void *unknown_key_ctx;
};

struct worker {
    struct worker_options options;
    struct loop *loop;
    struct grpc_server *server;
    struct topic_table *topics;
    struct worker_stats stats;
    struct heed heed;            /* what its clients depend on, for the control loop */
    uint64_t woken_us;           /* when worker_wake() was called last (control thread) */
    struct load_table *loads;    /* NULL: no reports are wanted */
    struct list wildcards;       /* xds_stream with a wildcard subscription */
    struct list health_watchers; /* health_stream */
    uint64_t catalog_at_us; /* when the newest catalog was taken */
    bool fanning_out;       /* its fan-out is not through yet */
    uint64_t complained_us;
    uint64_t audit_us; /* the second in which `audit_lines` were logged */
    unsigned audit_lines;
    struct verifier *verifier; /* of tokens; NULL: none yet */
    struct origins origins;    /* with options.pods */
    uint64_t unknown_key_us;   /* when that was told last; 0: never */
    bool draining;
    struct xds_request request; /* scratch: keeps its memory from message to message */
    /* the worker's own */
    struct thread *thread;
    struct latest *mailbox;
    struct latest *verifiers;
    struct latest *pod_tables;
    struct deferred work;
    struct counter adopted; /* connections handed over so far (control thread) */
    struct counter arrived; /* of these, those that came here */
};

enum code worker_new(const struct worker_options *options, struct worker **ret_worker, struct err *err) must_check;
/* Stops the loop, joins the thread, frees. */
void worker_free(struct worker *worker);

/* Takes over one reference. The worker hears of it by worker_wake(), or when it looks by itself. */
void worker_publish(struct worker *worker, const struct catalog *catalog);
/* After worker_publish(), if it is concerned. */
void worker_wake(struct worker *worker);
/* Takes over one reference, and wakes the worker; worker_set_pods() too. */
void worker_set_verifier(struct worker *worker, struct verifier *verifier);
void worker_set_pods(struct worker *worker, const struct pod_table *pods);

/* A connection that was accepted, and what is known of its peer. */
struct adoption {
    int fd; /* owned */
    const struct address *peer;            /* borrowed during the call, as all below but the share */
    struct tls *tls;                       /* of a server; NULL: plaintext. A reference is taken */
    const struct place *place;             /* where the peer's address is known to be */
    const struct credentials *credentials; /* whose the peer is; NULL: there are none */
    struct address_share *share;           /* owned; NULL: the peer has no IP */
};

void worker_adopt(struct worker *worker, const struct adoption *adoption);
/* The acceptor's measure: calls, connections, and connections on their way. */
uint64_t worker_load(const struct worker *worker);
/* Runs fn(ctx, worker) on the worker's loop. */
void worker_call(struct worker *worker, void (*fn)(struct worker *worker, void *ctx), void *ctx);

/* ---- for the services, on the worker's loop ---- */

/* The newest catalog counts from here on: before what a client asks for is looked at. */
void worker_catch_up(struct worker *worker);
/* Everything concerns the worker, or only what its topics depend on. */
void worker_heed_all(struct worker *worker, bool all);

/* The namespace of names that give none: that of the client's account, else the one that it says is its own, else the
 * default. Borrowed from either. */
struct str worker_client_namespace(const struct rpc *rpc, struct str said);
/* Who the client is, as is proven; nobody: empty. Borrowed from the call. */
struct caller worker_caller(const struct rpc *rpc);
/* Of a client on a unix socket; NULL: it is on another. */
const struct credentials *worker_credentials(const struct rpc *rpc);
/* The client of `rpc` may not see what that subscription is about: counts and logs it. */
void worker_tell_refused(struct worker *worker, const struct rpc *rpc, const struct subscriber *subscriber);
/* Where the client is: as it says itself, and what it does not say as its address tells. Borrowed
 * from `said` and the connection. */
struct place worker_client_place(const struct rpc *rpc, const struct place *said);
/* Its group (place.group), by what it calls itself and its address. */
unsigned worker_client_group(const struct rpc *rpc, struct str id);
/* A subscription of `rpc`'s connection came (+1) or went (-1). */
void worker_count_subscription(struct worker *worker, struct rpc *rpc, int change);
/* So many its connection has. */
uint64_t worker_subscriptions(const struct rpc *rpc);
/* A stream that has so many names would have so many: RESOURCE_EXHAUSTED when it, its connection or the loop had more of them than it may then;
 * counts. */
enum code worker_admit(struct worker *worker, const struct rpc *rpc, uint64_t names, uint64_t names_after, struct err *err) must_check;
/* Ends the stream for what its client asked: counts and logs it. `what`: "xds stream refused". */
void worker_refuse(struct worker *worker, struct rpc *rpc, const char *what, const struct err *err);
/* Streams of lists, of all protocols; from any thread. */
uint64_t worker_list_streams(const struct worker *worker);
/* Whether a line about a misbehaving client may be logged now. */
bool worker_may_complain(struct worker *worker);
/* The line, with the client's address and the reason, if it may. */
void worker_complain(struct worker *worker, const struct rpc *rpc, const char *what, const struct err *err);
/* Of one stream: when the oldest change was received that is on its way to the client; 0: none, only answers. */
struct change_age {
    uint64_t pending_us;  /* not in a message yet */
    uint64_t inflight_us; /* in the message being written */
};

/* The topic that a subscription listens to has changed. */
void change_age_touch(struct change_age *age, const struct topic_content *content);
/* What was pending is in a message. */
void change_age_pulled(struct change_age *age);
/* That message has been written: counts towards convergence. */
void change_age_written(struct change_age *age, struct worker *worker);

#endif
