#include "base/json_memory.h"

#include <assert.h>

#define ALIGNMENT sizeof(double)
/* A value's node, and its name's and its text's end, each rounded up. */
#define VALUE_SIZE (sizeof(cJSON) + 2 * ALIGNMENT)
/* In the root's type, beside cJSON's own flags: it stands at the begin of a block. */
#define WHOLE_BLOCK (1 << 16)

struct block {
    size_t len;
    size_t size;
    _Alignas(ALIGNMENT) char bytes[];
};

static _Thread_local struct block *current; /* NULL: malloc() */

static void *take(size_t size)
{
    struct block *block = current;
    size_t rounded = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    void *piece;

    if (!block)
        return malloc(size);
    if (rounded > block->size - block->len)
        return NULL;
    piece = block->bytes + block->len;
    block->len += rounded;
    return piece;
}

static void give_back(void *piece)
{
    if (!current)
        free(piece);
}

/* Before main(), and so before any thread: cJSON keeps these for all of them. */
__attribute__((constructor)) static void set_hooks(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){take, give_back});
}

void json_memory_begin(size_t values, size_t len)
{
    size_t size = (values + 1) * VALUE_SIZE + len;

    assert(!current);
    current = xmalloc(sizeof(*current) + size);
    current->len = 0;
    current->size = size;
}

static struct block *block_of(cJSON *root)
{
    return container_of((char(*)[])root, struct block, bytes);
}

cJSON *json_memory_end(cJSON *root)
{
    if (!root) {
        free(TAKE(current));
        return NULL;
    }
    assert(block_of(root) == current && "cJSON takes the root first");
    root->type |= WHOLE_BLOCK;
    current = NULL;
    return root;
}

bool json_memory_free(cJSON *root)
{
    if (!root || !(root->type & WHOLE_BLOCK))
        return false;
    free(block_of(root));
    return true;
}
