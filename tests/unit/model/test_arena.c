#include <criterion/criterion.h>

#include "model/arena.h"

Test(arena, gives_zeroed_aligned_memory_of_every_size)
{
    struct arena arena = {0};
    static const size_t sizes[] = {0, 1, 7, 8, 100, 511, 512, 513, 5000, 100000, 3};

    for (size_t i = 0; i < 200; i++) {
        size_t size = sizes[i % ARRAY_LEN(sizes)];
        unsigned char *ptr = arena_alloc(&arena, size);

        cr_assert_eq((uintptr_t)ptr % 8, 0);
        for (size_t k = 0; k < size; k++)
            cr_assert_eq(ptr[k], 0);
        memset(ptr, 0xA5, size);
    }
    arena_done(&arena);
}

Test(arena, keeps_texts_apart)
{
    struct arena arena = {0};
    struct str texts[300];

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char text[32];
        int len = snprintf(text, sizeof(text), "text number %zu", i);

        texts[i] = arena_text(&arena, str_make(text, (size_t)len));
        memset(arena_alloc(&arena, i), 0xFF, i);
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char text[32];

        snprintf(text, sizeof(text), "text number %zu", i);
        cr_assert(str_eq(texts[i], str_of(text)));
    }
    arena_done(&arena);
}

Test(arena, has_no_block_for_empty_text)
{
    struct arena arena = {0};
    struct str empty = arena_text(&arena, (struct str){NULL, 0});

    cr_assert_eq(empty.len, 0);
    cr_assert_not_null(empty.ptr);
    cr_assert_null(arena.blocks);
    arena_done(&arena);
}
