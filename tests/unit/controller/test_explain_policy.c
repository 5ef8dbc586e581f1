/* What explain says of hosts and of backends that a policy names. */
#include "explain_world.h"

static const char *const suffixes[] = {"example.com", NULL};

static void start(void)
{
    world.host_suffixes = suffixes;
    explain_start();
}

TestSuite(explain_policy, .init = start, .fini = explain_stop);

#define SPLIT                                                                                      \
    "{'hosts':['greeter.example.com'],'backends':[{'service':'greeter','weight':90},"              \
    "{'service':'canary','weight':10}]}"

static const char *backend(size_t index, const char *key)
{
    const struct json *item = json_first(json_get(answer, "backends"));

    while (item && index-- > 0)
        item = json_next(item);
    cr_assert_not_null(item);
    return text_of(json_get(item, key));
}

/* Once what was changed is out. */
static void ask_later(const char *target)
{
    turn_for_ms(50);
    ask(target);
}

static void expect_split(const char *own, const char *canary, const char *problem)
{
    cr_assert_str_eq(backend(0, "cluster"), "shop/greeter:8001");
    cr_assert_str_eq(backend(0, "weight"), own);
    cr_assert_str_eq(backend(1, "service"), "canary");
    cr_assert_str_eq(backend(1, "written"), "10");
    cr_assert_str_eq(backend(1, "weight"), canary);
    cr_assert_str_eq(backend(1, "problem"), problem);
}

Test(explain_policy, tells_where_calls_go)
{
    put_slice("a", 1, READY("10.0.0.1"));
    ask_later("greeter.shop:8001");
    cr_assert_null(json_get(answer, "backends"));
    upsert(world.policies, POLICY_JSON("greeter", 1, SPLIT));
    ask_later("greeter.shop:8001");
    expect_split("1", "0", "there is no such Service");
    cr_assert_str_eq(text_of(json_get(json_get(answer, "hold"), "name")), "announce");
    turn_for_ms(1000);
    ask("greeter.shop:8001");
    expect_split("90", "0", "there is no such Service");
    upsert(world.services, SERVICE_JSON("canary", 8001));
    ask_later("greeter.shop:8001");
    expect_split("90", "0", "it has no endpoints");
    upsert(world.slices, SLICE_JSON("c", "canary", 1, READY("10.0.0.2")));
    ask_later("greeter.shop:8001");
    expect_split("90", "10", "");
}

Test(explain_policy, reads_hosts)
{
    put_slice("a", 1, READY("10.0.0.1"));
    ask_later("greeter.example.com:8001");
    cr_assert_str_eq(member("form"), "a host that a LookasideService claims: nobody does");
    cr_assert_str_eq(member("summary"), "no LookasideService has the host greeter.example.com in "
                                        "spec.hosts: the list is empty, and calls fail until one has");
    upsert(world.policies, POLICY_JSON("greeter", 1, SPLIT));
    ask_later("greeter.example.com:8001");
    cr_assert_str_eq(member("form"),
                     "a host that a LookasideService claims: Service greeter in namespace shop");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_str_eq(backend(1, "written"), "10");
}
