/* A refresh that takes more than one turn: what is done in each, and what is seen between them. */
#include <criterion/criterion.h>

#include "fixture.h"

#define NODES 16
#define LIST "shop/greeter:8001"
/* Time is up at once: a turn does the least that it can, which is one list. */
#define turn() topic_table_work(table, 0)

static const char *const nodes[NODES] = {"n0", "n1", "n2",  "n3",  "n4",  "n5",  "n6",  "n7",
                                         "n8", "n9", "n10", "n11", "n12", "n13", "n14", "n15"};
static struct topic_table *table;
static struct topic_table_stats stats;
static const struct catalog *catalog;
static struct listener_fixture who[NODES];

/* Every node has a list of its own: one address, 10.<version>.0.<node>. */
static const struct catalog *local_service(const struct catalog *base, int version)
{
    static char addresses[NODES][32];
    struct fixture_endpoint endpoints[NODES] = {0};

    for (size_t i = 0; i < NODES; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "10.%d.0.%zu", version, i + 1);
        endpoints[i].address = addresses[i];
        endpoints[i].node = nodes[i];
    }
    return catalog_with(base, &(struct fixture_service){
                                  .name = "greeter", .endpoints = endpoints, .len = NODES, .local = true});
}

static void begin(const struct catalog *next)
{
    catalog = next;
    topic_table_publish(table, catalog, 1);
}

static void join(const char *node, struct listener_fixture *listener)
{
    listener_join(table, TOPIC_ASSIGNMENT, LIST, (struct place){.node = str_of(node)}, listener);
}

static void join_all(void)
{
    for (size_t i = 0; i < NODES; i++)
        join(nodes[i], &who[i]);
}

static void set_up(void)
{
    struct topic_table_options options = {
        .cluster_domain = "cluster.local", .unknown_names = UNKNOWN_NAMES_EMPTY, .stats = &stats};

    table = topic_table_new(&options);
    catalog = local_service(NULL, 1);
    publish(table, catalog);
    join_all();
}

static void leave(void)
{
    for (size_t i = 0; i < NODES; i++)
        if (who[i].subscriber.topic)
            topic_unsubscribe(&who[i].subscriber);
}

static void tear_down(void)
{
    leave();
    cr_assert_eq(counter_get(&stats.views), 0, "contents go with their subscribers");
    cr_assert_eq(counter_get(&stats.topics), 0);
    catalog_unref(catalog);
    topic_table_free(table);
}

TestSuite(topic_turn, .init = set_up, .fini = tear_down);

static size_t told(void)
{
    size_t len = 0;

    for (size_t i = 0; i < NODES; i++)
        len += who[i].changes > 0;
    return len;
}

static void finish(void)
{
    while (turn())
        ;
}

Test(topic_turn, encodes_no_more_than_there_is_time_for)
{
    begin(local_service(catalog, 2));
    cr_assert_eq(told(), 0);
    for (size_t i = 1; i < NODES; i++) {
        cr_assert(turn(), "more is left");
        cr_assert_eq(told(), i, "one list a turn");
    }
    cr_assert(!turn());
    cr_assert_eq(told(), NODES);
}

Test(topic_turn, with_time_enough_is_the_only_one)
{
    begin(local_service(catalog, 2));
    cr_assert(!topic_table_work(table, UINT64_MAX));
    cr_assert_eq(told(), NODES);
}

Test(topic_turn, a_client_that_joins_before_it_gets_the_newest_list)
{
    struct listener_fixture early, late;

    begin(local_service(catalog, 2));
    join("n15", &early);
    turn();
    join("n14", &late);
    cr_assert(listener_has(&early, "10.2.0.16"));
    cr_assert(listener_has(&late, "10.2.0.15"));
    finish();
    cr_assert_eq(early.changes + late.changes, 0);
    cr_assert_eq(who[14].subscriber.content, late.subscriber.content);
    cr_assert_eq(who[14].changes, 1);
    cr_assert_eq(who[14].subscriber.content->received_us, 7, "also of what was made for who came later");
    topic_unsubscribe(&early.subscriber);
    topic_unsubscribe(&late.subscriber);
}

Test(topic_turn, a_client_that_is_asked_before_it_gets_the_newest_list)
{
    begin(local_service(catalog, 2));
    cr_assert_eq(topic_content(&who[9].subscriber), who[9].subscriber.content);
    cr_assert(listener_has(&who[9], "10.2.0.10"));
    cr_assert_eq(told(), 1, "and nobody else");
    cr_assert_eq(who[9].changes, 1);
    turn();
    topic_content(&who[8].subscriber);
    cr_assert(listener_has(&who[8], "10.2.0.9"));
    finish();
    for (size_t i = 0; i < NODES; i++)
        cr_assert_eq(who[i].changes, 1, "client %zu is told once", i);
}

Test(topic_turn, a_client_whose_list_stays_is_not_told)
{
    const struct fixture_endpoint one = {.address = "10.1.0.1", .node = "n0"};

    begin(catalog_with(catalog, &(struct fixture_service){
                                    .name = "greeter", .endpoints = &one, .len = 1, .local = true}));
    topic_content(&who[0].subscriber);
    finish();
    cr_assert_eq(who[0].changes, 0);
    cr_assert_eq(told(), NODES - 1);
}

/* Its list is right still for others, but no longer its own. */
Test(topic_turn, a_client_that_is_asked_gets_the_list_of_its_new_view)
{
    static const struct fixture_endpoint zones[] = {
        {.address = "10.1.0.1", .for_zone = "a"}, {.address = "10.1.0.2", .for_zone = "b"}};
    static const struct fixture_endpoint both[] = {
        {.address = "10.1.0.1", .for_zone = "a", .for_node = "n1"},
        {.address = "10.1.0.2", .for_zone = "b", .for_node = "n2"}};
    struct listener_fixture first, second;

    leave();
    begin(catalog_with(catalog, &(struct fixture_service){.name = "greeter", .endpoints = zones, .len = 2}));
    finish();
    listener_join(table, TOPIC_ASSIGNMENT, LIST, (struct place){.zone = STR("a")}, &first);
    listener_join(table, TOPIC_ASSIGNMENT, LIST, (struct place){.zone = STR("a"), .node = STR("n2")}, &second);
    begin(catalog_with(catalog, &(struct fixture_service){.name = "greeter", .endpoints = both, .len = 2}));
    turn();
    cr_assert_eq(first.changes + second.changes, 0);
    topic_content(&second.subscriber);
    cr_assert(listener_has(&second, "10.1.0.2") && !listener_has(&second, "10.1.0.1"));
    cr_assert_eq(second.changes, 1);
    topic_unsubscribe(&first.subscriber);
    topic_unsubscribe(&second.subscriber);
}

Test(topic_turn, a_change_in_between_begins_with_those_that_waited)
{
    begin(local_service(catalog, 2));
    for (size_t i = 0; i < NODES / 2; i++)
        turn();
    begin(local_service(catalog, 3));
    for (size_t i = 0; i < NODES / 2; i++)
        turn();
    cr_assert_eq(told(), NODES, "nobody waits for ever");
    for (size_t i = 0; i < NODES; i++)
        cr_assert(listener_has(&who[i], i < NODES / 2 ? "10.2." : "10.3."));
    finish();
    for (size_t i = 0; i < NODES; i++)
        cr_assert(listener_has(&who[i], "10.3."));
}

Test(topic_turn, a_change_that_is_taken_back_is_told_only_where_it_was_seen)
{
    begin(local_service(catalog, 2));
    turn();
    begin(local_service(catalog, 1));
    finish();
    for (size_t i = 0; i < NODES; i++) {
        cr_assert(listener_has(&who[i], "10.1."));
        cr_assert_eq(who[i].changes, i == 0 ? 2 : 0);
    }
}

Test(topic_turn, places_that_matter_no_longer_in_between)
{
    static const char *const addresses[] = {"10.9.9.9"};
    struct listener_fixture late;

    begin(local_service(catalog, 2));
    turn();
    begin(catalog_with_greeter(catalog, addresses, 1));
    turn();
    join("n3", &late);
    cr_assert(listener_has(&late, "10.9.9.9"));
    finish();
    for (size_t i = 0; i < NODES; i++)
        cr_assert(listener_has(&who[i], "10.9.9.9"));
    cr_assert_eq(counter_get(&stats.views), 1);
    topic_unsubscribe(&late.subscriber);
}

Test(topic_turn, clients_that_leave_in_between)
{
    begin(local_service(catalog, 2));
    turn();
    for (size_t i = 0; i < NODES; i += 2)
        topic_unsubscribe(&who[i].subscriber);
    turn();
    cr_assert_eq(told(), 2);
    leave();
    cr_assert(!turn());
}

Test(topic_turn, another_resource_of_the_service_in_a_later_one)
{
    struct listener_fixture native, brief;
    const struct place place = {.node = STR("n0")};

    listener_join(table, TOPIC_NATIVE, "greeter.shop:8001", place, &native);
    listener_join(table, TOPIC_NATIVE, "greeter.shop:grpc", place, &brief);
    begin(local_service(catalog, 2));
    turn();
    topic_unsubscribe(&brief.subscriber);
    leave();
    cr_assert_eq(native.changes, 0);
    cr_assert(!turn());
    cr_assert_eq(native.changes, 1);
    cr_assert_eq(native.subscriber.content->received_us, 7);
    topic_unsubscribe(&native.subscriber);
}

Test(topic_turn, clients_of_one_list_that_are_too_many_for_one)
{
    enum { CLIENTS = 200 };
    static const char *const before[] = {"10.0.0.1"}, *const after[] = {"10.0.0.2"};
    static struct listener_fixture clients[CLIENTS];
    size_t changes = 0;

    leave();
    publish(table, catalog = catalog_with_greeter(catalog, before, 1));
    for (size_t i = 0; i < CLIENTS; i++)
        join("", &clients[i]);
    begin(catalog_with_greeter(catalog, after, 1));
    cr_assert(turn(), "more are left");
    cr_assert(clients[0].changes == 1 && clients[CLIENTS - 1].changes == 0);
    begin(catalog_with_greeter(catalog, after, 1)); /* nothing new */
    finish();
    for (size_t i = 0; i < CLIENTS; i++) {
        cr_assert(listener_has(&clients[i], after[0]));
        changes += (size_t)clients[i].changes;
        topic_unsubscribe(&clients[i].subscriber);
    }
    cr_assert_eq(changes, CLIENTS, "each is told once");
}

Test(topic_turn, a_long_refresh_lets_other_services_by)
{
    const struct fixture_endpoint endpoint = {.address = "10.7.7.7"};
    const struct fixture_service other = {.name = "other", .endpoints = &endpoint, .len = 1};
    struct listener_fixture listener;

    listener_join(table, TOPIC_ASSIGNMENT, "shop/other:8001", (struct place){0}, &listener);
    begin(local_service(catalog, 2));
    begin(catalog_with(catalog, &other));
    turn();
    turn();
    cr_assert_eq(listener.changes, 1);
    cr_assert_eq(told(), 1);
    topic_unsubscribe(&listener.subscriber);
}

/* A long refresh is no reason to wait for: a stream orders what it says. */
Test(topic_turn, routes_do_not_wait_for_all_lists)
{
    struct listener_fixture route;

    leave();
    /* By name: without a port it leads to another Cluster. */
    listener_join(table, TOPIC_LISTENER, "greeter.shop:grpc", (struct place){0}, &route);
    join_all();
    begin(catalog_with(catalog, &(struct fixture_service){.name = "greeter", .no_ports = true}));
    turn();
    turn();
    cr_assert_eq(route.changes, 1);
    cr_assert(told() < NODES);
    finish();
    cr_assert_eq(route.changes, 1);
    cr_assert_eq(told(), NODES);
    topic_unsubscribe(&route.subscriber);
}

Test(topic_turn, a_route_that_is_asked_before_it_is_the_newest)
{
    struct listener_fixture route;

    leave();
    listener_join(table, TOPIC_LISTENER, "greeter.shop:grpc", (struct place){0}, &route);
    begin(catalog_with(catalog, &(struct fixture_service){.name = "greeter", .no_ports = true}));
    cr_assert(listener_has(&route, LIST));
    topic_content(&route.subscriber);
    cr_assert(!listener_has(&route, LIST));
    cr_assert_eq(route.changes, 1);
    finish();
    cr_assert_eq(route.changes, 1);
    topic_unsubscribe(&route.subscriber);
}

/* Lists that change without end keep no route waiting: the queue is served in its order. */
Test(topic_turn, routes_get_their_turn_beside_lists_that_never_rest)
{
    struct listener_fixture route;

    listener_join(table, TOPIC_LISTENER, "other.shop:grpc", (struct place){0}, &route);
    begin(local_service(catalog, 2));
    begin(catalog_with(catalog, &(struct fixture_service){.name = "other", .len = 0}));
    for (int version = 3; version < 6 && route.changes == 0; version++) {
        cr_assert(turn(), "lists are left");
        begin(local_service(catalog, version));
    }
    cr_assert_eq(route.changes, 1);
    topic_unsubscribe(&route.subscriber);
}
