/*
 * What `streams` and `explain` both show of a stream of /debug/streams.
 */
#ifndef LOOKASIDECTL_STREAM_H
#define LOOKASIDECTL_STREAM_H

#include "command.h"

/* Its address; a unix socket's other end has none, but a process. */
void stream_add_peer(struct table *table, const struct json *stream);
/* "shop/frontend (token)": who it is, and what proves it; "-": nobody in particular. */
void stream_add_account(struct table *table, const struct json *stream);
/* It asked for something that it may not see. */
bool stream_is_refused(const struct json *stream);

#endif
