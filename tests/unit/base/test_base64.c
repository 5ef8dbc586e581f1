#include <criterion/criterion.h>

#include "base/base64.h"

static void assert_decodes(const char *text, const char *want)
{
    CLEANUP(freep) char *bytes = NULL;
    size_t len = 0;
    struct err err = {0};

    cr_assert_eq(base64_decode(str_of(text), &bytes, &len, &err), CODE_OK, "%s: %s", text, err.msg);
    cr_assert_str_eq(bytes, want);
    cr_assert_eq(len, strlen(want));
}

static void assert_refused(const char *text, const char *message)
{
    char *bytes = NULL;
    size_t len = 0;
    struct err err = {0};

    cr_assert_eq(base64_decode(str_of(text), &bytes, &len, &err), CODE_INVALID_ARGUMENT, "%s",
                 text);
    cr_assert_str_eq(err.msg, message);
    cr_assert_null(bytes);
}

Test(base64, decodes_every_length_of_padding)
{
    assert_decodes("", "");
    assert_decodes("Zg==", "f");
    assert_decodes("Zm8=", "fo");
    assert_decodes("Zm9v", "foo");
    assert_decodes("Zm9vYg==", "foob");
    assert_decodes("Pz8/Pj4+", "?\?\?>>>");
}

Test(base64, skips_line_breaks)
{
    assert_decodes("Zm\n9v\r\n Yg =\t=\n", "foob");
}

Test(base64, decodes_binary)
{
    CLEANUP(freep) char *bytes = NULL;
    size_t len = 0;

    cr_assert_eq(base64_decode(STR("AP+A"), &bytes, &len, NULL), CODE_OK);
    cr_assert_eq(len, 3);
    cr_assert_arr_eq(bytes, "\x00\xff\x80", 3);
}

Test(base64, refuses_what_is_incomplete_or_foreign)
{
    assert_refused("Zg=", "base64 that ends early");
    assert_refused("Zg", "base64 that ends early");
    assert_refused("Zm9vY", "base64 that ends early");
    assert_refused("Zm9-", "not base64 at character 4");
    assert_refused("Zg==Zg==", "not base64 at character 5");
    assert_refused("Z===", "not base64 at character 4");
}

Test(base64, encodes_what_it_decodes)
{
    static const struct {
        struct str bytes;
        const char *text;
    } cases[] = {
        {STR_INIT(""), ""},
        {STR_INIT("f"), "Zg=="},
        {STR_INIT("fo"), "Zm8="},
        {STR_INIT("foo"), "Zm9v"},
        {STR_INIT("foob"), "Zm9vYg=="},
        {STR_INIT("\x00\xff\x80\xfb\xef"), "AP+A++8="},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = BUFFER_INIT(64);

        base64_add(&out, cases[i].bytes);
        cr_assert_str_eq(buf_cstr(&out), cases[i].text);
        buf_done(&out);
    }
}
