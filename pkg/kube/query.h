/*
 * The query of a request's path.
 *
 * Errors: what does not fit is lost in `path`, as with every struct buf; the caller sizes it.
 */
#ifndef KUBE_QUERY_H
#define KUBE_QUERY_H

#include "base/buf.h"

/* Appends `key`, which brings its own '?' or '&', then '=' and the value, percent-encoded. */
void query_add(struct buf *path, const char *key, struct str value);

#endif
