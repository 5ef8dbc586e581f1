/*
 * The method table of a serving loop: one handler per RPC method. rpc_server_ctx() of each is the struct worker.
 *
 * Threads: everything on the worker's loop.
 */
#ifndef SERVE_SERVICES_H
#define SERVE_SERVICES_H

#include "base/json.h"
#include "grpc/server.h"

struct worker;

extern const struct rpc_method service_methods[];
extern const size_t service_methods_len;

extern const struct rpc_handler xds_sotw_handler;
extern const struct rpc_handler native_watch_handler;
extern const struct rpc_handler health_check_handler;
extern const struct rpc_handler health_watch_handler;

/* One stream as an object of /debug/streams. */
void service_dump(struct rpc *rpc, struct json_writer *writer);
/* Members of an open object. */
void xds_stream_dump(struct rpc *rpc, struct json_writer *writer);
void native_stream_dump(struct rpc *rpc, struct json_writer *writer);

/* Wildcard subscriptions look again: the set of Services may have changed. */
void xds_streams_touch_wildcard(struct worker *worker);
/* Health watchers look again: draining began. */
void health_watchers_wake(struct worker *worker);

#endif
