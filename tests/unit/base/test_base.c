#include <criterion/criterion.h>
#include <signal.h>

#include "base/base.h"

Test(base, grows_an_array_by_doubling)
{
    CLEANUP(freep) int *items = NULL;
    size_t cap = 0;

    for (int i = 0; i < 100; i++) {
        items = xgrow(items, &cap, (size_t)i, sizeof(*items));
        items[i] = i;
    }
    cr_assert_eq(cap, 128);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(items[i], i);
}

Test(base, leaves_an_array_with_room_alone)
{
    size_t cap = 4;
    int *items = xcalloc(4, sizeof(*items));
    int *same = xgrow(items, &cap, 3, sizeof(*items));

    cr_assert_eq(items, same);
    cr_assert_eq(cap, 4);
    free(same);
}

Test(base, copies_at_most_the_length)
{
    CLEANUP(freep) char *cut = xstrndup("abcdef", 3);
    CLEANUP(freep) char *whole = xstrndup("abc", 10);

    cr_assert_str_eq(cut, "abc");
    cr_assert_str_eq(whole, "abc");
}

static void count_release(int *count)
{
    if (count)
        ++*count;
}
DEFINE_CLEANUP(int, count_release)

Test(base, releases_at_the_end_of_the_scope)
{
    int count = 0;

    {
        CLEANUP(count_releasep) int *owned = &count;

        cr_assert_eq(*owned, 0);
    }
    cr_assert_eq(count, 1);
}

Test(base, does_not_release_what_was_taken)
{
    int count = 0;

    {
        CLEANUP(count_releasep) int *owned = &count;
        int *taken = TAKE(owned);

        cr_assert_eq(taken, &count);
        cr_assert_null(owned);
    }
    cr_assert_eq(count, 0);
}

Test(base, finds_the_struct_around_a_member)
{
    struct outer {
        int before;
        int member;
    } outer;

    cr_assert_eq(container_of(&outer.member, struct outer, member), &outer);
}

Test(base, aborts_when_memory_is_out, .signal = SIGABRT)
{
    size_t cap = SIZE_MAX / 4; /* the doubled size passes what there is */
    void *items = xgrow(NULL, &cap, SIZE_MAX / 4, sizeof(uint64_t));

    cr_assert_fail("came back with %p", items);
}
