#include <criterion/criterion.h>

#include "encode/xds.h"
#include "fixture.h"
#include "serve/topic.h"

static const struct topic_client *client_in(const char *namespace_name)
{
    static struct topic_client client;

    client.default_namespace = str_of(namespace_name);
    return &client;
}

static const char *const one[] = {"10.0.0.1"};
static const char *const two[] = {"10.0.0.1", "10.0.0.2"};

static struct topic_table *make_table(enum unknown_names unknown)
{
    struct topic_table_options options = {
        .cluster_domain = "cluster.local", .unknown_names = unknown, .stats = NULL};

    return topic_table_new(&options);
}

static void join(struct topic_table *table, enum topic_kind kind, const char *name, struct listener_fixture *listener)
{
    listener_join(table, kind, name, (struct place){0}, listener);
}

Test(topic, is_shared_by_subscribers_of_one_name)
{
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    struct listener_fixture a, b;

    join(table, TOPIC_ASSIGNMENT, "shop/greeter:8001", &a);
    join(table, TOPIC_ASSIGNMENT, "shop/greeter:8001", &b);
    cr_assert_eq(a.subscriber.topic, b.subscriber.topic);
    topic_unsubscribe(&a.subscriber);
    topic_unsubscribe(&b.subscriber);
    topic_table_free(table);
}

Test(topic, tells_subscribers_when_the_list_changes_and_only_then)
{
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    const struct catalog *catalog = catalog_with_greeter(NULL, one, 1);
    struct listener_fixture list, cluster;
    uint64_t version;

    publish(table, catalog);
    join(table, TOPIC_ASSIGNMENT, "shop/greeter:8001", &list);
    join(table, TOPIC_CLUSTER, "shop/greeter:8001", &cluster);
    version = list.subscriber.content->version;
    catalog = catalog_with_greeter(catalog, two, 2);
    publish(table, catalog);
    cr_assert_eq(list.changes, 1);
    cr_assert_neq(list.subscriber.content->version, version);
    cr_assert_eq(list.subscriber.content->received_us, 7);
    cr_assert_eq(cluster.changes, 0, "a Cluster does not depend on its endpoints");
    catalog = catalog_with_greeter(catalog, two, 2);
    publish(table, catalog);
    cr_assert_eq(list.changes, 1, "the same list is not a change");
    topic_unsubscribe(&list.subscriber);
    topic_unsubscribe(&cluster.subscriber);
    catalog_unref(catalog);
    topic_table_free(table);
}

Test(topic, of_an_unknown_service_is_empty_and_fills_when_it_appears)
{
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    struct listener_fixture list;
    const struct catalog *catalog;

    join(table, TOPIC_ASSIGNMENT, "shop/greeter:8001", &list);
    cr_assert_not_null(topic_bytes(&list.subscriber));
    catalog = catalog_with_greeter(NULL, one, 1);
    publish(table, catalog);
    cr_assert_eq(list.changes, 1);
    catalog = catalog_without_greeter(catalog);
    publish(table, catalog);
    cr_assert_eq(list.changes, 2);
    cr_assert_eq(list.subscriber.content->received_us, 1);
    cr_assert_not_null(topic_bytes(&list.subscriber));
    topic_unsubscribe(&list.subscriber);
    catalog_unref(catalog);
    topic_table_free(table);
}

Test(topic, of_an_unknown_service_is_absent_where_asked_but_never_withdrawn)
{
    struct topic_table *table = make_table(UNKNOWN_NAMES_ABSENT);
    struct listener_fixture listener;
    const struct catalog *catalog;

    join(table, TOPIC_LISTENER, "greeter.shop:8001", &listener);
    cr_assert_null(topic_bytes(&listener.subscriber));
    catalog = catalog_with_greeter(NULL, one, 1);
    publish(table, catalog);
    cr_assert_not_null(topic_bytes(&listener.subscriber));
    catalog = catalog_without_greeter(catalog);
    publish(table, catalog);
    cr_assert_not_null(topic_bytes(&listener.subscriber));
    topic_unsubscribe(&listener.subscriber);
    catalog_unref(catalog);
    topic_table_free(table);
}

/* Their pods take whatever port is called: the Service's. */
Test(topic, slices_without_ports_get_the_services_port_however_it_is_named)
{
    static const char *const names[] = {"bare.shop:8001", "bare.shop:grpc", "bare.shop"};
    static const struct fixture_endpoint endpoint = {.address = "10.0.0.1"};
    const struct fixture_service bare = {"bare", &endpoint, 1, .portless_slices = true};
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    const struct catalog *catalog = catalog_with(NULL, &bare);

    publish(table, catalog);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct listener_fixture list;

        join(table, TOPIC_NATIVE, names[i], &list);
        cr_expect(listener_has(&list, "10.0.0.1"), "%s", names[i]);
        topic_unsubscribe(&list.subscriber);
    }
    catalog_unref(catalog);
    topic_table_free(table);
}

Test(topic, names_without_a_namespace_mean_the_clients_own)
{
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    struct listener_fixture ours = {.subscriber.changed = listener_on_changed}, theirs = ours;
    const struct catalog *catalog = catalog_with_greeter(NULL, one, 1);

    publish(table, catalog);
    cr_assert(topic_subscribe(table, TOPIC_NATIVE, STR("greeter:8001"), client_in("shop"), &ours.subscriber, NULL));
    cr_assert(topic_subscribe(table, TOPIC_NATIVE, STR("greeter:8001"), client_in("web"), &theirs.subscriber, NULL));
    cr_assert_null(ours.subscriber.content->problem);
    cr_assert_str_eq(theirs.subscriber.content->problem, "no such Service");
    topic_unsubscribe(&ours.subscriber);
    topic_unsubscribe(&theirs.subscriber);
    catalog_unref(catalog);
    topic_table_free(table);
}

Test(topic, refuses_a_malformed_name_and_joins_nothing)
{
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    struct listener_fixture listener = {.subscriber.changed = listener_on_changed};
    struct err err = {0};

    cr_assert_not(topic_subscribe(table, TOPIC_LISTENER, STR("no good:name:x"), client_in("shop"), &listener.subscriber, &err));
    cr_assert_neq(err.msg[0], '\0');
    cr_assert_null(listener.subscriber.topic);
    topic_table_free(table);
}

Test(topic, a_listener_moves_to_the_numbered_cluster_once_its_port_resolves)
{
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    struct listener_fixture listener;
    const struct catalog *catalog;

    join(table, TOPIC_LISTENER, "greeter.shop:grpc", &listener);
    cr_assert(listener_has(&listener, "shop/greeter:grpc"));
    catalog = catalog_with_greeter(NULL, one, 1);
    publish(table, catalog);
    cr_assert_eq(listener.changes, 1);
    cr_assert(listener_has(&listener, "shop/greeter:8001"));
    topic_unsubscribe(&listener.subscriber);
    catalog_unref(catalog);
    topic_table_free(table);
}

Test(topic, full_names_are_shared_by_clients_of_every_namespace)
{
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    struct listener_fixture ours = {.subscriber.changed = listener_on_changed}, theirs = ours;

    cr_assert(topic_subscribe(table, TOPIC_LISTENER, STR("greeter.shop:8001"), client_in("shop"), &ours.subscriber, NULL));
    cr_assert(topic_subscribe(table, TOPIC_LISTENER, STR("greeter.shop:8001"), client_in("web"), &theirs.subscriber, NULL));
    cr_assert_eq(ours.subscriber.topic, theirs.subscriber.topic);
    topic_unsubscribe(&ours.subscriber);
    topic_unsubscribe(&theirs.subscriber);
    topic_table_free(table);
}

Test(topic, the_set_of_clusters_changes_with_services_not_with_endpoints)
{
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    const struct catalog *catalog = catalog_with_greeter(NULL, one, 1);
    uint64_t version = topic_table_clusters_version(table);

    publish(table, catalog);
    cr_assert_neq(topic_table_clusters_version(table), version);
    version = topic_table_clusters_version(table);
    catalog = catalog_with_greeter(catalog, two, 2);
    publish(table, catalog);
    cr_assert_eq(topic_table_clusters_version(table), version);
    catalog_unref(catalog);
    topic_table_free(table);
}

static void count_cluster(void *ctx, struct str name, uint64_t version unused_arg, struct blob *cluster)
{
    cr_assert_not_null(memmem(cluster->bytes, cluster->len, name.ptr, name.len));
    cr_assert(str_eq(name, STR("shop/greeter:8001")));
    ++*(int *)ctx;
}

Test(topic, every_port_of_every_service_is_a_cluster_for_wildcards)
{
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    const struct catalog *catalog = catalog_with_greeter(NULL, one, 1);
    int clusters = 0;

    publish(table, catalog);
    topic_each_cluster(table, &(struct topic_clusters){.visit = count_cluster, .ctx = &clusters});
    cr_assert_eq(clusters, 1);
    catalog_unref(catalog);
    topic_table_free(table);
}

/* One of a Service whose only pod listens on that number. */
static const struct service *headless_service(uint16_t number)
{
    static const struct service_spec_port port = {.name = STR_INIT("grpc"), .number = 8001};
    const struct service_spec spec = {
        .namespace_name = STR("shop"),
        .name = STR("greeter"),
        .type = SERVICE_HEADLESS,
        .ports_len = 1,
        .ports = &port,
    };
    const struct slice_spec slice_spec = {
        .namespace_name = STR("shop"), .name = STR("s"), .family = FAMILY_IPV4};
    const struct slice_port slice_port = {.name = STR("grpc"), .number = number};
    const struct endpoint endpoint = {.address = STR("10.0.0.1"), .ready = true};
    struct slice_builder *builder = slice_builder_new(&slice_spec);
    const struct slice *slice;
    const struct service *service;

    cr_assert_eq(slice_add_port(builder, &slice_port, NULL), CODE_OK);
    cr_assert_eq(slice_add_endpoint(builder, &endpoint, NULL), CODE_OK);
    slice = slice_finish(builder, encode_backend);
    service = service_new(&spec, &slice, 1, NULL);
    slice_unref(slice);
    return service;
}

Test(topic, pods_own_numbers_are_no_clusters_for_wildcards)
{
    static const uint16_t numbers[] = {8001, 9001, 9002};
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    const struct catalog *catalog = catalog_new_empty();
    uint64_t version = 0;

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct catalog_edit *edit = catalog_edit_new(catalog);
        int clusters = 0;

        catalog_put(edit, headless_service(numbers[i]));
        catalog_unref(catalog);
        catalog = catalog_edit_finish(edit);
        publish(table, catalog);
        topic_each_cluster(table, &(struct topic_clusters){.visit = count_cluster, .ctx = &clusters});
        cr_assert_eq(clusters, 1);
        cr_assert(i == 0 || topic_table_clusters_version(table) == version, "%zu", i);
        version = topic_table_clusters_version(table);
    }
    catalog_unref(catalog);
    topic_table_free(table);
}

/* As a headless Service can have it whose ports are those of its slices. */
Test(topic, ports_of_one_number_are_one_cluster_for_wildcards)
{
    static const struct service_spec_port ports[] = {
        {.name = STR_INIT("grpc"), .number = 8001},
        {.name = STR_INIT("other"), .number = 8001},
    };
    const struct service_spec spec = {
        .namespace_name = STR("shop"),
        .name = STR("greeter"),
        .type = SERVICE_HEADLESS,
        .ports_len = ARRAY_LEN(ports),
        .ports = ports,
    };
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    const struct catalog *before = catalog_new_empty(), *catalog;
    struct catalog_edit *edit = catalog_edit_new(before);
    int clusters = 0;

    catalog_put(edit, service_new(&spec, NULL, 0, NULL));
    catalog = catalog_edit_finish(edit);
    publish(table, catalog);
    topic_each_cluster(table, &(struct topic_clusters){.visit = count_cluster, .ctx = &clusters});
    cr_assert_eq(clusters, 1);
    catalog_unref(before);
    catalog_unref(catalog);
    topic_table_free(table);
}

static void note_listeners(void *ctx, struct str service, size_t listeners)
{
    buf_printf(ctx, "%" STR_FMT "=%zu ", STR_ARG(service), listeners);
}

Test(topic, counts_who_listens_to_the_lists_of_a_service)
{
    struct topic_table *table = make_table(UNKNOWN_NAMES_EMPTY);
    struct listener_fixture list, again, native, cluster;
    struct buf text = BUFFER_INIT(256);

    join(table, TOPIC_ASSIGNMENT, "shop/greeter:8001", &list);
    join(table, TOPIC_ASSIGNMENT, "shop/greeter:8001", &again);
    join(table, TOPIC_NATIVE, "greeter", &native);
    join(table, TOPIC_CLUSTER, "shop/other:8001", &cluster);
    topic_each_listened(table, note_listeners, &text);
    cr_assert_str_eq(buf_cstr(&text), "shop/greeter=3 ");
    topic_unsubscribe(&list.subscriber);
    topic_unsubscribe(&native.subscriber);
    buf_reset(&text);
    topic_each_listened(table, note_listeners, &text);
    cr_assert_str_eq(buf_cstr(&text), "shop/greeter=1 ");
    topic_unsubscribe(&again.subscriber);
    topic_unsubscribe(&cluster.subscriber);
    topic_table_free(table);
    buf_done(&text);
}
