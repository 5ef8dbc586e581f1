#include <criterion/criterion.h>

#include "base/err.h"

Test(err, carries_code_and_message)
{
    struct err err = {0};

    cr_assert_eq(fail(&err, CODE_NOT_FOUND, "no port '%s'", "grpc"), CODE_NOT_FOUND);
    cr_assert_eq(err.code, CODE_NOT_FOUND);
    cr_assert_str_eq(err.msg, "no port 'grpc'");
}

Test(err, may_be_null)
{
    cr_assert_eq(fail(NULL, CODE_ABORTED, "x"), CODE_ABORTED);
    cr_assert_eq(fail_in(NULL, "x"), CODE_UNKNOWN);
}

Test(err, puts_context_in_front)
{
    struct err err = {0};

    fail(&err, CODE_UNAVAILABLE, "connection refused");
    cr_assert_eq(fail_in(&err, "cannot list '%s'", "services"), CODE_UNAVAILABLE);
    cr_assert_str_eq(err.msg, "cannot list 'services': connection refused");
}

Test(err, reads_its_own_message_while_it_is_rewritten)
{
    struct err err = {0};

    fail(&err, CODE_UNKNOWN, "inner");
    fail(&err, CODE_INTERNAL, "outer (%s)", err.msg);
    cr_assert_str_eq(err.msg, "outer (inner)");
    fail_in(&err, "twice %s", err.msg);
    cr_assert_str_eq(err.msg, "twice outer (inner): outer (inner)");
}

/* Every length of prefix moves the cut to another byte of the two, three and four byte characters. */
Test(err, cuts_a_long_message_between_characters)
{
    static const char *const characters[] = {"\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    char long_text[4 * FAIL_MESSAGE_MAX + 1];
    struct err err = {0};

    for (size_t c = 0; c < ARRAY_LEN(characters); c++) {
        size_t len = strlen(characters[c]);

        for (size_t i = 0; i < FAIL_MESSAGE_MAX; i++)
            memcpy(long_text + i * len, characters[c], len);
        long_text[FAIL_MESSAGE_MAX * len] = '\0';
        for (int pad = 0; pad < 4; pad++) {
            size_t used;

            fail(&err, CODE_UNKNOWN, "%.*s%s", pad, "....", long_text);
            used = strlen(err.msg);
            cr_assert_lt(used, FAIL_MESSAGE_MAX);
            cr_assert_gt(used, FAIL_MESSAGE_MAX - 5);
            cr_assert_eq((used - (size_t)pad) % len, 0, "cut inside a character of %zu bytes", len);
        }
    }
}

Test(err, keeps_the_context_when_the_whole_is_too_long)
{
    struct err err = {0};

    fail(&err, CODE_UNKNOWN, "%0300d", 0);
    fail_in(&err, "%0200d", 1);
    cr_assert_eq(strlen(err.msg), FAIL_MESSAGE_MAX - 1);
    cr_assert_eq(err.msg[199], '1');
    cr_assert_eq(err.msg[200], ':');
}

Test(err, names_every_code)
{
    cr_assert_str_eq(code_name(CODE_OK), "OK");
    cr_assert_str_eq(code_name(CODE_NOT_FOUND), "NOT_FOUND");
    cr_assert_str_eq(code_name(CODE_UNAUTHENTICATED), "UNAUTHENTICATED");
    cr_assert_str_eq(code_name((enum code)17), "UNKNOWN");
    cr_assert_str_eq(code_name((enum code) - 1), "UNKNOWN");
    for (int code = 0; code <= 16; code++)
        cr_assert_not_null(code_name((enum code)code));
}
