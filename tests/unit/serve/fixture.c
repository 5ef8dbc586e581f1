#include "fixture.h"

#include <criterion/criterion.h>

#include "base/clock.h"
#include "encode/xds.h"
#include "serve/topic_internal.h"

#define ADDRESSES_MAX 16
#define SLICES_MAX 16
#define WAIT_US (10 * 1000 * 1000)

static void add_endpoint(struct slice_builder *builder, const struct fixture_endpoint *from)
{
    const struct str for_zone = str_of(from->for_zone ? from->for_zone : "");
    const struct str for_node = str_of(from->for_node ? from->for_node : "");
    const struct endpoint endpoint = {
        .address = str_of(from->address),
        .ready = !from->unready,
        .serving = !from->unready,
        .zone = str_of(from->zone ? from->zone : ""),
        .node = str_of(from->node ? from->node : ""),
        .hostname = str_of(from->hostname ? from->hostname : ""),
        .zone_hints = &for_zone,
        .zone_hints_len = for_zone.len > 0,
        .node_hints = &for_node,
        .node_hints_len = for_node.len > 0,
    };

    cr_assert_eq(slice_add_endpoint(builder, &endpoint, NULL), CODE_OK);
}

/* The endpoints from `first` on, as many as a slice takes. */
static const struct slice *make_slice(const struct fixture_service *service, size_t first)
{
    size_t end = service->len - first < SLICE_ENDPOINTS_MAX ? service->len : first + SLICE_ENDPOINTS_MAX;
    char name[32];
    struct slice_spec spec = {
        .namespace_name = STR("shop"),
        .service = str_of(service->name),
        .family = FAMILY_IPV4,
    };
    struct slice_port port = {.name = STR("grpc"), .number = 8001};
    struct slice_builder *builder;

    snprintf(name, sizeof(name), "slice-%zu", first);
    spec.name = str_of(name);
    builder = slice_builder_new(&spec);
    if (!service->portless_slices)
        cr_assert_eq(slice_add_port(builder, &port, NULL), CODE_OK);
    for (size_t i = first; i < end; i++)
        add_endpoint(builder, &service->endpoints[i]);
    return slice_finish(builder, encode_backend);
}

static const struct service *make_service(const struct fixture_service *from)
{
    const struct slice *slices[SLICES_MAX];
    const struct service *service;
    size_t len = 0;
    struct service_spec_port port = {.name = STR("grpc"), .number = 8001};
    struct service_spec spec = {
        .namespace_name = STR("shop"),
        .name = str_of(from->name),
        .type = from->external          ? SERVICE_EXTERNAL_NAME
                : from->portless_slices ? SERVICE_HEADLESS
                                        : SERVICE_CLUSTER_IP,
        .external_name = str_of(from->external ? from->external : ""),
        .local = from->local,
        .policy = from->policy,
        .ports_len = !from->no_ports,
        .ports = &port,
        .received_us = 7,
    };

    cr_assert_leq(from->len, SLICES_MAX * SLICE_ENDPOINTS_MAX);
    for (size_t i = 0; i == 0 || i < from->len; i += SLICE_ENDPOINTS_MAX)
        slices[len++] = make_slice(from, i);
    service = service_new(&spec, slices, from->external ? 0 : len, NULL);
    for (size_t i = 0; i < len; i++)
        slice_unref(slices[i]);
    return service;
}

const struct catalog *catalog_with(const struct catalog *base, const struct fixture_service *service)
{
    const struct catalog *before = base ? base : catalog_new_empty();
    struct catalog_edit *edit = catalog_edit_new(before);
    const struct catalog *after;

    catalog_put(edit, make_service(service));
    after = catalog_edit_finish(edit);
    catalog_unref(before);
    return after;
}

const struct catalog *catalog_with_greeter(const struct catalog *base, const char *const *addresses, size_t len)
{
    struct fixture_endpoint endpoints[ADDRESSES_MAX] = {0};

    cr_assert_leq(len, ADDRESSES_MAX);
    for (size_t i = 0; i < len; i++)
        endpoints[i].address = addresses[i];
    return catalog_with(base, &(struct fixture_service){.name = "greeter", .endpoints = endpoints, .len = len});
}

const struct catalog *catalog_without_greeter(const struct catalog *base)
{
    struct catalog_edit *edit = catalog_edit_new(base);
    const struct catalog *after;

    catalog_remove(edit, STR("shop"), STR("greeter"));
    after = catalog_edit_finish(edit);
    catalog_unref(base);
    return after;
}

void listener_on_changed(struct subscriber *subscriber)
{
    container_of(subscriber, struct listener_fixture, subscriber)->changes++;
}

void listener_join(struct topic_table *table, enum topic_kind kind, const char *name, struct place place,
                   struct listener_fixture *listener)
{
    const struct topic_client client = {.default_namespace = STR("shop"), .place = place};
    struct err err = {0};

    *listener = (struct listener_fixture){.subscriber.changed = listener_on_changed};
    cr_assert(topic_subscribe(table, kind, str_of(name), &client, &listener->subscriber, &err), "%s", err.msg);
}

void publish(struct topic_table *table, const struct catalog *catalog)
{
    topic_table_publish(table, catalog, 1);
    while (topic_table_work(table, UINT64_MAX))
        ;
}

bool listener_has(struct listener_fixture *listener, const char *text)
{
    const struct blob *told = content_bytes(&listener->subscriber);
    const struct blob *blob = told ? told : topic_bytes(&listener->subscriber);

    return memmem(blob->bytes, blob->len, text, strlen(text)) != NULL;
}

void serve_fixture_start(struct serve_fixture *fixture, struct serve_options options)
{
    struct address any;
    struct err err = {0};

    cr_assert_eq(loop_new(&fixture->loop, &err), CODE_OK);
    options.loop = fixture->loop;
    options.cluster_domain = "cluster.local";
    options.default_namespace = "shop";
    cr_assert_eq(serve_new(&options, &fixture->serve, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(address_parse(STR("127.0.0.1:0"), &any, &err), CODE_OK);
    cr_assert_eq(serve_listen(fixture->serve, &any, &err), CODE_OK, "%s", err.msg);
}

void serve_fixture_stop(struct serve_fixture *fixture)
{
    loop_close_posts(fixture->loop);
    serve_free(fixture->serve);
    loop_free(fixture->loop);
}

void serve_fixture_wait(const struct serve_fixture *fixture, bool (*done)(const void *ctx), const void *ctx)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_US;

    while (!done(ctx)) {
        cr_assert_lt(clock_monotonic_us(), end_us, "it does not come");
        loop_turn(fixture->loop, 10);
    }
}
