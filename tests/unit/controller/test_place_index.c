/* Where an address is, by what all slices say of it. */
#include "fixture.h"

#include <arpa/inet.h>

TestSuite(place_index, .init = world_start, .fini = world_stop);

/* "node/zone"; "": unknown. Static memory. */
static const char *place_of(const char *address)
{
    static char text[256];
    bool ipv6 = strchr(address, ':') != NULL;
    unsigned char bytes[16] = {0};
    struct place place;

    cr_assert_eq(inet_pton(ipv6 ? AF_INET6 : AF_INET, address, bytes), 1);
    if (!controller_place_of(world.controller, ipv6 ? FAMILY_IPV6 : FAMILY_IPV4, bytes, &place))
        return "";
    snprintf(text, sizeof(text), "%" STR_FMT "/%" STR_FMT, STR_ARG(place.node),
             STR_ARG(place.zone));
    return text;
}

#define AT(address, node, zone)                                                                    \
    "{'addresses':['" address "'],'nodeName':'" node "','zone':'" zone "'}"

Test(place_index, knows_endpoints_of_any_slice_in_any_condition)
{
    upsert(world.slices, SLICE_JSON("a", "no-service", 1,
                                    "{'addresses':['10.0.0.1'],'nodeName':'n1','zone':'z1',"
                                    "'conditions':{'ready':false}}"));
    upsert(world.slices,
           "{'metadata':{'namespace':'shop','name':'s'},'addressType':'IPv6','endpoints':["
           "{'addresses':['fd00::1'],'nodeName':'n6'}]}");
    cr_assert_str_eq(place_of("10.0.0.1"), "n1/z1");
    cr_assert_str_eq(place_of("fd00::1"), "n6/");
    cr_assert_str_eq(place_of("10.0.0.2"), "");
    cr_assert_str_eq(place_of("::a00:1"), "", "the same bytes are not the same address");
}

Test(place_index, follows_changes)
{
    upsert(world.slices,
           SLICE_JSON("a", "x", 1, AT("10.0.0.1", "n1", "z1") "," AT("10.0.0.2", "n2", "z1")));
    upsert(world.slices,
           SLICE_JSON("a", "x", 2, AT("10.0.0.3", "n3", "z1") "," AT("10.0.0.2", "n9", "z2")));
    cr_assert_str_eq(place_of("10.0.0.1"), "");
    cr_assert_str_eq(place_of("10.0.0.2"), "n9/z2");
    cr_assert_str_eq(place_of("10.0.0.3"), "n3/z1");
    upsert(world.slices, SLICE_JSON("a", "other", 3, AT("10.0.0.2", "n2", "z2")));
    cr_assert_str_eq(place_of("10.0.0.2"), "n2/z2");
    remove_object(world.slices, "a");
    cr_assert_str_eq(place_of("10.0.0.2"), "");
}

Test(place_index, takes_of_each_what_the_newest_says)
{
    upsert(world.slices, SLICE_JSON("a", "x", 5, AT("10.0.0.1", "n1", "")));
    upsert(world.slices, SLICE_JSON("b", "y", 7, AT("10.0.0.1", "", "z2")));
    upsert(world.slices, SLICE_JSON("c", "z", 3, AT("10.0.0.1", "n3", "z3")));
    cr_assert_str_eq(place_of("10.0.0.1"), "n1/z2");
    upsert(world.slices, SLICE_JSON("c", "z", 8, AT("10.0.0.1", "n3", "z3")));
    cr_assert_str_eq(place_of("10.0.0.1"), "n3/z3");
    upsert(world.slices, SLICE_JSON("b", "y", 8, AT("10.0.0.1", "n2", "z2")));
    cr_assert_str_eq(place_of("10.0.0.1"), "n3/z3", "of equal versions, the later name");
    remove_object(world.slices, "c");
    cr_assert_str_eq(place_of("10.0.0.1"), "n2/z2");
    remove_object(world.slices, "b");
    cr_assert_str_eq(place_of("10.0.0.1"), "n1/");
    remove_object(world.slices, "a");
    cr_assert_str_eq(place_of("10.0.0.1"), "");
}

Test(place_index, bears_twins_in_one_slice_and_many_slices)
{
    for (int i = 0; i < 20; i++)
        upsert(world.slices,
               "{'metadata':{'namespace':'shop','name':'s%d','resourceVersion':'%d'},"
               "'addressType':'IPv4','endpoints':[" AT("10.0.0.9", "a%d",
                                                       "z") "," AT("10.0.0.9", "b%d", "z") "]}",
               i, i, i, i);
    cr_assert_str_eq(place_of("10.0.0.9"), "a19/z");
    for (int i = 19; i > 0; i--) {
        char name[16], wanted[16];

        snprintf(name, sizeof(name), "s%d", i);
        snprintf(wanted, sizeof(wanted), "a%d/z", i - 1);
        remove_object(world.slices, name);
        cr_assert_str_eq(place_of("10.0.0.9"), wanted);
    }
}

Test(place_index, knows_both_families_of_an_endpoints_object)
{
    struct controller_scope *endpoints =
        controller_scope_new(world.controller, OBJECT_ENDPOINTS, "endpoints");

    upsert(endpoints, "{'metadata':{'namespace':'shop','name':'g'},'subsets':[{'addresses':["
                      "{'ip':'10.0.0.5','nodeName':'n1'},{'ip':'fd00::5','nodeName':'n2'},"
                      "{'ip':'10.0.0.4','nodeName':'n3'}]}]}");
    cr_assert_str_eq(place_of("10.0.0.5"), "n1/");
    cr_assert_str_eq(place_of("fd00::5"), "n2/");
    cr_assert_str_eq(place_of("10.0.0.4"), "n3/");
    controller_scope_free(endpoints);
    cr_assert_str_eq(place_of("10.0.0.5"), "");
}
