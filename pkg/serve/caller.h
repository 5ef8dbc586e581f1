/*
 * Who makes a call, by the token that it carries.
 *
 * Threads: the worker's loop.
 * Errors:  the client is told that its token is refused, the log why: a line a second for each worker.
 */
#ifndef SERVE_CALLER_H
#define SERVE_CALLER_H

#include "grpc/server.h"

/* grpc_server_options.authenticate; `ctx` is the struct worker. */
enum code caller_authenticate(void *ctx, const struct rpc *rpc, struct str authorization,
                              struct service_account **ret_account, struct err *err) must_check;

#endif
