#include "fixture.h"

static enum code add_address(enum address_family family, struct str address, struct err *err,
                             char canonical[64])
{
    struct slice_spec spec = {.namespace_name = STR("shop"), .name = STR("s"), .family = family};
    struct slice_builder *builder = slice_builder_new(&spec);
    struct endpoint endpoint = {.address = address};
    enum code code = slice_add_endpoint(builder, &endpoint, err);
    const struct slice *slice = slice_finish(builder, text_wire);

    cr_assert_eq(slice->endpoints_len, code == CODE_OK ? 1 : 0);
    if (code == CODE_OK)
        snprintf(canonical, 64, "%" STR_FMT, STR_ARG(slice->endpoints[0].address));
    slice_unref(slice);
    return code;
}

Test(slice, writes_addresses_in_their_canonical_form)
{
    static const struct {
        enum address_family family;
        const char *given, *canonical;
    } cases[] = {
        {FAMILY_IPV4, "10.0.0.1", "10.0.0.1"},
        {FAMILY_IPV4, "127.0.0.11", "127.0.0.11"},
        {FAMILY_IPV4, "255.255.255.255", "255.255.255.255"},
        {FAMILY_IPV6, "FD00:0:0::0001", "fd00::1"},
        {FAMILY_IPV6, "::1", "::1"},
        {FAMILY_IPV6, "fd00:1:2:3:4:5:6:7", "fd00:1:2:3:4:5:6:7"},
        {FAMILY_IPV6, "64:ff9b::10.0.0.1", "64:ff9b::a00:1"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char canonical[64] = "";
        struct err err = {0};

        cr_assert_eq(add_address(cases[i].family, str_of(cases[i].given), &err, canonical), CODE_OK,
                     "%s: %s", cases[i].given, err.msg);
        cr_assert_str_eq(canonical, cases[i].canonical);
    }
}

Test(slice, refuses_what_is_no_address_of_its_family)
{
    static const struct {
        enum address_family family;
        const char *given, *message;
    } cases[] = {
        {FAMILY_IPV4, "10.0.0", "'10.0.0' is no IPv4 address"},
        {FAMILY_IPV4, "10.0.0.256", "'10.0.0.256' is no IPv4 address"},
        {FAMILY_IPV4, "010.0.0.1", "'010.0.0.1' is no IPv4 address"},
        {FAMILY_IPV4, "10.0.0.1 ", "'10.0.0.1 ' is no IPv4 address"},
        {FAMILY_IPV4, "10.0.0.1:80", "'10.0.0.1:80' is no IPv4 address"},
        {FAMILY_IPV4, "fd00::1", "'fd00::1' is no IPv4 address"},
        {FAMILY_IPV4, "greeter", "'greeter' is no IPv4 address"},
        {FAMILY_IPV4, "", "'' is no IPv4 address"},
        {FAMILY_IPV4, "0.0.0.0", "'0.0.0.0' is the unspecified address"},
        {FAMILY_IPV4, "224.0.0.1", "'224.0.0.1' is a multicast address"},
        {FAMILY_IPV4, "239.255.255.255", "'239.255.255.255' is a multicast address"},
        {FAMILY_IPV6, "10.0.0.1", "'10.0.0.1' is no IPv6 address"},
        {FAMILY_IPV6, "fe80::1%eth0", "'fe80::1%eth0' is no IPv6 address"},
        {FAMILY_IPV6, "[fd00::1]", "'[fd00::1]' is no IPv6 address"},
        {FAMILY_IPV6, "::ffff:10.0.0.1", "'::ffff:10.0.0.1' is an IPv4-mapped address"},
        {FAMILY_IPV6, "::FFFF:a00:1", "'::FFFF:a00:1' is an IPv4-mapped address"},
        {FAMILY_IPV6, "::", "'::' is the unspecified address"},
        {FAMILY_IPV6, "ff02::1", "'ff02::1' is a multicast address"},
        {FAMILY_IPV6, "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111",
         "'1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111' is no IPv6 address"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char canonical[64] = "";
        struct err err = {0};

        cr_assert_eq(add_address(cases[i].family, str_of(cases[i].given), &err, canonical),
                     CODE_INVALID_ARGUMENT, "%s", cases[i].given);
        if (strlen(cases[i].given) < 64)
            cr_assert_str_eq(err.msg, cases[i].message);
    }
}

Test(slice, refuses_a_zero_byte_inside_an_address)
{
    char canonical[64];

    cr_assert_eq(add_address(FAMILY_IPV4, str_make("10.0.0.1\0x", 10), NULL, canonical),
                 CODE_INVALID_ARGUMENT);
}

Test(slice, owns_its_text)
{
    char name[] = "greeter-abc", zone[] = "zone-a", node[] = "node-1", pod[] = "pod-1";
    struct slice_spec spec = {.namespace_name = STR("shop"),
                              .name = str_of(name),
                              .service = STR("greeter"),
                              .family = FAMILY_IPV4};
    struct slice_builder *builder = slice_builder_new(&spec);
    struct endpoint endpoint = {.address = STR("10.0.0.1"),
                                .zone = str_of(zone),
                                .node = str_of(node),
                                .pod = str_of(pod),
                                .hostname = STR("pod-0"),
                                .uid = STR("u1")};
    const struct slice *slice;

    cr_assert_eq(slice_add_endpoint(builder, &endpoint, NULL), CODE_OK);
    slice = slice_finish(builder, text_wire);
    memset(name, 'x', strlen(name));
    memset(zone, 'x', strlen(zone));
    memset(node, 'x', strlen(node));
    memset(pod, 'x', strlen(pod));
    cr_assert(str_eq(slice->name, STR("greeter-abc")));
    cr_assert(str_eq(slice->endpoints[0].zone, STR("zone-a")));
    cr_assert(str_eq(slice->endpoints[0].node, STR("node-1")));
    cr_assert(str_eq(slice->endpoints[0].pod, STR("pod-1")));
    cr_assert(str_eq(slice->endpoints[0].hostname, STR("pod-0")));
    cr_assert(str_eq(slice->endpoints[0].uid, STR("u1")));
    slice_unref(slice);
}

Test(slice, owns_its_hints_and_shares_them_between_neighbours)
{
    char hints[][4] = {"a", "bcd"};
    struct str names[] = {str_of(hints[0]), str_of(hints[1])};
    struct slice_spec spec = {.name = STR("s"), .family = FAMILY_IPV4};
    struct slice_builder *builder = slice_builder_new(&spec);
    struct endpoint endpoint = {.zone_hints = names, .zone_hints_len = 2};
    const struct slice *slice;

    endpoint.address = STR("10.0.0.1");
    cr_assert_eq(slice_add_endpoint(builder, &endpoint, NULL), CODE_OK);
    endpoint.address = STR("10.0.0.2");
    cr_assert_eq(slice_add_endpoint(builder, &endpoint, NULL), CODE_OK);
    endpoint.zone_hints_len = 1;
    endpoint.node_hints = names + 1;
    endpoint.node_hints_len = 1;
    cr_assert_eq(slice_add_endpoint(builder, &endpoint, NULL), CODE_OK);
    slice = slice_finish(builder, text_wire);
    memset(hints, 'x', sizeof(hints));
    cr_assert_eq(slice->endpoints[0].zone_hints, slice->endpoints[1].zone_hints);
    cr_assert(str_eq(slice->endpoints[1].zone_hints[1], STR("bcd")));
    cr_assert_eq(slice->endpoints[2].zone_hints_len, 1);
    cr_assert(str_eq(slice->endpoints[2].zone_hints[0], STR("a")));
    cr_assert(str_eq(slice->endpoints[2].node_hints[0], STR("bcd")));
    slice_unref(slice);
}

Test(slice, has_one_row_of_backends_for_every_port_sorted_by_address)
{
    const struct slice *slice =
        SLICE_TEXT("s", "grpc=9001 udp:dns=53 http=80 any", "10.0.0.10 10.0.0.9 9.0.0.1 10.0.0.2");
    static const char *const sorted[] = {"9.0.0.1", "10.0.0.2", "10.0.0.9", "10.0.0.10"};
    static const uint16_t numbers[] = {9001, 53, 80, 0};

    cr_assert_eq(slice->ports_len, 4);
    for (size_t port = 0; port < 4; port++) {
        for (size_t i = 0; i < 4; i++) {
            const struct backend *backend = &slice_backends(slice, port)[i];

            cr_assert(str_eq(backend->endpoint->address, str_of(sorted[i])));
            cr_assert_eq(backend->port, numbers[port]);
            cr_assert_eq(backend->slice, slice);
        }
    }
    slice_unref(slice);
}

Test(slice, encodes_each_backend_once_and_none_without_a_port)
{
    const struct slice *slice = SLICE_TEXT("s", "grpc=9001 udp:dns=53 any", "10.0.0.2 10.0.0.1");

    cr_assert(str_eq(slice_backends(slice, 0)[0].wire, STR("10.0.0.1:9001;")));
    cr_assert(str_eq(slice_backends(slice, 0)[1].wire, STR("10.0.0.2:9001;")));
    cr_assert_eq(slice_backends(slice, 1)[0].wire.len, 0, "UDP is nobody's");
    cr_assert_eq(slice_backends(slice, 2)[0].wire.len, 0, "the port is the client's");
    slice_unref(slice);
}

Test(slice, without_ports_has_one_row_of_port_0)
{
    const struct slice *slice = SLICE_TEXT("s", "", "10.0.0.2 10.0.0.1");

    cr_assert_eq(slice->ports_len, 0);
    cr_assert(str_eq(slice_backends(slice, 0)[0].endpoint->address, STR("10.0.0.1")));
    cr_assert_eq(slice_backends(slice, 0)[1].port, 0);
    cr_assert_eq(slice_backends(slice, 0)[1].wire.len, 0);
    slice_unref(slice);
}

Test(slice, keeps_twins_in_the_order_that_it_was_given)
{
    const struct slice *slice = SLICE_TEXT("s", "=80", "10.0.0.1/n 10.0.0.1 10.0.0.1/d");

    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(slice_backends(slice, 0)[i].endpoint, &slice->endpoints[i]);
    slice_unref(slice);
}

Test(slice, refuses_more_endpoints_and_ports_than_the_api)
{
    struct slice_spec spec = {
        .namespace_name = STR("shop"), .name = STR("s"), .family = FAMILY_IPV4};
    struct slice_builder *builder = slice_builder_new(&spec);
    struct slice_port port = {.name = STR("p"), .number = 1};
    struct endpoint endpoint = {.address = STR("10.0.0.1")};
    struct err err = {0};

    for (size_t i = 0; i < SLICE_PORTS_MAX; i++)
        cr_assert_eq(slice_add_port(builder, &port, &err), CODE_OK);
    cr_assert_eq(slice_add_port(builder, &port, &err), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "more than 100 ports");
    for (size_t i = 0; i < SLICE_ENDPOINTS_MAX; i++)
        cr_assert_eq(slice_add_endpoint(builder, &endpoint, &err), CODE_OK);
    cr_assert_eq(slice_add_endpoint(builder, &endpoint, &err), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "more than 1000 endpoints");
    slice_builder_free(builder);
}

Test(slice, differs_by_content_and_not_by_version)
{
    const struct slice *base = SLICE_TEXT("s", "grpc=9001", "10.0.0.1@a", .resource_version = 1);
    const struct slice *same = SLICE_TEXT("s", "grpc=9001", "10.0.0.1@a", .resource_version = 2);
    const struct slice *others[] = {
        SLICE_TEXT("t", "grpc=9001", "10.0.0.1@a"),
        SLICE_TEXT("s", "grpc=9002", "10.0.0.1@a"),
        SLICE_TEXT("s", "http=9001", "10.0.0.1@a"),
        SLICE_TEXT("s", "udp:grpc=9001", "10.0.0.1@a"),
        SLICE_TEXT("s", "grpc=9001 http=80", "10.0.0.1@a"),
        SLICE_TEXT("s", "grpc=9001", "10.0.0.2@a"),
        SLICE_TEXT("s", "grpc=9001", "10.0.0.1@b"),
        SLICE_TEXT("s", "grpc=9001", "10.0.0.1@a/n"),
        SLICE_TEXT("s", "grpc=9001", "10.0.0.1@a/d"),
        SLICE_TEXT("s", "grpc=9001", "10.0.0.1@a~a"),
        SLICE_TEXT("s", "grpc=9001", "10.0.0.1@a^a"),
        SLICE_TEXT("s", "grpc=9001", "10.0.0.1@a 10.0.0.2@a"),
        SLICE_TEXT("s", "grpc=9001", ""),
        SLICE_TEXT("s", "grpc=9001", "10.0.0.1@a", .owner_uid = "u"),
    };

    cr_assert(slice_equal(base, same));
    cr_assert(slice_equal(base, base));
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        cr_assert(!slice_equal(base, others[i]), "case %zu", i);
        cr_assert(!slice_equal(others[i], base), "case %zu", i);
        slice_unref(others[i]);
    }
    slice_unref(base);
    slice_unref(same);
}

Test(slice, lives_until_the_last_reference)
{
    const struct slice *slice = SLICE_TEXT("s", "grpc=9001", "10.0.0.1");

    cr_assert_eq(slice_ref(slice), slice);
    slice_unref(slice);
    cr_assert(str_eq(slice->endpoints[0].address, STR("10.0.0.1")));
    slice_unref(slice);
    slice_unref(NULL);
}
