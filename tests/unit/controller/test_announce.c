/* Backends that get calls for the first time are announced before that. */
#include "resource_world.h"

#include "base/buf.h"
#include "base/clock.h"
#include "controller/announce.h"
#include "controller/refusal.h"
#include "model/route.h"

static void start(void)
{
    resource_start();
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.services, SERVICE_JSON("canary", 8001));
    upsert(world.services, SERVICE_JSON("next", 8001));
    upsert(world.slices, SLICE_JSON("g", "greeter", 1, READY("10.0.0.1")));
    upsert(world.slices, SLICE_JSON("c", "canary", 1, READY("10.0.0.2")));
    upsert(world.slices, SLICE_JSON("n", "next", 1, READY("10.0.0.3")));
    turn_for_ms(20);
}

TestSuite(announce, .init = start, .fini = world_stop);

#define GREETER_90 "{'service':'greeter','weight':90}"
#define CANARY_10 "{'service':'canary','weight':10}"
#define NEXT_5 "{'service':'next','weight':5}"

static void apply(const char *backends)
{
    upsert(world.policies, POLICY_JSON("greeter", 1, "{'backends':[%s]}"), backends);
    turn_for_ms(20);
}

/* "greeter*90 canary*0" */
static const char *calls(void)
{
    static struct buf text = BUFFER_INIT(1024);
    const struct name_context context = {0};
    struct route route;
    struct name name;

    cr_assert_eq(name_parse(STR("greeter.shop:8001"), &context, &name, NULL), CODE_OK);
    route_find(&(struct sight){.catalog = world.published}, &name, &route);
    buf_reset(&text);
    for (size_t i = 0; i < route.len; i++)
        buf_printf(&text, "%s%" STR_FMT "*%u", i ? " " : "", STR_ARG(route.targets[i].service),
                   route.targets[i].weight);
    return buf_cstr(&text);
}

#define EXPECT(text) cr_expect_str_eq(calls(), text)

static uint64_t held(void)
{
    return counter_get(&controller_stats(world.controller)->held[HOLD_ANNOUNCE]);
}

Test(announce, a_new_backend_is_named_before_it_gets_calls)
{
    EXPECT("greeter*1");
    apply(GREETER_90 "," CANARY_10);
    EXPECT("greeter*1 canary*0");
    cr_expect_str_eq(hold_of("greeter"), "announce");
    cr_expect_eq(held(), 1);
    turn_for_ms(900);
    EXPECT("greeter*1 canary*0");
    turn_for_ms(200);
    EXPECT("greeter*90 canary*10");
    cr_expect_str_eq(hold_of("greeter"), "");
    cr_expect_eq(held(), 0);
}

Test(announce, of_what_is_known_a_weight_counts_at_once)
{
    apply(GREETER_90 "," CANARY_10);
    turn_for_ms(1100);
    apply("{'service':'greeter','weight':50},{'service':'canary','weight':50}");
    EXPECT("greeter*50 canary*50");
    apply("{'service':'greeter'},{'service':'canary','weight':0}");
    EXPECT("greeter*1 canary*0");
    apply(GREETER_90 "," CANARY_10);
    EXPECT("greeter*90 canary*10");
    cr_expect_eq(counter_get(&controller_stats(world.controller)->holds_begun[HOLD_ANNOUNCE]), 1);
}

Test(announce, what_gets_no_calls_needs_no_time)
{
    apply(GREETER_90 ",{'service':'canary','weight':0}");
    EXPECT("greeter*90 canary*0");
    cr_expect_str_eq(hold_of("greeter"), "");
    apply(GREETER_90 "," CANARY_10);
    EXPECT("greeter*90 canary*0");
    cr_expect_str_eq(hold_of("greeter"), "announce");
    turn_for_ms(1000);
    EXPECT("greeter*90 canary*10");
    cr_expect_eq(held(), 0);
}

Test(announce, one_that_gives_up_its_service_is_no_exception)
{
    apply(CANARY_10);
    EXPECT("greeter*1 canary*0");
    turn_for_ms(1100);
    EXPECT("canary*10");
    remove_object(world.policies, "greeter");
    turn_for_ms(20);
    EXPECT("canary*10 greeter*0");
    turn_for_ms(1100);
    EXPECT("greeter*1");
}

/* Nobody asked for half of it. */
Test(announce, a_policy_is_in_force_as_a_whole)
{
    upsert(world.policies,
           POLICY_JSON("greeter", 1,
                       "{'loadBalancing':{'policy':'LeastRequest'},'backends':[" CANARY_10 "]}"));
    turn_for_ms(20);
    EXPECT("greeter*1 canary*0");
    cr_expect_eq(policy_at("greeter")->lb, LB_ROUND_ROBIN);
    turn_for_ms(1000);
    EXPECT("canary*10");
    cr_expect_eq(policy_at("greeter")->lb, LB_LEAST_REQUEST);
}

Test(announce, another_one_meanwhile_begins_anew)
{
    apply(GREETER_90 "," CANARY_10);
    turn_for_ms(800);
    apply(GREETER_90 "," CANARY_10 "," NEXT_5);
    turn_for_ms(800);
    EXPECT("greeter*1 canary*0 next*0");
    turn_for_ms(300);
    EXPECT("greeter*90 canary*10 next*5");
}

/* Of names that change without end, none would ever get a call. */
Test(announce, has_a_bound)
{
    uint64_t began_us = clock_monotonic_us(), passed_us;

    for (int i = 0; i < 20 && (i == 0 || held() > 0); i++) {
        apply(i % 2 ? GREETER_90 "," CANARY_10 : GREETER_90 "," NEXT_5);
        turn_for_ms(600);
    }
    passed_us = clock_monotonic_us() - began_us;
    cr_expect_gt(passed_us, ANNOUNCE_MOST_US - ANNOUNCE_US);
    cr_expect_lt(passed_us, ANNOUNCE_MOST_US + ANNOUNCE_US);
}

Test(announce, what_is_taken_back_is_gone_at_once)
{
    apply(GREETER_90 "," CANARY_10);
    EXPECT("greeter*1 canary*0");
    apply(GREETER_90);
    EXPECT("greeter*90");
    cr_expect_eq(held(), 0);
}

Test(announce, is_ended_by_an_operator)
{
    apply(GREETER_90 "," CANARY_10);
    cr_expect(controller_release(world.controller, STR("shop"), STR("greeter")));
    turn_for_ms(20);
    EXPECT("greeter*90 canary*10");
    cr_expect_eq(held(), 0);
}

Test(announce, ends_with_the_service)
{
    apply(GREETER_90 "," CANARY_10);
    remove_object(world.services, "greeter");
    turn_for_ms(20);
    cr_expect_eq(held(), 0);
    EXPECT("greeter*1");
}

/* They keep what they have until the next policy is in force, and are tried again with that. */
Test(announce, spares_who_has_refused)
{
    upsert(world.policies, POLICY_JSON("greeter", 1, "{'loadBalancing':{'policy':'LeastRequest'}}"));
    turn_for_ms(20);
    for (int i = 0; i < 2; i++)
        controller_report_refusal(world.controller,
                                  &(struct refusal){.policy = policy_at("greeter"),
                                                    .agent = STR("gRPC Go 1.0"),
                                                    .peer = i ? STR("10.0.0.9") : STR("10.0.0.8"),
                                                    .message = STR("no")});
    turn_for_ms(20);
    cr_expect(policy_is_refused_by(policy_at("greeter"), STR("gRPC Go 1.0")));
    apply(CANARY_10);
    EXPECT("greeter*1 canary*0");
    cr_expect(policy_is_refused_by(policy_at("greeter"), STR("gRPC Go 1.0")));
    turn_for_ms(1000);
    EXPECT("canary*10");
    cr_expect_not(policy_is_refused_by(policy_at("greeter"), STR("gRPC Go 1.0")));
}
