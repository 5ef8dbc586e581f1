/* Which port a client means. */
#include "fixture.h"

/* The number of the port found, or -1; *ret_reason as the function gives it. */
static int find(const struct service *service, struct port_ref ref, const char **ret_reason)
{
    const struct service_port *port = service_find_port(service, &ref, ret_reason);

    cr_assert((port == NULL) == (*ret_reason != NULL), "a reason exactly when there is no port");
    return port ? port->number : -1;
}

static int by_number(const struct service *service, uint16_t number)
{
    const char *reason;

    return find(service, (struct port_ref){PORT_NUMBER, number, STR("")}, &reason);
}

static int by_name(const struct service *service, const char *name)
{
    const char *reason;

    return find(service, (struct port_ref){PORT_NAME, 0, str_of(name)}, &reason);
}

static const char *none_reason(const struct service *service, int *ret_port)
{
    const char *reason;

    *ret_port = find(service, (struct port_ref){PORT_NONE, 0, STR("")}, &reason);
    return reason;
}

Test(service_port, is_found_by_number_and_by_name)
{
    const struct service *service =
        make_service(SERVICE_TEXT(.ports = "http=80 grpc=8001"), NULL, 0);

    cr_assert_eq(by_number(service, 80), 80);
    cr_assert_eq(by_number(service, 8001), 8001);
    cr_assert_eq(by_number(service, 81), -1);
    cr_assert_eq(by_name(service, "http"), 80);
    cr_assert_eq(by_name(service, "grpc"), 8001);
    cr_assert_eq(by_name(service, "metrics"), -1);
    service_unref(service);
}

Test(service_port, without_a_port_is_the_only_one_else_the_one_that_speaks_grpc)
{
    static const struct {
        const char *ports;
        int port;
        const char *reason;
    } cases[] = {
        {"http=80", 80, NULL},
        {"=80 udp:dns=53", 80, NULL},
        {"http=80 grpc=8001", 8001, NULL},
        {"http=80 x=8001!grpc", 8001, NULL},
        {"http=80 x=8001!kubernetes.io/h2c", 8001, NULL},
        {"grpc=80 x=8001!grpc", 80, NULL},
        {"x=80!grpc y=8001!grpc", -1, "several ports speak gRPC: the name must say which"},
        {"x=80 y=8001", -1, "several ports and none is marked as gRPC: the name must say which"},
        {"udp:dns=53", -1, "the Service has no TCP port"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct service *service =
            make_service(SERVICE_TEXT(.ports = cases[i].ports), NULL, 0);
        int port;
        const char *reason = none_reason(service, &port);

        cr_assert_eq(port, cases[i].port, "%s: %d", cases[i].ports, port);
        if (cases[i].reason)
            cr_assert_str_eq(reason, cases[i].reason);
        service_unref(service);
    }
}

/* The number, or -1. */
static int external(const struct service *service, struct port_ref ref, const char **ret_reason)
{
    uint16_t port = 0;
    bool found = service_external_target(service, &ref, &port, ret_reason);

    cr_assert((*ret_reason == NULL) == found, "a reason exactly when there is no number");
    return found ? port : -1;
}

Test(service_port, of_an_external_name_is_any_number_or_one_that_it_names)
{
    static const struct {
        const char *ports;
        struct port_ref ref;
        int port;
        const char *reason;
    } cases[] = {
        {"", {PORT_NUMBER, 8001, STR_INIT("")}, 8001, NULL},
        {"grpc=80", {PORT_NUMBER, 8001, STR_INIT("")}, 8001, NULL},
        {"x=80 grpc=81", {PORT_NAME, 0, STR_INIT("x")}, 80, NULL},
        {"x=80", {PORT_NAME, 0, STR_INIT("grpc")}, -1, "the Service has no such TCP port"},
        {"", {PORT_NAME, 0, STR_INIT("grpc")}, -1, "the Service has no TCP port"},
        {"x=80 udp:dns=53", {PORT_NONE, 0, STR_INIT("")}, 80, NULL},
        {"x=80 grpc=81", {PORT_NONE, 0, STR_INIT("")}, 81, NULL},
        {"x=80 y=81",
         {PORT_NONE, 0, STR_INIT("")},
         -1,
         "several ports and none is marked as gRPC: the name must say which"},
        {"",
         {PORT_NONE, 0, STR_INIT("")},
         -1,
         "the Service is an ExternalName without ports: the name must give a number"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct service *service = make_service(
            SERVICE_TEXT(.ports = cases[i].ports, .type = SERVICE_EXTERNAL_NAME), NULL, 0);
        const char *reason;

        cr_assert_eq(external(service, cases[i].ref, &reason), cases[i].port, "case %zu", i);
        if (cases[i].reason)
            cr_assert_str_eq(reason, cases[i].reason);
        service_unref(service);
    }
}

Test(service_port, of_an_external_name_is_found_only_if_it_names_it)
{
    const struct service *service =
        make_service(SERVICE_TEXT(.ports = "x=80", .type = SERVICE_EXTERNAL_NAME), NULL, 0);
    const struct service *other = make_service(SERVICE_TEXT(.ports = "x=80"), NULL, 0);
    const char *reason;

    cr_assert_eq(by_number(service, 80), 80);
    cr_assert_eq(by_number(service, 81), -1);
    cr_assert_eq(external(other, (struct port_ref){PORT_NUMBER, 80, STR("")}, &reason), -1);
    cr_assert_str_eq(reason, "the Service is no ExternalName");
    service_unref(service);
    service_unref(other);
}

/* ---- a headless Service: dns:///greeter:9001 meant the pods' port ---- */

/* The list of the port that the number means; "none": there is no port. */
static const char *list_by_number(const struct service *service, uint16_t number)
{
    const char *reason;
    const struct port_ref ref = {.kind = PORT_NUMBER, .number = number};
    const struct service_port *port = service_find_port(service, &ref, &reason);

    return port ? list_text(port) : "none";
}

#define EXPECT_BY_NUMBER(service, number, text)                                                    \
    cr_assert_str_eq(list_by_number(service, number), text, "%s", list_by_number(service, number))

Test(service_port, of_a_headless_service_is_also_found_by_the_pods_number)
{
    const struct service *headless =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=8001 http=9001", .type = SERVICE_HEADLESS),
                     SLICE_TEXT("a", "grpc=9001 http=8080 udp:dns=53", "10.0.0.1"));
    const struct service *other =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=8001"), SLICE_TEXT("a", "grpc=9001", "10.0.0.1"));

    EXPECT_BY_NUMBER(headless, 8001, "10.0.0.1:9001");
    EXPECT_BY_NUMBER(headless, 8080, "10.0.0.1:8080");
    EXPECT_BY_NUMBER(headless, 53, "none");
    cr_assert_eq(by_number(headless, 8080), 8080, "a Cluster of its own");
    cr_assert_str_eq(list_by_number(headless, 9001), "10.0.0.1:8080",
                     "the Service's own number comes first");
    cr_assert_eq(by_number(other, 9001), -1);
    service_unref(headless);
    service_unref(other);
}

/* A named targetPort, which pods give different numbers, and some do not know. */
Test(service_port, by_the_pods_number_is_that_of_the_pods_that_have_it)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "grpc=8001", .type = SERVICE_HEADLESS),
        SLICE_TEXT("a", "grpc=9001", "10.0.0.1 10.0.0.2/n"),
        SLICE_TEXT("b", "grpc=9002", "10.0.0.3"), SLICE_TEXT("c", "", "10.0.0.4"),
        SLICE_TEXT("d", "grpc=9003", ""));

    EXPECT_BY_NUMBER(service, 8001, "10.0.0.1:9001,10.0.0.3:9002,10.0.0.4:0");
    EXPECT_BY_NUMBER(service, 9001, "10.0.0.1:9001,10.0.0.4:0");
    EXPECT_BY_NUMBER(service, 9002, "10.0.0.3:9002,10.0.0.4:0");
    EXPECT_BY_NUMBER(service, 7000, "10.0.0.4:0");
    cr_assert_eq(by_number(service, 9001), 9001);
    cr_assert_eq(by_number(service, 7000), 0, "as it is given");
    service_unref(service);
}

Test(service_port, by_the_pods_number_is_whatever_slices_call_it)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "a=81 b=82", .type = SERVICE_HEADLESS),
        SLICE_TEXT("s", "a=9000 b=9000", "10.0.0.1"), SLICE_TEXT("t", "b=9000", "10.0.0.2"));

    EXPECT_BY_NUMBER(service, 81, "10.0.0.1:9000");
    EXPECT_BY_NUMBER(service, 9000, "10.0.0.1:9000,10.0.0.2:9000");
    service_unref(service);
}

/* Not by a name, and not by none. */
Test(service_port, of_pods_is_found_by_its_number_alone)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "rpc=8001", .type = SERVICE_HEADLESS),
        SLICE_TEXT("a", "rpc=9001 grpc=9002", "10.0.0.1"), SLICE_TEXT("b", "", "10.0.0.2"));
    const struct service *udp =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "udp:dns=53", .type = SERVICE_HEADLESS),
                     SLICE_TEXT("a", "udp:dns=53 grpc=9002", "10.0.0.1"));
    int port;

    cr_assert_null(none_reason(service, &port));
    cr_assert_eq(port, 8001);
    cr_assert_eq(by_name(service, "grpc"), -1);
    cr_assert_eq(by_name(service, "rpc"), 8001);
    cr_assert_str_eq(none_reason(udp, &port), "the Service has no TCP port");
    cr_assert_eq(by_number(udp, 9002), 9002);
    service_unref(service);
    service_unref(udp);
}

/* The EndpointSlice controller's placeholder for a Service without pods leaves no port open. */
Test(service_port, no_slice_without_endpoints_makes_one)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "grpc=8001", .type = SERVICE_HEADLESS), SLICE_TEXT("a", "", ""));
    const char *reason;

    cr_assert_eq(find(service, (struct port_ref){PORT_NUMBER, 9001, STR("")}, &reason), -1);
    cr_assert_str_eq(reason, "neither the Service nor one of its pods has such a TCP port");
    service_unref(service);
}

/* What is kept of the very number comes before what is taken as it is given. */
Test(service_port, that_is_gone_comes_before_slices_without_ports)
{
    const struct service_text *text =
        SERVICE_TEXT(.ports = "grpc=8001", .type = SERVICE_HEADLESS);
    const struct service *before = MAKE_SERVICE(text, SLICE_TEXT("a", "grpc=9001", "10.0.0.1"),
                                                SLICE_TEXT("b", "", "10.0.0.2"));
    const struct service *after = MAKE_SERVICE(text, SLICE_TEXT("b", "", "10.0.0.2"));
    const struct service *carried = carry_emptied(before, after);

    EXPECT_BY_NUMBER(after, 9001, "10.0.0.2:0");
    EXPECT_BY_NUMBER(carried, 9001, "10.0.0.1:9001,10.0.0.2:0");
    EXPECT_BY_NUMBER(carried, 7000, "10.0.0.2:0");
    service_unref(before);
    service_unref(after);
    service_unref(carried);
}

/* The Service gets a port of that number, which lists nothing before its slices follow. */
Test(service_port, that_is_new_keeps_what_its_number_meant)
{
    const struct service *before =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "a=80 c=82", .type = SERVICE_HEADLESS, .uid = "old"),
                     SLICE_TEXT("s", "", "10.0.0.1", .owner_uid = "old"),
                     SLICE_TEXT("t", "c=1", "10.0.0.1/n"));
    const struct service *after = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "a=80 b=8001 c=82", .type = SERVICE_HEADLESS, .uid = "new"),
        SLICE_TEXT("s", "", "10.0.0.1", .owner_uid = "old"));
    const struct service *once = carry_emptied(before, after);
    const struct service *twice = carry_emptied(once, after);

    EXPECT_BY_NUMBER(after, 8001, "");
    EXPECT_BY_NUMBER(once, 80, "10.0.0.1:0");
    EXPECT_BY_NUMBER(once, 7000, "10.0.0.1:0");
    EXPECT_BY_NUMBER(once, 8001, "10.0.0.1:0");
    EXPECT_BY_NUMBER(twice, 8001, "10.0.0.1:0");
    cr_assert(service_equal(once, twice));
    cr_assert_str_eq(list_by_number(once, 82), "", "it was empty before");
    service_unref(before);
    service_unref(after);
    service_unref(once);
    service_unref(twice);
}

/* ---- a headless Service without ports: those of its slices ---- */

Test(service_port, 0_stands_for_every_number_and_no_name)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.type = SERVICE_HEADLESS), SLICE_TEXT("a", "", "10.0.0.1"));
    int port;

    cr_assert_eq(by_number(service, 8001), 0);
    cr_assert_eq(by_name(service, "grpc"), -1);
    cr_assert_str_eq(none_reason(service, &port),
                     "the Service has no ports of its own: the name must give a number");
    service_unref(service);
}

Test(service_port, of_slices_is_one_for_each_number_whatever_they_call_it)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.type = SERVICE_HEADLESS), SLICE_TEXT("a", "web=9001", "10.0.0.1"),
        SLICE_TEXT("b", "rpc=9001", "10.0.0.2"), SLICE_TEXT("c", "rpc=9001!grpc", "10.0.0.3"),
        SLICE_TEXT("d", "any", "10.0.0.4"), SLICE_TEXT("e", "", "10.0.0.5"));
    static const struct port_ref refs[] = {{PORT_NUMBER, 9001, STR_INIT("")},
                                           {PORT_NAME, 0, STR_INIT("web")},
                                           {PORT_NAME, 0, STR_INIT("rpc")}};

    for (size_t i = 0; i < ARRAY_LEN(refs); i++) {
        const char *reason;
        const struct service_port *port = service_find_port(service, &refs[i], &reason);

        cr_assert_not_null(port, "%zu: %s", i, reason);
        cr_assert_eq(port->number, 9001);
        cr_assert_str_eq(list_text(port),
                         "10.0.0.1:9001,10.0.0.2:9001,10.0.0.3:9001,10.0.0.4:0,10.0.0.5:0");
    }
    EXPECT_BY_NUMBER(service, 7000, "10.0.0.4:0,10.0.0.5:0");
    service_unref(service);
}

/* Whichever slice comes first. */
Test(service_port, of_slices_speaks_grpc_if_one_slice_says_so)
{
    static const char *const ports[][2] = {{"x=80 y=9001", "x=80 y=9001!grpc"},
                                           {"x=80 y=9001!grpc", "x=80 y=9001"},
                                           {"x=80 y=9001!http", "x=80 y=9001!grpc"},
                                           {"x=80 a=9001", "x=80 b=9001!grpc"}};

    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        const struct service *service = MAKE_SERVICE(
            SERVICE_TEXT(.type = SERVICE_HEADLESS), SLICE_TEXT("s", ports[i][0], "10.0.0.1"),
            SLICE_TEXT("t", ports[i][1], "10.0.0.2"));
        int port;
        const char *reason = none_reason(service, &port);

        cr_assert_eq(port, 9001, "%zu: %s", i, reason);
        service_unref(service);
    }
}

Test(service_port, of_slices_is_the_only_one_whatever_they_call_it)
{
    const struct service *service = MAKE_SERVICE(SERVICE_TEXT(.type = SERVICE_HEADLESS),
                                                 SLICE_TEXT("a", "web=9001", "10.0.0.1"),
                                                 SLICE_TEXT("b", "rpc=9001", "10.0.0.2"));
    int port;

    cr_assert_null(none_reason(service, &port));
    cr_assert_eq(port, 9001);
    service_unref(service);
}

Test(service_port, whose_name_stands_for_several_is_none)
{
    const struct service *service = MAKE_SERVICE(SERVICE_TEXT(.type = SERVICE_HEADLESS),
                                                 SLICE_TEXT("a", "grpc=9001", "10.0.0.1"),
                                                 SLICE_TEXT("b", "grpc=9002", "10.0.0.2"));
    const char *reason;

    cr_assert_eq(find(service, (struct port_ref){PORT_NAME, 0, STR("grpc")}, &reason), -1);
    cr_assert_str_eq(reason, "slices give this name to several ports: the name must give a number");
    service_unref(service);
}

Test(service_port, that_is_gone_counts_where_none_of_the_services_own_lists_anything)
{
    const struct service *before =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "x=8001"), SLICE_TEXT("a", "x=9001", "10.0.0.1"));
    const struct service *filled =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "x=8002"), SLICE_TEXT("a", "x=9001", "10.0.0.1"));
    const struct service *empty = make_service(SERVICE_TEXT(.ports = "x=8002"), NULL, 0);
    const struct service *moved = carry_emptied(before, filled);
    const struct service *waiting = carry_emptied(before, empty);
    int port;

    cr_assert_eq(by_number(moved, 8001), 8001);
    cr_assert_eq(by_number(moved, 8002), 8002);
    cr_assert_eq(by_name(moved, "x"), 8002);
    cr_assert_null(none_reason(moved, &port));
    cr_assert_eq(port, 8002);
    cr_assert_eq(by_number(waiting, 8002), 8002);
    cr_assert_eq(by_name(waiting, "x"), 8001);
    cr_assert_null(none_reason(waiting, &port));
    cr_assert_eq(port, 8001);
    service_unref(before);
    service_unref(filled);
    service_unref(empty);
    service_unref(moved);
    service_unref(waiting);
}
