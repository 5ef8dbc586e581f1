/* Lists that must not become empty for a moment. */
#include "fixture.h"

#define GRACE_MS 300

static void start_with_grace(void)
{
    world.deletion_grace_ms = GRACE_MS;
    world_start();
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    turn();
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
}

TestSuite(hold, .init = start_with_grace, .fini = world_stop);

static uint64_t held(enum hold hold)
{
    return counter_get(&controller_stats(world.controller)->held[hold]);
}

Test(hold, keeps_the_list_of_a_deleted_service_and_lets_it_go)
{
    uint64_t begin = loop_update_now(world.loop);

    remove_object(world.services, "greeter");
    remove_object(world.slices, "a");
    turn_until_hold("greeter", "deletion");
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    cr_assert_eq(held(HOLD_DELETION), 1);
    turn_until_published("greeter", "none");
    cr_assert_geq(loop_now_us(world.loop) - begin, GRACE_MS * 1000);
    cr_assert_eq(held(HOLD_DELETION), 0);
}

Test(hold, a_recreated_service_keeps_the_list_until_its_slices_follow)
{
    remove_object(world.services, "greeter");
    remove_object(world.slices, "a");
    turn_for_ms(50);
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn_for_ms(GRACE_MS + 50);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    cr_assert_eq(held(HOLD_SERVICE_CHANGE), 1);
    upsert(world.slices, SLICE_JSON("b", "greeter", 2, READY("10.0.0.2")));
    turn_until_published("greeter", "8001: 10.0.0.2:9001");
    cr_assert_eq(held(HOLD_SERVICE_CHANGE), 0);
}

Test(hold, does_not_keep_a_list_that_empties_by_itself)
{
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, NOT_READY("10.0.0.1")));
    turn_until_published("greeter", "8001:");
    cr_assert_eq(held(HOLD_SERVICE_CHANGE), 0);
}

Test(hold, a_renamed_port_keeps_the_list_until_the_slices_are_renamed)
{
    upsert(world.services, "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{'ports':[{'"
                           "name':'api','port':8001}]}}");
    turn_for_ms(50);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    upsert(world.slices, "{'metadata':{'namespace':'shop','name':'a','labels':{'kubernetes.io/"
                         "service-name':'greeter'}},"
                         "'addressType':'IPv4','ports':[{'name':'api','port':9001}],'endpoints':[{'"
                         "addresses':['10.0.0.9']}]}");
    turn_until_published("greeter", "8001: 10.0.0.9:9001");
}

/* ---- several ports ---- */

/* Ports 8001 and 8002 by the names that are given; a slice with both, one backend. */
static void put_two_ports(const char *first, const char *second)
{
    upsert(world.services,
           "{'metadata':{'namespace':'shop','name':'pair'},'spec':{'ports':["
           "{'name':'%s','port':8001},{'name':'%s','port':8002}]}}",
           first, second);
}

static void put_two_slice(const char *first, const char *second, int host)
{
    upsert(world.slices,
           "{'metadata':{'namespace':'shop','name':'p','labels':{'kubernetes.io/"
           "service-name':'pair'}},"
           "'addressType':'IPv4','ports':[{'name':'%s','port':9001},{'name':'%s','port':9002}],"
           "'endpoints':[{'addresses':['10.0.0.%d']}]}",
           first, second, host);
}

static void start_pair(void)
{
    put_two_ports("a", "b");
    put_two_slice("a", "b", 1);
    turn_until_published("pair", "8001: 10.0.0.1:9001; 8002: 10.0.0.1:9002");
}

Test(hold, of_one_port_lets_the_other_change_at_once)
{
    uint64_t begin;

    start_pair();
    turn_for_ms(15);
    put_two_ports("renamed", "b");
    turn();
    begin = loop_update_now(world.loop);
    cr_assert_str_eq(published("pair"), "8001: 10.0.0.1:9001; 8002: 10.0.0.1:9002");
    cr_assert_str_eq(controller_hold(world.controller, STR("shop"), STR("pair")), "service-change");
    put_two_slice("a", "b", 2);
    turn_until_published("pair", "8001: 10.0.0.1:9001; 8002: 10.0.0.2:9002");
    put_two_slice("a", "b", 3);
    turn_until_published("pair", "8001: 10.0.0.1:9001; 8002: 10.0.0.3:9002");
    cr_assert_lt(loop_now_us(world.loop) - begin, 1000 * 1000);
    put_two_slice("renamed", "b", 4);
    turn_until_published("pair", "8001: 10.0.0.4:9001; 8002: 10.0.0.4:9002");
    cr_assert_null(controller_hold(world.controller, STR("shop"), STR("pair")));
}

Test(hold, keeps_a_port_that_the_service_lost_and_shows_new_ones_at_once)
{
    const struct port_ref none = {.kind = PORT_NONE};
    const char *reason;

    upsert(world.services, SERVICE_JSON("greeter", 8002));
    turn_until_published("greeter", "8001: 10.0.0.1:9001; 8002: 10.0.0.1:9001");
    cr_assert_eq(service_find_port(published_service("greeter"), &none, &reason)->number, 8002);
    turn_until_published("greeter", "8002: 10.0.0.1:9001");
}

Test(hold, publishes_an_unchanged_carried_service_once)
{
    size_t publications;
    const struct service *service;

    start_pair();
    put_two_ports("renamed", "b");
    turn_for_ms(50);
    publications = world.publications;
    service = published_service("pair");
    upsert(world.slices, SLICE_JSON("unrelated", "pair", 1, READY("10.0.0.9")));
    turn_for_ms(50);
    cr_assert_eq(world.publications, publications);
    cr_assert_eq(published_service("pair"), service);
}

/* While what goes out is coalesced over a second. */
Test(hold, ends_in_time_whatever_else_changes)
{
    uint64_t begin;

    start_pair();
    turn_for_ms(15);
    put_two_ports("gone", "b");
    turn_for_ms(1500);
    put_two_slice("other", "b", 2);
    turn_until_published("pair", "8001: 10.0.0.1:9001; 8002: 10.0.0.2:9002");
    begin = loop_update_now(world.loop);
    world.fanout_us = 1000 * 1000;
    turn_for_ms(50);
    put_two_slice("other", "b", 3);
    turn_until_published("pair", "8001:; 8002: 10.0.0.3:9002");
    cr_assert_lt(loop_now_us(world.loop) - begin, 800 * 1000);
}

/* ---- selectors, bounds, names ---- */

#define SELECTING(selector)                                                                        \
    "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{'selector':" selector               \
    ",'ports':[{'port':8001}]}}"

Test(hold, begins_with_another_selector)
{
    upsert(world.services, SELECTING("{'app':'a','tier':'x'}"));
    turn_for_ms(50);
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, ""));
    turn_for_ms(50);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    cr_assert_str_eq(controller_hold(world.controller, STR("shop"), STR("greeter")),
                     "service-change");
    upsert(world.slices, SLICE_JSON("a", "greeter", 3, READY("10.0.0.2")));
    turn_until_published("greeter", "8001: 10.0.0.2:9001");
}

/* Changes every 100 ms, longer than any bound; returns for how long the list was kept. */
static uint64_t keep_changing(void (*change)(int round), const char *name, uint64_t for_ms)
{
    uint64_t begin = loop_update_now(world.loop);
    char before[128];

    snprintf(before, sizeof(before), "%s", published(name));
    for (int round = 0; loop_now_us(world.loop) - begin < for_ms * 1000; round++) {
        change(round);
        turn_for_ms(100);
        if (strcmp(published(name), before) != 0)
            break;
    }
    return (loop_now_us(world.loop) - begin) / 1000;
}

static void rename_port(int round)
{
    upsert(world.services,
           "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{'ports':[{'name':'n%d','port'"
           ":8001}]}}",
           round);
}

Test(hold, is_not_renewed_by_further_changes)
{
    uint64_t kept_ms = keep_changing(rename_port, "greeter", 4500);

    cr_assert_geq(kept_ms, 1900);
    cr_assert_leq(kept_ms, 3000);
    cr_assert_str_eq(published("greeter"), "8001:");
}

static void remove_or_create(int round)
{
    if (round % 2 == 0)
        remove_object(world.services, "greeter");
    else
        rename_port(round);
}

/* At most the grace, and 2 s from the first recreation. */
Test(hold, is_not_renewed_by_deleting_and_creating)
{
    cr_assert_leq(keep_changing(remove_or_create, "greeter", 4500), GRACE_MS + 3000);
}

Test(hold, is_told_by_name)
{
    cr_assert_null(controller_hold(world.controller, STR("shop"), STR("greeter")));
    cr_assert_null(controller_hold(world.controller, STR("shop"), STR("nobody")));
    remove_object(world.services, "greeter");
    turn_for_ms(50);
    cr_assert_str_eq(controller_hold(world.controller, STR("shop"), STR("greeter")), "deletion");
    turn_until_published("greeter", "none");
    cr_assert_null(controller_hold(world.controller, STR("shop"), STR("greeter")));
}

/* ---- what an ExternalName means is a list too ---- */

#define EXTERNAL                                                                                   \
    "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{'type':'ExternalName',"             \
    "'externalName':'example.com'}}"

static void make_external(void)
{
    upsert(world.services, EXTERNAL);
    turn_until_published("greeter", "");
    cr_assert_eq(published_service("greeter")->type, SERVICE_EXTERNAL_NAME);
}

/* The Cluster is another one at once; its clients go on with the backends until they have resolved the host name, and
 * the slices are gone before that. */
Test(hold, lets_an_external_name_take_over_at_once_and_keeps_the_backends_for_a_while)
{
    upsert(world.services, EXTERNAL);
    turn_until_hold("greeter", "service-change");
    cr_assert_eq(published_service("greeter")->type, SERVICE_EXTERNAL_NAME);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    remove_object(world.slices, "a");
    turn_for_ms(500);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    turn_until_published("greeter", "");
    cr_assert_eq(published_service("greeter")->type, SERVICE_EXTERNAL_NAME);
    cr_assert_null(controller_hold(world.controller, STR("shop"), STR("greeter")));
}

Test(hold, keeps_an_external_name_until_slices_follow)
{
    make_external();
    remove_object(world.slices, "a");
    turn_for_ms(20);
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn_until_hold("greeter", "service-change");
    cr_assert_eq(published_service("greeter")->type, SERVICE_EXTERNAL_NAME);
    cr_assert_eq(held(HOLD_SERVICE_CHANGE), 1);
    upsert(world.slices, SLICE_JSON("a", "greeter", 5, READY("10.0.0.2")));
    turn_until_published("greeter", "8001: 10.0.0.2:9001");
    cr_assert_eq(held(HOLD_SERVICE_CHANGE), 0);
}

/* Its port's list was kept all the while, and what it was for has not come. */
Test(hold, an_external_name_that_comes_back_with_another_port_keeps_the_list)
{
    upsert(world.services, "{'metadata':{'namespace':'shop','name':'greeter'},'spec':"
                           "{'type':'ExternalName','externalName':'example.com'}}");
    turn_until_hold("greeter", "service-change");
    upsert(world.services, SERVICE_JSON("greeter", 8002));
    turn_for_ms(50);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001; 8002: 10.0.0.1:9001");
    turn_until_published("greeter", "8002: 10.0.0.1:9001");
}

Test(hold, keeps_a_deleted_external_name)
{
    make_external();
    remove_object(world.services, "greeter");
    turn_for_ms(50);
    cr_assert_eq(published_service("greeter")->type, SERVICE_EXTERNAL_NAME);
    turn_until_published("greeter", "none");
}

/* ---- release ---- */

static bool release(const char *name)
{
    return controller_release(world.controller, STR("shop"), str_of(name));
}

Test(hold, is_released_at_once)
{
    remove_object(world.services, "greeter");
    turn_until_hold("greeter", "deletion");
    cr_assert(release("greeter"));
    turn();
    cr_assert_str_eq(published("greeter"), "none");
    cr_assert_eq(held(HOLD_DELETION), 0);
    cr_assert_not(release("greeter"));
}

Test(hold, that_is_not_in_force_cannot_be_released)
{
    cr_assert_not(release("greeter"));
    cr_assert_not(release("nobody"));
    turn_for_ms(20);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
}

Test(hold, may_begin_again_after_a_release)
{
    rename_port(1);
    turn_until_hold("greeter", "service-change");
    cr_assert(release("greeter"));
    turn_until_published("greeter", "8001:");
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
    rename_port(2);
    turn_until_hold("greeter", "service-change");
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    cr_assert_eq(counter_get(&controller_stats(world.controller)->holds_begun[HOLD_SERVICE_CHANGE]),
                 2);
}
