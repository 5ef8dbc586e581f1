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
/* The first type of which some name is in that state; NULL: there is none. */
const struct json *stream_type_in_state(const struct json *stream, const char *state);
/* What it asked for is hidden from it; a backend of what it asked for is. */
bool stream_is_hidden(const struct json *stream);
bool stream_lacks_backend(const struct json *stream);

#endif
