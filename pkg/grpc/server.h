/*
 * A gRPC server for one loop, over nghttp2: connections are handed to it, calls come out as struct
 * rpc.
 *
 * Serves HTTP/2 with prior knowledge (h2c) or over TLS, and answers GET and POST /healthz in HTTP/1.1
 * and HTTP/2 for load balancers and people.
 * Threads: everything on its loop, except reading stats.
 * Limits:  what a peer influences is bounded by struct grpc_limits; what passes a limit ends that
 *          stream or connection with the proper code, one counter, and at most one log line per
 *          connection.
 */
#ifndef GRPC_SERVER_H
#define GRPC_SERVER_H

#include "base/metric.h"
#include "grpc/limits.h"
#include "grpc/rpc.h"
#include "loop/loop.h"
#include "net/tls.h"
#include "net/tls_gate.h"

struct grpc_server;

struct grpc_server_stats {
    struct counter connections; /* gauge */
    struct counter connections_total;
    struct counter calls; /* gauge */
    struct counter calls_total;
    struct counter messages_received;
    struct counter messages_sent;
    struct counter bytes_received;
    struct counter bytes_sent;
    struct counter protocol_errors; /* broken HTTP/2 or gRPC framing */
    struct counter limit_hits[GRPC_LIMITS]; /* streams and connections ended for one */
    struct counter connections_broken; /* ended by an error of the network */
    struct counter keepalive_closed;
    struct counter stalled_bytes; /* gauge: bytes that stalled readers pin */
    struct tls_stats tls;
};

struct grpc_server_options {
    struct loop *loop;
    const struct rpc_method *methods; /* borrowed for life */
    size_t methods_len;
    void *ctx;                 /* rpc_server_ctx() */
    /* Names of the request's headers that rpc_metadata() knows, NULL behind the last; borrowed for life. NULL: none. */
    const char *const *metadata;
    struct grpc_limits limits; /* zero fields: defaults */
    /* The answer to GET /healthz: an HTTP status and a short text with a static lifetime. NULL:
     * always 200 "ok". */
    const char *(*healthz)(void *ctx, unsigned *ret_status);
    /* Who makes a call with that `authorization` header, which is a secret; *ret_account (the call's then) may be NULL:
     * nobody. Not CODE_OK: the call is refused with that, and with err's message. NULL: the header is not looked at. */
    enum code (*authenticate)(void *ctx, const struct rpc *rpc, struct str authorization,
                              struct service_account **ret_account, struct err *err);
    /* The same of a call that proves it neither by that header nor by a certificate. NULL: it is nobody's. */
    enum code (*identify)(void *ctx, const struct rpc *rpc, struct service_account **ret_account, struct err *err);
    /* Frees what a connection was adopted with, once it is gone. NULL: nothing to free. */
    void (*release)(void *connection);
    /* How many calls there are, for the acceptor's choice of a loop, is in stats.calls. */
};

enum code grpc_server_new(const struct grpc_server_options *options,
                          struct grpc_server **ret_server, struct err *err) must_check;
/* Closes everything that is left, hard. Not inside a handler's callbacks; NULL is fine. */
void grpc_server_free(struct grpc_server *server);
/* A new connection; owns fd, and `connection`: whatever the handlers keep about it, for
 * rpc_connection(); may be NULL. `tls`: a server's, borrowed during the call; NULL: plaintext. */
void grpc_server_adopt(struct grpc_server *server, int fd, const struct address *peer,
                       struct tls *tls, void *connection);
/* Graceful: GOAWAY on every connection, staggered over `spread_ms`; calls whose handler has
 * on_pull end with status OK, the others finish by themselves; `on_drained` (from the loop) when
 * no connection is left. After `deadline_ms` what is left is closed hard. Once per server. */
void grpc_server_drain(struct grpc_server *server, uint64_t spread_ms, uint64_t deadline_ms,
                       void (*on_drained)(void *ctx), void *ctx);
/* Every connection has been given what there was to send, as far as it takes it. */
bool grpc_server_idle(const struct grpc_server *server);
const struct grpc_server_stats *grpc_server_stats(const struct grpc_server *server);
/* Visits every open call, oldest connection first. */
void grpc_server_each_call(struct grpc_server *server, void (*visit)(void *ctx, struct rpc *rpc),
                           void *ctx);
/* The path of the method that a call is of. */
struct str rpc_path(const struct rpc *rpc);

#endif
