/*
 * One blocking request, for command-line tools that read or steer an admin port.
 *
 * Threads: any; blocks at most FETCH_TIMEOUT_S seconds.
 */
#ifndef KUBE_FETCH_H
#define KUBE_FETCH_H

#include "base/buf.h"

#define FETCH_TIMEOUT_S 10

/* `address` is "host:port", "http://host:port" or "unix:/path". CODE_UNAVAILABLE when nobody
 * answers; an HTTP error (400 INVALID_ARGUMENT, 403 PERMISSION_DENIED, 404 NOT_FOUND,
 * 413 RESOURCE_EXHAUSTED) carries the
 * first line of its body, which may come from anybody. */
enum code fetch(const char *address, const char *path, struct buf *out, struct err *err) must_check;
/* POST of JSON, or of nothing where `body` is empty. */
enum code fetch_post(const char *address, const char *path, struct str body, struct buf *out,
                     struct err *err) must_check;

#endif
