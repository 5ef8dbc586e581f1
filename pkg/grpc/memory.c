#include "grpc/memory.h"

/* NGHTTP2_FRAMEBUF_CHUNKLEN of nghttp2: frame head, one pad byte, 16 KiB. A version with another size
 * gets plain memory, which is only larger. */
#define SEND_BUFFER_SIZE (9 + 1 + 16384)

static void *on_malloc(size_t size, void *ctx)
{
    struct grpc_memory *memory = ctx;

    if (!memory->sharing || size != SEND_BUFFER_SIZE)
        return malloc(size);
    memory->sharing = false;
    return memory->send_buffer;
}

static void on_free(void *ptr, void *ctx)
{
    const struct grpc_memory *memory = ctx;

    if (ptr != memory->send_buffer)
        free(ptr);
}

static void *on_calloc(size_t count, size_t size, void *ctx unused_arg)
{
    return calloc(count, size);
}

static void *on_realloc(void *ptr, size_t size, void *ctx)
{
    const struct grpc_memory *memory = ctx;
    void *moved;

    if (ptr != memory->send_buffer || !ptr)
        return realloc(ptr, size);
    moved = malloc(size);
    if (moved)
        memcpy(moved, ptr, min_size(size, SEND_BUFFER_SIZE));
    return moved;
}

void grpc_memory_init(struct grpc_memory *memory)
{
    memory->hooks = (nghttp2_mem){memory, on_malloc, on_free, on_calloc, on_realloc};
    memory->send_buffer = xmalloc(SEND_BUFFER_SIZE);
    memory->sharing = false;
}

void grpc_memory_done(struct grpc_memory *memory)
{
    free(memory->send_buffer);
    memory->send_buffer = NULL;
}

int grpc_memory_new_session(struct grpc_memory *memory, const nghttp2_session_callbacks *callbacks,
                            const nghttp2_option *option, void *user_data,
                            nghttp2_session **ret_session)
{
    int result;

    memory->sharing = true;
    result = nghttp2_session_server_new3(ret_session, callbacks, user_data, option, &memory->hooks);
    memory->sharing = false;
    return result;
}
