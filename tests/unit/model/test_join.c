/* Pods with an address in each family. */
#include "fixture.h"

#define EXPECT_LIST(service, number, text)                                                         \
    do {                                                                                           \
        const char *found_ = list_text(port_of(service, number));                                  \
        cr_assert_str_eq(found_, text);                                                            \
    } while (0)

static const struct service *dual(enum address_family prefers, const char *ipv4, const char *ipv6)
{
    return MAKE_SERVICE(SERVICE_TEXT(.ports = "=80", .prefers = prefers),
                        SLICE_TEXT("4", "=80", ipv4),
                        SLICE_TEXT("6", "=80", ipv6, .family = FAMILY_IPV6));
}

Test(join, lists_a_pod_once_by_the_family_that_comes_first)
{
    static const struct {
        enum address_family prefers;
        const char *list;
    } cases[] = {
        {0, "10.0.0.1:80+[fd00::9]:80,10.0.0.2:80+[fd00::1]:80"},
        {FAMILY_IPV4, "10.0.0.1:80+[fd00::9]:80,10.0.0.2:80+[fd00::1]:80"},
        {FAMILY_IPV6, "[fd00::1]:80+10.0.0.2:80,[fd00::9]:80+10.0.0.1:80"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct service *service =
            dual(cases[i].prefers, "10.0.0.1#a 10.0.0.2#b", "fd00::1#b fd00::9#a");
        const struct service_port *port = port_of(service, 80);

        EXPECT_LIST(service, 80, cases[i].list);
        cr_assert_eq(port->list.len, 2);
        cr_assert_eq(port->ready, 4, "before joining");
        cr_assert_eq(port->all_len, 4);
        cr_assert_null(port->all[0].other);
        service_unref(service);
    }
}

Test(join, leaves_those_alone_that_have_one_address_or_no_uid)
{
    const struct service *service = dual(0, "10.0.0.1#a 10.0.0.2 10.0.0.3#c", "fd00::1 fd00::2#b");

    EXPECT_LIST(service, 80, "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80,[fd00::1]:80,[fd00::2]:80");
    service_unref(service);
}

/* One family ready and one not: only what is listed is joined. */
Test(join, joins_only_what_is_listed)
{
    const struct service *service =
        dual(0, "10.0.0.1#a/n 10.0.0.2#b 10.0.0.3#c/d", "fd00::1#a fd00::2#b/n fd00::3#c/d");
    const struct service *draining = dual(0, "10.0.0.3#c/d 10.0.0.4#d/n", "fd00::3#c/d");

    EXPECT_LIST(service, 80, "10.0.0.2:80,[fd00::1]:80");
    EXPECT_LIST(draining, 80, "10.0.0.3:80+[fd00::3]:80");
    service_unref(service);
    service_unref(draining);
}

/* Nothing ready in one family is no reason to list its draining ones: a pod that is ready in the other is better. */
Test(join, judges_both_families_together)
{
    const struct service *service = dual(0, "10.0.0.1#a/d", "fd00::2#b");

    EXPECT_LIST(service, 80, "[fd00::2]:80");
    service_unref(service);
}

Test(join, needs_the_same_target_port)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=80"), SLICE_TEXT("4", "=80", "10.0.0.1#a 10.0.0.2#b"),
                     SLICE_TEXT("6", "=81", "fd00::1#a", .family = FAMILY_IPV6),
                     SLICE_TEXT("6b", "=80", "fd00::2#b", .family = FAMILY_IPV6));

    EXPECT_LIST(service, 80, "10.0.0.1:80,10.0.0.2:80+[fd00::2]:80,[fd00::1]:81");
    service_unref(service);
}

Test(join, joins_the_first_of_several_addresses_and_lists_the_others)
{
    const struct service *service = dual(0, "10.0.0.2#a 10.0.0.1#a", "fd00::2#a fd00::1#a");

    EXPECT_LIST(service, 80, "10.0.0.1:80+[fd00::1]:80,10.0.0.2:80,[fd00::2]:80");
    service_unref(service);
}

Test(join, stands_in_the_zone_of_the_address_that_is_listed)
{
    const struct service *service = dual(0, "10.0.0.2#a@x", "fd00::1#a@y fd00::2#b@y");

    EXPECT_LIST(service, 80, "10.0.0.2:80+[fd00::1]:80@x | [fd00::2]:80@y");
    service_unref(service);
}

Test(join, counts_for_equality)
{
    const struct service *base = dual(0, "10.0.0.1#a", "fd00::1#a");
    const struct service *others[] = {
        dual(0, "10.0.0.1#a", "fd00::2#a"),
        dual(0, "10.0.0.1#a", ""),
        dual(FAMILY_IPV6, "10.0.0.1#a", "fd00::1#a"),
        dual(0, "10.0.0.1#a", "fd00::1#a%n"),
    };

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        cr_assert_not(service_equal(base, others[i]), "case %zu", i);
        cr_assert_not(service_equal(others[i], base), "case %zu", i);
        service_unref(others[i]);
    }
    service_unref(base);
}

Test(join, of_portless_slices)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.type = SERVICE_HEADLESS), SLICE_TEXT("4", "", "10.0.0.1#a"),
                     SLICE_TEXT("6", "", "fd00::1#a", .family = FAMILY_IPV6));

    EXPECT_LIST(service, 0, "10.0.0.1:0+[fd00::1]:0");
    service_unref(service);
}

/* On the wire both have the number that the client gives. */
Test(join, of_slices_of_which_one_leaves_the_port_open)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "x=80", .type = SERVICE_HEADLESS),
        SLICE_TEXT("4", "x=9001", "10.0.0.1#a 10.0.0.2#b"),
        SLICE_TEXT("6", "", "fd00::1#a fd00::3#c", .family = FAMILY_IPV6));
    const struct service *turned = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "x=80", .type = SERVICE_HEADLESS, .prefers = FAMILY_IPV6),
        SLICE_TEXT("4", "x=9001", "10.0.0.1#a"),
        SLICE_TEXT("6", "", "fd00::1#a", .family = FAMILY_IPV6));

    EXPECT_LIST(service, 9001, "10.0.0.1:9001+[fd00::1]:0,10.0.0.2:9001,[fd00::3]:0");
    EXPECT_LIST(service, 80, "10.0.0.1:9001,10.0.0.2:9001,[fd00::1]:0,[fd00::3]:0");
    EXPECT_LIST(turned, 9001, "[fd00::1]:0+10.0.0.1:9001");
    service_unref(service);
    service_unref(turned);
}

/* ---- finding ---- */

Test(service_port_find, finds_every_backend_in_any_condition_and_no_other)
{
    const struct service *service =
        dual(0, "10.0.0.1#a/n 10.0.0.2#b 10.0.0.3#c/t", "fd00::1#a fd00::2#b");
    const struct service *other = dual(0, "10.0.0.2#x 10.0.0.4", "fd00::3");
    const struct service_port *port = port_of(service, 80);

    for (size_t i = 0; i < port->all_len; i++)
        cr_assert_eq(service_port_find(port, port->all[i].backend), &port->all[i]);
    cr_assert_eq(service_port_find(port, port_of(other, 80)->all[0].backend), &port->all[1],
                 "by address and port, whatever slice it is from");
    cr_assert_null(service_port_find(port, port_of(other, 80)->all[1].backend));
    cr_assert_null(service_port_find(port, port_of(other, 80)->all[2].backend));
    service_unref(service);
    service_unref(other);
}
