/* What explain says of who sees a Service. */
#include "explain_world.h"

static void start(bool identifies, enum default_access otherwise)
{
    world.identifies = identifies;
    world.default_access = otherwise;
    explain_start();
    put_slice("a", 1, READY("10.0.0.1"));
    turn_for_ms(50);
}

TestSuite(explain_access, .fini = explain_stop);

static void access_is(const char *spec, int version)
{
    char policy[512];

    snprintf(policy, sizeof(policy),
             "{'metadata':{'namespace':'shop','name':'greeter','generation':%d},'spec':%s}",
             version, spec);
    upsert(world.policies, policy);
    turn_for_ms(50);
}

static const struct json *access_member(const char *key)
{
    return json_get(json_get(answer, "access"), key);
}

#define LISTED "1 of 1 endpoint is listed"

Test(explain_access, tells_who_sees_it)
{
    start(true, ACCESS_ALL);
    ask("greeter.shop:8001");
    cr_assert_str_eq(member("summary"), LISTED);
    cr_assert(json_bool(access_member("open")));
    access_is("{'access':{'namespaces':['shop','b'],'serviceAccounts':['web/frontend']}}", 1);
    ask("greeter.shop:8001");
    cr_assert_str_eq(member("summary"), LISTED "; only service accounts of b, shop, and web/frontend see it (spec.access)");
    cr_assert(!json_bool(access_member("open")) && json_bool(access_member("given")));
    cr_assert_eq(json_len(access_member("namespaces")), 2);
    cr_assert_eq(json_len(access_member("serviceAccounts")), 1);
    cr_assert_null(access_member("seen"));
    access_is("{'access':{'serviceAccounts':['web/frontend']}}", 2);
    ask("greeter.shop:8001");
    cr_assert_str_eq(member("summary"), LISTED "; only service account web/frontend sees it (spec.access)");
    access_is("{'access':{}}", 3);
    ask("greeter.shop:8001");
    cr_assert_str_eq(member("summary"), LISTED "; no client sees it (spec.access is empty)");
}

Test(explain_access, of_an_account_tells_what_it_gets)
{
    start(true, ACCESS_ALL);
    access_is("{'access':{'namespaces':['a','b','c','d','e']}}", 1);
    ask_as("greeter.shop:8001", "a", "x");
    cr_assert(json_bool(access_member("seen")));
    cr_assert_str_eq(member("summary"), LISTED "; service account a/x sees it");
    ask_as("greeter.shop:8001", "shop", "x");
    cr_assert(!json_bool(access_member("seen")));
    cr_assert_str_eq(member("summary"),
                     "service account shop/x gets what it would if there were no such Service, since only service "
                     "accounts of a, b, c, d and 1 more see it (spec.access); for who sees it, " LISTED);
    ask_as("other.shop:8001", "shop", "x");
    cr_assert_null(json_get(answer, "access"));
}

Test(explain_access, tells_of_the_default)
{
    start(true, ACCESS_NAMESPACE);
    ask("greeter.shop:8001");
    cr_assert_str_eq(member("summary"), LISTED "; only service accounts of shop see it (--default-access=namespace)");
    ask_as("greeter.shop:8001", "shop", "x");
    cr_assert_str_eq(member("summary"), LISTED "; service account shop/x sees it");
}

Test(explain_access, tells_of_a_default_that_is_nobody)
{
    start(true, ACCESS_NONE);
    ask("greeter.shop:8001");
    cr_assert_str_eq(member("summary"), LISTED "; no client sees it (--default-access=none)");
    access_is("{'access':{'namespaces':['shop']}}", 1);
    ask_as("greeter.shop:8001", "shop", "x");
    cr_assert_str_eq(member("summary"), LISTED "; service account shop/x sees it");
}

Test(explain_access, tells_that_nobody_can_prove_who_it_is)
{
    start(false, ACCESS_ALL);
    access_is("{'access':{'namespaces':['shop']}}", 1);
    ask_as("greeter.shop:8001", "shop", "x");
    cr_assert(!json_bool(access_member("seen")) && !json_bool(access_member("provable")));
    ask("greeter.shop:8001");
    cr_assert_str_eq(member("summary"),
                     LISTED "; no client sees it: spec.access says who may, and clients have no way to prove who they "
                            "are (--tokens, --tls-client-ca, --unix-account, --identify-pods)");
}
