/* Lists under a policy, from objects to what is published and explained. */
#include "fixture.h"

#include "base/clock.h"
#include "controller/explain.h"

static struct json *answer;

static void start(void)
{
    world_start();
    upsert(world.services, SERVICE_JSON("greeter", 8001));
}

static void stop(void)
{
    json_free(TAKE(answer));
    world_stop();
}

TestSuite(list_policy, .init = start, .fini = stop, .timeout = 60);

/* ---- objects ---- */

#define IN_ZONE(address, zone) "{'addresses':['" address "'],'zone':'" zone "','nodeName':'n-" zone "'}"
#define DRAINING(address)                                                                          \
    "{'addresses':['" address                                                                      \
    "'],'conditions':{'ready':false,'serving':true,'terminating':true}}"

static void put(int version, const char *endpoints)
{
    upsert(world.slices, SLICE_JSON("s", "greeter", %d, "%s"), version, endpoints);
    turn_for_ms(50);
}

static void give_policy(const char *spec)
{
    upsert(world.policies, POLICY_JSON("greeter", 1, "%s"), spec);
}

/* ---- explaining ---- */

static void ask(const struct place *place)
{
    struct buf text = BUFFER_INIT(1 << 20);
    struct json_writer writer = json_writer(&text);
    const struct explain_query query = {.target = STR("greeter.shop:8001"),
                                        .cluster_domain = STR("cluster.local"),
                                        .place = *place};
    struct err err = {0};

    json_free(TAKE(answer));
    json_open_object(&writer, NULL);
    cr_assert_eq(controller_explain(world.controller, &query, &writer, &err), CODE_OK);
    json_close_object(&writer);
    cr_assert_eq(json_parse(buf_str(&text), &answer, &err), CODE_OK, "%s", err.msg);
    buf_done(&text);
}

/* Reasons and priorities in the order of the slice, and of what is kept: "ready behind/1 not-ready". Static memory. */
static const char *reasons(void)
{
    static struct buf text = BUFFER_INIT(4096);
    const struct json *slice = json_first(json_get(answer, "slices"));
    const struct json *lists[] = {json_get(slice, "endpoints"), json_get(answer, "kept")};

    buf_reset(&text);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (const struct json *one = json_first(lists[i]); one; one = json_next(one)) {
            buf_printf(&text, "%s%" STR_FMT, text.len ? " " : "",
                       STR_ARG(json_text(json_get(one, "reason"))));
            if (json_get(one, "priority"))
                buf_printf(&text, "/%.0f", json_number(json_get(one, "priority")));
        }
    }
    return text.len ? buf_cstr(&text) : "";
}

static void expect_reasons(struct place place, const char *wanted)
{
    ask(&place);
    cr_assert_str_eq(reasons(), wanted);
}

static bool says(const char *key, const char *part)
{
    struct str text = json_text(json_get(answer, key));

    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* ---- places ---- */

Test(list_policy, those_behind_are_told)
{
    const struct json *view;

    give_policy("{'locality':{'mode':'PreferZone'}}");
    put(1, IN_ZONE("10.0.0.1", "a") "," IN_ZONE("10.0.0.2", "b") "," IN_ZONE("10.0.0.3", "b"));
    expect_reasons((struct place){.zone = STR("b")}, "behind/1 ready ready");
    cr_assert(says("summary", "those in zone b first"));
    expect_reasons((struct place){0}, "ready ready ready");
    view = json_next(json_first(json_get(answer, "views")));
    cr_assert_eq(json_len(json_get(answer, "views")), 3);
    cr_assert(str_eq(json_text(json_get(view, "ipv4")), STR("near-zone")));
    cr_assert_eq(json_number(json_first(json_get(view, "priorities"))), 1);
    cr_assert_eq(json_number(json_next(json_first(json_get(view, "priorities")))), 2);
}

Test(list_policy, a_node_comes_first)
{
    give_policy("{'locality':{'mode':'PreferNode'}}");
    put(1, IN_ZONE("10.0.0.1", "a") "," IN_ZONE("10.0.0.2", "b"));
    expect_reasons((struct place){.node = STR("n-b")}, "behind/1 ready");
    cr_assert(says("summary", "those on node n-b first"));
}

/* ---- parts ---- */

Test(list_policy, what_a_part_leaves_out_is_told)
{
    unsigned has_first = 0;

    give_policy("{'subset':{'size':1}}");
    put(1, READY("10.0.0.1") "," READY("10.0.0.2") "," NOT_READY("10.0.0.3"));
    for (unsigned group = 1; group <= PLACE_GROUPS; group++) {
        ask(&(struct place){.group = group});
        cr_assert(strcmp(reasons(), "ready other-group not-ready") == 0 ||
                  strcmp(reasons(), "other-group ready not-ready") == 0, "%s", reasons());
        has_first += reasons()[0] == 'r';
    }
    cr_assert_eq(has_first, PLACE_GROUPS / 2);
    expect_reasons((struct place){0}, "ready ready not-ready");
    cr_assert(says("summary", "of which each client gets a part"));
}

/* ---- none is ready ---- */

Test(list_policy, what_is_shown_when_none_is_ready_is_told)
{
    give_policy("{'whenNoneReady':'All'}");
    put(1, NOT_READY("10.0.0.1") "," DRAINING("10.0.0.2"));
    expect_reasons((struct place){0}, "unready draining");
    cr_assert(says("summary", "whenNoneReady is All"));
}

Test(list_policy, what_is_hidden_when_none_is_ready_is_told)
{
    give_policy("{'whenNoneReady':'Empty'}");
    put(1, NOT_READY("10.0.0.1") "," DRAINING("10.0.0.2"));
    expect_reasons((struct place){0}, "not-ready none-shown");
    cr_assert(says("summary", "the list is empty: none of its endpoints is ready"));
}

/* ---- protection ---- */

#define FOUR READY("10.0.0.1") "," READY("10.0.0.2") "," READY("10.0.0.3") "," READY("10.0.0.4")
#define FOUR_TEXT "8001: 10.0.0.1:9001,10.0.0.2:9001,10.0.0.3:9001,10.0.0.4:9001"
#define ONE READY("10.0.0.1") "," NOT_READY("10.0.0.2") "," NOT_READY("10.0.0.3")

static void protect(const char *window)
{
    upsert(world.policies,
           POLICY_JSON("greeter", 1, "{'protection':{'minimumPercent':50,'window':'%s'}}"), window);
    put(1, FOUR);
    cr_assert_str_eq(published("greeter"), FOUR_TEXT);
}

Test(list_policy, a_protected_list_stays_and_goes)
{
    uint64_t begin;

    protect("1s");
    begin = loop_update_now(world.loop);
    put(2, ONE);
    cr_assert_str_eq(published("greeter"), FOUR_TEXT);
    cr_assert_str_eq(hold_of("greeter"), "protection");
    cr_assert_eq(counter_get(&controller_stats(world.controller)->held[HOLD_PROTECTION]), 1);
    expect_reasons((struct place){0}, "ready protected protected protected");
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
    cr_assert_geq(loop_now_us(world.loop) - begin, 1000 * 1000);
    cr_assert_eq(counter_get(&controller_stats(world.controller)->held[HOLD_PROTECTION]), 0);
}

Test(list_policy, what_is_new_in_a_protected_list_is_told_by_its_condition)
{
    protect("60s");
    put(2, ONE);
    put(3, NOT_READY("10.0.0.1") "," READY("10.0.0.5") "," NOT_READY("10.0.0.6") "," DRAINING("10.0.0.7"));
    cr_assert_str_eq(published("greeter"), FOUR_TEXT ",10.0.0.5:9001");
    expect_reasons((struct place){0}, "protected ready not-ready terminating protected protected protected");
    cr_assert_str_eq(hold_of("greeter"), "protection");
}

Test(list_policy, a_protected_list_is_released)
{
    protect("60s");
    put(2, ONE);
    cr_assert_str_eq(published("greeter"), FOUR_TEXT);
    cr_assert(controller_release(world.controller, STR("shop"), STR("greeter")));
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
    turn_for_ms(50);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
}

Test(list_policy, a_protected_list_follows_what_comes_back)
{
    protect("60s");
    put(2, ONE);
    put(3, READY("10.0.0.1") "," READY("10.0.0.3"));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.3:9001");
    cr_assert_str_eq(hold_of("greeter"), "");
}
