/* Endpoints on their way from one slice to another. */
#include "fixture.h"

static void start(void)
{
    world_start();
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1") "," READY("10.0.0.2")));
    upsert(world.slices, SLICE_JSON("b", "greeter", 1, READY("10.0.0.3")));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.2:9001,10.0.0.3:9001");
    turn_for_ms(15); /* its window passes */
}

TestSuite(settle, .init = start, .fini = world_stop);

static void put_slice(const char *name, int version, const char *endpoints)
{
    /* clang-format off */ /* takes the % for a sign */
    upsert(world.slices, SLICE_JSON("%s", "greeter", %d, "%s"), name, version, endpoints);
    /* clang-format on */
}

/* One half of a move, and the other just in time. `part` is to be published all the time. */
static void move(void (*first)(void), void (*second)(void), const char *hold, const char *part)
{
    turn_for_ms(15);
    world.watched = "greeter";
    world.part = part;
    first();
    turn_for_ms(HOLD_SETTLE_US / 1000 - 1);
    cr_assert_str_eq(hold_of("greeter"), hold);
    second();
    turn_for_ms(30);
    cr_assert_eq(world.missed, 0);
    cr_assert_str_eq(hold_of("greeter"), "");
}

static void remove_from_a(void)
{
    put_slice("a", 2, READY("10.0.0.1"));
}

static void add_to_b(void)
{
    put_slice("b", 3, READY("10.0.0.3") "," READY("10.0.0.2"));
}

static void remove_a(void)
{
    remove_object(world.slices, "a");
}

static void add_c(void)
{
    put_slice("c", 2, READY("10.0.0.1") "," READY("10.0.0.2"));
}

Test(settle, hides_a_move_that_removes_first)
{
    move(remove_from_a, add_to_b, "settle", "10.0.0.2:9001");
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001,10.0.0.2:9001,10.0.0.3:9001");
}

Test(settle, needs_not_hide_a_move_that_adds_first)
{
    move(add_to_b, remove_from_a, "", "10.0.0.2:9001");
    cr_assert_eq(counter_get(&controller_stats(world.controller)->holds_begun[HOLD_SETTLE]), 0);
}

Test(settle, hides_a_slice_that_is_replaced)
{
    move(remove_a, add_c, "settle", "10.0.0.1:9001,10.0.0.2:9001");
}

Test(settle, lets_go_of_what_does_not_come_back)
{
    uint64_t begin = loop_update_now(world.loop);

    upsert(world.slices, SLICE_JSON("a", "greeter", 2, READY("10.0.0.1")));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.3:9001");
    cr_assert_geq(world.published_us - begin, HOLD_SETTLE_US);
    cr_assert_lt(world.published_us - begin, HOLD_SETTLE_EMPTY_US);
    cr_assert_str_eq(hold_of("greeter"), "");
}

Test(settle, keeps_a_last_list_for_longer)
{
    uint64_t begin = loop_update_now(world.loop);

    remove_object(world.slices, "a");
    remove_object(world.slices, "b");
    turn_until_published("greeter", "8001:");
    cr_assert_geq(world.published_us - begin, HOLD_SETTLE_EMPTY_US);
}

Test(settle, does_not_wait_for_what_was_terminating)
{
#define DRAINING(address)                                                                          \
    "{'addresses':['" address "'],'conditions':{'ready':false,'serving':true,'terminating':true}}"
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, DRAINING("10.0.0.1")));
    remove_object(world.slices, "b");
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
    turn_for_ms(15);
    remove_object(world.slices, "a");
    turn();
    cr_assert_str_eq(published("greeter"), "8001:");
}

Test(settle, does_not_wait_for_conditions)
{
    upsert(world.slices,
           SLICE_JSON("a", "greeter", 2, READY("10.0.0.1") "," NOT_READY("10.0.0.2")));
    turn();
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001,10.0.0.3:9001");
}

Test(settle, takes_a_move_to_not_ready_for_what_it_is)
{
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, READY("10.0.0.1")));
    upsert(world.slices,
           SLICE_JSON("b", "greeter", 3, READY("10.0.0.3") "," NOT_READY("10.0.0.2")));
    turn();
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001,10.0.0.3:9001");
}

/* ---- several ports ---- */

#define ONE_PORT_SLICE(name, port, number, endpoints)                                              \
    "{'metadata':{'namespace':'shop','name':'" name                                                \
    "','labels':{'kubernetes.io/service-name':'pair'}},"                                           \
    "'addressType':'IPv4','ports':[{'name':'" port "','port':" #number                             \
    "}],'endpoints':[" endpoints "]}"

Test(settle, holds_only_the_port_that_something_vanished_from)
{
    upsert(world.services, "{'metadata':{'namespace':'shop','name':'pair'},'spec':{'ports':["
                           "{'name':'a','port':1},{'name':'b','port':2}]}}");
    upsert(world.slices, ONE_PORT_SLICE("p", "a", 91, READY("10.0.0.1")));
    upsert(world.slices, ONE_PORT_SLICE("q", "b", 92, READY("10.0.0.1") "," READY("10.0.0.2")));
    turn_until_published("pair", "1: 10.0.0.1:91; 2: 10.0.0.1:92,10.0.0.2:92");
    turn_for_ms(15);
    upsert(world.slices, ONE_PORT_SLICE("q", "b", 92, READY("10.0.0.2")));
    upsert(world.slices, ONE_PORT_SLICE("p", "a", 91, READY("10.0.0.1") "," READY("10.0.0.3")));
    turn();
    cr_assert_str_eq(published("pair"), "1: 10.0.0.1:91,10.0.0.3:91; 2: 10.0.0.1:92,10.0.0.2:92");
    turn_until_published("pair", "1: 10.0.0.1:91,10.0.0.3:91; 2: 10.0.0.2:92");
}

/* A Service that is recreated has its slices made one by one. */
Test(settle, waits_for_the_other_slices_of_a_recreated_service)
{
    world_stop();
    world.deletion_grace_ms = 2000;
    start();
    remove_object(world.services, "greeter");
    remove_object(world.slices, "a");
    remove_object(world.slices, "b");
    turn_until_hold("greeter", "deletion");
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn_until_hold("greeter", "service-change");
    turn_for_ms(500);
    world.watched = "greeter";
    world.part = "10.0.0.1:9001,10.0.0.2:9001,10.0.0.3:9001";
    put_slice("b", 8, READY("10.0.0.3"));
    turn_for_ms(HOLD_SETTLE_US / 1000 - 1);
    cr_assert_str_eq(hold_of("greeter"), "settle");
    put_slice("a", 9, READY("10.0.0.1") "," READY("10.0.0.2"));
    turn_until_hold("greeter", "");
    cr_assert_eq(world.missed, 0);
}
