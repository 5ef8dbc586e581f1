/*
 * Who makes a call: by the token that it carries, or else by the user at the other end of its unix socket, or by
 * the pod that has its address.
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
/* grpc_server_options.identify; the same. */
enum code caller_identify(void *ctx, const struct rpc *rpc, struct service_account **ret_account,
                          struct err *err) must_check;

#endif
