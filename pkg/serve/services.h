/*
 * The method table of a serving loop: one handler per RPC method. rpc_server_ctx() of each is the struct worker.
 *
 * Threads: everything on the worker's loop.
 */
#ifndef SERVE_SERVICES_H
#define SERVE_SERVICES_H

#include "base/json.h"
#include "grpc/server.h"
#include "serve/topic.h"

struct worker;

extern const struct rpc_method service_methods[];
extern const size_t service_methods_len;

extern const struct rpc_handler xds_sotw_handler;
extern const struct rpc_handler native_watch_handler;
extern const struct rpc_handler health_check_handler;
extern const struct rpc_handler health_watch_handler;

/* What a dump is about: everything, or what is of one Service (topic_interest(); NULL: nobody asks for it). */
struct dump_filter {
    bool all;
    struct interest *interest;
};

/* One stream as an object of /debug/streams, if the filter wants it. */
void service_dump(struct rpc *rpc, const struct dump_filter *filter, struct json_writer *writer);
/* The view that a subscription got, as a member of an open object. */
void service_dump_view(const struct subscriber *subscriber, struct json_writer *writer);

/* How the streams of one method are dumped. */
struct stream_dumper {
    const char *protocol;
    bool (*listens)(struct rpc *rpc, struct interest *interest);
    struct place (*place)(struct rpc *rpc);
    /* Members of an open object. */
    void (*dump)(struct rpc *rpc, const struct dump_filter *filter, struct json_writer *writer);
};

extern const struct stream_dumper xds_stream_dumper;
extern const struct stream_dumper native_stream_dumper;

/* Wildcard subscriptions look again: the set of Services may have changed. */
void xds_streams_touch_wildcard(struct worker *worker);
/* Health watchers look again: draining began. */
void health_watchers_wake(struct worker *worker);

#endif
