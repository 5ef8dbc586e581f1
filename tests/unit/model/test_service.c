/* What the rules of the backends make of slices. */
#include "fixture.h"

#define EXPECT_LIST(service, number, text)                                                         \
    do {                                                                                           \
        const char *found_ = list_text(port_of(service, number));                                  \
        cr_assert_str_eq(found_, text);                                                            \
    } while (0)

Test(service, merges_all_its_slices)
{
    const struct service *service = MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=8001"),
                                                 SLICE_TEXT("b", "grpc=9001", "10.0.0.4 10.0.0.1"),
                                                 SLICE_TEXT("a", "grpc=9001", "10.0.0.3"),
                                                 SLICE_TEXT("c", "grpc=9001", "10.0.0.2 10.0.0.5"));

    EXPECT_LIST(service, 8001,
                "10.0.0.1:9001,10.0.0.2:9001,10.0.0.3:9001,10.0.0.4:9001,10.0.0.5:9001");
    cr_assert_eq(service->slices_len, 3);
    cr_assert(str_eq(service->slices[0]->name, STR("a")));
    cr_assert(str_eq(service->slices[2]->name, STR("c")));
    service_unref(service);
}

Test(service, ignores_leftovers_of_an_earlier_service_only)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=80", .uid = "new"),
                     SLICE_TEXT("owned", "=80", "10.0.0.1", .owner_uid = "new"),
                     SLICE_TEXT("left", "=80", "10.0.0.2", .owner_uid = "old"),
                     SLICE_TEXT("handmade", "=80", "10.0.0.3"));

    EXPECT_LIST(service, 80, "10.0.0.1:80,10.0.0.3:80");
    cr_assert_eq(service->slices_len, 2);
    service_unref(service);
}

Test(service, without_a_uid_has_no_leftovers)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "=80"), SLICE_TEXT("s", "=80", "10.0.0.1", .owner_uid = "u"));

    EXPECT_LIST(service, 80, "10.0.0.1:80");
    service_unref(service);
}

/* During a move between slices, one endpoint stands in two: the newer slice is right about it. */
Test(service, counts_a_duplicate_as_the_slice_with_the_higher_version_has_it)
{
    for (int newer = 0; newer < 2; newer++) {
        const struct service *service = MAKE_SERVICE(
            SERVICE_TEXT(.ports = "=80"),
            SLICE_TEXT("a", "=80", "10.0.0.1@old 10.0.0.2", .resource_version = newer ? 5 : 7),
            SLICE_TEXT("b", "=80", "10.0.0.1@new/n 10.0.0.2", .resource_version = 6));

        EXPECT_LIST(service, 80, newer ? "10.0.0.2:80" : "10.0.0.2:80 | 10.0.0.1:80@old");
        cr_assert_eq(port_of(service, 80)->total, 2);
        service_unref(service);
    }
}

Test(service, counts_a_duplicate_of_equal_version_as_the_greater_name_has_it)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=80"), SLICE_TEXT("b", "=80", "10.0.0.1@b"),
                     SLICE_TEXT("c", "=80", "10.0.0.1@c"), SLICE_TEXT("a", "=80", "10.0.0.1@a"));

    EXPECT_LIST(service, 80, "10.0.0.1:80@c");
    service_unref(service);
}

Test(service, counts_a_duplicate_in_one_slice_as_named_first)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "=80"), SLICE_TEXT("a", "=80", "10.0.0.1@x/n 10.0.0.1@y 10.0.0.2"));

    EXPECT_LIST(service, 80, "10.0.0.2:80");
    service_unref(service);
}

Test(service, lists_ready_ones_as_long_as_there_is_one)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "=80"),
        SLICE_TEXT("a", "=80", "10.0.0.1/d 10.0.0.2/n 10.0.0.3/t 10.0.0.4 10.0.0.5/d"));
    const struct service_port *port = port_of(service, 80);

    EXPECT_LIST(service, 80, "10.0.0.4:80");
    cr_assert_eq(port->ready, 1);
    cr_assert_eq(port->draining, 2);
    cr_assert_eq(port->total, 5);
    service_unref(service);
}

Test(service, falls_back_to_those_that_serve_while_terminating)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=80"),
                     SLICE_TEXT("a", "=80", "10.0.0.1/d 10.0.0.2/n 10.0.0.3/t 10.0.0.5/d"));

    EXPECT_LIST(service, 80, "10.0.0.1:80,10.0.0.5:80");
    service_unref(service);
}

Test(service, with_nothing_that_serves_has_an_empty_list)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=80"), SLICE_TEXT("a", "=80", "10.0.0.2/n 10.0.0.3/t"));
    const struct service *empty = make_service(SERVICE_TEXT(.ports = "=80"), NULL, 0);

    EXPECT_LIST(service, 80, "");
    EXPECT_LIST(empty, 80, "");
    cr_assert_eq(port_of(service, 80)->list.localities_len, 0);
    service_unref(service);
    service_unref(empty);
}

Test(service, groups_by_zone_and_orders_by_address_within)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "=80"), SLICE_TEXT("a", "=80", "10.0.0.1@b 10.0.0.2@a 10.0.0.3"),
        SLICE_TEXT("b", "=80", "9.0.0.1@b 11.0.0.1@a 10.0.0.10@b"));

    EXPECT_LIST(service, 80,
                "10.0.0.3:80 | 10.0.0.2:80,11.0.0.1:80@a | 9.0.0.1:80,10.0.0.1:80,10.0.0.10:80@b");
    service_unref(service);
}

Test(service, has_both_families_in_one_list)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=80"),
                     SLICE_TEXT("v6", "=80", "fd00::2 fd00::1", .family = FAMILY_IPV6),
                     SLICE_TEXT("v4", "=80", "10.0.0.2 10.0.0.1"));

    EXPECT_LIST(service, 80, "10.0.0.1:80,10.0.0.2:80,[fd00::1]:80,[fd00::2]:80");
    service_unref(service);
}

Test(service, matches_ports_by_name_whatever_their_numbers)
{
    const struct service *service = MAKE_SERVICE(SERVICE_TEXT(.ports = "http=80 grpc=8001"),
                                                 SLICE_TEXT("a", "grpc=9001 http=8080", "10.0.0.1"),
                                                 SLICE_TEXT("b", "http=8081 grpc=9002", "10.0.0.2"),
                                                 SLICE_TEXT("c", "other=1", "10.0.0.3"));

    EXPECT_LIST(service, 80, "10.0.0.1:8080,10.0.0.2:8081");
    EXPECT_LIST(service, 8001, "10.0.0.1:9001,10.0.0.2:9002");
    service_unref(service);
}

Test(service, matches_the_unnamed_port_to_the_unnamed_port)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=80"), SLICE_TEXT("a", "=8080", "10.0.0.1"),
                     SLICE_TEXT("b", "http=8081", "10.0.0.2"));

    EXPECT_LIST(service, 80, "10.0.0.1:8080");
    service_unref(service);
}

Test(service, takes_only_tcp)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "dns=53 udp:dns-udp=53 udp:x=54"),
                     SLICE_TEXT("a", "udp:dns=5353 dns=5354 udp:x=1", "10.0.0.1"));

    cr_assert_eq(service->ports_len, 1);
    EXPECT_LIST(service, 53, "10.0.0.1:5354");
    service_unref(service);
}

Test(service, sorts_its_ports_by_number_then_name)
{
    const struct service *service = make_service(SERVICE_TEXT(.ports = "c=90 b=80 a=100"), NULL, 0);

    cr_assert_eq(service->ports[0].number, 80);
    cr_assert_eq(service->ports[1].number, 90);
    cr_assert_eq(service->ports[2].number, 100);
    service_unref(service);
}

Test(service, headless_with_ports_uses_them_and_portless_slices_too)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=8001", .type = SERVICE_HEADLESS),
                     SLICE_TEXT("a", "grpc=9001", "10.0.0.1"), SLICE_TEXT("b", "", "10.0.0.2"),
                     SLICE_TEXT("c", "other=9002", "10.0.0.3"));

    EXPECT_LIST(service, 8001, "10.0.0.1:9001,10.0.0.2:0");
    service_unref(service);
}

Test(service, that_is_not_headless_takes_nothing_from_portless_slices)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=8001"), SLICE_TEXT("b", "", "10.0.0.2"));

    EXPECT_LIST(service, 8001, "");
    service_unref(service);
}

Test(service, headless_without_ports_has_those_of_its_slices)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.type = SERVICE_HEADLESS), SLICE_TEXT("a", "grpc=9001 udp:dns=53", "10.0.0.1"),
        SLICE_TEXT("b", "grpc=9001 http=80", "10.0.0.2"), SLICE_TEXT("c", "grpc=9002", "10.0.0.3"));

    cr_assert_eq(service->ports_len, 3);
    EXPECT_LIST(service, 80, "10.0.0.2:80");
    EXPECT_LIST(service, 9001, "10.0.0.1:9001,10.0.0.2:9001");
    EXPECT_LIST(service, 9002, "10.0.0.3:9002");
    service_unref(service);
}

Test(service, headless_without_any_port_has_port_0)
{
    const struct service *service = MAKE_SERVICE(SERVICE_TEXT(.type = SERVICE_HEADLESS),
                                                 SLICE_TEXT("a", "", "10.0.0.1 10.0.0.2"));
    const struct service *bare = make_service(SERVICE_TEXT(.type = SERVICE_HEADLESS), NULL, 0);

    cr_assert_eq(service->ports_len, 1);
    EXPECT_LIST(service, 0, "10.0.0.1:0,10.0.0.2:0");
    EXPECT_LIST(bare, 0, "");
    service_unref(service);
    service_unref(bare);
}

/* On the wire, the one without a port could be the same as the other. */
Test(service, prefers_a_backend_with_a_port_of_its_own)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=8001", .type = SERVICE_HEADLESS),
                     SLICE_TEXT("a", "", "10.0.0.1 10.0.0.2", .resource_version = 9),
                     SLICE_TEXT("b", "=8001", "10.0.0.1", .resource_version = 1));

    EXPECT_LIST(service, 8001, "10.0.0.1:8001,10.0.0.2:0");
    service_unref(service);
}

Test(service, of_an_external_name_has_ports_and_no_backends)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "=80", .type = SERVICE_EXTERNAL_NAME, .external_name = "db.example"),
        SLICE_TEXT("a", "=80", "10.0.0.1"));
    const struct service *other = make_service(
        SERVICE_TEXT(.ports = "=80", .type = SERVICE_EXTERNAL_NAME, .external_name = "db.other"),
        NULL, 0);

    cr_assert_eq(service->type, SERVICE_EXTERNAL_NAME);
    cr_assert(str_eq(service->external_name, STR("db.example")));
    EXPECT_LIST(service, 80, "");
    cr_assert_eq(port_of(service, 80)->total, 0);
    cr_assert_eq(service->slices_len, 0);
    cr_assert_not(service_equal(service, other));
    service_unref(service);
    service_unref(other);
}

Test(service, does_not_depend_on_the_order_of_its_slices)
{
    static const struct slice_text texts[] = {
        {.name = "a", .ports = "=81", .endpoints = "10.0.0.1@a 10.0.0.5@b/d"},
        {.name = "b", .ports = "=80", .endpoints = "10.0.0.1@a 10.0.0.2@b 10.0.0.3"},
        {.name = "c", .ports = "=80", .endpoints = "10.0.0.2@c 10.0.0.4@a"},
    };
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const struct service *first = NULL;

    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        const struct service *service =
            MAKE_SERVICE(SERVICE_TEXT(.ports = "=80"), make_slice(&texts[orders[i][0]]),
                         make_slice(&texts[orders[i][1]]), make_slice(&texts[orders[i][2]]));

        EXPECT_LIST(service, 80,
                    "10.0.0.3:80 | 10.0.0.1:80,10.0.0.1:81,10.0.0.4:80@a | 10.0.0.2:80@c");
        cr_assert(!first || service_equal(first, service));
        if (!first)
            first = service_ref(service);
        service_unref(service);
    }
    service_unref(first);
}

Test(service, equals_one_that_every_client_sees_the_same)
{
    const struct service *base =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80", .uid = "1"),
                     SLICE_TEXT("a", "grpc=90", "10.0.0.1@a 10.0.0.2@a/n", .resource_version = 3));
    const struct service *same = MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80", .uid = "2"),
                                              SLICE_TEXT("x", "grpc=90", "10.0.0.1@a"),
                                              SLICE_TEXT("y", "grpc=90", "10.0.0.2@a/n"));
    const struct service *others[] = {
        MAKE_SERVICE(SERVICE_TEXT(.ports = "http=80"),
                     SLICE_TEXT("a", "grpc=90", "10.0.0.1@a 10.0.0.2@a/n")),
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=81"),
                     SLICE_TEXT("a", "grpc=90", "10.0.0.1@a 10.0.0.2@a/n")),
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80!h2c"),
                     SLICE_TEXT("a", "grpc=90", "10.0.0.1@a 10.0.0.2@a/n")),
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80 x=81"),
                     SLICE_TEXT("a", "grpc=90", "10.0.0.1@a 10.0.0.2@a/n")),
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80"),
                     SLICE_TEXT("a", "grpc=91", "10.0.0.1@a 10.0.0.2@a/n")),
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80"),
                     SLICE_TEXT("a", "grpc=90", "10.0.0.1@b 10.0.0.2@a/n")),
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80"),
                     SLICE_TEXT("a", "grpc=90", "10.0.0.1@a 10.0.0.2@a/d")),
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80"), SLICE_TEXT("a", "grpc=90", "10.0.0.1@a")),
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80"),
                     SLICE_TEXT("a", "grpc=90", "10.0.0.3@a 10.0.0.2@a/n")),
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80", .type = SERVICE_HEADLESS),
                     SLICE_TEXT("a", "grpc=90", "10.0.0.1@a 10.0.0.2@a/n")),
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=80", .local = true),
                     SLICE_TEXT("a", "grpc=90", "10.0.0.1@a 10.0.0.2@a/n")),
        MAKE_SERVICE(SERVICE_TEXT(.name = "other", .ports = "grpc=80"),
                     SLICE_TEXT("a", "grpc=90", "10.0.0.1@a 10.0.0.2@a/n")),
    };

    cr_assert(service_equal(base, same) && service_equal(same, base));
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        cr_assert(!service_equal(base, others[i]), "case %zu", i);
        cr_assert(!service_equal(others[i], base), "case %zu", i);
        service_unref(others[i]);
    }
    service_unref(base);
    service_unref(same);
}

/* What is not listed matters where another place may get it: nothing ready, hints only then. */
Test(service, equals_by_what_is_not_listed_only_where_lists_differ_by_place)
{
    static const struct {
        const char *one, *two;
        bool local, equal;
    } cases[] = {
        {"10.0.0.1 10.0.0.2/n", "10.0.0.1 10.0.0.3/n", false, true},
        {"10.0.0.1~a 10.0.0.2~b 10.0.0.3/n", "10.0.0.1~a 10.0.0.2~b 10.0.0.3~b/n", false, false},
        {"10.0.0.1~a 10.0.0.2~b", "10.0.0.1~b 10.0.0.2~a", false, false},
        {"10.0.0.1%n1 10.0.0.2%n2/d", "10.0.0.1%n1 10.0.0.2%n3/d", true, false},
        {"10.0.0.1%n1 10.0.0.2%n2/d", "10.0.0.1%n1 10.0.0.2%n2/d", true, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct service_text *text = SERVICE_TEXT(.ports = "=80", .local = cases[i].local);
        const struct service *one = MAKE_SERVICE(text, SLICE_TEXT("s", "=80", cases[i].one));
        const struct service *two = MAKE_SERVICE(text, SLICE_TEXT("s", "=80", cases[i].two));

        cr_assert_eq(service_equal(one, two), cases[i].equal, "case %zu", i);
        cr_assert_eq(service_equal(two, one), cases[i].equal, "case %zu", i);
        service_unref(one);
        service_unref(two);
    }
}

Test(service, keeps_its_slices_alive)
{
    const struct slice *slice = SLICE_TEXT("a", "=80", "10.0.0.1");
    const struct service *service = MAKE_SERVICE(SERVICE_TEXT(.ports = "=80"), slice);

    EXPECT_LIST(service, 80, "10.0.0.1:80"); /* our reference on the slice is gone */
    cr_assert_eq(service_ref(service), service);
    service_unref(service);
    EXPECT_LIST(service, 80, "10.0.0.1:80");
    service_unref(service);
    service_unref(NULL);
}
