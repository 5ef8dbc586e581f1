/* Services of type ExternalName, and Services that become one or cease to be one. */
#include <criterion/criterion.h>

#include "encode/native.h"
#include "encode/xds.h"
#include "fixture.h"

static const struct fixture_endpoint endpoints[] = {{.address = "10.0.0.1"}};
static const struct fixture_service external = {.name = "greeter", .external = "db.example.com"};
static const struct fixture_service normal = {.name = "greeter", .endpoints = endpoints, .len = 1};

static struct topic_table *table;
static const struct catalog *catalog;

static void set_up(void)
{
    struct topic_table_options options = {
        .cluster_domain = "cluster.local", .unknown_names = UNKNOWN_NAMES_EMPTY, .stats = NULL};

    table = topic_table_new(&options);
}

static void tear_down(void)
{
    catalog_unref(catalog);
    topic_table_free(table);
}

TestSuite(topic_external, .init = set_up, .fini = tear_down);

static void put(const struct fixture_service *service)
{
    catalog = catalog_with(catalog, service);
    publish(table, catalog);
}

static void join(enum topic_kind kind, const char *name, struct listener_fixture *listener)
{
    listener_join(table, kind, name, (struct place){0}, listener);
}

/* Consumes `expected`. */
static void expect(struct listener_fixture *listener, struct blob *expected)
{
    cr_assert(str_eq(blob_str(topic_bytes(&listener->subscriber)), blob_str(expected)));
    blob_unref(expected);
}

static struct blob *no_backends(const char *name)
{
    return encode_assignment(str_of(name), NULL, 0, STR(""));
}

/* To shop/greeter at that port. */
static struct blob *listener_to(struct str name, uint16_t number)
{
    const struct route route = {
        .namespace_name = STR("shop"),
        .policy = policy_default(),
        .len = 1,
        .targets = {{.service = STR("greeter"), .number = number, .weight = 1, .policy = policy_default()}},
    };

    return encode_listener(name, &route);
}

Test(topic_external, is_a_cluster_that_the_client_resolves_itself)
{
    struct listener_fixture listener, cluster, list;

    put(&external);
    join(TOPIC_LISTENER, "greeter.shop:443", &listener);
    join(TOPIC_CLUSTER, "shop/greeter:443", &cluster);
    join(TOPIC_ASSIGNMENT, "shop/greeter:443", &list);
    expect(&listener, listener_to(STR("greeter.shop:443"), 443));
    expect(&cluster, encode_cluster_dns(STR("shop/greeter:443"), STR("db.example.com"), 443, policy_default(), false));
    expect(&list, no_backends("shop/greeter:443"));
    topic_unsubscribe(&listener.subscriber);
    topic_unsubscribe(&cluster.subscriber);
    topic_unsubscribe(&list.subscriber);
}

Test(topic_external, is_one_backend_with_a_name_for_native_clients)
{
    struct listener_fixture native;
    uint64_t version;

    put(&external);
    join(TOPIC_NATIVE, "greeter.shop:443", &native);
    expect(&native, encode_native_host(STR("db.example.com"), 443, &version));
    cr_assert_eq(native.subscriber.content->version, version);
    cr_assert_null(native.subscriber.content->problem);
    topic_unsubscribe(&native.subscriber);
}

Test(topic_external, without_a_port_is_empty_and_says_why)
{
    struct fixture_service portless = external;
    struct listener_fixture cluster, native;

    portless.no_ports = true;
    put(&portless);
    join(TOPIC_CLUSTER, "shop/greeter:", &cluster);
    join(TOPIC_NATIVE, "greeter.shop", &native);
    expect(&cluster, encode_cluster(STR("shop/greeter:"), policy_default(), false));
    cr_assert_not_null(native.subscriber.content->problem);
    topic_unsubscribe(&cluster.subscriber);
    topic_unsubscribe(&native.subscriber);
}

Test(topic_external, a_port_by_name_or_none_leads_to_the_numbered_cluster)
{
    struct listener_fixture named, bare;

    put(&external);
    join(TOPIC_LISTENER, "greeter.shop:grpc", &named);
    join(TOPIC_LISTENER, "greeter.shop", &bare);
    expect(&named, listener_to(STR("greeter.shop:grpc"), 8001));
    expect(&bare, listener_to(STR("greeter.shop"), 8001));
    topic_unsubscribe(&named.subscriber);
    topic_unsubscribe(&bare.subscriber);
}

Test(topic_external, has_no_pods)
{
    struct listener_fixture cluster;

    put(&external);
    join(TOPIC_CLUSTER, "shop/greeter/pod-0:443", &cluster);
    expect(&cluster, encode_cluster(STR("shop/greeter/pod-0:443"), policy_default(), false));
    topic_unsubscribe(&cluster.subscriber);
}

Test(topic_external, a_service_changes_its_type_and_back_under_the_same_names)
{
    struct listener_fixture listener, cluster, list;

    put(&normal);
    join(TOPIC_LISTENER, "greeter.shop:8001", &listener);
    join(TOPIC_CLUSTER, "shop/greeter:8001", &cluster);
    join(TOPIC_ASSIGNMENT, "shop/greeter:8001", &list);
    put(&external);
    expect(&cluster, encode_cluster_dns(STR("shop/greeter:8001"), STR("db.example.com"), 8001, policy_default(), false));
    expect(&list, no_backends("shop/greeter:8001"));
    cr_assert_eq(cluster.changes, 1);
    put(&normal);
    expect(&cluster, encode_cluster(STR("shop/greeter:8001"), policy_default(), false));
    cr_assert(listener_has(&list, "10.0.0.1"));
    cr_assert_eq(cluster.changes, 2);
    cr_assert_eq(listener.changes, 0, "the route stays as it is");
    topic_unsubscribe(&listener.subscriber);
    topic_unsubscribe(&cluster.subscriber);
    topic_unsubscribe(&list.subscriber);
}

struct wildcard {
    size_t len;
    bool dns;
};

static void visit(void *ctx, struct str name, uint64_t version unused_arg, struct blob *cluster)
{
    struct wildcard *wildcard = ctx;

    cr_assert(str_eq(name, STR("shop/greeter:8001")));
    wildcard->len++;
    wildcard->dns = memmem(cluster->bytes, cluster->len, "db.example.com", 14) != NULL;
}

Test(topic_external, wildcards_carry_the_cluster_as_it_is_and_hear_of_a_change)
{
    struct wildcard wildcard = {0};
    uint64_t version;

    put(&normal);
    version = topic_table_clusters_version(table);
    put(&external);
    cr_assert_neq(topic_table_clusters_version(table), version);
    topic_each_cluster(table, &(struct topic_clusters){.visit = visit, .ctx = &wildcard});
    cr_assert_eq(wildcard.len, 1);
    cr_assert(wildcard.dns);
}
