/* A resource that is refused, and says who may see its Service: that is in force, where no version before it is. */
#include "resource_world.h"

static void start(void)
{
    world.deletion_grace_ms = 300;
    world.identifies = true;
    resource_start();
    log_capture();
    upsert(world.services, GREETER);
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    turn();
}

TestSuite(resource_access, .init = start, .fini = world_stop);

static void say(int generation, const char *spec)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{'metadata':{'namespace':'shop','name':'greeter','uid':'u-greeter','generation':%d},"
             "'spec':%s}",
             generation, spec);
    upsert(world.policies, text);
    turn_for_ms(50);
}

/* Of namespaces; "open": everybody, "": nobody. */
static void expect_seen_by(const char *namespaces)
{
    const struct policy *policy = policy_at("greeter");
    char text[128] = "";
    size_t len = 0;

    for (size_t i = 0; i < policy->access_namespaces.len; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%" STR_FMT, i > 0 ? "," : "",
                                STR_ARG(policy->access_namespaces.items[i]));
    cr_assert_str_eq(policy->access_given ? text : "open", namespaces);
}

Test(resource_access, holds_of_one_that_was_never_accepted)
{
    say(1, "{'retry':{},'access':{'namespaces':['web']}}");
    expect_seen_by("web");
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    expect("greeter", CONDITION_ACCEPTED, false, "Invalid",
           "spec.retry.attempts: missing");
    expect("greeter", CONDITION_PUBLISHED, false, "NeverAccepted",
           "no version was ever accepted: the Service has the defaults, for those who may see it (spec.access)");
    cr_assert_null(status_of("greeter").policy);
    say(2, "{'retry':{},'access':{'namespaces':['batch','web']}}");
    expect_seen_by("batch,web");
    say(3, "{'retry':{},'access':null}"); /* as if it were not there: so the API server has it */
    expect_seen_by("open");
    say(4, "{'access':{'namespaces':['web']}}");
    expect_seen_by("web");
    expect("greeter", CONDITION_ACCEPTED, true, "Accepted", "");
    cr_assert_not_null(status_of("greeter").policy);
    say(5, "{'retry':{},'access':{'namespaces':['batch']}}");
    expect_seen_by("web"); /* as any other field of what was in force before */
}

Test(resource_access, of_which_nothing_is_understood_lets_nobody_in)
{
    static const char *const specs[] = {
        "{'access':['web']}",
        "{'access':{'namespaces':'web'}}",
        "{'access':{'namespaces':['web','No']}}",
        "{'access':{'namespaces':['web'],'serviceAccounts':['frontend']}}",
    };

    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        say(2 * (int)i + 1, "{'retry':{}}");
        expect_seen_by("open");
        say(2 * (int)i + 2, specs[i]);
        expect_seen_by("");
        cr_assert_str_eq(status_of("greeter").conditions[CONDITION_ACCEPTED].reason, "Invalid");
    }
    expect("greeter", CONDITION_ACCEPTED, false, "Invalid",
           "spec.access.serviceAccounts[0]: must be a service account as NAMESPACE/NAME, such as web/frontend");
    expect("greeter", CONDITION_PUBLISHED, false, "NeverAccepted",
           "no version was ever accepted: the Service has the defaults, but no client sees it (spec.access cannot be read)");
    remove_object(world.policies, "greeter");
    turn_for_ms(50);
    expect_seen_by(""); /* it may come back */
}

Test(resource_access, holds_from_a_list_too)
{
    list_begin(world.policies);
    list_object(world.policies, POLICY_JSON("greeter", 1, "{'retry':{},'access':{'namespaces':['web']}}"));
    cr_assert(list_end(world.policies));
    turn_for_ms(50);
    expect_seen_by("web");
    list_begin(world.policies);
    list_object(world.policies, POLICY_JSON("greeter", 2, "{'access':{'namespaces':['batch']}}"));
    expect("greeter", CONDITION_ACCEPTED, false, "Invalid",
           "no version was accepted");
    cr_assert(list_end(world.policies));
    turn_for_ms(50);
    expect_seen_by("batch");
    expect("greeter", CONDITION_ACCEPTED, true, "Accepted", "");
}

/* Objects may change while they are listed. */
Test(resource_access, of_a_list_the_last_good_version_stays)
{
    list_begin(world.policies);
    list_object(world.policies, POLICY_JSON("greeter", 1, "{'loadBalancing':{'policy':'LeastRequest'},'access':{'namespaces':['web']}}"));
    list_object(world.policies, POLICY_JSON("greeter", 2, "{'retry':{},'access':{'namespaces':['batch']}}"));
    cr_assert(list_end(world.policies));
    turn_for_ms(50);
    expect_seen_by("web");
    cr_assert_eq(policy_at("greeter")->lb, LB_LEAST_REQUEST);
    list_begin(world.slices);
    list_object(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    list_object(world.slices, SLICE_JSON("b", "greeter", 2, READY("10.0.0.7")));
    list_object(world.slices, "{'metadata':{'namespace':'shop','name':'b','labels':{'kubernetes.io/service-name':'greeter'}},"
                              "'addressType':7}");
    cr_assert(list_end(world.slices));
    turn_for_ms(50);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001,10.0.0.7:9001");
}

Test(resource_access, waits_for_no_announcement)
{
    upsert(world.services, CANARY);
    upsert(world.slices, SLICE_JSON("c", "canary", 1, READY("10.0.0.2")));
    turn_for_ms(50);
    say(1, "{'access':{'namespaces':['web']},'backends':[{'service':'canary'}]}");
    expect_seen_by("web");
}

Test(resource_access, says_so_once_more_when_it_closes)
{
    say(1, "{'retry':{}}");
    cr_assert_eq(log_count(log_taken(), "of it only who may see the Service is in force"), 0);
    say(2, "{'retry':{},'access':{}}");
    cr_assert_eq(log_count(log_taken(), "of it only who may see the Service is in force"), 1);
}

/* Its access is the new one's, not that of the object whose name it has. */
Test(resource_access, made_anew_and_invalid_has_its_own)
{
    say(1, "{'access':{'namespaces':['old']}}");
    upsert(world.policies, "{'metadata':{'namespace':'shop','name':'greeter','uid':'other','generation':1},"
                           "'spec':{'retry':{},'access':{'namespaces':['new']}}}");
    turn_for_ms(50);
    expect_seen_by("new");
}
