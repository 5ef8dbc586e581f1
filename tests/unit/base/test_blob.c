#include <criterion/criterion.h>

#include "base/blob.h"

Test(blob, copies_bytes)
{
    CLEANUP(blob_unrefp) struct blob *blob = blob_copy("a\0b", 3);

    cr_assert_eq(blob->len, 3);
    cr_assert(str_eq(blob_str(blob), str_make("a\0b", 3)));
}

Test(blob, may_be_empty)
{
    CLEANUP(blob_unrefp) struct blob *blob = blob_copy(NULL, 0);

    cr_assert_eq(blob_str(blob).len, 0);
}

/* That it is freed in the end, and not before, is the sanitizer's to see. */
Test(blob, lives_until_the_last_reference_goes)
{
    struct blob *blob = blob_new(4);

    memcpy(blob->bytes, "abcd", 4);
    cr_assert_eq(blob_ref(blob), blob);
    cr_assert_eq(atomic_load(&blob->refs), 2);
    blob_unref(blob);
    cr_assert(str_eq(blob_str(blob), STR("abcd")));
    blob_unref(blob);
    blob_unref(NULL);
}
