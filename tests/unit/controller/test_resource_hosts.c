/* Hosts of LookasideServices, and resources that are deleted and perhaps come back. */
#include "resource_world.h"

TestSuite(resource_hosts, .init = resource_start, .fini = world_stop);

/* ---- hosts ---- */

#define CLAIM(name, created, host)                                                                 \
    "{'metadata':{'namespace':'shop','name':'" name "','creationTimestamp':'" created              \
    "'},'spec':" HOST(host) "}"

static void expect_owner(const char *host, const char *owner)
{
    struct str found = catalog_host(controller_catalog(world.controller), str_of(host));

    cr_assert(str_eq(found, str_of(owner)), "%s belongs to '%" STR_FMT "'", host, STR_ARG(found));
}

static void expect_loser(const char *name, const char *host, const char *owner)
{
    char text[256];

    snprintf(text, sizeof(text),
             "spec.hosts: '%s' belongs to %s: remove it from one of the two; everything else is in "
             "force",
             host, owner);
    expect(name, CONDITION_ACCEPTED, false, "HostConflict", text);
}

Test(resource_hosts, go_to_the_oldest_that_asks)
{
    upsert(world.policies, CLAIM("b", "2026-02-01T00:00:00Z", "x.example.com"));
    upsert(world.policies, CLAIM("a", "2026-02-01T00:00:00Z", "x.example.com"));
    upsert(world.policies, CLAIM("c", "2026-03-01T00:00:00Z", "x.example.com"));
    turn();
    expect_owner("x.example.com", "shop/a");
    expect("a", CONDITION_ACCEPTED, true, "Accepted", "");
    expect_loser("b", "x.example.com", "shop/a");
    upsert(world.policies, CLAIM("c", "2026-03-01T00:00:00Z", "y.apps.example.org"));
    world.told = 0;
    remove_object(world.policies, "a");
    turn();
    expect_owner("x.example.com", "shop/b");
    expect_owner("y.apps.example.org", "shop/c");
    expect("b", CONDITION_ACCEPTED, true, "Accepted", "");
    cr_assert_geq(world.told, 2, "the heir hears of it");
    remove_object(world.policies, "b");
    turn();
    expect_owner("x.example.com", "");
}

Test(resource_hosts, stay_with_who_has_them)
{
    upsert(world.policies, CLAIM("a", "2026-02-01T00:00:00Z", "x.example.com"));
    turn();
    upsert(world.policies, CLAIM("old", "2025-02-01T00:00:00Z", "x.example.com"));
    turn();
    expect_owner("x.example.com", "shop/a");
    expect("a", CONDITION_ACCEPTED, true, "Accepted", "");
    expect_loser("old", "x.example.com", "shop/a");
    upsert(world.policies, CLAIM("a", "2026-03-01T00:00:00Z", "x.example.com"));
    turn();
    expect_owner("x.example.com", "shop/a");
    upsert(world.policies, CLAIM("a", "2026-03-01T00:00:00Z", "y.example.com"));
    turn();
    expect_owner("x.example.com", "shop/old");
    expect_owner("y.example.com", "shop/a");
    upsert(world.policies, CLAIM("a", "2026-03-01T00:00:00Z", "x.example.com"));
    turn();
    expect_owner("x.example.com", "shop/old");
    expect_loser("a", "x.example.com", "shop/old");
}

Test(resource_hosts, concern_those_who_claim_them)
{
    for (int i = 0; i < 100; i++)
        upsert(world.policies, POLICY_JSON("lks-%d", 1, HOST("h%d.example.com")), i, i, i);
    upsert(world.policies, POLICY_JSON("greeter", 1, HOST("x.example.com")));
    turn();
    world.told = 0;
    upsert(world.policies, POLICY_JSON("greeter", 2, "{'hosts':['x.example.com'],'retry':{'attempts':2}}"));
    turn();
    cr_assert(world.told >= 1 && world.told <= 3, "%zu", world.told);
    world.told = 0;
    upsert(world.policies, POLICY_JSON("greeter", 3, "{'hosts':['y.example.com']}"));
    turn();
    cr_assert(world.told >= 1 && world.told <= 4, "%zu", world.told);
}

Test(resource_hosts, lie_below_a_suffix)
{
    static const char *const refused[] = {"notexample.com", "x.example.org", "example.org",
                                          "example.com.evil.io"};
    static const char *const allowed[] = {"a.b.example.com", "example.com"};
    char text[512];

    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        snprintf(text, sizeof(text),
                 "spec.hosts: '%s' does not lie under a suffix that the administrator allows "
                 "(--host-suffixes: example.com, apps.example.org): choose a host under one, or "
                 "ask for another suffix; everything else is in force",
                 refused[i]);
        upsert(world.policies, POLICY_JSON("greeter", 1, HOST("%s")), refused[i]);
        turn();
        expect_owner(refused[i], "");
        expect("greeter", CONDITION_ACCEPTED, false, "HostNotAllowed", text);
    }
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        upsert(world.policies, POLICY_JSON("greeter", 1, HOST("%s")), allowed[i]);
        turn();
        expect_owner(allowed[i], "shop/greeter");
    }
}

/* ---- deleted, and perhaps to come back ---- */

static void start_with_grace(void)
{
    world.deletion_grace_ms = 5000;
    resource_start();
    upsert(world.services, GREETER);
    upsert(world.services, CANARY);
    upsert(world.policies,
           POLICY_JSON("greeter", 1, "{'hosts':['x.example.com'],'loadBalancing':{'policy':"
                                     "'RingHash'},'backends':[{'service':'greeter'},{'service':'canary'}]}"));
    turn_for_ms(20);
    cr_assert_eq(policy_at("greeter")->lb, LB_RING_HASH);
}

static void stop_with_grace(void)
{
    world_stop();
    world.deletion_grace_ms = 0;
}

TestSuite(resource_deleted, .init = start_with_grace, .fini = stop_with_grace);

static bool is_known(const char *name)
{
    return controller_resource_status(world.controller, STR("shop"), str_of(name),
                                      &(struct resource_status){0});
}

Test(resource_deleted, stays_in_force_for_a_while)
{
    world.told = 0;
    remove_object(world.policies, "greeter");
    cr_assert_geq(world.told, 1);
    cr_assert_not(is_known("greeter"), "it has no status to write");
    cr_assert_str_eq(hold_of("greeter"), "deletion");
    turn_for_ms(4900);
    cr_assert_eq(policy_at("greeter")->lb, LB_RING_HASH);
    expect_owner("x.example.com", "shop/greeter");
    turn_for_ms(200);
    cr_assert_eq(policy_at("greeter"), policy_default());
    expect_owner("x.example.com", "");
    cr_assert_str_eq(hold_of("greeter"), "");
}

Test(resource_deleted, is_followed_at_once_by_one_that_comes)
{
    remove_object(world.policies, "greeter");
    turn_for_ms(100);
    upsert(world.policies, "{'metadata':{'namespace':'shop','name':'greeter','uid':'other',"
                           "'generation':1},'spec':{'loadBalancing':{'policy':'LeastRequest'}}}");
    turn_for_ms(20);
    cr_assert_eq(policy_at("greeter")->lb, LB_LEAST_REQUEST);
    cr_assert(is_known("greeter"));
    cr_assert_str_eq(hold_of("greeter"), "");
    turn_for_ms(6000);
    cr_assert_eq(policy_at("greeter")->lb, LB_LEAST_REQUEST);
    remove_object(world.policies, "greeter");
    turn_for_ms(4900);
    cr_assert_eq(policy_at("greeter")->lb, LB_LEAST_REQUEST, "a grace of its own");
    turn_for_ms(200);
    cr_assert_eq(policy_at("greeter"), policy_default());
}

Test(resource_deleted, keeps_its_host_from_others)
{
    upsert(world.policies, CLAIM("canary", "2020-02-01T00:00:00Z", "x.example.com"));
    remove_object(world.policies, "greeter");
    turn_for_ms(4900);
    expect_owner("x.example.com", "shop/greeter");
    turn_for_ms(200);
    expect_owner("x.example.com", "shop/canary");
}

Test(resource_deleted, is_gone_when_an_operator_says_so)
{
    remove_object(world.policies, "greeter");
    turn_for_ms(100);
    cr_assert(controller_release(world.controller, STR("shop"), STR("greeter")));
    turn_for_ms(20);
    cr_assert_eq(policy_at("greeter"), policy_default());
    cr_assert_str_eq(hold_of("greeter"), "");
}

/* It is known to be gone: a list that lacks it, too, is no news. */
Test(resource_deleted, raises_no_doubt)
{
    remove_object(world.policies, "greeter");
    turn_for_ms(100);
    list_begin(world.policies);
    cr_assert(list_end(world.policies));
    cr_assert_str_eq(hold_of("greeter"), "deletion");
    turn_for_ms(5000);
    cr_assert_eq(policy_at("greeter"), policy_default());
    upsert(world.policies, POLICY_JSON("canary", 1, "{}"));
    remove_object(world.policies, "canary");
    list_begin(world.policies);
    list_object(world.policies, POLICY_JSON("canary", 1, "{}"));
    cr_assert(list_end(world.policies));
    turn_for_ms(6000);
    cr_assert(is_known("canary"));
}

Test(resource_deleted, by_a_list_has_the_same_grace)
{
    upsert(world.policies, POLICY_JSON("canary", 1, "{}"));
    list_begin(world.policies);
    list_object(world.policies, POLICY_JSON("canary", 1, "{}"));
    cr_assert(list_end(world.policies));
    turn_for_ms(4900);
    cr_assert_eq(policy_at("greeter")->lb, LB_RING_HASH);
    turn_for_ms(200);
    cr_assert_eq(policy_at("greeter"), policy_default());
}
