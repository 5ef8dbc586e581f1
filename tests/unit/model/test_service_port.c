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

/* dns:///greeter:9001 meant the pods' port. */
Test(service_port, of_a_headless_service_is_also_found_by_the_pods_number)
{
    const struct service *headless =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=8001 http=9001", .type = SERVICE_HEADLESS),
                     SLICE_TEXT("a", "grpc=9001 http=8080", "10.0.0.1"));
    const struct service *other =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "grpc=8001"), SLICE_TEXT("a", "grpc=9001", "10.0.0.1"));

    cr_assert_eq(by_number(headless, 8080), 9001);
    cr_assert_eq(by_number(headless, 9001), 9001, "the Service's own number comes first");
    cr_assert_eq(by_number(other, 9001), -1);
    service_unref(headless);
    service_unref(other);
}

Test(service_port, is_not_found_by_pods_numbers_that_differ)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "grpc=8001", .type = SERVICE_HEADLESS),
        SLICE_TEXT("a", "grpc=9001", "10.0.0.1"), SLICE_TEXT("b", "grpc=9002", "10.0.0.2"));

    cr_assert_eq(by_number(service, 9001), -1);
    cr_assert_eq(by_number(service, 9002), -1);
    service_unref(service);
}

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

Test(service_port, whose_name_stands_for_several_is_none)
{
    const struct service *service = MAKE_SERVICE(SERVICE_TEXT(.type = SERVICE_HEADLESS),
                                                 SLICE_TEXT("a", "grpc=9001", "10.0.0.1"),
                                                 SLICE_TEXT("b", "grpc=9002", "10.0.0.2"));
    const char *reason;

    cr_assert_eq(find(service, (struct port_ref){PORT_NAME, 0, STR("grpc")}, &reason), -1);
    cr_assert_str_eq(reason, "several ports have this name");
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
