/* Lists that are made when they are asked for: of nodes that are preferred, as many as nodes, each as long as the whole one; and of parts where
 * these are too many. */
#include <criterion/criterion.h>

#include "fixture.h"

#define NODES 200
#define ENDPOINTS (4 * NODES)
#define LIST "shop/greeter:8001"

static char addresses[ENDPOINTS + 1][16], nodes[NODES + 1][16];
static struct fixture_endpoint endpoints[ENDPOINTS + 1]; /* the last is on the last node, which has no others */
static struct listener_fixture who[NODES];
static struct topic_table *table;
static struct topic_table_stats stats;
static const struct catalog *catalog;

static struct topic_table *new_table(struct topic_table_stats *of)
{
    return topic_table_new(&(struct topic_table_options){.cluster_domain = "cluster.local", .unknown_names = UNKNOWN_NAMES_EMPTY, .stats = of});
}

static const struct catalog *with_policy(const struct catalog *base, const struct fixture_endpoint *listed, size_t len,
                                         const struct policy *fields)
{
    const struct policy *policy = policy_new(fields);
    const struct catalog *made = catalog_with(
        base, &(struct fixture_service){.name = "greeter", .endpoints = listed, .len = len, .policy = policy});

    policy_unref(policy);
    return made;
}

/* `base` (consumed; NULL: empty) with the first of the endpoints. */
static const struct catalog *with(const struct catalog *base, size_t len, uint32_t subset_size)
{
    struct policy fields = *policy_default();

    fields.locality = LOCALITY_PREFER_NODE;
    fields.subset_size = subset_size;
    return with_policy(base, endpoints, len, &fields);
}

static void put(size_t len, uint32_t subset_size)
{
    catalog = with(catalog, len, subset_size);
    publish(table, catalog);
}

static void set_up(void)
{
    table = new_table(&stats);
    for (size_t i = 0; i <= NODES; i++)
        snprintf(nodes[i], sizeof(nodes[i]), "n%zu", i);
    for (size_t i = 0; i <= ENDPOINTS; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "10.0.%zu.%zu", i / 200, 1 + i % 200);
        endpoints[i] = (struct fixture_endpoint){
            .address = addresses[i], .zone = i % 2 ? "a" : "b", .node = nodes[i == ENDPOINTS ? NODES : i % NODES]};
    }
    put(ENDPOINTS, 0);
}

static struct place place_of(size_t node)
{
    return (struct place){.zone = node % 2 ? STR("a") : STR("b"), .node = str_of(nodes[node]), .group = 1};
}

static void join_all(enum topic_kind kind)
{
    for (size_t i = 0; i < NODES; i++)
        listener_join(table, kind, kind == TOPIC_NATIVE ? "greeter.shop:8001" : LIST, place_of(i), &who[i]);
}

static void tear_down(void)
{
    for (size_t i = 0; i < NODES; i++)
        if (who[i].subscriber.topic)
            topic_unsubscribe(&who[i].subscriber);
    cr_assert_eq(counter_get(&stats.views), 0, "contents go with their subscribers");
    cr_assert_eq(counter_get(&stats.bytes), 0);
    catalog_unref(catalog);
    topic_table_free(table);
}

TestSuite(topic_node, .init = set_up, .fini = tear_down);

static size_t read_all(void)
{
    size_t len = 0;

    for (size_t i = 0; i < NODES; i++)
        len += topic_bytes(&who[i].subscriber)->len;
    return len;
}

static void keeps_none(enum topic_kind kind)
{
    join_all(kind);
    cr_assert_eq(counter_get(&stats.views), NODES);
    cr_assert_gt(read_all(), NODES * ENDPOINTS * 20);
    cr_assert_eq(counter_get(&stats.bytes), 0);
    put(ENDPOINTS - 1, 0);
    read_all();
    cr_assert_eq(counter_get(&stats.bytes), 0);
}

Test(topic_node, keeps_no_list_of_a_node)
{
    keeps_none(TOPIC_ASSIGNMENT);
}

Test(topic_node, keeps_no_native_list_of_a_node)
{
    keeps_none(TOPIC_NATIVE);
}

Test(topic_node, keeps_no_part_of_a_node)
{
    put(ENDPOINTS, 3);
    join_all(TOPIC_ASSIGNMENT);
    cr_assert_eq(counter_get(&stats.views), NODES);
    cr_assert_gt(read_all(), 0);
    cr_assert_eq(counter_get(&stats.bytes), 0);
}

/* 19 zones times 64 groups, each with most of the list. */
Test(topic_node, keeps_no_more_parts_than_may_be)
{
    static struct fixture_endpoint many[SLICE_ENDPOINTS_MAX + 900];
    static char texts[ARRAY_LEN(many)][16], zones[19][8];
    static struct listener_fixture clients[ARRAY_LEN(zones)][PLACE_GROUPS];
    struct policy fields = *policy_default();
    size_t len = 0;

    fields.locality = LOCALITY_PREFER_ZONE;
    fields.subset_size = POLICY_SUBSET_MAX;
    for (size_t i = 0; i < ARRAY_LEN(zones); i++)
        snprintf(zones[i], sizeof(zones[i]), "z%zu", i);
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        snprintf(texts[i], sizeof(texts[i]), "10.100.%zu.%zu", 100 + i / 100, 100 + i % 100);
        many[i] = (struct fixture_endpoint){.address = texts[i], .zone = zones[i % ARRAY_LEN(zones)]};
    }
    catalog = with_policy(catalog, many, ARRAY_LEN(many), &fields);
    publish(table, catalog);
    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        for (unsigned group = 1; group <= PLACE_GROUPS; group++) {
            struct listener_fixture *client = &clients[i][group - 1];

            listener_join(table, TOPIC_ASSIGNMENT, LIST, (struct place){.zone = str_of(zones[i]), .group = group}, client);
            len += topic_bytes(&client->subscriber)->len;
        }
    }
    cr_assert_gt(len, TOPIC_PARTS_MAX);
    cr_assert_leq(counter_get(&stats.bytes), TOPIC_PARTS_MAX);
    cr_assert_gt(counter_get(&stats.bytes), TOPIC_PARTS_MAX / 2);
    for (size_t i = 0; i < ARRAY_LEN(zones); i++)
        for (size_t group = 0; group < PLACE_GROUPS; group++)
            topic_unsubscribe(&clients[i][group].subscriber);
}

Test(topic_node, keeps_one_list_for_all_nodes_that_have_nothing)
{
    struct listener_fixture others[2];

    join_all(TOPIC_ASSIGNMENT);
    listener_join(table, TOPIC_ASSIGNMENT, LIST, (struct place){.node = STR("m1")}, &others[0]);
    listener_join(table, TOPIC_ASSIGNMENT, LIST, (struct place){.node = STR("m2")}, &others[1]);
    cr_assert_eq(others[0].subscriber.content, others[1].subscriber.content);
    cr_assert_eq(counter_get(&stats.bytes), topic_bytes(&others[0].subscriber)->len);
    topic_unsubscribe(&others[0].subscriber);
    topic_unsubscribe(&others[1].subscriber);
}

/* Which has clients of other places and has seen another history. */
Test(topic_node, versions_are_those_of_any_other_replica)
{
    struct topic_table_stats none = {0};
    struct topic_table *other = new_table(&none);
    const struct catalog *others = with(NULL, ENDPOINTS / 2, 0);
    struct listener_fixture unknown, own[2];

    publish(other, others);
    listener_join(other, TOPIC_ASSIGNMENT, LIST, (struct place){0}, &unknown);
    listener_join(other, TOPIC_ASSIGNMENT, LIST, place_of(7), &own[0]);
    put(ENDPOINTS + 1, 0);
    others = with(others, ENDPOINTS + 1, 0);
    publish(other, others);
    listener_join(other, TOPIC_ASSIGNMENT, LIST, place_of(6), &own[1]);
    join_all(TOPIC_ASSIGNMENT);
    cr_assert_eq(own[0].subscriber.content->version, who[7].subscriber.content->version);
    cr_assert_eq(own[1].subscriber.content->version, who[6].subscriber.content->version);
    cr_assert_neq(who[6].subscriber.content->version, who[7].subscriber.content->version);
    cr_assert(str_eq(blob_str(topic_bytes(&own[1].subscriber)), blob_str(topic_bytes(&who[6].subscriber))));
    topic_unsubscribe(&unknown.subscriber);
    topic_unsubscribe(&own[0].subscriber);
    topic_unsubscribe(&own[1].subscriber);
    catalog_unref(others);
    topic_table_free(other);
}

Test(topic_node, a_change_is_told_to_every_node_and_to_nobody_twice)
{
    join_all(TOPIC_ASSIGNMENT);
    put(ENDPOINTS + 1, 0);
    put(ENDPOINTS + 1, 0);
    for (size_t i = 0; i < NODES; i++)
        cr_assert_eq(who[i].changes, 1);
}

/* Where each list had to be made first, a turn without time would tell one node (test_topic_turn.c). */
Test(topic_node, a_change_is_told_before_lists_are_made)
{
    size_t told = 0;

    join_all(TOPIC_ASSIGNMENT);
    catalog = with(catalog, ENDPOINTS + 1, 0);
    topic_table_publish(table, catalog, 1);
    topic_table_work(table, 0);
    topic_table_work(table, 0);
    for (size_t i = 0; i < NODES; i++)
        told += who[i].changes > 0;
    cr_assert_gt(told, NODES / 4);
}

Test(topic_node, bytes_are_the_newest_whoever_was_asked_before)
{
    join_all(TOPIC_ASSIGNMENT);
    cr_assert(!listener_has(&who[1], addresses[ENDPOINTS]));
    put(ENDPOINTS, 0);
    cr_assert(!listener_has(&who[1], addresses[ENDPOINTS]));
    put(ENDPOINTS + 1, 0);
    cr_assert(listener_has(&who[1], addresses[ENDPOINTS]));
    cr_assert(listener_has(&who[2], addresses[ENDPOINTS]));
    put(ENDPOINTS, 0);
    topic_unsubscribe(&who[2].subscriber);
    cr_assert(!listener_has(&who[1], addresses[ENDPOINTS]));
}
