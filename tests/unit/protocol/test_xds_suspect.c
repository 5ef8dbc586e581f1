/* Whose resource a client may mean that refuses a response, and what it gets then. */
#include <criterion/criterion.h>

#include "fake_host.h"

static struct fake_host f;

static void set_up(void)
{
    fake_open(&f, "gRPC Go");
    fake_put(&f, XDS_CLUSTER, "shop/a:1", 10);
    fake_put(&f, XDS_CLUSTER, "shop/b:1", 20);
    fake_put(&f, XDS_CLUSTER, "shop/c:1", 30);
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "shop/a:1 shop/b:1 shop/c:1", ""), "Cluster shop/a:1 shop/b:1 shop/c:1");
}

static void tear_down(void)
{
    fake_close(&f);
}

TestSuite(xds_suspect, .init = set_up, .fini = tear_down);

static void nack(const char *why)
{
    fake_nack(&f, XDS_CLUSTER, "shop/a:1 shop/b:1 shop/c:1", why);
}

Test(xds_suspect, is_the_one_that_the_client_names)
{
    nack("xds: Cluster shop/b:1: no");
    cr_assert_str_eq(f.suspected, "shop/b:1: xds: Cluster shop/b:1: no; ");
}

Test(xds_suspect, are_all_that_the_client_names)
{
    nack("[shop/c:1 shop/a:1]");
    cr_assert_str_eq(f.suspected, "shop/a:1: [shop/c:1 shop/a:1]; shop/c:1: [shop/c:1 shop/a:1]; ");
}

/* A stream of its own: those of which one name is in another's. */
static const char *suspected_of(const char *why)
{
    static const char names[] = "api shop/a:80 shop/a:8001 web-shop/a:80";

    fake_close(&f);
    fake_open(&f, "gRPC Go");
    fake_put(&f, XDS_CLUSTER, "api", 1);
    fake_put(&f, XDS_CLUSTER, "shop/a:80", 2);
    fake_put(&f, XDS_CLUSTER, "shop/a:8001", 3);
    fake_put(&f, XDS_CLUSTER, "web-shop/a:80", 4);
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, names, ""), "Cluster api shop/a:80 shop/a:8001 web-shop/a:80");
    fake_nack(&f, XDS_CLUSTER, names, why);
    return f.suspected;
}

/* That one only. */
#define suspects(name, why) cr_expect_str_eq(suspected_of(why), name ": " why "; ")

Test(xds_suspect, is_not_who_has_a_part_of_the_name)
{
    suspects("web-shop/a:80", "web-shop/a:80 api_listener api.shop");
    suspects("shop/a:8001", "xds: [shop/a:8001: no]");
    suspects("shop/a:80", "\"shop/a:80\"");
    suspects("api", "the-api/api api-2 (api)");
}

Test(xds_suspect, is_named_at_the_end_of_a_sentence)
{
    suspects("shop/a:8001", "no shop/a:8001.");
    suspects("shop/a:8001", "no shop/a:8001. At all");
    suspects("shop/a:8001", "shop/a:8001:");
    suspects("shop/a:8001", "shop/a:80011 and 'shop/a:8001'");
}

Test(xds_suspect, is_everybody_when_only_a_part_of_a_name_is_named)
{
    cr_expect_str_eq(suspected_of("a:8"), "api: a:8; shop/a:80: a:8; shop/a:8001: a:8; web-shop/a:80: a:8; ");
    cr_expect_str_eq(suspected_of("rapid"),
                     "api: rapid; shop/a:80: rapid; shop/a:8001: rapid; web-shop/a:80: rapid; ");
}

Test(xds_suspect, is_everybody_when_the_client_names_nobody)
{
    nack("no");
    cr_assert_str_eq(f.suspected, "shop/a:1: no; shop/b:1: no; shop/c:1: no; ");
}

Test(xds_suspect, is_named_once_for_a_client_that_repeats_itself)
{
    nack("shop/b:1");
    nack("shop/b:1");
    cr_assert_str_eq(f.suspected, "shop/b:1: shop/b:1; ");
}

Test(xds_suspect, is_nobody_once_a_newer_response_is_out)
{
    char nonce[32];

    snprintf(nonce, sizeof(nonce), "%s", f.nonce[XDS_CLUSTER]);
    fake_put(&f, XDS_CLUSTER, "shop/b:1", 21);
    fake_next(&f);
    fake_nack_nonce(&f, XDS_CLUSTER, "shop/a:1 shop/b:1 shop/c:1", nonce, "shop/b:1");
    cr_assert_str_eq(f.suspected, "");
}

Test(xds_suspect, gets_another_resource_at_once)
{
    nack("shop/b:1");
    fake_put(&f, XDS_CLUSTER, "shop/b:1", 21); /* as a host does that has another one */
    cr_assert_str_eq(fake_next(&f), "Cluster shop/a:1 shop/b:1 shop/c:1");
    cr_assert_str_eq(fake_next(&f), "");
}

/* Refused, replaced, and back after something else that the client took: not the answer to its NACK. */
Test(xds_suspect, gets_what_it_refused_again_after_another)
{
    fake_close(&f);
    fake_open(&f, "gRPC Go");
    fake_put(&f, XDS_CLUSTER, "shop/a:1", 10);
    fake_ask(&f, XDS_CLUSTER, "shop/a:1", "");
    fake_nack(&f, XDS_CLUSTER, "shop/a:1", "shop/a:1: no");
    cr_assert_str_eq(fake_next(&f), "");
    fake_touch(&f, XDS_CLUSTER, "shop/a:1");
    cr_assert_str_eq(fake_next(&f), "", "never the same bytes");
    fake_put(&f, XDS_CLUSTER, "shop/a:1", 11);
    cr_assert_str_eq(fake_next(&f), "Cluster shop/a:1");
    fake_ack(&f, XDS_CLUSTER, "shop/a:1");
    fake_put(&f, XDS_CLUSTER, "shop/a:1", 10);
    cr_assert_str_eq(fake_next(&f), "Cluster shop/a:1");
    fake_nack(&f, XDS_CLUSTER, "shop/a:1", "shop/a:1: no");
    fake_touch(&f, XDS_CLUSTER, "shop/a:1");
    cr_assert_str_eq(fake_next(&f), "", "never the same bytes");
}

Test(xds_suspect, gets_what_came_back_before_it_took_the_other)
{
    fake_close(&f);
    fake_open(&f, "gRPC Go");
    fake_put(&f, XDS_CLUSTER, "shop/a:1", 10);
    fake_ask(&f, XDS_CLUSTER, "shop/a:1", "");
    fake_nack(&f, XDS_CLUSTER, "shop/a:1", "shop/a:1: no");
    fake_put(&f, XDS_CLUSTER, "shop/a:1", 11);
    fake_next(&f);
    fake_put(&f, XDS_CLUSTER, "shop/a:1", 10);
    cr_assert_str_eq(fake_next(&f), "", "not while it may be the answer");
    fake_ack(&f, XDS_CLUSTER, "shop/a:1");
    cr_assert_str_eq(fake_next(&f), "Cluster shop/a:1");
}
