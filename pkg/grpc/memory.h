/*
 * Memory for the nghttp2 sessions of one loop: two pieces that each session would own are shared by
 * all.
 *
 * The send buffer (16,394 bytes) is used only inside one call of nghttp2_session_mem_send() and
 * until what that returned has been copied. Sharing it holds only while
 *   - what mem_send returns is copied before any session of the loop is called again, and
 *   - the send_data callback never answers NGHTTP2_ERR_WOULDBLOCK (a packed frame head would wait
 *     in the buffer).
 * The table of the header compressor (1,024 bytes) is never written, because sessions are made with
 * nghttp2_option_set_max_deflate_dynamic_table_size(0); grpc_memory_done() asserts it.
 *
 * Threads: belongs to one loop.
 * Owns:    the shared pieces; sessions must be deleted first.
 */
#ifndef GRPC_MEMORY_H
#define GRPC_MEMORY_H

#include <nghttp2/nghttp2.h>

#include "base/base.h"

struct grpc_memory {
    nghttp2_mem hooks;
    void *send_buffer;
    unsigned char *table;
    /* The next allocation of that size gets the shared piece. */
    bool share_buffer;
    bool share_table;
};

void grpc_memory_init(struct grpc_memory *memory);
void grpc_memory_done(struct grpc_memory *memory);
/* nghttp2_session_server_new3() with the shared pieces; `option` must set a compressor table of
 * 0. */
int grpc_memory_new_session(struct grpc_memory *memory, const nghttp2_session_callbacks *callbacks,
                            const nghttp2_option *option, void *user_data,
                            nghttp2_session **ret_session) must_check;

#endif
