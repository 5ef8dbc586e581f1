/*
 * The few macros and allocation rules that every file of Lookaside shares.
 *
 * Memory: allocations of sizes that we choose abort when they fail (x*). Sizes that a peer
 *         influences go through struct buf, which has a maximum and reports it.
 * Threads: everything here may be called from any thread.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, first) __attribute__((format(printf, fmt, first)))
#define unused_arg __attribute__((unused))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that contains `member` at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Scope-bound ownership: the pointer is released when it leaves scope, unless taken. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define DEFINE_CLEANUP(type, fn)                                                                   \
    static inline void fn##p(type **ptr)                                                           \
    {                                                                                              \
        fn(*ptr);                                                                                  \
        *ptr = NULL;                                                                               \
    }
#define TAKE(ptr)                                                                                  \
    __extension__({                                                                                \
        __typeof__(ptr) take_ = (ptr);                                                             \
        (ptr) = NULL;                                                                              \
        take_;                                                                                     \
    })

/* Abort when memory is out; never return NULL for a size > 0. */
void *xmalloc(size_t size) must_check;
void *xcalloc(size_t count, size_t size) must_check;
void *xrealloc(void *ptr, size_t size) must_check;
char *xstrdup(const char *text) must_check;
char *xstrndup(const char *text, size_t len) must_check;

/* Grows *items (of `size` bytes each) so that one more than `len` fits; doubles. */
void *xgrow(void *items, size_t *cap, size_t len, size_t size) must_check;

static inline void freep(void *ptr)
{
    void **slot = ptr;

    free(*slot);
    *slot = NULL;
}

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Functions that cannot be used safely do not compile (hence stdio.h above: declared before). */
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol gets

#endif
