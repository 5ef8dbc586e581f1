/* Topics of grpclb lists: what is listed how often, on what it depends, and when there is none. */
#include <criterion/criterion.h>

#include "fixture.h"
#include "grpc/lb/v1/load_balancer.pb-c.h"
#include "serve/topic.h"

#define DIALLED "greeter.shop:8001"

static const struct fixture_endpoint own[] = {{.address = "10.0.0.1"}, {.address = "10.0.0.2"}};
static const struct fixture_endpoint next[] = {{.address = "10.0.0.9"}};
static struct topic_table *table;
static const struct catalog *catalog;
static struct policy policy;
static struct policy_backend backends[2];
static struct listener_fixture list;

static void set_up(void)
{
    struct topic_table_options options = {.cluster_domain = "cluster.local"};

    table = topic_table_new(&options);
    catalog = catalog_new_empty();
    policy = *policy_default();
    policy.namespace_name = STR("shop");
    policy.name = STR("greeter");
    backends[0] = (struct policy_backend){.service = STR("greeter"), .weight = 80};
    backends[1] = (struct policy_backend){.service = STR("canary"), .weight = 20};
    policy.backends = backends;
}

static void tear_down(void)
{
    if (list.subscriber.topic)
        topic_unsubscribe(&list.subscriber);
    topic_table_free(table);
    catalog_unref(catalog);
}

TestSuite(topic_grpclb, .init = set_up, .fini = tear_down);

static void put(const struct fixture_service *service)
{
    catalog = catalog_with(catalog, service);
    publish(table, catalog);
}

static void put_greeter(size_t endpoints, size_t backends_len)
{
    const struct policy *now;

    policy.backends_len = backends_len;
    now = policy_new(&policy);
    put(&(struct fixture_service){
        .name = "greeter", .endpoints = own, .len = endpoints, .policy = now});
    policy_unref(now);
}

static void put_canary(size_t endpoints)
{
    put(&(struct fixture_service){.name = "canary", .endpoints = next, .len = endpoints});
}

static void join(const char *name)
{
    listener_join(table, TOPIC_GRPCLB, name, (struct place){0}, &list);
}

/* The last byte of each address in order; a dot for a drop; NULL: there is no list. */
static const char *order(void)
{
    static char text[64];
    const struct blob *blob = topic_bytes(&list.subscriber);
    Grpc__Lb__V1__LoadBalanceResponse *response;
    size_t len = 0;

    if (!blob)
        return NULL;
    response = grpc__lb__v1__load_balance_response__unpack(NULL, blob->len, blob->bytes);
    cr_assert_not_null(response);
    for (size_t i = 0; i < response->server_list->n_servers; i++) {
        const Grpc__Lb__V1__Server *server = response->server_list->servers[i];

        cr_assert_lt(len, sizeof(text) - 1);
        text[len++] = server->drop ? '.' : (char)('0' + server->ip_address.data[3]);
    }
    text[len] = '\0';
    grpc__lb__v1__load_balance_response__free_unpacked(response, NULL);
    return text;
}

static const char *problem(void)
{
    return list.subscriber.content->problem;
}

Test(topic_grpclb, lists_the_service)
{
    put_greeter(2, 0);
    join(DIALLED);
    cr_assert_str_eq(order(), "12");
    cr_assert_null(problem());
    put_greeter(1, 0);
    cr_assert_str_eq(order(), "1");
    cr_assert_eq(list.changes, 1);
}

Test(topic_grpclb, no_endpoints_are_an_empty_list)
{
    put_greeter(0, 0);
    join(DIALLED);
    cr_assert_str_eq(order(), "");
    cr_assert_str_eq(problem(), "no EndpointSlice has endpoints at this port");
}

Test(topic_grpclb, of_a_service_that_does_not_exist_there_is_none)
{
    join(DIALLED);
    cr_assert_null(order());
    cr_assert_str_eq(problem(), "no such Service");
    put_greeter(2, 0);
    cr_assert_eq(list.changes, 1);
    cr_assert_str_eq(order(), "12");
    catalog = catalog_without_greeter(catalog);
    publish(table, catalog);
    cr_assert_null(order());
    cr_assert_eq(list.changes, 2);
}

Test(topic_grpclb, of_a_port_that_does_not_exist_there_is_none)
{
    put_greeter(2, 0);
    join("greeter.shop:nothing");
    cr_assert_null(order());
    cr_assert_not_null(problem());
}

Test(topic_grpclb, a_host_name_is_no_address)
{
    put(&(struct fixture_service){.name = "greeter", .external = "db.example.com"});
    join(DIALLED);
    cr_assert_null(order());
    cr_assert_str_eq(problem(), "a Service of type ExternalName has no addresses");
}

Test(topic_grpclb, a_split_is_in_the_list_by_its_weights)
{
    put_greeter(2, 2);
    put_canary(1);
    join(DIALLED);
    cr_assert_str_eq(order(), "12912");
    backends[1].weight = 80;
    put_greeter(2, 2);
    cr_assert_str_eq(order(), "1929");
    put_greeter(2, 0);
    cr_assert_str_eq(order(), "12");
    cr_assert_eq(list.changes, 2);
}

Test(topic_grpclb, a_split_depends_on_all_its_backends)
{
    put_greeter(2, 2);
    join(DIALLED);
    cr_assert_str_eq(order(), "12", "whoever is empty gives its share away");
    put_canary(1);
    cr_assert_str_eq(order(), "12912");
    cr_assert_eq(list.changes, 1);
    put_greeter(0, 2);
    cr_assert_str_eq(order(), "9");
    put_canary(0);
    cr_assert_str_eq(order(), "");
    cr_assert_str_eq(problem(), "no backend of the LookasideService has endpoints");
}

Test(topic_grpclb, a_split_without_the_service_itself)
{
    backends[0].service = STR("canary");
    put_greeter(2, 1);
    put_canary(1);
    join(DIALLED);
    cr_assert_str_eq(order(), "9");
}

Test(topic_grpclb, the_calls_of_a_backend_that_is_to_fail_are_dropped)
{
    backends[1].fail_when_empty = true;
    backends[1].weight = 40;
    put_greeter(2, 2);
    put_canary(0);
    join(DIALLED);
    cr_assert_str_eq(order(), "1.2");
    cr_assert(listener_has(&list, "empty:canary"));
    put_greeter(0, 2);
    cr_assert_str_eq(order(), "");
}

Test(topic_grpclb, a_backend_that_is_a_host_name_leaves_its_share_to_the_others)
{
    put_greeter(2, 2);
    put(&(struct fixture_service){.name = "canary", .external = "db.example.com"});
    join(DIALLED);
    cr_assert_str_eq(order(), "12");
    backends[0].weight = 0;
    put_greeter(2, 2);
    cr_assert_null(order());
    cr_assert_str_eq(problem(), "no backend of the LookasideService has addresses");
}

Test(topic_grpclb, is_by_place_but_where_it_splits)
{
    static const struct fixture_endpoint hinted[] = {
        {.address = "10.0.0.1", .zone = "a", .for_zone = "a"},
        {.address = "10.0.0.2", .zone = "b", .for_zone = "b"},
    };
    const struct policy *now;

    put(&(struct fixture_service){.name = "greeter", .endpoints = hinted, .len = 2});
    listener_join(table, TOPIC_GRPCLB, DIALLED, (struct place){.zone = STR("b")}, &list);
    cr_assert_str_eq(order(), "2");
    policy.backends_len = 2;
    now = policy_new(&policy);
    put_canary(1);
    put(&(struct fixture_service){.name = "greeter", .endpoints = hinted, .len = 2, .policy = now});
    policy_unref(now);
    cr_assert_str_eq(order(), "12912");
    cr_assert(view_is_all(&list.subscriber.content->view), "one list for everybody");
    put(&(struct fixture_service){.name = "greeter", .endpoints = hinted, .len = 2});
    cr_assert_str_eq(order(), "2");
}

Test(topic_grpclb, a_host_is_its_owners)
{
    static const char *const suffixes[] = {"example.com", NULL};
    struct topic_table_options options = {.cluster_domain = "cluster.local",
                                          .host_suffixes = suffixes};
    const struct pair host = {STR("api.example.com"), STR("shop/greeter")};
    struct catalog_edit *edit;

    topic_table_free(table);
    table = topic_table_new(&options);
    put_greeter(2, 0);
    join("api.example.com:8001");
    cr_assert_null(order());
    edit = catalog_edit_new(catalog);
    catalog_set_hosts(edit, &host, 1);
    catalog_unref(catalog);
    catalog = catalog_edit_finish(edit);
    publish(table, catalog);
    cr_assert_str_eq(order(), "12");
}
