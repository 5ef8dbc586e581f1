#include <criterion/criterion.h>

#include "model/xdstp.h"

#define LISTENER "envoy.config.listener.v3.Listener"

static struct xdstp xdstp;
static struct err err;
static char room[NAME_TEXT_MAX];

static enum code parse(const char *text)
{
    cr_assert(xdstp_is(str_of(text)));
    return xdstp_parse(str_of(text), &xdstp, &err);
}

static const char *id_of(const char *text)
{
    static char out[NAME_TEXT_MAX + 1];
    struct str id;

    cr_assert_eq(parse(text), CODE_OK, "%s", err.msg);
    if (xdstp_read_id(&xdstp, room, &id, &err) != CODE_OK)
        return err.msg;
    snprintf(out, sizeof(out), "%" STR_FMT, STR_ARG(id));
    return out;
}

Test(xdstp, is_told_by_its_scheme)
{
    cr_expect_not(xdstp_is(STR("greeter.shop:8001")));
    cr_expect_not(xdstp_is(STR("xdstp:greeter")));
    cr_expect(xdstp_is(STR("xdstp://")));
}

Test(xdstp, has_an_authority_a_type_and_an_id)
{
    cr_assert_eq(parse("xdstp://a.example/" LISTENER "/greeter.shop:8001?b=1&a=2"), CODE_OK);
    cr_expect(str_eq(xdstp.authority, STR("a.example")));
    cr_expect(str_eq(xdstp.type, STR(LISTENER)));
    cr_expect(str_eq(xdstp.id, STR("greeter.shop:8001")));
    cr_assert_eq(parse("xdstp:///" LISTENER "/shop/greeter:8001"), CODE_OK);
    cr_expect(str_eq(xdstp.authority, STR("")));
    cr_expect(str_eq(xdstp.id, STR("shop/greeter:8001")));
}

Test(xdstp, an_id_is_decoded)
{
    cr_expect_str_eq(id_of("xdstp://a/" LISTENER "/greeter.shop%3A8001"), "greeter.shop:8001");
    cr_expect_str_eq(id_of("xdstp://a/" LISTENER "/shop%2fgreeter%3a"), "shop/greeter:");
    cr_expect_str_eq(id_of("xdstp://a/" LISTENER "/x%"), "name 'x%' has a '%' that two hexadecimal digits do not follow");
    cr_expect_str_eq(id_of("xdstp://a/" LISTENER "/x%4"), "name 'x%4' has a '%' that two hexadecimal digits do not follow");
    cr_expect_str_eq(id_of("xdstp://a/" LISTENER "/%4gx"), "name '%4gx' has a '%' that two hexadecimal digits do not follow");
}

Test(xdstp, refuses_what_is_none)
{
    static const char *const bad[] = {"xdstp://", "xdstp://a", "xdstp://a/", "xdstp://a/" LISTENER, "xdstp://a/" LISTENER "/",
                                      "xdstp://a//x", "xdstp://a/" LISTENER "/x#entry=y", "xdstp://a/" LISTENER "/?x"};
    struct buf text = BUFFER_INIT(2048);
    struct str id;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_eq(parse(bad[i]), CODE_INVALID_ARGUMENT, "%s", bad[i]);
    buf_add_str(&text, STR("xdstp://a/" LISTENER "/"));
    for (int i = 0; i < NAME_TEXT_MAX; i++)
        buf_add_char(&text, 'x');
    cr_assert_eq(parse(buf_cstr(&text)), CODE_OK);
    cr_expect_eq(xdstp_read_id(&xdstp, room, &id, &err), CODE_OK);
    buf_add_char(&text, 'x');
    cr_assert_eq(parse(buf_cstr(&text)), CODE_OK);
    cr_expect_eq(xdstp_read_id(&xdstp, room, &id, &err), CODE_INVALID_ARGUMENT);
    buf_reset(&text);
    buf_add_str(&text, STR("xdstp://"));
    for (int i = 0; i <= XDSTP_AUTHORITY_MAX; i++)
        buf_add_char(&text, 'a');
    buf_add_str(&text, STR("/t/x"));
    cr_expect_eq(parse(buf_cstr(&text)), CODE_INVALID_ARGUMENT);
    buf_done(&text);
}

Test(xdstp, is_written_where_there_is_an_authority)
{
    struct buf text = BUFFER_INIT(256);

    xdstp_put(&text, STR("a.example"), STR(LISTENER), STR("x:1"));
    cr_expect_str_eq(buf_cstr(&text), "xdstp://a.example/" LISTENER "/x:1");
    buf_reset(&text);
    xdstp_put(&text, STR(""), STR(LISTENER), STR("x:1"));
    cr_expect_str_eq(buf_cstr(&text), "x:1");
    buf_done(&text);
}
