#include <criterion/criterion.h>
#include <signal.h>

#include "base/buf.h"

static struct buf buf;

static void done(void)
{
    buf_done(&buf);
}

TestSuite(buf, .fini = done);

Test(buf, collects_what_is_appended)
{
    buf_init(&buf, 100);
    cr_assert_eq(buf_append(&buf, "ab", 2), CODE_OK);
    cr_assert_eq(buf_add_str(&buf, STR("cd")), CODE_OK);
    cr_assert_eq(buf_add_char(&buf, 'e'), CODE_OK);
    cr_assert_eq(buf_printf(&buf, "-%d-%s", 7, "f"), CODE_OK);
    cr_assert_str_eq(buf_cstr(&buf), "abcde-7-f");
    cr_assert_eq(buf.len, 9);
}

Test(buf, takes_exactly_its_maximum)
{
    buf_init(&buf, 4);
    cr_assert_eq(buf_append(&buf, "abcd", 4), CODE_OK);
    cr_assert_str_eq(buf_cstr(&buf), "abcd");
    cr_assert_not(buf_failed(&buf));
    cr_assert_eq(buf_add_char(&buf, 'e'), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(buf_cstr(&buf), "abcd");
}

Test(buf, keeps_its_content_and_refuses_on_after_a_failure)
{
    buf_init(&buf, 4);
    buf_append(&buf, "abc", 3);
    cr_assert_eq(buf_append(&buf, "de", 2), CODE_RESOURCE_EXHAUSTED);
    cr_assert(buf_failed(&buf));
    cr_assert_eq(buf_append(&buf, "d", 1), CODE_RESOURCE_EXHAUSTED,
                 "it would fit, but comes later");
    cr_assert_eq(buf_printf(&buf, "d"), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(buf_cstr(&buf), "abc");
    buf_reset(&buf);
    cr_assert_eq(buf_append(&buf, "d", 1), CODE_OK);
    cr_assert_str_eq(buf_cstr(&buf), "d");
}

Test(buf, prints_up_to_its_maximum)
{
    buf_init(&buf, 5);
    cr_assert_eq(buf_printf(&buf, "%s", "abcde"), CODE_OK);
    cr_assert_eq(buf_printf(&buf, "%s", ""), CODE_OK);
    cr_assert_eq(buf_printf(&buf, "%d", 1), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(buf_cstr(&buf), "abcde");
}

/* At every length up to 200 the text meets another end of the capacity. */
Test(buf, prints_across_every_capacity)
{
    for (int first = 0; first < 200; first++) {
        buf_init(&buf, 1000);
        cr_assert_eq(buf_printf(&buf, "%*s", first, ""), CODE_OK);
        cr_assert_eq(buf_printf(&buf, "%0100d", 42), CODE_OK);
        cr_assert_eq(buf.len, (size_t)first + 100);
        cr_assert_eq(buf.ptr[buf.len - 1], '2');
        buf_done(&buf);
    }
}

Test(buf, has_no_room_when_zeroed)
{
    buf = (struct buf){0};
    cr_assert_eq(buf_append(&buf, "", 0), CODE_OK);
    cr_assert_eq(buf_append(&buf, "a", 1), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(buf_cstr(&buf), "");
}

Test(buf, refuses_lengths_that_overflow)
{
    char *ptr = NULL;

    buf_init(&buf, SIZE_MAX);
    buf_append(&buf, "abc", 3);
    cr_assert_eq(buf_reserve(&buf, SIZE_MAX - 1, &ptr), CODE_RESOURCE_EXHAUSTED);
    cr_assert_null(ptr);
    cr_assert_str_eq(buf_cstr(&buf), "abc");
}

Test(buf, says_when_memory_does_not_suffice)
{
    char *ptr = NULL;

    buf_init(&buf, SIZE_MAX);
    cr_assert_eq(buf_reserve(&buf, SIZE_MAX, &ptr), CODE_RESOURCE_EXHAUSTED);
    cr_assert(buf_failed(&buf));
    cr_assert_null(ptr);
}

Test(buf, reserves_room_to_write_into)
{
    char *ptr;

    buf_init(&buf, 1000);
    buf_append(&buf, "ab", 2);
    cr_assert_eq(buf_reserve(&buf, 500, &ptr), CODE_OK);
    memset(ptr, 'x', 500);
    buf.len += 500;
    cr_assert_eq(buf.len, 502);
    cr_assert_eq(buf.ptr[1], 'b');
    cr_assert_eq(buf.ptr[501], 'x');
    cr_assert_eq(buf_reserve(&buf, 499, &ptr), CODE_RESOURCE_EXHAUSTED);
}

Test(buf, drops_bytes_at_the_front)
{
    buf_init(&buf, 10);
    buf_append(&buf, "abcdef", 6);
    buf_consume(&buf, 4);
    cr_assert_str_eq(buf_cstr(&buf), "ef");
    buf_consume(&buf, 2);
    buf_consume(&buf, 0);
    cr_assert_str_eq(buf_cstr(&buf), "");
}

Test(buf, does_not_drop_more_than_it_has, .signal = SIGABRT)
{
    buf_init(&buf, 10);
    buf_append(&buf, "ab", 2);
    buf_consume(&buf, 3);
}

Test(buf, moves_its_bytes_out)
{
    size_t len = 0;
    char *taken;

    buf_init(&buf, 10);
    buf_append(&buf, "a\0b", 3);
    taken = buf_take(&buf, &len);
    cr_assert_eq(len, 3);
    cr_assert_eq(memcmp(taken, "a\0b", 4), 0);
    cr_assert_eq(buf.len, 0);
    cr_assert_null(buf.ptr);
    cr_assert_eq(buf_append(&buf, "0123456789", 10), CODE_OK, "the maximum stays");
    free(taken);
}

Test(buf, moves_out_an_empty_text)
{
    char *taken;

    buf_init(&buf, 10);
    taken = buf_take(&buf, NULL);
    cr_assert_str_eq(taken, "");
    free(taken);
}

/* 1 MiB byte by byte must not cost a copy per byte: the capacity at least doubles. */
Test(buf, doubles)
{
    size_t moves = 0;

    buf_init(&buf, 1 << 20);
    for (size_t i = 0; i < 1 << 20; i++) {
        size_t cap = buf.cap;

        cr_assert_eq(buf_add_char(&buf, 'x'), CODE_OK);
        moves += buf.cap != cap;
    }
    cr_assert_leq(moves, 15);
    cr_assert_eq(buf.cap, 1 << 20);
}
