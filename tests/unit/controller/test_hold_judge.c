/* The rules of holds, with times that nobody has to wait for. */
#include "fixture.h"

#include "controller/value.h"
#include "model/service.h"

#define MS 1000

/* One value of what the text says. */
static struct value read_value(enum object_kind kind, const char *text)
{
    struct json *json = parse(text);
    struct object_meta meta;
    struct value value;
    struct err err = {0};

    cr_assert_eq(decode_meta(json, &meta, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(value_decode(kind, json, &meta, &value, &err), CODE_OK, "%s", err.msg);
    json_free(json);
    return value;
}

/* Of the Services that are made. */
static const struct policy *policy;

static void put_endpoint(struct buf *text, char digit, char state)
{
    static const char *const conditions[] = {
        ['n'] = "'ready':false",
        ['d'] = "'ready':false,'serving':true,'terminating':true",
        ['t'] = "'ready':false,'serving':false,'terminating':true",
    };
    bool stated = state && (size_t)state < ARRAY_LEN(conditions) && conditions[(size_t)state];

    buf_printf(text, "{'addresses':['10.0.0.%c'],'conditions':{%s}}", digit,
               stated ? conditions[(size_t)state] : "");
}

/* A Service with ports a=1 and b=2 whose backends are the addresses 10.0.0.<digit>, one slice for
 * each port. Behind a digit: n, not ready; d, draining; t, terminating. */
static const struct service *make(const char *a, const char *b)
{
    const char *const ports[] = {"a", "b"}, *const digits[] = {a, b};
    const struct slice *slices[2];
    struct value values[2];
    struct value service =
        read_value(OBJECT_SERVICE, "{'metadata':{'name':'s'},'spec':{'ports':["
                                   "{'name':'a','port':1},{'name':'b','port':2}]}}");
    const struct service *result;

    for (size_t i = 0; i < 2; i++) {
        struct buf text = BUFFER_INIT(4096);

        buf_printf(&text,
                   "{'metadata':{'name':'%s'},'addressType':'IPv4',"
                   "'ports':[{'name':'%s','port':9}],'endpoints':[",
                   ports[i], ports[i]);
        for (size_t k = 0; digits[i][k]; k++) {
            if (digits[i][k] > '9')
                continue;
            buf_printf(&text, "%s", k > 0 ? "," : "");
            put_endpoint(&text, digits[i][k], digits[i][k + 1]);
        }
        buf_printf(&text, "]}");
        values[i] = read_value(OBJECT_SLICE, buf_cstr(&text));
        slices[i] = values[i].slices[0];
        buf_done(&text);
    }
    service.service->spec.policy = policy;
    result = service_new(&service.service->spec, slices, 2, NULL);
    value_done(&values[0]);
    value_done(&values[1]);
    value_done(&service);
    return result;
}

/* Judges, and tells the ports that stay as "a", "b", "ab", "" or "whole". Consumes `after`. */
static const char *judge(struct hold_state *state, const struct service *before,
                         const struct service *after, const struct hold_input *input)
{
    static char text[8];
    struct hold_verdict verdict;
    size_t len = 0;

    hold_judge(state, before, after, input, &verdict);
    if (verdict.whole)
        len = (size_t)snprintf(text, sizeof(text), "whole");
    for (size_t i = 0; verdict.keep && i < before->ports_len; i++) {
        if (verdict.keep[i].stays)
            text[len++] = before->ports[i].name.ptr[0];
    }
    text[len] = '\0';
    cr_assert_eq(len > 0, verdict.hold != HOLD_NONE);
    service_unref(after);
    hold_verdict_done(&verdict);
    return text;
}

struct scene {
    const struct service *before;
    struct hold_state state;
};

/* What was published instead. */
static void publish(struct scene *scene, const char *a, const char *b)
{
    service_unref(scene->before);
    scene->before = make(a, b);
}

static struct hold_input at(uint64_t now_ms)
{
    return (struct hold_input){.touched_us = now_ms * MS, .now_us = now_ms * MS};
}

static void scene_done(struct scene *scene)
{
    service_unref(scene->before);
    hold_state_done(&scene->state);
}

static void expect(struct scene *scene, const char *a, const char *b, struct hold_input input,
                   const char *kept)
{
    const char *got = judge(&scene->state, scene->before, make(a, b), &input);

    cr_assert_str_eq(got, kept, "at %lu ms: '%s', not '%s'", input.now_us / MS, got, kept);
}

Test(hold_judge, keeps_a_port_for_ten_milliseconds)
{
    struct scene scene = {.before = make("12", "34")};

    expect(&scene, "12", "34", at(100), "");
    expect(&scene, "1", "34", at(100), "a");
    expect(&scene, "1", "34", at(109), "a");
    expect(&scene, "1", "34", at(110), "");
    scene_done(&scene);
}

Test(hold_judge, is_not_renewed_by_more_that_vanishes)
{
    struct scene scene = {.before = make("12345", "9")};

    expect(&scene, "1234", "9", at(100), "a");
    expect(&scene, "123", "9", at(106), "a");
    expect(&scene, "12", "9", at(110), "");
    scene_done(&scene);
}

Test(hold_judge, begins_anew_once_all_came_back)
{
    struct scene scene = {.before = make("12345", "9")};

    expect(&scene, "1234", "9", at(100), "a");
    expect(&scene, "12345", "9", at(105), "");
    expect(&scene, "1235", "9", at(108), "a");
    expect(&scene, "1235", "9", at(117), "a");
    expect(&scene, "1235", "9", at(118), "");
    scene_done(&scene);
}

Test(hold_judge, counts_for_every_port_by_itself)
{
    struct scene scene = {.before = make("12", "34")};

    expect(&scene, "1", "34", at(100), "a");
    expect(&scene, "1", "3", at(108), "ab");
    expect(&scene, "1", "3", at(110), "b");
    publish(&scene, "1", "34");
    expect(&scene, "1", "3", at(117), "b");
    expect(&scene, "1", "3", at(118), "");
    scene_done(&scene);
}

Test(hold_judge, counts_from_when_the_newest_change_came_in)
{
    struct scene scene = {.before = make("12", "34")};
    struct hold_input input = {.touched_us = 95 * MS, .now_us = 100 * MS};

    expect(&scene, "1", "34", input, "a");
    expect(&scene, "1", "34", at(105), "");
    input.now_us = 200 * MS;
    expect(&scene, "1", "34", input, "");
    scene_done(&scene);
}

Test(hold_judge, keeps_a_last_list_for_a_hundred)
{
    struct scene scene = {.before = make("12", "34")};

    expect(&scene, "1", "34", at(100), "a");
    expect(&scene, "", "34", at(105), "a");
    expect(&scene, "", "34", at(199), "a");
    expect(&scene, "", "34", at(200), "");
    scene_done(&scene);
}

Test(hold_judge, waits_for_the_rest_of_what_comes_back)
{
    struct scene scene = {.before = make("12", "34")};
    struct hold_input input = at(100);

    input.changed_us = 100 * MS;
    expect(&scene, "", "34", input, "a");
    input = at(900);
    input.changed_us = 100 * MS;
    expect(&scene, "", "34", input, "a");
    expect(&scene, "1", "34", at(1000), "a");
    expect(&scene, "1", "34", at(1009), "a");
    expect(&scene, "1", "34", at(1010), "");
    scene_done(&scene);
}

Test(hold_judge, of_some_and_of_all_ends_a_hundred_after_the_first)
{
    struct scene scene = {.before = make("12", "34")};

    for (uint64_t ms = 100; ms < 110; ms += 2) {
        expect(&scene, "1", "34", at(ms), "a");
        expect(&scene, "", "34", at(ms + 1), "a");
    }
    expect(&scene, "", "34", at(199), "a");
    expect(&scene, "", "34", at(200), "");
    scene_done(&scene);
}

Test(hold_judge, ends_a_long_one_when_something_is_there_again)
{
    struct scene scene = {.before = make("12", "34")};

    expect(&scene, "", "34", at(100), "a");
    expect(&scene, "17", "34", at(150), "a");
    expect(&scene, "127", "34", at(155), "");
    scene_done(&scene);
}

Test(hold_judge, tells_bounds)
{
    const struct service *before = make("12", "34"), *after = make("1", "");
    struct hold_state state = {0};
    struct hold_verdict verdict;
    struct hold_input input = at(100);

    input.changed_us = 50 * MS;
    hold_judge(&state, before, after, &input, &verdict);
    cr_assert_eq(verdict.hold, HOLD_SERVICE_CHANGE);
    cr_assert_eq(verdict.since_us, 50 * MS);
    cr_assert_eq(verdict.until_us, 2050 * MS);
    cr_assert_eq(verdict.next_us, 110 * MS);
    cr_assert(verdict.saves);
    hold_verdict_done(&verdict);
    hold_state_done(&state);
    service_unref(before);
    service_unref(after);
}

Test(hold_judge, a_service_change_is_not_renewed_but_counts_for_every_port)
{
    struct scene scene = {.before = make("1", "2")};
    struct hold_input input = at(1000);

    input.changed_us = 1000 * MS;
    expect(&scene, "", "2", input, "a");
    input = at(2500);
    input.changed_us = 2500 * MS;
    expect(&scene, "", "", input, "ab");
    input = at(3000);
    input.changed_us = 2500 * MS;
    expect(&scene, "", "", input, "b");
    publish(&scene, "", "2");
    input = at(4500);
    input.changed_us = 2500 * MS;
    expect(&scene, "", "", input, "");
    scene_done(&scene);
}

/* Slices may be heard of before their Service: a change of long ago did not use up the hold of the next. */
Test(hold_judge, a_service_change_of_long_ago_is_none_of_the_next_one)
{
    struct scene scene = {.before = make("1", "2")};
    struct hold_input input = at(100000);

    input.changed_us = 1000 * MS;
    expect(&scene, "", "2", input, "a");
    input = at(100050);
    input.changed_us = 100050 * MS;
    expect(&scene, "", "2", input, "a");
    input.now_us = 102049 * MS;
    expect(&scene, "", "2", input, "a");
    input.now_us = 102050 * MS;
    expect(&scene, "", "2", input, "");
    scene_done(&scene);
}

Test(hold_judge, keeps_all_of_a_deleted_service)
{
    struct scene scene = {.before = make("1", "")};
    struct hold_input input = at(1000);

    input.changed_us = 1000 * MS;
    input.deletion_grace_us = 5000 * MS;
    cr_assert_str_eq(judge(&scene.state, scene.before, NULL, &input), "whole");
    input.now_us = 5999 * MS;
    cr_assert_str_eq(judge(&scene.state, scene.before, NULL, &input), "whole");
    input.now_us = 6000 * MS;
    cr_assert_str_eq(judge(&scene.state, scene.before, NULL, &input), "");
    scene_done(&scene);
}

Test(hold_judge, has_nothing_to_keep_of_a_deleted_service_without_backends)
{
    struct scene scene = {.before = make("", "")};
    struct hold_input input = at(1000);

    input.changed_us = 1000 * MS;
    input.deletion_grace_us = 5000 * MS;
    cr_assert_str_eq(judge(&scene.state, scene.before, NULL, &input), "");
    scene_done(&scene);
}

/* ---- protection ---- */

/* Keeps lists of which less than that would be left, for 30 s. */
static void protect(uint32_t percent, enum none_ready none_ready)
{
    struct policy fields = *policy_default();

    fields.protection_percent = percent;
    fields.protection_us = 30 * 1000 * MS;
    fields.none_ready = none_ready;
    policy = policy_new(&fields);
}

static void unprotect(void)
{
    policy_unref(policy);
    policy = NULL;
}

TestSuite(hold_protection, .fini = unprotect);

/* What would be published of port a, of those before, is kept for 30 s or not at all (but for the 100 ms of settling). */
static void expect_protected(const char *before, const char *after, bool expected)
{
    struct scene scene = {.before = make(before, "9")};

    (void)judge(&scene.state, scene.before, make(after, "9"), &(struct hold_input){
        .touched_us = 100 * MS, .now_us = 100 * MS});
    expect(&scene, after, "9", (struct hold_input){.touched_us = 100 * MS, .now_us = 300 * MS},
           expected ? "a" : "");
    expect(&scene, after, "9", (struct hold_input){.touched_us = 100 * MS, .now_us = 30099 * MS},
           expected ? "a" : "");
    expect(&scene, after, "9", (struct hold_input){.touched_us = 100 * MS, .now_us = 30100 * MS},
           "");
    scene_done(&scene);
}

Test(hold_protection, keeps_a_list_of_which_too_little_would_be_left)
{
    protect(50, NONE_READY_SERVING_TERMINATING);
    expect_protected("1234", "12", false);
    expect_protected("1234", "1", true);
    expect_protected("1234", "", true);
    expect_protected("1234", "12n3n4n", true);
    expect_protected("1234", "1n2n3n4n", true);
    expect_protected("1234", "123n4n", false);
}

Test(hold_protection, minds_not_what_shuts_down_in_good_order)
{
    protect(50, NONE_READY_SERVING_TERMINATING);
    expect_protected("1234", "12d3d4d", false);
    expect_protected("1234", "12t3t4t", false);
    expect_protected("1234", "12d3n4n", false);
    expect_protected("1234", "2d3n4n", true);
    expect_protected("1d2d3d4d", "1d", false);
}

Test(hold_protection, counts_those_that_shut_down_and_are_listed_once)
{
    protect(50, NONE_READY_SERVING_TERMINATING);
    expect_protected("1234", "1d2n3n4n", true);
    unprotect();
    protect(50, NONE_READY_EMPTY);
    expect_protected("1234", "1d2d3n4n", false);
    expect_protected("1234", "1d2n3n4n", true);
}

Test(hold_protection, counts_what_is_new)
{
    protect(50, NONE_READY_SERVING_TERMINATING);
    expect_protected("1234", "56", false);
    expect_protected("1234", "5", true);
}

Test(hold_protection, is_not_needed_where_all_are_listed_anyhow)
{
    protect(50, NONE_READY_ALL);
    expect_protected("1234", "1n2n3n4n", false);
    expect_protected("1234", "1n", true);
}

Test(hold_protection, is_off_without_a_policy)
{
    expect_protected("1234", "", false);
}

Test(hold_protection, ends_when_enough_are_back)
{
    struct scene scene = {.before = NULL};

    protect(50, NONE_READY_SERVING_TERMINATING);
    scene.before = make("1234", "9");
    expect(&scene, "1", "9", at(1000), "a");
    expect(&scene, "12", "9", at(5000), "");
    scene_done(&scene);
}

Test(hold_protection, is_not_renewed_by_more_that_vanishes)
{
    struct scene scene = {.before = NULL};

    protect(50, NONE_READY_SERVING_TERMINATING);
    scene.before = make("1234", "9");
    expect(&scene, "1", "9", at(1000), "a");
    expect(&scene, "", "9", at(20000), "a");
    expect(&scene, "1", "9", at(30999), "a");
    expect(&scene, "1", "9", at(31000), "");
    publish(&scene, "1", "9");
    expect(&scene, "", "9", at(40000), "a");
    scene_done(&scene);
}

/* A Service without ports has those of its slices. */
static const struct service *make_portless(const char *endpoints)
{
    struct value service =
        read_value(OBJECT_SERVICE, "{'metadata':{'name':'s'},'spec':{'clusterIP':'None'}}");
    struct buf text = BUFFER_INIT(4096);
    const struct service *result;
    struct value slice;

    buf_printf(&text,
               "{'metadata':{'name':'s'},'addressType':'IPv4','ports':[{'port':9}],"
               "'endpoints':[%s]}",
               endpoints);
    slice = read_value(OBJECT_SLICE, buf_cstr(&text));
    service.service->spec.policy = policy;
    result = service_new(&service.service->spec, slice.slices, *endpoints ? 1 : 0, NULL);
    value_done(&slice);
    value_done(&service);
    buf_done(&text);
    return result;
}

Test(hold_protection, keeps_a_port_that_goes_with_its_endpoints)
{
    struct hold_verdict verdict;
    struct hold_state state = {0};
    const struct hold_input input = {.touched_us = 100 * MS, .now_us = 5000 * MS};
    const struct service *before, *after;

    protect(50, NONE_READY_SERVING_TERMINATING);
    before = make_portless("{'addresses':['10.0.0.1']}");
    after = make_portless("");
    hold_judge(&state, before, after, &input, &verdict);
    cr_assert_eq(verdict.hold, HOLD_PROTECTION);
    hold_verdict_done(&verdict);
    hold_state_done(&state);
    service_unref(before);
    service_unref(after);
}
