/* Topics under policies: what a Listener depends on besides the Service that is dialled, hosts, and plain twins. */
#include <criterion/criterion.h>

#include "fixture.h"
#include "model/client.h"
#include "serve/topic.h"

#define DIALLED "greeter.shop:8001"

static const char *const suffixes[] = {"example.com", NULL};
static const struct fixture_endpoint endpoint = {.address = "10.0.0.1"};
static struct topic_table *table;
static const struct catalog *catalog;
static struct policy policy;
static struct policy_backend backends[2];

static void set_up(void)
{
    struct topic_table_options options = {.cluster_domain = "cluster.local", .host_suffixes = suffixes};

    table = topic_table_new(&options);
    catalog = catalog_new_empty();
    policy = *policy_default();
    policy.namespace_name = STR("shop");
    policy.name = STR("greeter");
    backends[0] = (struct policy_backend){.service = STR("greeter"), .weight = 90};
    backends[1] = (struct policy_backend){.service = STR("canary"), .weight = 10};
    policy.backends = backends;
    policy.backends_len = 2;
}

static void tear_down(void)
{
    topic_table_free(table);
    catalog_unref(catalog);
}

TestSuite(topic_route, .init = set_up, .fini = tear_down);

/* greeter has the policy as it is now. */
static void put(const char *name, size_t endpoints)
{
    const struct policy *own = strcmp(name, "greeter") == 0 ? policy_new(&policy) : NULL;

    catalog = catalog_with(
        catalog, &(struct fixture_service){.name = name, .endpoints = &endpoint, .len = endpoints, .policy = own});
    policy_unref(own);
    publish(table, catalog);
}

static void put_host(const char *owner)
{
    const struct pair host = {STR("api.example.com"), str_of(owner)};
    struct catalog_edit *edit = catalog_edit_new(catalog);

    catalog_set_hosts(edit, &host, *owner ? 1 : 0);
    catalog_unref(catalog);
    catalog = catalog_edit_finish(edit);
    publish(table, catalog);
}

static void join(enum topic_kind kind, const char *name, struct listener_fixture *listener)
{
    listener_join(table, kind, name, (struct place){0}, listener);
}

static void join_plain(enum topic_kind kind, const char *name, struct listener_fixture *listener)
{
    const struct topic_client client = {.default_namespace = STR("shop"), .plain = true};

    *listener = (struct listener_fixture){.subscriber.changed = listener_on_changed};
    cr_assert(topic_subscribe(table, kind, str_of(name), &client, &listener->subscriber, NULL));
}

Test(topic_route, a_backend_that_comes_or_goes_changes_the_listener)
{
    struct listener_fixture route;

    put("greeter", 1);
    join(TOPIC_LISTENER, DIALLED, &route);
    cr_expect(listener_has(&route, "shop/canary:8001"), "it is told before it is there");
    put("canary", 1);
    cr_expect(listener_has(&route, "shop/canary:8001"));
    cr_expect_eq(route.changes, 1);
    put("canary", 0);
    cr_expect_eq(route.changes, 2);
    cr_expect(listener_has(&route, "shop/canary:8001"), "it may come back");
    put("canary", 1);
    cr_expect_eq(route.changes, 3);
    topic_unsubscribe(&route.subscriber);
}

Test(topic_route, a_change_that_leaves_the_route_is_not_told)
{
    static const struct fixture_endpoint two[] = {{.address = "10.0.0.1"}, {.address = "10.0.0.2"}};
    struct listener_fixture route;
    uint64_t version;

    put("greeter", 1);
    put("canary", 1);
    join(TOPIC_LISTENER, DIALLED, &route);
    version = route.subscriber.content->version;
    catalog = catalog_with(catalog, &(struct fixture_service){.name = "canary", .endpoints = two, .len = 2});
    publish(table, catalog);
    put("other", 1);
    cr_expect_eq(route.changes, 0);
    cr_expect_eq(route.subscriber.content->version, version);
    topic_unsubscribe(&route.subscriber);
}

Test(topic_route, backends_that_a_policy_no_longer_names_do_not_matter)
{
    struct interest *canary;
    struct listener_fixture route;

    put("greeter", 1);
    put("canary", 1);
    join(TOPIC_LISTENER, DIALLED, &route);
    canary = topic_interest(table, STR("shop"), STR("canary"));
    cr_assert_not_null(canary);
    cr_expect(topic_is_of(route.subscriber.topic, canary));
    policy.backends_len = 0;
    put("greeter", 1);
    cr_expect_eq(route.changes, 1);
    cr_expect_null(topic_interest(table, STR("shop"), STR("canary")));
    topic_unsubscribe(&route.subscriber);
    cr_expect_null(topic_interest(table, STR("shop"), STR("greeter")));
}

Test(topic_route, weights_touch_no_cluster_and_no_list)
{
    struct listener_fixture route, cluster, list;

    put("greeter", 1);
    put("canary", 1);
    join(TOPIC_LISTENER, DIALLED, &route);
    join(TOPIC_CLUSTER, "shop/greeter:8001", &cluster);
    join(TOPIC_ASSIGNMENT, "shop/greeter:8001", &list);
    backends[1].weight = 20;
    put("greeter", 1);
    cr_expect_eq(route.changes, 1);
    cr_expect_eq(cluster.changes, 0);
    cr_expect_eq(list.changes, 0);
    topic_unsubscribe(&route.subscriber);
    topic_unsubscribe(&cluster.subscriber);
    topic_unsubscribe(&list.subscriber);
}

Test(topic_route, a_clusters_policy_is_its_own_services)
{
    struct listener_fixture cluster, canary;

    put("greeter", 1);
    put("canary", 1);
    join(TOPIC_CLUSTER, "shop/greeter:8001", &cluster);
    join(TOPIC_CLUSTER, "shop/canary:8001", &canary);
    policy.lb = LB_PICK_FIRST;
    put("greeter", 1);
    cr_expect(listener_has(&cluster, "PickFirst"));
    cr_expect(!listener_has(&canary, "PickFirst"));
    cr_expect_eq(canary.changes, 0);
    topic_unsubscribe(&cluster.subscriber);
    topic_unsubscribe(&canary.subscriber);
}

/* ---- hosts ---- */

Test(topic_route, of_a_host_follow_its_owner)
{
    struct listener_fixture route, list, native;

    policy.backends_len = 0;
    put("greeter", 1);
    put("canary", 1);
    join(TOPIC_LISTENER, "API.example.com:8001", &route);
    join(TOPIC_ASSIGNMENT, "/api.example.com:8001", &list);
    join(TOPIC_NATIVE, "api.example.com:8001", &native);
    cr_expect(listener_has(&route, "/api.example.com:8001"));
    cr_expect(!listener_has(&list, "10.0.0.1"));
    cr_expect_str_eq(native.subscriber.content->problem, "no LookasideService has this host");
    put_host("shop/greeter");
    cr_expect(listener_has(&route, "shop/greeter:8001"));
    cr_expect(listener_has(&list, "10.0.0.1"));
    cr_expect_null(native.subscriber.content->problem);
    put_host("shop/canary");
    cr_expect(listener_has(&route, "shop/canary:8001"));
    put("canary", 0);
    cr_expect(!listener_has(&native, "10.0.0.1"));
    put_host("");
    cr_expect(listener_has(&route, "/api.example.com:8001"));
    cr_expect_eq(route.changes, 3);
    topic_unsubscribe(&route.subscriber);
    topic_unsubscribe(&list.subscriber);
    topic_unsubscribe(&native.subscriber);
}

Test(topic_route, of_a_host_that_another_is_given_to_stay)
{
    struct listener_fixture route;

    put("greeter", 1);
    put_host("shop/greeter");
    join(TOPIC_LISTENER, "other.example.com", &route);
    put_host("");
    cr_expect_eq(route.changes, 0);
    topic_unsubscribe(&route.subscriber);
}

/* ---- what some clients cannot bear ---- */

static void join_as(unsigned faults, enum topic_kind kind, const char *name, struct listener_fixture *listener)
{
    const struct topic_client client = {.default_namespace = STR("shop"), .faults = faults};

    *listener = (struct listener_fixture){.subscriber.changed = listener_on_changed};
    cr_assert(topic_subscribe(table, kind, str_of(name), &client, &listener->subscriber, NULL));
}

Test(topic_route, a_cluster_comes_without_what_the_client_cannot_bear)
{
    struct listener_fixture whole, spared, listeners[2];
    uint64_t version;

    put("greeter", 1);
    join(TOPIC_CLUSTER, "shop/greeter:8001", &whole);
    join_as(CLIENT_FAULT_OUTLIER_DETECTION, TOPIC_CLUSTER, "shop/greeter:8001", &spared);
    version = spared.subscriber.content->version;
    cr_expect_eq(whole.subscriber.content->version, version);
    policy.failure_percentage.enabled = true;
    put("greeter", 1);
    cr_expect_eq(whole.changes, 1);
    cr_expect_eq(spared.changes, 0);
    cr_expect_eq(spared.subscriber.content->version, version);
    policy.max_requests = 7;
    put("greeter", 1);
    cr_expect_eq(spared.changes, 1, "the rest of the policy is for it too");
    join(TOPIC_LISTENER, DIALLED, &listeners[0]);
    join_as(CLIENT_FAULTS_OF_CLUSTERS, TOPIC_LISTENER, DIALLED, &listeners[1]);
    cr_expect_eq(listeners[0].subscriber.topic, listeners[1].subscriber.topic);
    topic_unsubscribe(&whole.subscriber);
    topic_unsubscribe(&spared.subscriber);
    topic_unsubscribe(&listeners[0].subscriber);
    topic_unsubscribe(&listeners[1].subscriber);
}

Test(topic_route, a_route_comes_without_what_the_client_cannot_bear)
{
    struct listener_fixture whole, spared, route;
    uint64_t version;

    put("greeter", 1);
    join(TOPIC_LISTENER, DIALLED, &whole);
    join_as(CLIENT_FAULT_EARLY_END, TOPIC_LISTENER, DIALLED, &spared);
    join_as(CLIENT_FAULT_EARLY_END, TOPIC_ROUTE, DIALLED, &route);
    version = spared.subscriber.content->version;
    cr_expect_eq(whole.subscriber.content->version, version);
    policy.max_call_us = 1000 * 1000;
    put("greeter", 1);
    cr_expect_eq(whole.changes, 1);
    cr_expect_eq(spared.changes, 0);
    cr_expect_eq(route.changes, 0);
    policy.max_call_us = 5 * 1000 * 1000;
    put("greeter", 1);
    cr_expect_eq(spared.changes, 1);
    cr_expect_eq(route.changes, 1);
    cr_expect_eq(spared.subscriber.content->version, whole.subscriber.content->version);
    topic_unsubscribe(&whole.subscriber);
    topic_unsubscribe(&spared.subscriber);
    topic_unsubscribe(&route.subscriber);
}

/* ---- plain twins ---- */

Test(topic_route, a_plain_twin_says_nothing_of_the_policy_but_its_weights)
{
    struct listener_fixture full, plain, full_cluster, plain_cluster;

    policy.lb = LB_RING_HASH;
    policy.hash_header = STR("x-user");
    put("greeter", 1);
    put("canary", 1);
    join(TOPIC_LISTENER, DIALLED, &full);
    join_plain(TOPIC_LISTENER, DIALLED, &plain);
    join(TOPIC_CLUSTER, "shop/greeter:8001", &full_cluster);
    join_plain(TOPIC_CLUSTER, "shop/greeter:8001", &plain_cluster);
    cr_expect(listener_has(&full, "x-user"));
    cr_expect(!listener_has(&plain, "x-user"));
    cr_expect(listener_has(&plain, "shop/canary:8001"));
    cr_expect_neq(full_cluster.subscriber.content->version, plain_cluster.subscriber.content->version);
    topic_unsubscribe(&full.subscriber);
    topic_unsubscribe(&plain.subscriber);
    topic_unsubscribe(&full_cluster.subscriber);
    topic_unsubscribe(&plain_cluster.subscriber);
}

/* They wait for the next policy, of which their own bytes say nothing. */
Test(topic_route, a_plain_twin_is_told_of_another_policy)
{
    struct listener_fixture plain;

    policy.lb = LB_PICK_FIRST;
    put("greeter", 1);
    join_plain(TOPIC_CLUSTER, "shop/greeter:8001", &plain);
    put("greeter", 0);
    cr_expect_eq(plain.changes, 0);
    policy.lb = LB_LEAST_REQUEST;
    put("greeter", 0);
    cr_expect_eq(plain.changes, 1);
    cr_expect_eq(plain.subscriber.content->policy->lb, LB_LEAST_REQUEST);
    topic_unsubscribe(&plain.subscriber);
}
