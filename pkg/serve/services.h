/*
 * The method table of a serving loop: one handler per RPC method. rpc_server_ctx() of each is the struct worker.
 *
 * Threads: everything on the worker's loop.
 */
#ifndef SERVE_SERVICES_H
#define SERVE_SERVICES_H

#include "base/json.h"
#include "grpc/server.h"
#include "protocol/xds.h"
#include "serve/topic.h"

struct worker;

extern const struct rpc_method service_methods[];
extern const size_t service_methods_len;
#define SERVICES_MAX 32
/* The services that the table has methods of, by their full names; false behind the last, which is below SERVICES_MAX. */
bool service_name_at(size_t index, struct str *ret_name) must_check;

/* ADS, then the services of one type; of each state of the world, then delta. */
#define XDS_HANDLERS (2 * (1 + XDS_TYPES))
extern const struct rpc_handler xds_handlers[XDS_HANDLERS];
extern const struct rpc_handler native_watch_handler;
extern const struct rpc_handler native_list_handler;
extern const struct rpc_handler grpclb_handler;
extern const struct rpc_handler load_handler;
extern const struct rpc_handler health_check_handler;
extern const struct rpc_handler health_list_handler;
extern const struct rpc_handler health_watch_handler;
extern const struct rpc_handler reflection_handler;

/* What a dump is about: everything, or what is of one Service (topic_interest(); NULL: nobody asks for it). */
struct dump_filter {
    bool all;
    struct interest *interest;
};

/* One stream as an object of /debug/streams, if the filter wants it. */
void service_dump(struct rpc *rpc, const struct dump_filter *filter, struct json_writer *writer);
/* The view that a subscription got, as a member of an open object. */
void service_dump_view(const struct subscriber *subscriber, struct json_writer *writer);
/* That its Service is hidden from the client: "hidden", true; that a backend of it is: "backendHidden", true; else nothing. */
void service_dump_hidden(const struct subscriber *subscriber, struct json_writer *writer);

/* Why a stream is not shed. */
enum spare { SPARE_NOT, SPARE_NODE, SPARE_UNKNOWN, SPARE_YOUNG, SPARE_STALLED, SPARE_LARGE, SPARE_REASONS };

/* How the streams of one method are dumped, and what is known of their clients. */
struct stream_kind {
    const char *protocol;
    /* By what the client has told on it: whether it comes back by itself, at once, when the stream ends. NULL: it tells nothing of itself but its user-agent. */
    enum spare (*spare)(struct rpc *rpc);
    bool (*listens)(struct rpc *rpc, struct interest *interest);
    struct place (*place)(struct rpc *rpc);
    /* Members of an open object. */
    void (*dump)(struct rpc *rpc, const struct dump_filter *filter, struct json_writer *writer);
};

extern const struct stream_kind xds_stream_kind;
extern const struct stream_kind xds_delta_stream_kind;
extern const struct stream_kind native_stream_kind;
extern const struct stream_kind grpclb_stream_kind;
/* NULL: the call is no stream of lists. */
const struct stream_kind *service_stream_kind(const struct rpc *rpc);

/* Wildcard subscriptions look again: the set of Services may have changed. */
void xds_streams_touch_wildcard(struct worker *worker);
/* Health watchers look again: draining began. */
void health_watchers_wake(struct worker *worker);

#endif
