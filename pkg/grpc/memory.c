#include "grpc/memory.h"

#include <assert.h>

/* NGHTTP2_FRAMEBUF_CHUNKLEN of nghttp2: frame head, one pad byte, 16 KiB. A version with another
 * size gets plain memory, which is only larger. */
#define SEND_BUFFER_SIZE (9 + 1 + 16384)
/* 128 pointers. A session allocates two of these, the compressor's first: known of this version,
 * not of others. */
#define TABLE_SIZE 1024
#define TABLE_VERSION 0x013400

static void *on_malloc(size_t size, void *ctx)
{
    struct grpc_memory *memory = ctx;

    if (memory->share_buffer && size == SEND_BUFFER_SIZE) {
        memory->share_buffer = false;
        return memory->send_buffer;
    }
    if (memory->share_table && size == TABLE_SIZE) {
        memory->share_table = false;
        return memory->table;
    }
    return malloc(size);
}

static bool is_shared(const struct grpc_memory *memory, const void *ptr)
{
    return ptr == memory->send_buffer || ptr == memory->table;
}

static void on_free(void *ptr, void *ctx)
{
    if (!is_shared(ctx, ptr))
        free(ptr);
}

static void *on_calloc(size_t count, size_t size, void *ctx unused_arg)
{
    return calloc(count, size);
}

/* nghttp2 makes its buffers with realloc(NULL). A shared piece stays behind for the others. */
static void *on_realloc(void *ptr, size_t size, void *ctx)
{
    const struct grpc_memory *memory = ctx;
    size_t old = ptr == memory->table ? TABLE_SIZE : SEND_BUFFER_SIZE;
    void *moved;

    if (!ptr)
        return on_malloc(size, ctx);
    if (!is_shared(memory, ptr))
        return realloc(ptr, size);
    moved = malloc(size);
    if (moved)
        memcpy(moved, ptr, min_size(size, old));
    return moved;
}

void grpc_memory_init(struct grpc_memory *memory)
{
    *memory = (struct grpc_memory){
        .hooks = {memory, on_malloc, on_free, on_calloc, on_realloc},
        .send_buffer = xmalloc(SEND_BUFFER_SIZE),
        .table = xcalloc(1, TABLE_SIZE),
    };
}

void grpc_memory_done(struct grpc_memory *memory)
{
    for (size_t i = 0; i < TABLE_SIZE; i++)
        assert(memory->table[i] == 0);
    free(memory->send_buffer);
    free(memory->table);
}

int grpc_memory_new_session(struct grpc_memory *memory, const nghttp2_session_callbacks *callbacks,
                            const nghttp2_option *option, void *user_data,
                            nghttp2_session **ret_session)
{
    int result;

    memory->share_buffer = true;
    memory->share_table = nghttp2_version(0)->version_num == TABLE_VERSION;
    result = nghttp2_session_server_new3(ret_session, callbacks, user_data, option, &memory->hooks);
    memory->share_buffer = false;
    memory->share_table = false;
    return result;
}
