#include <criterion/criterion.h>
#include <unistd.h>

#include "kube/token.h"

static char path[64];

static void token_write(const char *text)
{
    char next[80];
    FILE *file;

    /* As the kubelet does: a new file takes the place of the old one. */
    snprintf(next, sizeof(next), "%s.next", path);
    file = fopen(next, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(rename(next, path), 0);
}

static void path_make(void)
{
    int fd;

    snprintf(path, sizeof(path), "/tmp/token-XXXXXX");
    fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void path_remove(void)
{
    unlink(path);
}

TestSuite(token, .init = path_make, .fini = path_remove);

Test(token, is_sent_as_a_bearer)
{
    struct token token;
    const char *header = NULL;

    token_init(&token, "abc", NULL);
    cr_assert_eq(token_header(&token, &header, NULL), CODE_OK);
    cr_assert_str_eq(header, "Authorization: Bearer abc");
    token_done(&token);
}

Test(token, may_be_absent)
{
    struct token token;
    const char *header = "";

    token_init(&token, NULL, NULL);
    cr_assert_eq(token_header(&token, &header, NULL), CODE_OK);
    cr_assert_null(header);
    token_done(&token);
}

Test(token, file_wins_and_is_read_again_when_it_rotates)
{
    struct token token;
    const char *header = NULL;

    token_write("one\n");
    token_init(&token, "fixed", path);
    cr_assert_eq(token_header(&token, &header, NULL), CODE_OK);
    cr_assert_str_eq(header, "Authorization: Bearer one");
    token_write("two");
    cr_assert_eq(token_header(&token, &header, NULL), CODE_OK);
    cr_assert_str_eq(header, "Authorization: Bearer two");
    token_done(&token);
}

Test(token, survives_the_loss_of_its_file)
{
    struct token token;
    const char *header = NULL;

    token_write("one");
    token_init(&token, NULL, path);
    cr_assert_eq(token_header(&token, &header, NULL), CODE_OK);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(token_header(&token, &header, NULL), CODE_OK);
    cr_assert_str_eq(header, "Authorization: Bearer one");
    token_done(&token);
}

Test(token, refuses_a_file_that_holds_none)
{
    static const char *const bad[] = {"", " \n", "a\nb"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct token token;
        const char *header = NULL;
        struct err err = {0};

        token_write(bad[i]);
        token_init(&token, NULL, path);
        cr_assert_eq(token_header(&token, &header, &err), CODE_UNAUTHENTICATED);
        cr_assert_not_null(strstr(err.msg, "does not hold one token"));
        token_done(&token);
    }
}
