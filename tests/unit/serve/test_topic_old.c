/* Lists that clients were sent and that have changed since: what is kept of them, and the changes. */
#include <criterion/criterion.h>

#include "fixture.h"
#include "lookaside/v1/discovery.pb-c.h"

#define LIST "greeter:8001"
#define ENDPOINTS 10000

static char addresses[ENDPOINTS][16];
static struct fixture_endpoint endpoints[ENDPOINTS];
static struct topic_table *table;
static struct topic_table_stats stats;
static const struct catalog *catalog;
static struct listener_fixture fast, slow;

/* So many endpoints, but the first ones. */
static void put(size_t without, size_t len)
{
    catalog = catalog_with(catalog, &(struct fixture_service){.name = "greeter",
                                                              .endpoints = endpoints + without,
                                                              .len = len - without});
    publish(table, catalog);
}

static void join(struct listener_fixture *listener)
{
    listener_join(table, TOPIC_NATIVE, LIST, (struct place){0}, listener);
    topic_set_sent(&listener->subscriber);
}

static void set_up(void)
{
    table = topic_table_new(
        &(struct topic_table_options){.cluster_domain = "cluster.local", .stats = &stats});
    for (size_t i = 0; i < ENDPOINTS; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "10.%zu.%zu.%zu", 1 + i / 62500, i / 250 % 250,
                 1 + i % 250);
        endpoints[i] =
            (struct fixture_endpoint){.address = addresses[i], .zone = "zone-a", .node = "node-1"};
    }
    put(0, 100);
    join(&fast);
    join(&slow);
}

static void tear_down(void)
{
    topic_unsubscribe(&fast.subscriber);
    topic_unsubscribe(&slow.subscriber);
    cr_assert_eq(counter_get(&stats.bytes), 0);
    catalog_unref(catalog);
    topic_table_free(table);
}

TestSuite(topic_old, .init = set_up, .fini = tear_down);

/* "+1 -2": so many of each. */
static void expect(struct listener_fixture *listener, size_t added, size_t removed)
{
    const struct blob *blob = topic_changes(&listener->subscriber);
    Lookaside__V1__WatchResponse *response;

    cr_assert_not_null(blob);
    response = lookaside__v1__watch_response__unpack(NULL, blob->len, blob->bytes);
    cr_assert_not_null(response);
    cr_assert_eq(response->n_backends, added);
    cr_assert_eq(response->n_removed, removed);
    lookaside__v1__watch_response__free_unpacked(response, NULL);
}

Test(topic_old, changes_are_made_once_for_all_who_go_the_same_way)
{
    const struct blob *blob;

    put(0, 101);
    expect(&fast, 1, 0);
    blob = topic_changes(&fast.subscriber);
    cr_assert_eq(topic_changes(&slow.subscriber), blob);
    topic_set_sent(&fast.subscriber);
    cr_assert_eq(topic_changes(&slow.subscriber), blob);
    cr_assert_eq(counter_get(&stats.changes), 1);
}

Test(topic_old, who_is_slow_gets_all_at_once)
{
    put(0, 101);
    expect(&fast, 1, 0);
    topic_set_sent(&fast.subscriber);
    put(1, 102);
    expect(&fast, 1, 1);
    topic_set_sent(&fast.subscriber);
    expect(&slow, 2, 1);
    put(0, 102);
    expect(&slow, 2, 0);
    put(0, 100);
    cr_assert_eq(topic_content(&slow.subscriber)->version, slow.subscriber.sent->version);
}

Test(topic_old, a_list_goes_with_the_last_who_has_it)
{
    size_t before = counter_get(&stats.bytes);

    put(0, 101);
    cr_assert_gt(counter_get(&stats.bytes), 2 * before);
    topic_set_sent(&fast.subscriber);
    cr_assert_gt(counter_get(&stats.bytes), 2 * before);
    topic_set_sent(&slow.subscriber);
    cr_assert_lt(counter_get(&stats.bytes), 2 * before);
    cr_assert_eq(counter_get(&stats.views), 1);
}

Test(topic_old, one_who_leaves_has_it_no_longer)
{
    struct listener_fixture other;
    size_t before = counter_get(&stats.bytes);

    topic_set_sent(&fast.subscriber);
    put(0, 101);
    join(&other);
    topic_set_sent(&fast.subscriber);
    topic_unsubscribe(&slow.subscriber);
    cr_assert_lt(counter_get(&stats.bytes), 2 * before);
    topic_unsubscribe(&other.subscriber);
    join(&slow);
}

Test(topic_old, who_was_sent_nothing_gets_the_list)
{
    struct listener_fixture other;

    listener_join(table, TOPIC_NATIVE, LIST, (struct place){0}, &other);
    put(0, 101);
    cr_assert_null(topic_changes(&other.subscriber));
    topic_unsubscribe(&other.subscriber);
}

Test(topic_old, so_does_who_would_be_told_no_less)
{
    put(100, 200);
    cr_assert_null(topic_changes(&slow.subscriber));
    cr_assert_null(topic_changes(&fast.subscriber));
    cr_assert_eq(counter_get(&stats.changes), 1, "and that is found out once");
}

/* 100 lists of 400 kB. */
Test(topic_old, the_oldest_are_dropped_where_they_become_too_many)
{
    static struct listener_fixture lagging[100];

    for (size_t i = 0; i < ARRAY_LEN(lagging); i++) {
        put(0, ENDPOINTS - i);
        join(&lagging[i]);
    }
    cr_assert_gt(counter_get(&stats.bytes), TOPIC_OLD_MAX / 2);
    cr_assert_lt(counter_get(&stats.bytes), TOPIC_OLD_MAX + 1024 * 1024);
    cr_assert_null(topic_changes(&slow.subscriber));
    cr_assert_null(topic_changes(&lagging[0].subscriber));
    expect(&lagging[ARRAY_LEN(lagging) - 2], 0, 1);
    for (size_t i = 0; i < ARRAY_LEN(lagging); i++)
        topic_unsubscribe(&lagging[i].subscriber);
}

Test(topic_old, lists_of_another_view_are_sent_whole)
{
    static const struct fixture_endpoint hinted[] = {
        {.address = "10.0.0.1", .zone = "a", .for_zone = "a"},
        {.address = "10.0.0.2", .zone = "b", .for_zone = "b"},
    };
    struct listener_fixture near;

    catalog = catalog_with(
        catalog, &(struct fixture_service){.name = "greeter", .endpoints = hinted, .len = 2});
    publish(table, catalog);
    listener_join(table, TOPIC_NATIVE, LIST, (struct place){.zone = STR("a")}, &near);
    topic_set_sent(&near.subscriber);
    topic_set_sent(&slow.subscriber);
    put(0, 100);
    cr_assert(listener_has(&near, addresses[5]));
    cr_assert_eq(near.subscriber.content, slow.subscriber.content);
    cr_assert_null(topic_changes(&near.subscriber));
    topic_unsubscribe(&near.subscriber);
}

/* Else no part would be kept any more after 200 changes. */
Test(topic_old, parts_that_have_changed_do_not_count_as_parts)
{
    struct listener_fixture part;
    struct policy fields = *policy_default();
    const struct policy *policy;

    fields.subset_size = ENDPOINTS / 2;
    policy = policy_new(&fields);
    topic_unsubscribe(&slow.subscriber);
    listener_join(table, TOPIC_NATIVE, LIST, (struct place){.group = 1}, &part);
    for (size_t i = 0; i < 200; i++) {
        catalog = catalog_with(catalog, &(struct fixture_service){.name = "greeter",
                                                                  .endpoints = endpoints,
                                                                  .len = ENDPOINTS - i % 2,
                                                                  .policy = policy});
        publish(table, catalog);
        topic_set_sent(&part.subscriber);
        topic_set_sent(&fast.subscriber);
        cr_assert_not_null(part.subscriber.sent, "it is kept, %zu", i);
    }
    policy_unref(policy);
    topic_unsubscribe(&part.subscriber);
    join(&slow);
}
