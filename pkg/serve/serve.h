/*
 * The serving side as the control thread sees it: N workers, the acceptor, publication, draining, dumps, metrics.
 *
 * Threads: everything on the control loop; callbacks come there too.
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include "base/buf.h"
#include "base/json.h"
#include "grpc/server.h"
#include "model/catalog.h"
#include "model/pod_table.h"
#include "model/refusal.h"
#include "net/tls.h"
#include "net/uid_accounts.h"
#include "net/verifier.h"
#include "serve/limits.h"
#include "serve/load_table.h"
#include "serve/topic.h"

#define SERVE_THREADS_MAX 64
#define SERVE_LISTENERS_MAX 16
#define SERVE_DUMP_MAX (256 * 1024 * 1024)

struct serve;

struct serve_options {
    struct loop *loop; /* control */
    unsigned threads;
    const char *cluster_domain;
    const char *default_namespace;
    enum unknown_names unknown_names;
    enum default_access default_access;
    struct grpc_limits grpc_limits;
    struct serve_limits limits;
    /* Where the host of a client's address is; asked once for every connection, on the control loop. May be NULL. */
    bool (*place_of_peer)(void *ctx, const struct address *peer, struct place *ret_place);
    void *place_ctx;
    const char *const *host_suffixes; /* struct name_context's; borrowed for life */
    /* Clients of Clusters report their load, so often; 0: they do not. */
    uint64_t load_interval_ms;
    const struct uid_accounts *uids; /* of users on unix sockets, which are nobody else; borrowed for life. NULL: none */
    bool pods;   /* clients are known by their addresses (serve_set_pods()) where nothing else says who they are */
    bool tokens; /* calls may carry one (serve_set_verifier()); else what they carry is not looked at */
    /* A token of an unknown key has come; at most once a second for each worker. May be NULL. */
    void (*unknown_key)(void *ctx);
    void *unknown_key_ctx;
    /* A client refused what a policy makes of a Listener or Cluster, and has the plain form since. Borrowed during the call. May be NULL. */
    void (*refused)(void *ctx, const struct refusal *refusal);
    void *refused_ctx;
};

/* Empty: all streams; else those that listen to something of that Service. Borrowed during the call. */
struct stream_filter {
    struct str namespace_name, service;
};

enum code serve_new(const struct serve_options *options, struct serve **ret_serve, struct err *err) must_check;
/* Hard: what is open is closed. */
void serve_free(struct serve *serve);

/* Starts accepting on `address`; may be called several times. Nothing listens before the first synced catalog: that is the caller's order. */
enum code serve_listen(struct serve *serve, const struct address *address, struct err *err) must_check;
/* The same over TLS; behind serve_set_tls(). */
enum code serve_listen_tls(struct serve *serve, const struct address *address, struct err *err) must_check;
/* A server's, for connections accepted from here on; takes a reference. Those that are open keep what they have. */
void serve_set_tls(struct serve *serve, struct tls *tls);
/* Who verifies the tokens of calls from here on; takes a reference. Before the first, calls with one are refused as UNAVAILABLE. */
void serve_set_verifier(struct serve *serve, struct verifier *verifier);
/* Whose pods have which addresses, from here on: calls of clients for whom that says something else than before end as UNAVAILABLE, so that they
 * begin anew. Takes over one reference. Before the first, calls that nothing else identifies are refused as UNAVAILABLE. */
void serve_set_pods(struct serve *serve, const struct pod_table *pods);
/* The bound addresses, in order of serve_listen() and serve_listen_tls(); NULL behind the last. */
const struct address *serve_address(const struct serve *serve, size_t index);

/* Takes over one reference. */
void serve_publish(struct serve *serve, const struct catalog *catalog);
/* Open calls, over all workers. */
uint64_t serve_streams(const struct serve *serve);
/* Of these, open streams that carry lists. */
uint64_t serve_list_streams(const struct serve *serve);

/* Streams that end so that their clients connect anew, and perhaps to another replica: the oldest first. With a stream goes its connection (GOAWAY; status 0), since on
 * what is left of it a client would come straight back; so all streams of a connection go, or none.
 * Spared are: grpc-js; who has not told what it is, or was never answered; connections with a stream that is younger than min_age_ms, or whose client does not read. */
struct serve_shed {
    uint64_t streams;   /* so many, at most; over all workers by how many each has */
    uint64_t most;      /* no connection with more of them than this goes; one with more than `streams` goes alone */
    uint64_t min_age_ms;
    uint64_t spread_ms; /* they go at random moments within */
};

void serve_shed(struct serve *serve, const struct serve_shed *shed);
/* So many have been chosen so far. */
uint64_t serve_shed_total(const struct serve *serve);
/* The longest last fan-out of all workers. */
uint64_t serve_fanout_us(const struct serve *serve);

/* Stops accepting, then ends streams over `spread_ms` and everything at `deadline_ms`; on_drained once, on the control loop. */
void serve_drain(struct serve *serve, uint64_t spread_ms, uint64_t deadline_ms, void (*on_drained)(void *ctx), void *ctx);
/* Health turns to NOT_SERVING at once; connections live on. */
void serve_set_draining(struct serve *serve);

/* Asks every worker for its streams: {"streams":[...]}; on_done gets the text, borrowed, with buf_failed() when it is larger than SERVE_DUMP_MAX.
 * Dumps that are asked for at the same time are made one after the other. */
void serve_dump_streams(struct serve *serve, const struct stream_filter *filter, void (*on_done)(void *ctx, struct buf *json), void *ctx);
/* Asks every worker how many subscriptions there are to lists of each Service, which costs it well below a microsecond for
 * each: {"services":{"shop/greeter":3,...}}. Where clients report their load also what they call each, in calls that ended and those of them that failed
 * in a thousand seconds: {...,"calls":{...},"failed":{...}}. */
#define SERVE_COUNTS_MAX (4 * 1024 * 1024)
void serve_count_streams(struct serve *serve, void (*on_done)(void *ctx, struct buf *json), void *ctx);
/* Asks every worker for what clients report of their calls, summed up: borrowed. Without reports it is empty. */
void serve_collect_loads(struct serve *serve, void (*on_done)(void *ctx, const struct load_table *loads), void *ctx);
/* Prometheus text of it; and "load", a member of an open object: a row each. */
void serve_write_load_metrics(const struct load_table *loads, struct buf *out);
void serve_write_loads(const struct load_table *loads, struct json_writer *writer);
/* Prometheus text, summed over the workers. */
void serve_write_metrics(const struct serve *serve, struct buf *out);

#endif
