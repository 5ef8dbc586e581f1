/* Lists that protection keeps, and what goes on changing in them. */
#include "fixture.h"

#define STOPPED(address)                                                                           \
    "{'addresses':['" address "'],'conditions':{'ready':false,'serving':false,'terminating':true}}"
#define P1 "10.0.0.1:9001"
#define P2 "10.0.0.2:9001"
#define P3 "10.0.0.3:9001"
#define P4 "10.0.0.4:9001"
#define P5 "10.0.0.5:9001"
#define FOUR "8001: " P1 "," P2 "," P3 "," P4

static void start(const char *policy)
{
    world_start();
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.policies,
           "{'metadata':{'namespace':'shop','name':'greeter','uid':'u','generation':1},'spec':%s}",
           policy);
}

static void start_protected(void)
{
    start("{'protection':{'minimumPercent':80}}");
    upsert(world.slices, SLICE_JSON("a", "greeter", 1,
                                    READY("10.0.0.1") "," READY("10.0.0.2") "," READY(
                                        "10.0.0.3") "," READY("10.0.0.4")));
    turn_until_published("greeter", FOUR);
}

TestSuite(protection, .init = start_protected, .fini = world_stop);

/* So it is now, and for the reason that is told. */
static void expect(const char *list)
{
    turn_for_ms(50);
    cr_assert_str_eq(published("greeter"), list);
    cr_assert_str_eq(hold_of("greeter"), "protection");
}

static void lose_two(void)
{
    upsert(world.slices, SLICE_JSON("a", "greeter", 2,
                                    NOT_READY("10.0.0.1") "," NOT_READY("10.0.0.2") "," READY(
                                        "10.0.0.3") "," READY("10.0.0.4")));
    expect(FOUR);
}

Test(protection, lists_what_is_new_at_once)
{
    lose_two();
    upsert(world.slices,
           SLICE_JSON("a", "greeter", 3, READY("10.0.0.4") "," READY("10.0.0.5")));
    expect(FOUR "," P5);
    turn_for_ms(31000);
    cr_assert_str_eq(published("greeter"), "8001: " P4 "," P5);
}

Test(protection, does_not_wait_with_it_for_slices_to_settle)
{
    turn_for_ms(50);
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, READY("10.0.0.4") "," READY("10.0.0.5")));
    turn();
    cr_assert_str_eq(published("greeter"), FOUR "," P5);
}

Test(protection, lets_go_what_shuts_down)
{
    lose_two();
    upsert(world.slices,
           SLICE_JSON("a", "greeter", 3, STOPPED("10.0.0.4") "," READY("10.0.0.5")));
    expect("8001: " P1 "," P2 "," P3 "," P5);
    upsert(world.slices, SLICE_JSON("a", "greeter", 4, READY("10.0.0.5")));
    expect("8001: " P1 "," P2 "," P3 "," P5);
}

/* It was not listed when the hold began. */
Test(protection, does_not_keep_what_came_later)
{
    lose_two();
    upsert(world.slices, SLICE_JSON("a", "greeter", 3, READY("10.0.0.5")));
    expect(FOUR "," P5);
    upsert(world.slices, SLICE_JSON("a", "greeter", 4, NOT_READY("10.0.0.5")));
    expect(FOUR);
    upsert(world.slices, SLICE_JSON("a", "greeter", 5, READY("10.0.0.5")));
    expect(FOUR "," P5);
    upsert(world.slices, SLICE_JSON("a", "greeter", 6, ""));
    turn_for_ms(150);
    expect(FOUR);
}

/* What came later has left one slice before the other has it. */
Test(protection, waits_for_slices_to_settle_all_the_same)
{
    lose_two();
    upsert(world.slices, SLICE_JSON("a", "greeter", 3, READY("10.0.0.4") "," READY("10.0.0.5")));
    expect(FOUR "," P5);
    turn_for_ms(200);
    upsert(world.slices, SLICE_JSON("a", "greeter", 4, READY("10.0.0.4")));
    turn_for_ms(5);
    cr_assert_str_eq(published("greeter"), FOUR "," P5);
    turn_for_ms(20);
    cr_assert_str_eq(published("greeter"), FOUR);
}

Test(protection, ends_when_enough_of_what_was_listed_are_back)
{
    lose_two();
    upsert(world.slices, SLICE_JSON("a", "greeter", 3, READY("10.0.0.4") "," READY("10.0.0.5")));
    expect(FOUR "," P5);
    upsert(world.slices,
           SLICE_JSON("a", "greeter", 4,
                      READY("10.0.0.1") "," READY("10.0.0.4") "," READY("10.0.0.5") "," READY(
                          "10.0.0.6")));
    turn_until_published("greeter", "8001: " P1 "," P4 "," P5 ",10.0.0.6:9001");
}

/* What left in good order is not missed when its endpoint goes. */
Test(protection, counts_what_has_shut_down_for_good)
{
    lose_two();
    upsert(world.slices, SLICE_JSON("a", "greeter", 3,
                                    NOT_READY("10.0.0.1") "," NOT_READY("10.0.0.2") "," READY(
                                        "10.0.0.3") "," STOPPED("10.0.0.4")));
    expect("8001: " P1 "," P2 "," P3);
    upsert(world.slices, SLICE_JSON("a", "greeter", 4,
                                    NOT_READY("10.0.0.1") "," NOT_READY("10.0.0.2") "," READY(
                                        "10.0.0.3")));
    expect("8001: " P1 "," P2 "," P3);
    upsert(world.slices, SLICE_JSON("a", "greeter", 5,
                                    READY("10.0.0.1") "," NOT_READY("10.0.0.2") "," READY(
                                        "10.0.0.3") "," READY("10.0.0.5")));
    turn_until_published("greeter", "8001: " P1 "," P3 "," P5);
}

static void start_unready(void)
{
    start("{'whenNoneReady':'All','protection':{'minimumPercent':50}}");
    upsert(world.slices, SLICE_JSON("a", "greeter", 1,
                                    NOT_READY("10.0.0.1") "," NOT_READY("10.0.0.2") "," NOT_READY(
                                        "10.0.0.3") "," NOT_READY("10.0.0.4")));
    turn_until_published("greeter", FOUR);
}

TestSuite(protection_of_unready, .init = start_unready, .fini = world_stop);

Test(protection_of_unready, is_over_once_somebody_is_ready)
{
    upsert(world.slices, SLICE_JSON("a", "greeter", 2,
                                    READY("10.0.0.1") "," NOT_READY("10.0.0.2") "," NOT_READY(
                                        "10.0.0.3") "," NOT_READY("10.0.0.4")));
    turn_for_ms(50);
    cr_assert_str_eq(published("greeter"), "8001: " P1);
    cr_assert_str_eq(hold_of("greeter"), "");
}

Test(protection_of_unready, keeps_them_while_nobody_is)
{
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, NOT_READY("10.0.0.1")));
    expect(FOUR);
    upsert(world.slices, SLICE_JSON("a", "greeter", 3, READY("10.0.0.1")));
    turn_for_ms(50);
    cr_assert_str_eq(published("greeter"), "8001: " P1);
}

/* Nothing vanished: the pods' own number is no port of the Service any more. */
Test(protection, is_not_for_a_number_that_the_service_withdraws)
{
    upsert(world.services, "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{"
                           "'clusterIP':'None','ports':[{'port':8001}]}}");
    turn_for_ms(50);
    cr_assert(strstr(published("greeter"), "9001: " P1), "%s", published("greeter"));
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn_for_ms(50);
    cr_assert_str_eq(hold_of("greeter"), "service-change");
    turn_for_ms(2500);
    cr_assert_str_eq(published("greeter"), FOUR);
    cr_assert_str_eq(hold_of("greeter"), "");
}
