#include <criterion/criterion.h>

#include "net/backlog.h"

static struct blob *blob;

static void make_blob(void)
{
    blob = blob_copy("__blob__", 8);
}

static void drop_blob(void)
{
    cr_assert_eq(blob->refs, 1, "all references came back");
    blob_unref(blob);
}

TestSuite(backlog, .init = make_blob, .fini = drop_blob);

static const char whole[] = "headblobmiddleobtail";

static struct backlog *backlog_of(size_t sent)
{
    char head[] = "headX", middle[] = "middle";
    const struct conn_slice slices[] = {
        {.ptr = head, .len = 4},
        {.blob = blob, .off = 2, .len = 4},
        {.ptr = NULL, .len = 0},
        {.ptr = middle, .len = 6},
        {.blob = blob, .off = 4, .len = 2},
        {.ptr = "a tail", .off = 2, .len = 4},
    };
    struct backlog *backlog = backlog_new(slices, ARRAY_LEN(slices), sent);

    memset(head, '?', sizeof(head));
    memset(middle, '?', sizeof(middle));
    return backlog;
}

static void assert_left(const struct backlog *backlog, const char *expected)
{
    struct iovec vector[CONN_SLICES_MAX];
    size_t count = backlog_vector(backlog, vector), len = 0;
    char text[64] = "";

    for (size_t i = 0; i < count; i++) {
        memcpy(text + len, vector[i].iov_base, vector[i].iov_len);
        len += vector[i].iov_len;
    }
    text[len] = '\0';
    cr_assert_str_eq(text, expected);
    cr_assert_eq(backlog_size(backlog), strlen(expected));
}

Test(backlog, holds_what_is_behind_any_short_write)
{
    for (size_t sent = 0; sent < strlen(whole); sent++) {
        struct backlog *backlog = backlog_of(sent);

        assert_left(backlog, whole + sent);
        backlog_free(backlog);
    }
}

Test(backlog, is_consumed_in_steps_of_any_size)
{
    for (size_t step = 1; step <= strlen(whole); step++) {
        struct backlog *backlog = backlog_of(0);

        for (size_t out = 0; out + step <= strlen(whole); out += step) {
            backlog_consume(backlog, step);
            assert_left(backlog, whole + out + step);
        }
        backlog_free(backlog);
    }
}

Test(backlog, gives_a_reference_back_with_the_blobs_last_byte)
{
    struct backlog *backlog = backlog_of(0);

    cr_assert_eq(blob->refs, 3);
    backlog_consume(backlog, 7);
    cr_assert_eq(blob->refs, 3);
    backlog_consume(backlog, 1);
    cr_assert_eq(blob->refs, 2);
    backlog_free(backlog);
}

Test(backlog, of_nothing_is_empty)
{
    cr_assert_eq(backlog_size(NULL), 0);
    backlog_free(NULL);
}
