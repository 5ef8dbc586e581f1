/*
 * Memory that is given out piece by piece and freed whole.
 *
 * Threads: as its owner; nothing inside changes once the owner is shared.
 * Owns:    its blocks. {0}-initialised; released with arena_done().
 */
#ifndef MODEL_ARENA_H
#define MODEL_ARENA_H

#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t next_size;
};

/* Zeroed, aligned for pointers and 64-bit numbers. */
void *arena_alloc(struct arena *arena, size_t size) must_check;
/* A copy, not NUL-terminated; the empty text is {"", 0}. */
struct str arena_text(struct arena *arena, struct str text);
void arena_done(struct arena *arena);

#endif
