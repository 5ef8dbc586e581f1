/*
 * Memory for the nghttp2 sessions of one loop.
 *
 * A session keeps a send buffer of 16,394 bytes for life, but uses it only inside one call of
 * nghttp2_session_mem_send() and until what that returned has been copied. All sessions of a loop
 * therefore share one. This holds only while
 *   - what mem_send returns is copied before any session of the loop is called again, and
 *   - the send_data callback never answers NGHTTP2_ERR_WOULDBLOCK (a packed frame head would wait in the buffer).
 *
 * Threads: belongs to one loop.
 * Owns:    the shared buffer; sessions must be deleted first.
 */
#ifndef GRPC_MEMORY_H
#define GRPC_MEMORY_H

#include <nghttp2/nghttp2.h>

#include "base/base.h"

struct grpc_memory {
    nghttp2_mem hooks;
    void *send_buffer;
    bool sharing; /* the next allocation of the send buffer's size gets the shared one */
};

void grpc_memory_init(struct grpc_memory *memory);
void grpc_memory_done(struct grpc_memory *memory);
/* nghttp2_session_server_new3() with the shared send buffer. */
int grpc_memory_new_session(struct grpc_memory *memory, const nghttp2_session_callbacks *callbacks,
                            const nghttp2_option *option, void *user_data,
                            nghttp2_session **ret_session) must_check;

#endif
