/* Lists that lack too much to be believed. */
#include "fixture.h"

#include "base/log.h"

TestSuite(relist, .init = world_start, .fini = world_stop);

#define SECOND_LIST_MS KUBE_SINK_DOUBT_MS

/* Services s0, s1, ... with a slice of their name and one endpoint each. */
static void put(int count)
{
    for (int i = 0; i < count; i++) {
        upsert(world.services,
               "{'metadata':{'namespace':'shop','name':'s%d'},'spec':{'ports':[{'port':1}]}}", i);
        upsert(world.slices, SLICE_JSON("s%d", "s%d", 1, READY("10.0.0.%d")), i, i, i + 1);
    }
    turn();
}

/* A list with the first `count` of them, begun after that time. */
static bool list_slices(int count, uint64_t after_ms)
{
    list_begin_after(world.slices, after_ms);
    for (int i = 0; i < count; i++)
        list_object(world.slices, SLICE_JSON("s%d", "s%d", 1, READY("10.0.0.%d")), i, i, i + 1);
    return list_end(world.slices);
}

static bool list_services(int count, uint64_t after_ms)
{
    list_begin_after(world.services, after_ms);
    for (int i = 0; i < count; i++)
        list_object(world.services,
                    "{'metadata':{'namespace':'shop','name':'s%d'},'spec':{'ports':[{'port':1}]}}",
                    i);
    return list_end(world.services);
}

static uint64_t held(void)
{
    return counter_get(&controller_stats(world.controller)->held[HOLD_RELIST]);
}

Test(relist, believes_a_list_that_lacks_half)
{
    put(4);
    cr_assert(list_slices(2, 0));
    turn_until_published("s2", "1:");
    turn_until_published("s3", "1:");
    cr_assert_eq(held(), 0);
}

Test(relist, doubts_a_list_that_lacks_more_than_half)
{
    put(5);
    cr_assert_not(list_slices(2, 0));
    turn_for_ms(150);
    cr_assert_str_eq(published("s2"), "1: 10.0.0.3:9001");
    cr_assert_str_eq(hold_of("s2"), "relist");
    cr_assert_str_eq(hold_of("s1"), "");
    cr_assert_eq(held(), 3);
}

Test(relist, doubts_services_too)
{
    put(5);
    cr_assert_not(list_services(2, 0));
    turn_for_ms(20);
    cr_assert_str_eq(published("s4"), "1: 10.0.0.5:9001");
    cr_assert_str_eq(hold_of("s4"), "relist");
    cr_assert(list_services(2, SECOND_LIST_MS));
    turn_until_published("s4", "none");
    cr_assert_str_eq(published("s1"), "1: 10.0.0.2:9001");
    cr_assert_eq(held(), 0);
}

Test(relist, counts_endpoints_and_not_slices)
{
    put(3);
    upsert(world.slices, SLICE_JSON("big", "s0", 1,
                                    READY("10.0.1.1") "," READY("10.0.1.2") "," READY("10.0.1.3")));
    cr_assert_not(list_slices(2, 0), "4 of 6 are gone");
    cr_assert_eq(held(), 2);
}

Test(relist, believes_a_second_list_that_is_late_enough)
{
    put(5);
    cr_assert_not(list_slices(2, 0));
    cr_assert_not(list_slices(2, SECOND_LIST_MS - 100), "too soon after the first");
    cr_assert_eq(held(), 3);
    cr_assert(list_slices(2, SECOND_LIST_MS));
    turn_until_published("s2", "1:");
    cr_assert_eq(held(), 0);
    cr_assert_str_eq(published("s1"), "1: 10.0.0.2:9001");
}

Test(relist, takes_at_once_what_a_doubted_list_adds_and_changes)
{
    put(5);
    list_begin(world.slices);
    list_object(world.slices, SLICE_JSON("s0", "s0", 9, READY("10.0.0.1") "," READY("10.0.9.9")));
    list_object(world.slices, SLICE_JSON("new", "s1", 9, READY("10.0.9.8")));
    cr_assert_not(list_end(world.slices));
    turn_until_published("s0", "1: 10.0.0.1:9001,10.0.9.9:9001");
    turn_until_published("s1", "1: 10.0.0.2:9001,10.0.9.8:9001");
}

Test(relist, no_longer_doubts_what_comes_back)
{
    put(5);
    cr_assert_not(list_slices(1, 0));
    cr_assert_eq(held(), 4);
    cr_assert_not(list_slices(4, SECOND_LIST_MS - 100));
    cr_assert_eq(held(), 1);
    upsert(world.slices, SLICE_JSON("s4", "s4", 1, READY("10.0.0.5")));
    cr_assert_eq(held(), 0, "by a watch");
    cr_assert(list_slices(4, SECOND_LIST_MS), "one of five is not too much");
    turn_until_published("s4", "1:");
}

Test(relist, believes_a_watch)
{
    put(5);
    cr_assert_not(list_slices(1, 0));
    remove_object(world.slices, "s3");
    turn_until_published("s3", "1:");
    cr_assert_str_eq(hold_of("s3"), "");
    cr_assert_eq(held(), 3);
    for (int i = 1; i < 5; i++) {
        char name[16];

        snprintf(name, sizeof(name), "s%d", i);
        remove_object(world.slices, name);
    }
    turn_until_published("s1", "1:");
    cr_assert_eq(held(), 0, "and never doubts one");
}

Test(relist, is_released_by_an_operator)
{
    put(5);
    cr_assert_not(list_slices(1, 0));
    cr_assert_not(list_services(1, 0));
    turn_for_ms(20);
    cr_assert(controller_release(world.controller, STR("shop"), STR("s3")));
    turn();
    cr_assert_str_eq(published("s3"), "none");
    cr_assert_eq(held(), 3);
    cr_assert_not(controller_release(world.controller, STR("shop"), STR("s3")));
}

/* A list that is streamed while objects go. */
Test(relist, does_not_doubt_what_a_watch_deletes_meanwhile)
{
    put(5);
    list_begin(world.slices);
    for (int i = 0; i < 5; i++)
        list_object(world.slices, SLICE_JSON("s%d", "s%d", 1, READY("10.0.0.%d")), i, i, i + 1);
    for (int i = 0; i < 4; i++) {
        char name[16];

        snprintf(name, sizeof(name), "s%d", i);
        remove_object(world.slices, name);
    }
    cr_assert(list_end(world.slices));
    turn_until_published("s3", "1:");
    cr_assert_eq(held(), 0);
}

/* All slices of a Service under new names, as when its controller made them anew while nobody
 * watched. */
Test(relist, believes_a_list_that_has_the_endpoints_in_other_slices)
{
    put(4);
    list_begin(world.slices);
    for (int i = 0; i < 4; i++)
        list_object(world.slices, SLICE_JSON("again-%d", "s%d", 9, READY("10.0.0.%d")), i, i,
                    i + 1);
    cr_assert(list_end(world.slices));
    turn_for_ms(30);
    cr_assert_str_eq(published("s3"), "1: 10.0.0.4:9001");
    cr_assert_eq(counter_get(&controller_stats(world.controller)->objects_slices), 4);
}

Test(relist, doubts_a_list_that_has_the_addresses_at_other_services)
{
    put(4);
    list_begin(world.slices);
    for (int i = 0; i < 4; i++)
        list_object(world.slices, SLICE_JSON("again-%d", "other-%d", 9, READY("10.0.0.%d")), i, i,
                    i + 1);
    cr_assert_not(list_end(world.slices));
}

Test(relist, does_not_forget_when_a_list_fails)
{
    put(5);
    cr_assert_not(list_slices(1, 0));
    list_begin_after(world.slices, SECOND_LIST_MS);
    list_object(world.slices, SLICE_JSON("s4", "s4", 1, READY("10.0.0.5")));
    list_abort(world.slices);
    cr_assert_eq(held(), 4);
    cr_assert_str_eq(published("s4"), "1: 10.0.0.5:9001");
}

Test(relist, a_second_list_that_lacks_everything_is_doubted_for_the_rest)
{
    put(5);
    cr_assert_not(list_slices(2, 0));
    cr_assert_not(list_slices(0, SECOND_LIST_MS));
    turn_until_published("s4", "1:");
    cr_assert_str_eq(published("s0"), "1: 10.0.0.1:9001");
    cr_assert_eq(held(), 2);
}

Test(relist, no_longer_doubts_what_comes_back_at_another_service)
{
    put(5);
    cr_assert_not(list_slices(1, 0));
    cr_assert_eq(held(), 4);
    list_begin_after(world.slices, SECOND_LIST_MS - 100);
    for (int i = 0; i < 5; i++)
        list_object(world.slices, SLICE_JSON("s%d", "s0", 9, READY("10.0.0.%d")), i, i + 1);
    cr_assert(list_end(world.slices));
    turn();
    cr_assert_eq(held(), 0);
    for (int i = 0; i < 5; i++) {
        char name[16];

        snprintf(name, sizeof(name), "s%d", i);
        cr_assert_str_neq(hold_of(name), "relist", "%s", name);
    }
}

Test(relist, a_release_takes_nothing_that_a_list_has_named_again)
{
    put(5);
    cr_assert_not(list_slices(1, 0));
    list_begin(world.slices);
    for (int i = 0; i < 5; i++)
        list_object(world.slices, SLICE_JSON("s%d", "s%d", 1, READY("10.0.0.%d")), i, i, i + 1);
    cr_assert(controller_release(world.controller, STR("shop"), STR("s4")));
    cr_assert(list_end(world.slices));
    turn_for_ms(150);
    cr_assert_str_eq(published("s4"), "1: 10.0.0.5:9001");
    cr_assert_eq(held(), 0);
}

/* ---- slices that are still there, with less in them ---- */

/* One Service with three endpoints in a slice. */
static void put_three(void)
{
    upsert(world.services,
           "{'metadata':{'namespace':'shop','name':'three'},'spec':{'ports':[{'port':1}]}}");
    upsert(world.slices, SLICE_JSON("t", "three", 1, READY("10.0.0.1") "," READY("10.0.0.2") ","
                                    READY("10.0.0.3")));
    turn();
}

static bool list_three(const char *endpoints, uint64_t after_ms)
{
    list_begin_after(world.slices, after_ms);
    list_object(world.slices, SLICE_JSON("t", "three", 9, "%s"), endpoints);
    return list_end(world.slices);
}

#define ALL_THREE "1: 10.0.0.1:9001,10.0.0.2:9001,10.0.0.3:9001"

Test(relist, doubts_slices_that_lost_most)
{
    put_three();
    cr_assert_not(list_three("", 0));
    turn_for_ms(150);
    cr_assert_str_eq(published("three"), ALL_THREE);
    cr_assert_str_eq(hold_of("three"), "relist");
    cr_assert_not(list_three("", SECOND_LIST_MS - 200), "too soon after the first");
    cr_assert_str_eq(published("three"), ALL_THREE);
    cr_assert(list_three("", SECOND_LIST_MS));
    turn_until_published("three", "1:");
    cr_assert_eq(held(), 0);
}

Test(relist, believes_slices_whose_endpoints_were_all_replaced)
{
    put_three();
    list_three(READY("10.0.1.1") "," READY("10.0.1.2") "," READY("10.0.1.3"), 0);
    turn_until_published("three", "1: 10.0.1.1:9001,10.0.1.2:9001,10.0.1.3:9001");
    cr_assert_eq(held(), 0);
}

Test(relist, no_longer_doubts_slices_that_have_all_again)
{
    put_three();
    cr_assert_not(list_three(READY("10.0.0.1"), 0));
    cr_assert(list_three(READY("10.0.0.1") "," READY("10.0.0.2") "," READY("10.0.0.3"), 100));
    turn_for_ms(20);
    cr_assert_str_eq(published("three"), ALL_THREE);
    cr_assert_eq(held(), 0);
}

Test(relist, believes_what_a_watch_says_of_a_doubted_slice)
{
    put_three();
    cr_assert_not(list_three(READY("10.0.0.1"), 0));
    upsert(world.slices, SLICE_JSON("t", "three", 10, READY("10.0.0.2")));
    turn_until_published("three", "1: 10.0.0.2:9001");
    cr_assert_eq(held(), 0);
    cr_assert(list_three(READY("10.0.0.2"), SECOND_LIST_MS));
}

Test(relist, a_doubted_slice_that_is_released_has_what_the_list_said)
{
    put_three();
    cr_assert_not(list_three(READY("10.0.0.3"), 0));
    turn_for_ms(20);
    list_begin(world.slices);
    list_abort(world.slices);
    cr_assert(controller_release(world.controller, STR("shop"), STR("three")));
    turn();
    cr_assert_str_eq(published("three"), "1: 10.0.0.3:9001");
    cr_assert_eq(held(), 0);
}

Test(relist, says_so)
{
    struct hold_info info;
    const char *log;

    log_capture();
    put(3);
    cr_assert_not(list_slices(1, 0));
    cr_assert(controller_hold_info(world.controller, STR("shop"), STR("s1"), &info));
    cr_assert_eq(info.hold, HOLD_RELIST);
    cr_assert_eq(info.doubted, 1);
    cr_assert_eq(info.until_us, 0);
    cr_assert_eq(info.since_us, loop_now_us(world.loop));
    cr_assert(list_slices(1, SECOND_LIST_MS));
    log = log_taken();
    cr_assert_eq(log_count(log, "a list lacks more than half"), 1, "%s", log);
    cr_assert_eq(log_count(log, "kind=EndpointSlice source=endpointslices lacking=2 of=3"), 1, "%s",
                 log);
    cr_assert_eq(log_count(log, "a further list leaves no doubt"), 1, "%s", log);
}

Test(relist, never_doubts_nodes)
{
    struct controller_scope *nodes = controller_scope_new(world.controller, OBJECT_NODE, "nodes");

    upsert(nodes, "{'metadata':{'name':'n1','labels':{'topology.kubernetes.io/zone':'z1'}}}");
    upsert(nodes, "{'metadata':{'name':'n2'}}");
    turn();
    cr_assert(str_eq(catalog_node_zone(world.published, STR("n1")), STR("z1")));
    cr_assert_eq(catalog_node_zone(world.published, STR("n2")).len, 0);
    list_begin(nodes);
    cr_assert(list_end(nodes));
    cr_assert_eq(counter_get(&controller_stats(world.controller)->objects_nodes), 0);
    turn();
    cr_assert_eq(catalog_node_zone(world.published, STR("n1")).len, 0);
    controller_scope_free(nodes);
}
