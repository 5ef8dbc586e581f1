/* Which endpoints a client at some place gets. */
#include "base/buf.h"
#include "fixture.h"

#define EXPECT_VIEW(service, zone, node, text)                                                     \
    do {                                                                                           \
        const char *found_ = view_text(port_of(service, 80), zone, node);                          \
        cr_assert_str_eq(found_, text);                                                            \
    } while (0)

static struct view view_at(const struct service *service, const char *zone, const char *node)
{
    return view_of(port_of(service, 80), &(struct place){.zone = str_of(zone), .node = str_of(node)});
}

static const struct service *of_endpoints(const char *endpoints)
{
    return MAKE_SERVICE(SERVICE_TEXT(.ports = "=80"), SLICE_TEXT("s", "=80", endpoints));
}

static const struct service *local_of_endpoints(const char *endpoints)
{
    return MAKE_SERVICE(SERVICE_TEXT(.ports = "=80", .local = true),
                        SLICE_TEXT("s", "=80", endpoints));
}

/* internalTrafficPolicy is about what comes to a ClusterIP, trafficDistribution about endpoints. */
Test(view, of_a_headless_service_knows_hints_and_no_policy)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=80", .local = true, .type = SERVICE_HEADLESS),
                     SLICE_TEXT("s", "=80", "10.0.0.1%n1 10.0.0.2%n2"));
    const struct service *hinted =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=80", .local = true, .type = SERVICE_HEADLESS),
                     SLICE_TEXT("s", "=80", "10.0.0.1~a 10.0.0.2~b"));

    EXPECT_VIEW(service, NULL, "n1", "10.0.0.1:80,10.0.0.2:80");
    EXPECT_VIEW(service, NULL, "n9", "10.0.0.1:80,10.0.0.2:80");
    cr_assert_not(view_is_blind(port_of(service, 80), &(struct place){0}));
    EXPECT_VIEW(hinted, "a", NULL, "10.0.0.1:80");
    service_unref(service);
    service_unref(hinted);
}

Test(view, without_hints_is_the_same_everywhere)
{
    const struct service *service = of_endpoints("10.0.0.1@a%n1 10.0.0.2@b%n2");
    struct view view = view_at(service, "a", "n1");

    cr_assert_not(port_of(service, 80)->by_place);
    cr_assert_eq(view.ipv4, VIEW_ALL);
    cr_assert_eq(view.ipv6, VIEW_ALL);
    cr_assert_eq(view.zone.len + view.node.len, 0);
    EXPECT_VIEW(service, "a", "n1", "10.0.0.1:80@a | 10.0.0.2:80@b");
    service_unref(service);
}

Test(view, follows_zone_hints_whatever_the_endpoints_own_zone)
{
    const struct service *service =
        of_endpoints("10.0.0.1@a~a 10.0.0.2@b~b 10.0.0.3@b~a,b 10.0.0.4@c~a");

    cr_assert(port_of(service, 80)->by_place);
    EXPECT_VIEW(service, "a", NULL, "10.0.0.1:80@a | 10.0.0.3:80@b | 10.0.0.4:80@c");
    EXPECT_VIEW(service, "b", "n1", "10.0.0.2:80,10.0.0.3:80@b");
    cr_assert_eq(view_at(service, "b", "n1").ipv4, VIEW_ZONE);
    service_unref(service);
}

Test(view, of_a_zone_that_no_hint_names_is_all)
{
    const struct service *service = of_endpoints("10.0.0.1~a 10.0.0.2~b");

    EXPECT_VIEW(service, "c", "n1", "10.0.0.1:80,10.0.0.2:80");
    EXPECT_VIEW(service, NULL, NULL, "10.0.0.1:80,10.0.0.2:80");
    cr_assert_eq(view_at(service, "c", "n1").ipv4, VIEW_ALL);
    service_unref(service);
}

Test(view, ignores_hints_where_a_ready_endpoint_has_none)
{
    const struct service *service = of_endpoints("10.0.0.1~a 10.0.0.2~b 10.0.0.3");

    cr_assert_not(port_of(service, 80)->by_place);
    EXPECT_VIEW(service, "a", NULL, "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80");
    service_unref(service);
}

Test(view, cares_for_the_hints_of_ready_endpoints_only)
{
    const struct service *service =
        of_endpoints("10.0.0.1~a 10.0.0.2~b 10.0.0.3/n 10.0.0.4/d 10.0.0.5~c/d 10.0.0.6~c/n");

    EXPECT_VIEW(service, "a", NULL, "10.0.0.1:80");
    EXPECT_VIEW(service, "c", NULL, "10.0.0.1:80,10.0.0.2:80");
    service_unref(service);
}

Test(view, prefers_node_hints_to_zone_hints)
{
    const struct service *service = of_endpoints("10.0.0.1~a^n1 10.0.0.2~a^n2 10.0.0.3~b^n3");

    EXPECT_VIEW(service, "b", "n1", "10.0.0.1:80");
    EXPECT_VIEW(service, "a", "n9", "10.0.0.1:80,10.0.0.2:80");
    EXPECT_VIEW(service, "c", "n9", "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80");
    EXPECT_VIEW(service, NULL, "n3", "10.0.0.3:80");
    cr_assert_eq(view_at(service, "b", "n1").ipv4, VIEW_NODE);
    cr_assert_eq(view_at(service, "b", "n1").zone.len, 0, "the zone does not matter any more");
    service_unref(service);
}

Test(view, with_node_hints_at_some_only_goes_by_zone)
{
    const struct service *service = of_endpoints("10.0.0.1~a^n1 10.0.0.2~a 10.0.0.3~b^n3");

    EXPECT_VIEW(service, "a", "n1", "10.0.0.1:80,10.0.0.2:80");
    EXPECT_VIEW(service, "c", "n3", "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80");
    service_unref(service);
}

/* A cluster of one zone: every place gets the same list, and none is made for each. */
Test(view, does_not_depend_on_hints_that_are_all_the_same)
{
    const struct service *service = of_endpoints("10.0.0.1~a 10.0.0.2~a");

    cr_assert_not(port_of(service, 80)->by_place);
    EXPECT_VIEW(service, "a", NULL, "10.0.0.1:80,10.0.0.2:80");
    EXPECT_VIEW(service, "b", NULL, "10.0.0.1:80,10.0.0.2:80");
    service_unref(service);
}

Test(view, with_nothing_ready_is_all_that_serve_while_terminating)
{
    const struct service *service = of_endpoints("10.0.0.1~a/d 10.0.0.2~b/d 10.0.0.3~a/n");

    cr_assert_not(port_of(service, 80)->by_place);
    EXPECT_VIEW(service, "a", NULL, "10.0.0.1:80,10.0.0.2:80");
    service_unref(service);
}

Test(view, judges_each_family_by_its_own_hints)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "=80"), SLICE_TEXT("4", "=80", "10.0.0.1~a 10.0.0.2~b"),
        SLICE_TEXT("6", "=80", "fd00::1~a fd00::2~c fd00::3~c", .family = FAMILY_IPV6));
    struct view view = view_at(service, "b", NULL);

    cr_assert_eq(view.ipv4, VIEW_ZONE);
    cr_assert_eq(view.ipv6, VIEW_ALL);
    EXPECT_VIEW(service, "a", NULL, "10.0.0.1:80,[fd00::1]:80");
    EXPECT_VIEW(service, "b", NULL, "10.0.0.2:80,[fd00::1]:80,[fd00::2]:80,[fd00::3]:80");
    EXPECT_VIEW(service, "c", NULL, "10.0.0.1:80,10.0.0.2:80,[fd00::2]:80,[fd00::3]:80");
    service_unref(service);
}

/* Hints come first: of a pod in both families, one address may be out. */
Test(view, joins_what_hints_have_left)
{
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "=80"), SLICE_TEXT("4", "=80", "10.0.0.1#u1~a 10.0.0.2#u2~b"),
        SLICE_TEXT("6", "=80", "fd00::1#u1~a fd00::2#u2~a", .family = FAMILY_IPV6));

    EXPECT_VIEW(service, "a", NULL, "10.0.0.1:80+[fd00::1]:80,[fd00::2]:80");
    EXPECT_VIEW(service, NULL, NULL, "10.0.0.1:80+[fd00::1]:80,10.0.0.2:80+[fd00::2]:80");
    service_unref(service);
}

/* ---- internalTrafficPolicy: Local ---- */

Test(view, local_is_what_the_node_has)
{
    const struct service *service =
        local_of_endpoints("10.0.0.1%n1 10.0.0.2%n2 10.0.0.3%n1 10.0.0.4 10.0.0.5%n1/d");

    cr_assert(port_of(service, 80)->by_place);
    EXPECT_VIEW(service, "a", "n1", "10.0.0.1:80,10.0.0.3:80");
    EXPECT_VIEW(service, "a", "n2", "10.0.0.2:80");
    EXPECT_VIEW(service, "a", "n3", "");
    service_unref(service);
}

Test(view, local_falls_back_to_what_serves_on_the_node_while_terminating)
{
    const struct service *service =
        local_of_endpoints("10.0.0.1%n1/d 10.0.0.2%n2 10.0.0.3%n1/t 10.0.0.4%n1/n 10.0.0.5%n3/n");

    EXPECT_VIEW(service, NULL, "n1", "10.0.0.1:80");
    EXPECT_VIEW(service, NULL, "n3", "");
    service_unref(service);
}

Test(view, local_of_an_unknown_node_is_all_and_blind)
{
    const struct service *service = local_of_endpoints("10.0.0.1%n1 10.0.0.2%n2");
    const struct service *other = of_endpoints("10.0.0.1%n1");
    struct place nowhere = {0};
    struct place node = {.node = STR("n1")};

    EXPECT_VIEW(service, "a", NULL, "10.0.0.1:80,10.0.0.2:80");
    cr_assert(view_is_blind(port_of(service, 80), &nowhere));
    cr_assert_not(view_is_blind(port_of(service, 80), &node));
    cr_assert_not(view_is_blind(port_of(other, 80), &nowhere));
    service_unref(service);
    service_unref(other);
}

Test(view, local_does_not_look_at_hints)
{
    const struct service *service = local_of_endpoints("10.0.0.1%n1~a^n2 10.0.0.2%n2~b^n1");

    EXPECT_VIEW(service, "b", "n1", "10.0.0.1:80");
    service_unref(service);
}

Test(view, local_without_anything_to_list_is_the_same_everywhere)
{
    const struct service *service = local_of_endpoints("10.0.0.1%n1/n 10.0.0.2%n2/t");

    cr_assert_not(port_of(service, 80)->by_place);
    EXPECT_VIEW(service, NULL, "n1", "");
    service_unref(service);
}

/* A thousand nodes without an endpoint cost one list. */
Test(view, local_is_one_for_all_nodes_without_endpoints)
{
    const struct service *service = local_of_endpoints("10.0.0.1%n1 10.0.0.2%n2/n 10.0.0.3%");
    struct view one = view_at(service, "a", "n2");
    struct view two = view_at(service, "b", "n3");
    struct view full = view_at(service, "b", "n1");

    cr_assert(view_equal(&one, &two));
    cr_assert_not(view_equal(&one, &full));
    EXPECT_VIEW(service, NULL, "n2", "");
    service_unref(service);
}

Test(view, of_hundreds_of_nodes_is_found_for_each)
{
    CLEANUP(buf_done) struct buf text = BUFFER_INIT(64 * 1024);
    const struct service *service;
    char node[16];

    for (unsigned i = 0; i < 400; i++)
        buf_printf(&text, "10.0.%u.%u^n%u ", i / 200, 1 + i % 200, i);
    service = of_endpoints(buf_cstr(&text));
    for (unsigned i = 0; i < 800; i++) {
        snprintf(node, sizeof(node), "n%u", i);
        cr_assert_eq(view_at(service, "a", node).ipv4, i < 400 ? VIEW_NODE : VIEW_ALL, "%s", node);
    }
    service_unref(service);
}

/* ---- values ---- */

Test(view, is_equal_by_kinds_and_by_what_of_the_place_matters)
{
    const struct view base = {VIEW_ZONE, VIEW_NODE, STR_INIT("a"), STR_INIT("n"), 0};
    const struct view others[] = {
        {VIEW_ALL, VIEW_NODE, STR_INIT("a"), STR_INIT("n"), 0},
        {VIEW_ZONE, VIEW_ALL, STR_INIT("a"), STR_INIT("n"), 0},
        {VIEW_ZONE, VIEW_NODE, STR_INIT("b"), STR_INIT("n"), 0},
        {VIEW_ZONE, VIEW_NODE, STR_INIT("a"), STR_INIT("m"), 0},
    };

    cr_assert(view_equal(&base, &base));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        cr_assert_not(view_equal(&base, &others[i]), "case %zu", i);
}

Test(view, has_a_name_for_every_kind)
{
    cr_assert_str_eq(view_kind_name(VIEW_ALL), "all");
    cr_assert_str_eq(view_kind_name(VIEW_ZONE), "zone");
    cr_assert_str_eq(view_kind_name(VIEW_NODE), "node");
    cr_assert_str_eq(view_kind_name(VIEW_LOCAL), "local");
    cr_assert_str_eq(view_kind_name(VIEW_NEAR_ZONE), "near-zone");
    cr_assert_str_eq(view_kind_name(VIEW_NEAR_NODE), "near-node");
}

/* Many clients ask: nothing is copied, nothing is made. */
Test(view, of_all_is_the_ports_own_list)
{
    const struct service *service = of_endpoints("10.0.0.1~a 10.0.0.2~b");
    struct view view = view_at(service, NULL, NULL);
    struct backend_list list;
    struct arena arena = {0};

    view_list(port_of(service, 80), &view, &arena, &list);
    cr_assert_eq(list.items, port_of(service, 80)->list.items);
    cr_assert_null(arena.blocks);
    service_unref(service);
}
