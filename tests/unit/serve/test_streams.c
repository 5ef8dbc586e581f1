/* Real streams: where a client is taken to be, what it gets for it, and what the dump says of it. */
#include <criterion/criterion.h>

#include "stream_client.h"

#define LIST "shop/greeter:8001"

static struct serve_fixture fixture;
static struct place peer_place; /* of every address */
static char *dumped;

static bool on_place_of_peer(void *ctx, const struct address *peer, struct place *ret_place)
{
    cr_assert_eq(ctx, &peer_place);
    cr_assert_eq(peer->storage.ss_family, AF_INET);
    *ret_place = peer_place;
    return peer_place.zone.len + peer_place.node.len > 0;
}

/* Two Services; the endpoints of the one are hinted for zones a and b. */
static void set_up(void)
{
    static const struct fixture_endpoint endpoints[] = {
        {.address = "10.0.0.1", .zone = "a", .node = "n1", .for_zone = "a"},
        {.address = "10.0.0.2", .zone = "b", .node = "n2", .for_zone = "b"},
    };
    const struct catalog *catalog = catalog_with(
        NULL, &(struct fixture_service){.name = "greeter", .endpoints = endpoints, .len = 2});

    serve_fixture_start(&fixture, (struct serve_options){.threads = 2,
                                                         .place_of_peer = on_place_of_peer,
                                                         .place_ctx = &peer_place});
    serve_publish(fixture.serve, catalog_with(catalog, &(struct fixture_service){.name = "other", .endpoints = endpoints, .len = 2}));
}

static void tear_down(void)
{
    serve_fixture_stop(&fixture);
    free(dumped);
}

TestSuite(streams, .init = set_up, .fini = tear_down, .timeout = 30);

static void turn_until(bool (*done)(const void *ctx), const void *ctx)
{
    serve_fixture_wait(&fixture, done, ctx);
}

/* ---- a client ---- */

static void expect(const struct stream_client *client, bool first, bool second)
{
    cr_assert_eq(client_has(client, "10.0.0.1"), first);
    cr_assert_eq(client_has(client, "10.0.0.2"), second);
}

/* An xDS client that says so much of where it is, and asks for one list. */
static void xds_ask(struct stream_client *client, const char *zone, const char *node, const char *list)
{
    struct buf request = BUFFER_INIT(4096);
    size_t mark = wire_open(&request, DISCOVERY_REQUEST_NODE);
    size_t at = wire_open(&request, NODE_LOCALITY);

    wire_put_bytes(&request, LOCALITY_ZONE, str_of(zone));
    wire_close(&request, at);
    if (*node) {
        size_t metadata = wire_open(&request, NODE_METADATA);
        size_t entry = wire_open(&request, STRUCT_FIELDS);
        size_t value;

        wire_put_bytes(&request, 1, STR("node"));
        value = wire_open(&request, 2);
        wire_put_bytes(&request, VALUE_STRING_VALUE, str_of(node));
        wire_close(&request, value);
        wire_close(&request, entry);
        wire_close(&request, metadata);
    }
    wire_put_bytes(&request, NODE_USER_AGENT_NAME, STR("gRPC Test"));
    wire_close(&request, mark);
    wire_put_bytes(&request, DISCOVERY_REQUEST_RESOURCE_NAMES, str_of(list));
    wire_put_bytes(&request, DISCOVERY_REQUEST_TYPE_URL, str_of(xds_type_url(XDS_ENDPOINT)));
    client_open(client, &fixture, ADS);
    client_ask(client, &request);
}

/* `zone` NULL: says nothing of its place. */
static void native_ask(struct stream_client *client, const char *zone, const char *target)
{
    struct buf request = BUFFER_INIT(4096);

    wire_put_bytes(&request, WATCH_REQUEST_TARGETS, str_of(target));
    if (zone) {
        size_t place = wire_open(&request, WATCH_REQUEST_PLACE);

        wire_put_bytes(&request, PLACE_ZONE, str_of(zone));
        wire_close(&request, place);
    }
    client_ask(client, &request);
}

/* ---- the place ---- */

Test(streams, an_xds_client_is_where_its_locality_says)
{
    struct stream_client client;

    peer_place = (struct place){.zone = STR("b"), .node = STR("n2")};
    xds_ask(&client, "a", "", LIST);
    expect(&client, true, false);
    client_close(&client);
}

Test(streams, a_client_that_says_nothing_is_where_its_address_is)
{
    struct stream_client xds, native;

    peer_place = (struct place){.zone = STR("b"), .node = STR("n2")};
    xds_ask(&xds, "", "", LIST);
    expect(&xds, false, true);
    client_open(&native, &fixture, WATCH);
    native_ask(&native, NULL, "greeter:8001");
    expect(&native, false, true);
    client_close(&xds);
    client_close(&native);
}

Test(streams, the_zone_of_an_address_is_that_of_no_other_node)
{
    struct stream_client client;

    peer_place = (struct place){.zone = STR("b"), .node = STR("n2")};
    xds_ask(&client, "", "n1", LIST);
    expect(&client, true, true);
    client_close(&client);
}

Test(streams, later_requests_of_an_xds_stream_need_not_say_the_node_again)
{
    struct buf request = BUFFER_INIT(4096);
    struct stream_client client;

    xds_ask(&client, "a", "", "shop/other:8001");
    wire_put_bytes(&request, DISCOVERY_REQUEST_RESOURCE_NAMES, STR(LIST));
    wire_put_bytes(&request, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("shop/other:8001"));
    wire_put_bytes(&request, DISCOVERY_REQUEST_TYPE_URL, str_of(xds_type_url(XDS_ENDPOINT)));
    client_ask(&client, &request);
    expect(&client, true, false);
    client_close(&client);
}

Test(streams, a_native_place_counts_as_given_and_may_change)
{
    struct stream_client client;

    peer_place = (struct place){.zone = STR("b"), .node = STR("n2")};
    client_open(&client, &fixture, WATCH);
    native_ask(&client, "a", "greeter:8001");
    expect(&client, true, false);
    native_ask(&client, "b", "greeter:8001");
    expect(&client, false, true);
    native_ask(&client, "", "greeter:8001");
    expect(&client, true, true);
    client_close(&client);
}

/* ---- make before break ---- */

/* greeter's calls are shared out: a tenth for a canary, where it has endpoints. */
static void publish_shares(bool canary)
{
    static const struct fixture_endpoint endpoint = {.address = "10.0.0.1"};
    struct policy_backend backends[] = {{.service = STR("greeter"), .weight = 90},
                                        {.service = STR("canary"), .weight = 10}};
    struct policy fields = *policy_default();
    const struct policy *policy;
    const struct catalog *catalog;

    fields.namespace_name = STR("shop");
    fields.name = STR("greeter");
    fields.backends = backends;
    fields.backends_len = 2;
    policy = policy_new(&fields);
    catalog = catalog_with(NULL, &(struct fixture_service){
                                     .name = "greeter", .endpoints = &endpoint, .len = 1, .policy = policy});
    serve_publish(fixture.serve, catalog_with(catalog, &(struct fixture_service){
                                                   .name = "canary", .endpoints = &endpoint, .len = canary}));
    policy_unref(policy);
}

/* Asks for what is named "a b" too. */
static void ask_more(struct stream_client *client, enum xds_type type, const char *name, const char *other)
{
    struct buf request = BUFFER_INIT(4096);

    wire_put_bytes(&request, DISCOVERY_REQUEST_RESOURCE_NAMES, str_of(name));
    if (other)
        wire_put_bytes(&request, DISCOVERY_REQUEST_RESOURCE_NAMES, str_of(other));
    wire_put_bytes(&request, DISCOVERY_REQUEST_TYPE_URL, str_of(xds_type_url(type)));
    client_ask(client, &request);
}

static bool has_told_two(const void *ctx)
{
    return strlen(((const struct stream_client *)ctx)->told) >= 2;
}

/* The route is told of after the list in the one case, before it in the other. */
static void expect_order(bool route_first)
{
    struct stream_client client;

    publish_shares(false);
    if (route_first) {
        xds_ask(&client, "", "", LIST);
        ask_more(&client, XDS_LISTENER, "greeter.shop:8001", NULL);
        ask_more(&client, XDS_ENDPOINT, LIST, "shop/canary:8001");
    } else {
        xds_ask(&client, "", "", "shop/canary:8001");
        ask_more(&client, XDS_LISTENER, "greeter.shop:8001", NULL);
    }
    client.told[0] = '\0';
    publish_shares(true);
    turn_until(has_told_two, &client);
    cr_expect_str_eq(client.told, "CL", "the list, then the route to it: %s", client.told);
    client.told[0] = '\0';
    publish_shares(false);
    turn_until(has_told_two, &client);
    cr_expect_str_eq(client.told, "LC", "the route, then the list that it leaves: %s", client.told);
    client_close(&client);
}

Test(streams, a_backend_is_there_before_its_route_and_gone_after_it)
{
    expect_order(true);
    expect_order(false);
}

/* Publishes a Service of which every client gets one endpoint of `len`. */
static void publish_parts(size_t len)
{
    static char addresses[64][16];
    struct fixture_endpoint endpoints[64] = {0};
    struct policy fields = *policy_default();
    const struct policy *policy;

    fields.subset_size = 1;
    policy = policy_new(&fields);
    for (size_t i = 0; i < len; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "10.0.1.%zu", 100 + i);
        endpoints[i].address = addresses[i];
    }
    serve_publish(fixture.serve, catalog_with(NULL, &(struct fixture_service){
                             .name = "greeter", .endpoints = endpoints, .len = len, .policy = policy}));
    policy_unref(policy);
}

/* Which of them the client has last. */
static unsigned part_of(const struct stream_client *client)
{
    struct str text = buf_str(&client->newest);
    const char *found = memmem(text.ptr, text.len, "10.0.1.", 7);

    cr_assert_not_null(found);
    return (unsigned)strtoul(found + 7, NULL, 10);
}

static unsigned native_part(unsigned group)
{
    struct buf request = BUFFER_INIT(4096);
    struct stream_client client;
    unsigned part;
    size_t place;

    wire_put_bytes(&request, WATCH_REQUEST_TARGETS, STR("greeter:8001"));
    place = wire_open(&request, WATCH_REQUEST_PLACE);
    wire_put_varint(&request, PLACE_GROUP, group);
    wire_close(&request, place);
    client_open(&client, &fixture, WATCH);
    client_ask(&client, &request);
    part = part_of(&client);
    client_close(&client);
    return part;
}

Test(streams, a_client_is_in_the_group_of_its_address_or_the_one_that_it_says)
{
    unsigned own = place_group(STR(""), STR("\x7f\x00\x00\x01"));
    struct stream_client xds, native;

    publish_parts(64);
    xds_ask(&xds, "", "", LIST);
    client_open(&native, &fixture, WATCH);
    native_ask(&native, "", "greeter:8001");
    cr_assert_eq(part_of(&xds), native_part(own));
    cr_assert_eq(part_of(&native), native_part(own));
    cr_assert_neq(native_part(own), native_part(1 + own % PLACE_GROUPS));
    client_close(&xds);
    client_close(&native);
}

/* ---- dumps ---- */

static void on_dump(void *ctx unused_arg, struct buf *json)
{
    free(dumped);
    dumped = xstrdup(buf_cstr(json));
}

static bool is_dumped(const void *ctx unused_arg)
{
    return dumped != NULL;
}

static const char *dump(const char *service)
{
    const struct stream_filter filter = {STR("shop"), str_of(service)};

    free(dumped);
    dumped = NULL;
    serve_dump_streams(fixture.serve, &filter, on_dump, NULL);
    turn_until(is_dumped, NULL);
    return dumped;
}

static const char *counts(void)
{
    free(dumped);
    dumped = NULL;
    serve_count_streams(fixture.serve, on_dump, NULL);
    turn_until(is_dumped, NULL);
    return dumped;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

Test(streams, a_dump_of_a_service_has_its_listeners_and_what_each_got)
{
    struct stream_client xds, native, other;

    peer_place = (struct place){.zone = STR("b"), .node = STR("n2")};
    xds_ask(&xds, "a", "", LIST);
    client_open(&native, &fixture, WATCH);
    native_ask(&native, "", "greeter:8001");
    xds_ask(&other, "a", "", "shop/other:8001");
    dump("greeter");
    cr_assert_eq(count(dumped, "\"protocol\""), 2, "%s", dumped);
    cr_assert_not_null(strstr(dumped, "\"place\":{\"zone\":\"a\",\"node\":\"n2\",\"group\":"), "%s", dumped);
    cr_assert_not_null(strstr(dumped, "\"place\":{\"zone\":\"\",\"node\":\"\",\"group\":"), "%s", dumped);
    cr_assert_eq(count(dumped, "\"view\":\"zone\""), 1, "%s", dumped);
    cr_assert_eq(count(dumped, "\"view\":\"all\""), 1, "%s", dumped);
    cr_assert_null(strstr(dumped, "shop/other"));
    cr_assert_eq(count(dump("other"), "\"protocol\""), 1);
    cr_assert_str_eq(dump("nobody"), "{\"streams\":[]}\n");
    cr_assert_eq(count(dump(""), "\"protocol\""), 3);
    client_close(&xds);
    client_close(&native);
    client_close(&other);
}

Test(streams, a_dump_of_a_service_leaves_out_other_names_of_the_same_stream)
{
    struct buf request = BUFFER_INIT(4096);
    struct stream_client client;

    client_open(&client, &fixture, WATCH);
    wire_put_bytes(&request, WATCH_REQUEST_TARGETS, STR("greeter:8001"));
    wire_put_bytes(&request, WATCH_REQUEST_TARGETS, STR("other:8001"));
    client_ask(&client, &request);
    dump("greeter");
    cr_assert_eq(count(dumped, "\"name\""), 1, "%s", dumped);
    cr_assert_eq(count(dumped, "greeter:8001"), 1, "%s", dumped);
    client_close(&client);
}

Test(streams, are_counted_by_service_while_they_listen)
{
    struct stream_client xds, native, other;

    client_open(&native, &fixture, WATCH);
    native_ask(&native, "", "greeter:8001");
    xds_ask(&xds, "a", "", LIST);
    xds_ask(&other, "a", "", "shop/other:8001");
    cr_assert_not_null(strstr(counts(), "\"shop/greeter\":2"), "%s", dumped);
    cr_assert_not_null(strstr(dumped, "\"shop/other\":1"), "%s", dumped);
    client_close(&xds);
    client_close(&other);
    client_close(&native);
    for (int i = 0; i < 1000 && strcmp(counts(), "{\"services\":{}}\n") != 0; i++)
        ;
    cr_assert_str_eq(dumped, "{\"services\":{}}\n");
}
