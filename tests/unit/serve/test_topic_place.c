/* Lists by place: who gets which, what is shared, what is told. */
#include <criterion/criterion.h>

#include "fixture.h"

#define LIST "shop/greeter:8001"

static const struct fixture_endpoint plain[] = {
    {.address = "10.0.0.1", .zone = "a", .node = "n1"},
    {.address = "10.0.0.2", .zone = "b", .node = "n2"},
};
static const struct fixture_endpoint hinted[] = {
    {.address = "10.0.0.1", .zone = "a", .node = "n1", .for_zone = "a"},
    {.address = "10.0.0.2", .zone = "b", .node = "n2", .for_zone = "b"},
};

static struct topic_table *table;
static struct topic_table_stats stats;
static const struct catalog *catalog;

static void set_up(void)
{
    struct topic_table_options options = {
        .cluster_domain = "cluster.local", .unknown_names = UNKNOWN_NAMES_EMPTY, .stats = &stats};

    table = topic_table_new(&options);
}

static void tear_down(void)
{
    cr_assert_eq(counter_get(&stats.views), 0, "contents go with their subscribers");
    cr_assert_eq(counter_get(&stats.topics), 0);
    if (catalog)
        catalog_unref(catalog);
    topic_table_free(table);
}

TestSuite(topic_place, .init = set_up, .fini = tear_down);

static void put(const struct fixture_endpoint *endpoints, size_t len, bool local)
{
    catalog = catalog_with(catalog, &(struct fixture_service){
                                        .name = "greeter", .endpoints = endpoints, .len = len, .local = local});
    publish(table, catalog);
}

static void join(const char *zone, const char *node, struct listener_fixture *listener)
{
    listener_join(table, TOPIC_ASSIGNMENT, LIST, (struct place){.zone = str_of(zone), .node = str_of(node)}, listener);
}

static void leave(struct listener_fixture *listeners, size_t len)
{
    for (size_t i = 0; i < len; i++)
        topic_unsubscribe(&listeners[i].subscriber);
}

static void expect(struct listener_fixture *listener, bool first, bool second)
{
    cr_assert_eq(listener_has(listener, "10.0.0.1"), first);
    cr_assert_eq(listener_has(listener, "10.0.0.2"), second);
}

Test(topic_place, every_zone_gets_its_own_list_made_once)
{
    struct listener_fixture who[4];

    put(hinted, 2, false);
    join("a", "n1", &who[0]);
    join("a", "n9", &who[1]);
    join("b", "n2", &who[2]);
    join("", "", &who[3]);
    expect(&who[0], true, false);
    expect(&who[2], false, true);
    expect(&who[3], true, true);
    cr_assert_eq(who[0].subscriber.content, who[1].subscriber.content, "the view is the same, not the place");
    cr_assert_eq(who[0].subscriber.topic, who[2].subscriber.topic);
    cr_assert_eq(counter_get(&stats.views), 3);
    leave(who, 4);
}

Test(topic_place, a_service_that_does_not_ask_for_places_has_one_list)
{
    struct listener_fixture who[2];

    put(plain, 2, false);
    join("a", "n1", &who[0]);
    join("b", "n2", &who[1]);
    cr_assert_eq(who[0].subscriber.content, who[1].subscriber.content);
    cr_assert_eq(counter_get(&stats.views), 1);
    leave(who, 2);
}

Test(topic_place, listeners_and_clusters_are_the_same_everywhere)
{
    struct listener_fixture who[2];

    put(hinted, 2, false);
    listener_join(table, TOPIC_CLUSTER, LIST, (struct place){.zone = STR("a"), .node = STR("")}, &who[0]);
    listener_join(table, TOPIC_CLUSTER, LIST, (struct place){.zone = STR("b"), .node = STR("")}, &who[1]);
    cr_assert_eq(who[0].subscriber.content, who[1].subscriber.content);
    leave(who, 2);
}

Test(topic_place, hints_that_come_and_go_move_every_subscriber_and_back)
{
    struct listener_fixture who[3];

    put(plain, 2, false);
    join("a", "n1", &who[0]);
    join("b", "n2", &who[1]);
    join("", "", &who[2]);
    put(hinted, 2, false);
    expect(&who[0], true, false);
    expect(&who[1], false, true);
    expect(&who[2], true, true);
    cr_assert_eq(who[0].changes, 1);
    cr_assert_eq(who[1].changes, 1);
    cr_assert_eq(who[2].changes, 0, "nothing changed for clients of unknown place");
    cr_assert_eq(who[0].subscriber.content->received_us, 7);
    put(plain, 2, false);
    for (size_t i = 0; i < 3; i++) {
        expect(&who[i], true, true);
        cr_assert_eq(who[i].changes, i < 2 ? 2 : 0);
    }
    cr_assert_eq(counter_get(&stats.views), 1, "views that nobody has are forgotten");
    leave(who, 3);
}

Test(topic_place, a_view_is_made_anew_when_the_service_changes_and_only_those_it_concerns_are_told)
{
    static const struct fixture_endpoint more[] = {
        {.address = "10.0.0.1", .zone = "a", .node = "n1", .for_zone = "a"},
        {.address = "10.0.0.2", .zone = "b", .node = "n2", .for_zone = "b"},
        {.address = "10.0.0.3", .zone = "b", .node = "n2", .for_zone = "b"},
    };
    struct listener_fixture who[2];

    put(hinted, 2, false);
    join("a", "n1", &who[0]);
    join("b", "n2", &who[1]);
    put(more, 3, false);
    cr_assert_eq(who[0].changes, 0);
    cr_assert_eq(who[1].changes, 1);
    cr_assert(listener_has(&who[1], "10.0.0.3"));
    leave(who, 2);
}

Test(topic_place, local_lists_are_the_nodes_own_and_the_blind_are_counted_once)
{
    struct listener_fixture who[4];

    put(plain, 2, true);
    join("a", "n1", &who[0]);
    join("a", "n7", &who[1]);
    join("a", "", &who[2]);
    listener_join(table, TOPIC_NATIVE, "greeter:8001", (struct place){.zone = STR("a"), .node = STR("n7")}, &who[3]);
    expect(&who[0], true, false);
    expect(&who[1], false, false);
    expect(&who[2], true, true);
    cr_assert_str_eq(who[3].subscriber.content->problem,
                     "internalTrafficPolicy is Local, and no endpoint on the client's node is ready");
    put(plain, 1, true);
    cr_assert_eq(counter_get(&stats.places_blind), 1, "once for a subscription, however often it changes");
    leave(who, 4);
}

Test(topic_place, a_service_that_turns_local_counts_those_of_unknown_node)
{
    struct listener_fixture who[2];

    put(plain, 2, false);
    join("a", "", &who[0]);
    join("a", "n1", &who[1]);
    cr_assert_eq(counter_get(&stats.places_blind), 0);
    put(plain, 2, true);
    cr_assert_eq(counter_get(&stats.places_blind), 1);
    leave(who, 2);
}

Test(topic_place, a_name_of_one_pod_means_it_from_everywhere)
{
    static const struct fixture_endpoint pods[] = {
        {.address = "10.0.0.1", .zone = "a", .node = "n1", .for_zone = "a", .hostname = "pod-0"},
        {.address = "10.0.0.2", .zone = "b", .node = "n2", .for_zone = "b", .hostname = "pod-1"},
    };
    struct listener_fixture who[2];

    put(pods, 2, false);
    listener_join(table, TOPIC_ASSIGNMENT, "shop/greeter/pod-1:8001", (struct place){.zone = STR("a"), .node = STR("n1")}, &who[0]);
    listener_join(table, TOPIC_NATIVE, "pod-1.greeter.shop:8001", (struct place){.zone = STR("b"), .node = STR("n2")}, &who[1]);
    expect(&who[0], false, true);
    expect(&who[1], false, true);
    leave(who, 2);
}

Test(topic_place, too_many_views_share_the_list_for_unknown_places_and_are_counted)
{
    enum { NODES = TOPIC_VIEWS_MAX + 2 };
    static struct fixture_endpoint endpoints[NODES];
    static struct listener_fixture who[NODES + 1];
    static char addresses[NODES][48], nodes[NODES][32];

    for (size_t i = 0; i < NODES; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "10.1.%zu.%zu", i / 250, 1 + i % 250);
        snprintf(nodes[i], sizeof(nodes[i]), "n%zu", i);
        endpoints[i] = (struct fixture_endpoint){.address = addresses[i], .node = nodes[i]};
    }
    put(endpoints, NODES, true);
    for (size_t i = 0; i < NODES; i++)
        join("", nodes[i], &who[i]);
    join("", nodes[0], &who[NODES]);
    cr_assert_eq(who[NODES].subscriber.content, who[0].subscriber.content, "a view that is there is joined");
    cr_assert_eq(counter_get(&stats.views), TOPIC_VIEWS_MAX + 1, "VIEW_ALL besides");
    cr_assert_eq(counter_get(&stats.views_capped), 2);
    cr_assert(listener_has(&who[NODES - 1], addresses[0]));
    put(endpoints, NODES - 1, true);
    cr_assert_eq(counter_get(&stats.views), TOPIC_VIEWS_MAX + 1);
    cr_assert_eq(counter_get(&stats.views_capped), 2, "a subscription counts once");
    leave(who, NODES + 1);
}

static void set_nodes(const char *zone)
{
    const struct pair nodes[] = {{STR_INIT("n1"), str_of(zone)}};
    struct catalog_edit *edit = catalog_edit_new(catalog);
    const struct catalog *next;

    catalog_set_nodes(edit, nodes, zone[0] != '\0');
    next = catalog_edit_finish(edit);
    catalog_unref(catalog);
    catalog = next;
    publish(table, catalog);
}

Test(topic_place, a_client_that_knows_its_node_only_is_in_the_nodes_zone)
{
    struct listener_fixture who[3];
    struct place place = {.zone = STR(""), .node = STR("n1")};

    put(hinted, 2, false);
    join("", "n1", &who[0]);
    join("", "n2", &who[1]);
    expect(&who[0], true, true);
    set_nodes("a");
    expect(&who[0], true, false);
    expect(&who[1], true, true);
    cr_assert_eq(who[0].changes, 1);
    cr_assert_eq(who[1].changes, 0);
    cr_assert_eq(who[0].subscriber.content->received_us, 0, "no Service changed");
    join("", "n1", &who[2]);
    cr_assert_eq(who[2].subscriber.content, who[0].subscriber.content);
    cr_assert(str_eq(topic_table_place(table, &place).zone, STR("a")));
    set_nodes("b");
    expect(&who[0], false, true);
    set_nodes("");
    expect(&who[0], true, true);
    leave(who, 3);
}

Test(topic_place, a_zone_that_a_client_gives_itself_stands_against_its_nodes)
{
    struct listener_fixture who;

    put(hinted, 2, false);
    set_nodes("a");
    join("b", "n1", &who);
    expect(&who, false, true);
    leave(&who, 1);
}

/* ---- parts ---- */

static void put_cut(size_t len)
{
    static char addresses[40][16];
    struct fixture_endpoint endpoints[40] = {0};
    struct policy fields = *policy_default();
    const struct policy *policy;

    fields.subset_size = 2;
    policy = policy_new(&fields);
    for (size_t i = 0; i < len; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "10.0.1.%zu", 100 + i);
        endpoints[i].address = addresses[i];
    }
    catalog = catalog_with(catalog, &(struct fixture_service){
                                        .name = "greeter", .endpoints = endpoints, .len = len, .policy = policy});
    publish(table, catalog);
    policy_unref(policy);
}

Test(topic_place, clients_of_one_group_share_their_part)
{
    struct listener_fixture who[4];

    put_cut(40);
    for (size_t i = 0; i < 4; i++)
        listener_join(table, TOPIC_ASSIGNMENT, LIST, (struct place){.group = i < 2 ? 5 : 5 + 20 * (unsigned)(i - 2)}, &who[i]);
    cr_assert_eq(who[0].subscriber.content, who[1].subscriber.content);
    cr_assert_eq(who[0].subscriber.content, who[2].subscriber.content);
    cr_assert_neq(who[0].subscriber.content->version, who[3].subscriber.content->version);
    cr_assert_eq(counter_get(&stats.views), 2);
    cr_assert_eq(who[3].subscriber.content->view.group, 25);
    leave(who, 4);
}

Test(topic_place, a_list_that_need_not_be_cut_is_one_for_all)
{
    struct listener_fixture who[2];

    put_cut(2);
    for (size_t i = 0; i < 2; i++)
        listener_join(table, TOPIC_ASSIGNMENT, LIST, (struct place){.group = 1 + 30 * (unsigned)i}, &who[i]);
    cr_assert_eq(who[0].subscriber.content, who[1].subscriber.content);
    put_cut(40);
    cr_assert_neq(who[0].subscriber.content->version, who[1].subscriber.content->version);
    cr_assert_eq(who[0].changes, 1);
    put_cut(2);
    cr_assert_eq(who[0].subscriber.content, who[1].subscriber.content);
    leave(who, 2);
}
