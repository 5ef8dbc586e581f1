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

static uint64_t held(const struct counter *gauge)
{
    return counter_get(gauge);
}

Test(hold, keeps_the_list_of_a_deleted_service_and_lets_it_go)
{
    uint64_t begin = loop_update_now(world.loop);

    remove_object(world.services, "greeter");
    remove_object(world.slices, "a");
    turn_for_ms(50);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    cr_assert_eq(held(&controller_stats(world.controller)->held_deletion), 1);
    turn_until_published("greeter", "none");
    cr_assert_geq(loop_now_us(world.loop) - begin, GRACE_MS * 1000);
    cr_assert_eq(held(&controller_stats(world.controller)->held_deletion), 0);
}

Test(hold, a_recreated_service_keeps_the_list_until_its_slices_follow)
{
    remove_object(world.services, "greeter");
    remove_object(world.slices, "a");
    turn_for_ms(50);
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn_for_ms(GRACE_MS + 50);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    cr_assert_eq(held(&controller_stats(world.controller)->held_service_change), 1);
    upsert(world.slices, SLICE_JSON("b", "greeter", 2, READY("10.0.0.2")));
    turn_until_published("greeter", "8001: 10.0.0.2:9001");
    cr_assert_eq(held(&controller_stats(world.controller)->held_service_change), 0);
}

Test(hold, does_not_keep_a_list_that_empties_by_itself)
{
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, NOT_READY("10.0.0.1")));
    turn_until_published("greeter", "8001:");
    cr_assert_eq(held(&controller_stats(world.controller)->held_service_change), 0);
}

Test(hold, a_renamed_port_keeps_the_list_until_the_slices_are_renamed)
{
    upsert(world.services, "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{'ports':[{'name':'api','port':8001}]}}");
    turn_for_ms(50);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    upsert(world.slices,
           "{'metadata':{'namespace':'shop','name':'a','labels':{'kubernetes.io/service-name':'greeter'}},"
           "'addressType':'IPv4','ports':[{'name':'api','port':9001}],'endpoints':[{'addresses':['10.0.0.9']}]}");
    turn_until_published("greeter", "8001: 10.0.0.9:9001");
}
