#include <criterion/criterion.h>

#include "grpc/gather.h"

static struct gather gather;

Test(gather, neighbours_in_the_arena_are_one_slice)
{
    struct blob *blob = blob_copy("blob", 4);

    gather_reset(&gather);
    gather_copy(&gather, "ab", 2);
    gather_copy(&gather, "cd", 2);
    gather_blob(&gather, blob, 1, 2);
    gather_copy(&gather, "ef", 2);
    gather_copy(&gather, "gh", 2);
    cr_assert_eq(gather.count, 3);
    cr_assert_eq(gather.bytes, 10);
    cr_assert_eq(memcmp(gather.slices[0].ptr, "abcd", 4), 0);
    cr_assert_eq(gather.slices[1].off, 1);
    cr_assert_eq(memcmp(gather.slices[2].ptr, "efgh", 4), 0);
    blob_unref(blob);
}

Test(gather, is_full_before_a_frame_could_pass_its_room)
{
    static char frame[GATHER_FRAME_MAX];
    size_t frames = 0;

    gather_reset(&gather);
    for (; gather_has_room(&gather); frames++)
        gather_copy(&gather, frame, sizeof(frame));
    cr_assert_gt(frames, 1);
    gather_reset(&gather);
    for (frames = 0; gather_has_room(&gather); frames++)
        gather_point(&gather, frame, 1);
    cr_assert_eq(gather_slices_left(&gather), GATHER_SLICES_MIN - 1);
    gather_reset(&gather);
    gather_point(&gather, frame, GATHER_BYTES_MAX);
    cr_assert_not(gather_has_room(&gather));
}
