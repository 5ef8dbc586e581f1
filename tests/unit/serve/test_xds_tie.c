/* What a client gets that refuses what a policy makes of a resource, and when it gets the other again. */
#include <criterion/criterion.h>

#include "fixture.h"
#include "serve/xds_tie.h"

static const struct fixture_endpoint endpoint = {.address = "10.0.0.1"};
static struct topic_table *table;
static const struct catalog *catalog;
static struct policy policy;
static struct xds_subscription subscription;
static struct xds_tie_client client;
static const struct policy *refused;
static size_t changes;

static void on_changed(unused_arg struct subscriber *subscriber)
{
    changes++;
}

static void put(void)
{
    const struct policy *own = policy_new(&policy);

    catalog = catalog_with(catalog, &(struct fixture_service){
                                        .name = "greeter", .endpoints = &endpoint, .len = 1, .policy = own});
    policy_unref(own);
    publish(table, catalog);
}

static void set_up(void)
{
    struct topic_table_options options = {.cluster_domain = "cluster.local"};

    table = topic_table_new(&options);
    catalog = NULL;
    policy = *policy_default();
    policy.namespace_name = STR("shop");
    policy.name = STR("greeter");
    policy.lb = LB_PICK_FIRST;
    put();
    subscription = (struct xds_subscription){.type = XDS_CLUSTER, .name = STR("shop/greeter:8001")};
    client = (struct xds_tie_client){.topics = table, .agent = STR("gRPC Go 1.85.0"), .changed = on_changed};
}

static void tear_down(void)
{
    xds_tie_leave(&subscription);
    topic_table_free(table);
    catalog_unref(catalog);
}

TestSuite(xds_tie, .init = set_up, .fini = tear_down);

static void join(void)
{
    cr_assert_eq(xds_tie_join(&subscription, &client, NULL), CODE_OK);
}

static bool is_plain(void)
{
    return ((const struct xds_tie *)subscription.host)->refused != NULL;
}

/* The client is sent what there is, and refuses it. */
static bool refuse(void)
{
    subscription.sent_version = xds_tie_content(&subscription)->version;
    return xds_tie_refuse(&subscription, &client, &refused);
}

Test(xds_tie, goes_to_the_plain_twin_at_once)
{
    uint64_t version;

    join();
    version = xds_tie_content(&subscription)->version;
    cr_expect(!is_plain());
    cr_assert(refuse());
    cr_expect(is_plain());
    cr_expect_neq(xds_tie_content(&subscription)->version, version);
    cr_expect_eq(refused->lb, LB_PICK_FIRST);
    cr_expect(!xds_tie_is_outdated(&subscription));
    cr_expect(!refuse(), "there is nothing plainer");
}

Test(xds_tie, stays_where_nothing_else_would_be_plainer)
{
    policy.lb = LB_ROUND_ROBIN;
    policy.subset_size = 3;
    put();
    join();
    cr_expect(!refuse());
    cr_expect(!is_plain());
}

Test(xds_tie, of_a_list_stays)
{
    subscription.type = XDS_ENDPOINT;
    join();
    cr_expect(!refuse());
}

Test(xds_tie, of_what_is_something_else_by_now_stays)
{
    join();
    subscription.sent_version = xds_tie_content(&subscription)->version;
    policy.lb = LB_LEAST_REQUEST;
    put();
    cr_expect(!xds_tie_refuse(&subscription, &client, &refused));
}

Test(xds_tie, gets_another_policy_again)
{
    join();
    cr_assert(refuse());
    put();
    cr_expect(!xds_tie_is_outdated(&subscription), "the same policy");
    policy.lb = LB_LEAST_REQUEST;
    put();
    cr_expect_eq(changes, 1);
    cr_assert(xds_tie_is_outdated(&subscription));
    xds_tie_retry(&subscription, &client);
    cr_expect(!is_plain());
    cr_assert(refuse());
    cr_expect_eq(refused->lb, LB_LEAST_REQUEST);
}

/* The client takes what came between, and the first one comes back. */
Test(xds_tie, of_a_policy_that_comes_back_is_plain_again)
{
    uint64_t plain;

    join();
    cr_assert(refuse());
    plain = xds_tie_content(&subscription)->version;
    policy.lb = LB_LEAST_REQUEST;
    put();
    xds_tie_retry(&subscription, &client);
    subscription.sent_version = xds_tie_content(&subscription)->version;
    cr_expect(!xds_tie_is_outdated(&subscription));
    policy.lb = LB_PICK_FIRST;
    put();
    cr_assert(xds_tie_is_outdated(&subscription));
    xds_tie_retry(&subscription, &client);
    cr_expect(is_plain());
    cr_expect_eq(xds_tie_content(&subscription)->version, plain);
    cr_expect(!xds_tie_is_outdated(&subscription));
    policy.lb = LB_LEAST_REQUEST;
    put();
    cr_assert(xds_tie_is_outdated(&subscription), "that one it takes");
    xds_tie_retry(&subscription, &client);
    cr_expect(!is_plain());
}

Test(xds_tie, of_a_kind_that_refuses_begins_plain)
{
    const struct str kinds[] = {STR_INIT("gRPC Go 1.85.0")};

    policy.refused_by = kinds;
    policy.refused_by_len = 1;
    put();
    join();
    cr_expect(is_plain());
    xds_tie_leave(&subscription);
    client.agent = STR("gRPC Java 1.85.0");
    join();
    cr_expect(!is_plain());
}

/* That others have refused it is no news for who has not. */
Test(xds_tie, of_a_client_that_took_it_stays_when_its_kind_refuses)
{
    const struct str kinds[] = {STR_INIT("gRPC Go 1.85.0")};

    join();
    policy.refused_by = kinds;
    policy.refused_by_len = 1;
    put();
    cr_expect(!is_plain());
    cr_expect_eq(changes, 0);
}

Test(xds_tie, of_a_malformed_name_is_none)
{
    struct err err = {0};

    subscription.name = STR("nothing");
    cr_expect_eq(xds_tie_join(&subscription, &client, &err), CODE_INVALID_ARGUMENT);
    cr_expect_null(subscription.host);
    cr_expect_null(xds_tie_content(&subscription));
    cr_expect(!xds_tie_is_outdated(&subscription));
    cr_expect(!xds_tie_refuse(&subscription, &client, &refused));
}

Test(xds_tie, of_a_client_that_a_ring_would_crash_has_none)
{
    uint64_t version;

    policy.lb = LB_ROUND_ROBIN;
    put();
    client.agent = STR("gRPC C-core linux Python C-core 29.0.0 Python 1.51.1");
    join();
    version = xds_tie_content(&subscription)->version;
    policy.lb = LB_RING_HASH;
    put();
    cr_expect_eq(xds_tie_content(&subscription)->version, version);
    xds_tie_leave(&subscription);
    client.agent = STR("gRPC C-core linux Python C-core 58.0.0 Python 1.85.1");
    join();
    cr_expect_neq(xds_tie_content(&subscription)->version, version);
}
