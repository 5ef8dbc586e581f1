/*
 * A call and its connection in a dump: who it is, what went over it and when, and what holds it up. What
 * channelz tells of streams and sockets.
 *
 * Threads: on the worker's loop.
 */
#ifndef SERVE_CALL_DUMP_H
#define SERVE_CALL_DUMP_H

#include "base/json.h"
#include "grpc/rpc.h"

/* Members of an open object. */
void call_dump(const struct rpc *rpc, struct json_writer *writer);

#endif
