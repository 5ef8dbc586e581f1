#include "base/base.h"

static _Noreturn void out_of_memory(size_t size)
{
    fprintf(stderr, "lookaside: out of memory (%zu bytes asked for)\n", size);
    abort();
}

void *xmalloc(size_t size)
{
    void *ptr = malloc(size);

    if (!ptr && size > 0)
        out_of_memory(size);
    return ptr;
}

void *xcalloc(size_t count, size_t size)
{
    void *ptr = calloc(count, size);

    if (!ptr && count > 0 && size > 0)
        out_of_memory(count * size);
    return ptr;
}

void *xrealloc(void *ptr, size_t size)
{
    void *grown = realloc(ptr, size);

    if (!grown && size > 0)
        out_of_memory(size);
    return grown;
}

char *xstrdup(const char *text)
{
    size_t len = strlen(text);

    return memcpy(xmalloc(len + 1), text, len + 1);
}

char *xstrndup(const char *text, size_t len)
{
    size_t used = strnlen(text, len);
    char *copy = xmalloc(used + 1);

    memcpy(copy, text, used);
    copy[used] = '\0';
    return copy;
}

void *xgrow(void *items, size_t *cap, size_t len, size_t size)
{
    size_t grown = *cap ? *cap * 2 : 8;

    if (len < *cap)
        return items;
    if (grown > SIZE_MAX / size)
        out_of_memory(SIZE_MAX);
    items = xrealloc(items, grown * size);
    *cap = grown;
    return items;
}
