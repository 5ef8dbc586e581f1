#include "model/arena.h"

#include <stdalign.h>

#define BLOCK_MIN 512
#define BLOCK_MAX (8 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t size;
    alignas(8) char bytes[];
};

static struct arena_block *block_new(size_t size)
{
    struct arena_block *block = xmalloc(sizeof(*block) + size);

    block->used = 0;
    block->size = size;
    return block;
}

/* What is large gets a block of its own behind the first one, which stays open for what is small. */
static void *alloc_large(struct arena *arena, size_t size)
{
    struct arena_block *block = block_new(size);

    block->used = size;
    if (arena->blocks) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = NULL;
        arena->blocks = block;
    }
    return block->bytes;
}

static void *alloc_aligned(struct arena *arena, size_t size, size_t align)
{
    struct arena_block *block = arena->blocks;
    size_t at = block ? (block->used + align - 1) & ~(align - 1) : 0;

    if (!block || at > block->size || size > block->size - at) {
        size_t next = arena->next_size ? arena->next_size : BLOCK_MIN;

        if (size > next / 4)
            return alloc_large(arena, size);
        block = block_new(next);
        block->next = arena->blocks;
        arena->blocks = block;
        arena->next_size = min_size(2 * next, BLOCK_MAX);
        at = 0;
    }
    block->used = at + size;
    return block->bytes + at;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *ptr = alloc_aligned(arena, size, 8);

    memset(ptr, 0, size);
    return ptr;
}

struct str arena_text(struct arena *arena, struct str text)
{
    char *copy;

    if (text.len == 0)
        return STR("");
    copy = alloc_aligned(arena, text.len, 1);
    memcpy(copy, text.ptr, text.len);
    return str_make(copy, text.len);
}

void arena_done(struct arena *arena)
{
    struct arena_block *block = arena->blocks;

    while (block) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
    *arena = (struct arena){0};
}
