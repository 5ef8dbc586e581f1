/*
 * A listening socket: hands over accepted descriptors, non-blocking and close-on-exec.
 *
 * Threads: the loop given to listener_new().
 * Owns:    the socket, and the file of a unix socket (a stale file that nobody listens on is replaced; mode 0660).
 * Errors:  address in use → CODE_ALREADY_EXISTS "cannot listen on '127.0.0.1:18000': address already in use". Out of
 *          descriptors: accepting pauses for 100 ms, is counted and logged once a minute; nothing spins.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/metric.h"
#include "loop/loop.h"
#include "net/address.h"

#define LISTENER_BACKLOG 4096
#define LISTENER_ACCEPTS_PER_TURN 64

struct listener;

/* Owns `fd` from here on. IPv4 peers of a dual-stack socket are shown as plain IPv4. */
typedef void listener_accept_fn(void *ctx, int fd, const struct address *peer);

enum code listener_new(struct loop *loop, const struct address *address, listener_accept_fn *on_accept,
                       void *ctx, struct listener **ret_listener, struct err *err) must_check;
/* Stops listening and closes. NULL is fine. */
void listener_free(struct listener *listener);
/* The bound address: the real port where 0 was asked. */
const struct address *listener_address(const struct listener *listener);
uint64_t listener_accept_errors(const struct listener *listener);

#endif
