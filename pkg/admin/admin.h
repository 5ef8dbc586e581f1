/*
 * The admin port: health, readiness, metrics and dumps over HTTP/1.1.
 *
 * A route may be local_only: it answers only clients on loopback or a unix socket (kubectl
 * port-forward reaches them), 403 to others. POST routes, which change something or take a
 * body, always are, and refuse what a web page in an operator's browser sends (it carries an Origin).
 * Threads: everything on the loop given.
 * Limits:  ADMIN_CONNECTIONS_MAX connections, ADMIN_CONNECTIONS_PER_IP_MAX of one address, so that
 *          nobody locks the kubelet out; ADMIN_IDLE_S seconds idle, also between two requests and
 *          inside one. A body is kept for a route that takes one, up to its bound (413), and only
 *          of who may have it; others are discarded. A query has at most ADMIN_ARGUMENTS_MAX
 *          arguments of ADMIN_ARGUMENT_MAX bytes, each once, without NUL: else 400.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "base/buf.h"
#include "loop/loop.h"
#include "net/address.h"

#define ADMIN_CONNECTIONS_MAX 256
#define ADMIN_CONNECTIONS_PER_IP_MAX 32
#define ADMIN_IDLE_S 10
#define ADMIN_ARGUMENTS_MAX 16
#define ADMIN_ARGUMENT_MAX 1024

struct admin;
struct admin_request;

struct admin_route {
    const char *method; /* "GET" also serves HEAD; "POST" for what changes something or takes a body */
    const char *path;
    const char *help; /* shown at "/" */
    bool local_only;
    /* Answers with admin_reply(), now or later, exactly once. */
    void (*handle)(void *ctx, struct admin_request *request);
    size_t body_max; /* of a POST that takes a body; else 0 */
};

/* `routes` are borrowed for life. */
enum code admin_new(struct loop *loop, const struct address *address,
                    const struct admin_route *routes, size_t routes_len, void *ctx,
                    struct admin **ret_admin, struct err *err) must_check;
/* Requests that wait for a reply must be gone or are answered with 503; their handles are dead
 * afterwards. */
void admin_free(struct admin *admin);
DEFINE_CLEANUP(struct admin, admin_free)
const struct address *admin_address(const struct admin *admin);
/* Connections that passed a limit, so far. */
uint64_t admin_refused(const struct admin *admin);

/* What admin_new() was given. */
void *admin_ctx(const struct admin_request *request);
/* An argument of the request's query, percent-decoded; NULL: it has none of that name. Borrowed
 * until the reply. */
const char *admin_argument(struct admin_request *request, const char *name);
/* What was posted, to a route that takes a body; borrowed until the reply. */
struct str admin_body(const struct admin_request *request);
/* The body is copied. */
void admin_reply(struct admin_request *request, unsigned status, const char *content_type,
                 struct str body);

#endif
