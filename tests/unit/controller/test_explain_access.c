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
    ask_as("greeter.shop:8001", "shop", "x");
    cr_assert_str_eq(member("summary"), LISTED "; everybody sees it");
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
                     "accounts of a, b, c, d and 1 more see it (spec.access); but for that, " LISTED);
    ask_as("greeter.shop:8001", "", "");
    cr_assert(str_starts_with(json_text(json_get(answer, "summary")), STR("a client that nothing identifies gets what ")));
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
    cr_assert(!json_bool(access_member("seen")) && !json_bool(access_member("identifies")));
    ask("greeter.shop:8001");
    cr_assert_str_eq(member("summary"),
                     LISTED "; no client sees it: spec.access says who may, and nothing that tells who clients are "
                            "is switched on (--tokens, --tls-client-ca, --unix-account, --identify-pods)");
}

static const char *problem_of(const char *backend)
{
    const struct json *item = json_first(json_get(answer, "backends"));

    while (item && !str_eq(json_text(json_get(item, "service")), str_of(backend)))
        item = json_next(item);
    cr_assert_not_null(item);
    return text_of(json_get(item, "problem"));
}

#define OWN "of greeter's own, " LISTED

Test(explain_access, tells_of_hidden_backends)
{
    start(true, ACCESS_ALL);
    upsert(world.services, SERVICE_JSON("canary", 8001));
    upsert(world.slices, SLICE_JSON("c", "canary", 1, READY("10.0.0.2")));
    upsert(world.policies, POLICY_JSON("canary", 1, "{'access':{'namespaces':['batch']}}"));
    access_is("{'access':{'namespaces':['web','batch']},'backends':[{'service':'canary'}]}", 1);
    turn_for_ms(1100);
    ask("greeter.shop:8001");
    cr_assert_str_eq(member("summary"),
                     "a LookasideService shares out the calls of xDS clients: 100% canary:8001; " OWN
                     "; only service accounts of batch, web see it (spec.access); not everybody sees the backend canary");
    cr_assert_str_eq(problem_of("canary"), "");
    ask_as("greeter.shop:8001", "web", "x");
    cr_assert_str_eq(member("summary"), "a LookasideService shares out the calls of xDS clients: 100% canary:8001 (the client "
                                        "may not see it: these calls fail); " OWN "; service account web/x sees it");
    cr_assert_str_eq(problem_of("canary"), "the client may not see it");
    ask_as("greeter.shop:8001", "batch", "x");
    cr_assert_str_eq(problem_of("canary"), "");
    ask_as("greeter.shop:8001", "shop", "x"); /* who does not see the Service hears how it is for those who do */
    cr_assert_str_eq(problem_of("canary"), "");
}
