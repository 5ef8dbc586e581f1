/*
 * A small gRPC client: one connection, plaintext or TLS, unary and streaming calls. For
 * lookasidectl and tests.
 *
 * Threads: everything on the loop given.
 * Owns:    the caller frees the client; that ends its calls without callbacks.
 */
#ifndef GRPC_CLIENT_H
#define GRPC_CLIENT_H

#include "base/buf.h"
#include "loop/loop.h"
#include "net/address.h"
#include "net/tls.h"

struct grpc_client;
struct grpc_call;

struct grpc_call_handler {
    void (*on_message)(void *ctx, struct str message);
    /* Last callback of a call. */
    void (*on_end)(void *ctx, enum code code, const char *message);
};

/* Copied, but for the loop. */
struct grpc_client_options {
    struct loop *loop;
    const struct address *server;
    const char *authority;
    uint64_t connect_timeout_ms; /* with the TLS handshake */
    struct tls *tls;             /* a client's; NULL: plaintext */
    const char *server_name;     /* that the server's certificate must be for */
    const char *authorization;   /* what every call says, a secret; NULL: nothing */
};

/* Connects in the background; calls may be made at once and wait, at most `connect_timeout_ms`. */
enum code grpc_client_new(const struct grpc_client_options *options,
                          struct grpc_client **ret_client, struct err *err) must_check;
/* Not inside its callbacks. NULL is fine. */
void grpc_client_free(struct grpc_client *client);

/* deadline_ms 0: none. The call lives until on_end or grpc_call_cancel(). */
struct grpc_call *grpc_call_start(struct grpc_client *client, const char *path,
                                  uint64_t deadline_ms, const struct grpc_call_handler *handler,
                                  void *ctx) must_check;
/* Copied and queued; `last` half-closes. */
void grpc_call_send(struct grpc_call *call, const void *ptr, size_t len, bool last);
void grpc_call_cancel(struct grpc_call *call);

#endif
