/* LookasideServices in force, and what is said of them. */
#include "resource_world.h"

TestSuite(resource, .init = resource_start, .fini = world_stop);

Test(resource, is_in_force_and_all_is_said_to_be_well)
{
    struct resource_status status;

    upsert(world.services, GREETER);
    upsert(world.slices,
           SLICE_JSON("a", "greeter", 1, READY("10.0.0.1") "," NOT_READY("10.0.0.2")));
    upsert(world.policies, POLICY_JSON("greeter", 3, RING));
    turn();
    cr_assert_eq(policy_at("greeter")->lb, LB_RING_HASH);
    cr_assert_eq(published_service("greeter")->ports[0].policy->lb, LB_RING_HASH);
    expect("greeter", CONDITION_ACCEPTED, true, "Accepted", "");
    expect("greeter", CONDITION_RESOLVED_REFS, true, "ResolvedRefs", "");
    expect("greeter", CONDITION_PUBLISHED, true, "Published", RING_NOTE);
    status = status_of("greeter");
    cr_assert(str_eq(status.uid, STR("u-greeter")));
    cr_assert_eq(status.generation, 3);
    cr_assert(status.ready == 1 && status.draining == 0 && status.total == 2);
    cr_assert_eq(status.hold, HOLD_NONE);
    cr_assert_eq(counter_get(&controller_stats(world.controller)->objects_policies), 1);
}

Test(resource, comes_and_goes_without_a_hold)
{
    world.deletion_grace_ms = 5000;
    upsert(world.services, GREETER);
    turn();
    upsert(world.policies, POLICY_JSON("greeter", 1, RING));
    wait_for_policy("greeter", LB_RING_HASH);
    cr_assert_str_eq(world.told_of, "shop/greeter");
    world.told = 0;
    remove_object(world.policies, "greeter");
    cr_assert_geq(world.told, 1);
    wait_for_policy("greeter", LB_ROUND_ROBIN);
    cr_assert_str_eq(hold_of("greeter"), "");
    cr_assert_eq(published_service("greeter")->policy, policy_default());
    cr_assert_not(controller_resource_status(world.controller, STR("shop"), STR("greeter"),
                                             &(struct resource_status){0}));
    world.deletion_grace_ms = 0;
}

Test(resource, that_becomes_invalid_stays_as_it_was)
{
    struct resource_status status;

    upsert(world.services, GREETER);
    upsert(world.policies, POLICY_JSON("greeter", 1, RING));
    turn();
    world.told = 0;
    log_capture();
    upsert(world.policies, POLICY_JSON("greeter", 2, "{'subset':{'size':0}}"));
    cr_assert_geq(world.told, 1);
    turn();
    cr_assert_eq(policy_at("greeter")->lb, LB_RING_HASH);
    expect("greeter", CONDITION_ACCEPTED, false, "Invalid",
           "spec.subset.size: expected a whole number from 1 to 1000, found 0; generation 1 is in "
           "force instead");
    expect("greeter", CONDITION_PUBLISHED, true, "Published", RING_NOTE);
    status = status_of("greeter");
    cr_assert_eq(status.generation, 2);
    cr_assert(str_eq(status.uid, STR("u-greeter")));
    cr_assert(strstr(log_taken(), "bad object: its last good version stays kind=LookasideService"));
    upsert(world.policies, POLICY_JSON("greeter", 3, RING));
    expect("greeter", CONDITION_ACCEPTED, true, "Accepted", "");
    cr_assert_eq(status_of("greeter").generation, 3);
}

#define MADE_ANEW                                                                                  \
    "{'metadata':{'namespace':'shop','name':'greeter','uid':'other','generation':1},'spec':{"      \
    "'retry':{}}}"

static void expect_nothing_of_the_old_one(void)
{
    turn_for_ms(50);
    cr_assert_eq(policy_at("greeter"), policy_default());
    expect("greeter", CONDITION_ACCEPTED, false, "Invalid", "spec.retry.attempts: missing");
    expect("greeter", CONDITION_PUBLISHED, false, "NeverAccepted",
           "no version was ever accepted: the Service has the defaults");
    cr_assert(str_eq(status_of("greeter").uid, STR("other")));
}

/* That the old one was deleted may have been missed. */
Test(resource, made_anew_and_invalid_has_nothing_of_the_old_one)
{
    log_capture();
    upsert(world.services, GREETER);
    upsert(world.policies, POLICY_JSON("greeter", 7, RING));
    turn_for_ms(50);
    list_begin(world.policies);
    list_object(world.policies, MADE_ANEW);
    cr_assert(list_end(world.policies));
    expect_nothing_of_the_old_one();
    upsert(world.policies, POLICY_JSON("greeter", 7, RING));
    turn_for_ms(50);
    upsert(world.policies, MADE_ANEW);
    expect_nothing_of_the_old_one();
    list_begin(world.policies);
    list_object(world.policies, MADE_ANEW);
    cr_assert(list_end(world.policies));
    expect_nothing_of_the_old_one();
}

Test(resource, that_was_never_accepted_is_told_of)
{
    struct resource_status status;

    upsert(world.services, GREETER);
    log_capture();
    upsert(world.policies, POLICY_JSON("greeter", 2, "{'retry':{}}"));
    turn();
    cr_assert_eq(policy_at("greeter"), policy_default());
    expect("greeter", CONDITION_ACCEPTED, false, "Invalid", "spec.retry.attempts: missing");
    expect("greeter", CONDITION_RESOLVED_REFS, true, "ResolvedRefs", "");
    expect("greeter", CONDITION_PUBLISHED, false, "NeverAccepted",
           "no version was ever accepted: the Service has the defaults");
    status = status_of("greeter");
    cr_assert(str_eq(status.uid, STR("u-greeter")));
    cr_assert_eq(status.generation, 2);
    world.told = 0;
    remove_object(world.policies, "greeter");
    cr_assert_geq(world.told, 1);
    cr_assert_not(
        controller_resource_status(world.controller, STR("shop"), STR("greeter"), &status));
}

Test(resource, names_what_it_refers_to_and_is_not_there)
{
    upsert(world.policies, POLICY_JSON("greeter", 1,
                                       "{'port':'grpc','backends':[{'service':'greeter'},"
                                       "{'service':'canary','port':9,'whenEmpty':'Fail'}]}"));
    turn();
    expect("greeter", CONDITION_RESOLVED_REFS, false, "ServiceNotFound",
           "there is no Service 'greeter' in namespace shop: create it, or give the resource the "
           "name of one");
    expect("greeter", CONDITION_PUBLISHED, false, "NotPublished",
           "there is no Service 'greeter' to publish");
    upsert(world.services, GREETER);
    turn();
    expect("greeter", CONDITION_RESOLVED_REFS, false, "PortNotFound",
           "spec.port: the Service has no TCP port 'grpc', but 8001: name one of those; until then "
           "nothing of the resource is in force");
    expect("greeter", CONDITION_PUBLISHED, false, "NotPublished",
           "the Service is published without the resource, since it has no TCP port 'grpc' "
           "(spec.port)");
    upsert(world.services, "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{'ports':["
                           "{'port':8001,'name':'grpc'}]}}");
    turn_until(&world.publications, 2);
    expect("greeter", CONDITION_PUBLISHED, true, "Published", "");
    expect("greeter", CONDITION_RESOLVED_REFS, false, "BackendNotFound",
           "spec.backends: there is no Service 'canary' in namespace shop: create it, or remove the "
           "backend; until then its share of the calls fails");
    world.told = 0;
    upsert(world.services, CANARY);
    cr_assert_geq(world.told, 1, "another Service's coming is heard of");
    cr_assert_str_eq(world.told_of, "shop/greeter");
    expect("greeter", CONDITION_RESOLVED_REFS, false, "BackendPortNotFound",
           "spec.backends: Service 'canary' has no TCP port '9', but 8002: name one of those; until "
           "then its share of the calls fails");
    upsert(world.services, SERVICE_JSON("canary", 9));
    turn_for_ms(20);
    expect("greeter", CONDITION_RESOLVED_REFS, false, "BackendEmpty",
           "spec.backends: Service 'greeter' has no endpoint that takes calls: look at its pods, or give it weight 0; until "
           "then all calls fail; spec.backends: Service 'canary' has no endpoint that takes calls: look at its "
           "pods, or give it weight 0; until then all calls fail");
    world.told = 0;
    upsert(world.slices, "{'metadata':{'namespace':'shop','name':'g','labels':{'kubernetes.io/service-name':'greeter'}},"
                         "'addressType':'IPv4','ports':[{'name':'grpc','port':9001}],'endpoints':[" READY("10.0.0.1") "]}");
    upsert(world.slices, SLICE_JSON("c", "canary", 1, NOT_READY("10.0.0.2")));
    turn_for_ms(20);
    expect("greeter", CONDITION_RESOLVED_REFS, false, "BackendEmpty",
           "spec.backends: Service 'canary' has no endpoint that takes calls: look at its pods, or give it weight 0; until "
           "then its share of the calls fails");
    world.told = 0;
    upsert(world.slices, SLICE_JSON("c", "canary", 2, READY("10.0.0.2")));
    turn_for_ms(20);
    cr_assert_geq(world.told, 1, "another Service's endpoints are heard of");
    cr_assert_str_eq(world.told_of, "shop/greeter");
    expect("greeter", CONDITION_RESOLVED_REFS, true, "ResolvedRefs", "");
    world.told = 0;
    upsert(world.slices, SLICE_JSON("c", "canary", 3, READY("10.0.0.2") "," READY("10.0.0.3")));
    turn_for_ms(20);
    cr_assert_eq(world.told, 0, "one more changes nothing");
    world.told = 0;
    remove_object(world.services, "canary");
    cr_assert_geq(world.told, 1);
}

Test(resource, says_what_becomes_of_an_empty_backends_calls)
{
    upsert(world.services, GREETER);
    upsert(world.services, "{'metadata':{'namespace':'shop','name':'canary'},'spec':{'ports':["
                           "{'port':8001,'name':'grpc'},{'port':9,'name':'metrics'}]}}");
    upsert(world.slices, SLICE_JSON("g", "greeter", 1, READY("10.0.0.1")));
    upsert(world.slices, "{'metadata':{'namespace':'shop','name':'c','labels':{'kubernetes.io/service-name':'canary'}},"
                         "'addressType':'IPv4','ports':[{'name':'metrics','port':9}],'endpoints':[" READY("10.0.0.2") "]}");
    upsert(world.policies, POLICY_JSON("greeter", 1, "{'backends':[{'service':'canary','weight':10},{'service':'greeter','weight':0}]}"));
    turn_for_ms(20);
    expect("greeter", CONDITION_RESOLVED_REFS, false, "BackendEmpty",
           "spec.backends: Service 'canary' has no endpoint that takes calls: look at its pods, or give it weight 0; until then "
           "all calls fail");
    upsert(world.policies, POLICY_JSON("greeter", 2, "{'backends':[{'service':'canary','port':'metrics'},{'service':'greeter'}]}"));
    turn_for_ms(20);
    expect("greeter", CONDITION_RESOLVED_REFS, true, "ResolvedRefs", "");
}

static size_t told_of_canary(void)
{
    world.told = 0;
    upsert(world.services, CANARY);
    remove_object(world.services, "canary");
    return world.told;
}

Test(resource, hears_of_the_services_that_it_names)
{
    upsert(world.policies, POLICY_JSON("a", 1, "{'backends':[{'service':'canary'},{'service':'b'}]}"));
    upsert(world.policies, POLICY_JSON("b", 1, "{'backends':[{'service':'canary'}]}"));
    upsert(world.policies, POLICY_JSON("c", 1, "{'backends':[{'service':'c'}]}"));
    cr_assert_eq(told_of_canary(), 4);
    upsert(world.policies, POLICY_JSON("a", 2, "{'backends':[{'service':'b'}]}"));
    cr_assert_eq(told_of_canary(), 2);
    upsert(world.policies, POLICY_JSON("c", 2, "{'backends':[{'service':'c'},{'service':'canary'}"
                                               "]}"));
    cr_assert_eq(told_of_canary(), 4);
    remove_object(world.policies, "b");
    remove_object(world.policies, "c");
    cr_assert_eq(told_of_canary(), 0);
}

Test(resource, says_what_some_clients_do_instead)
{
    upsert(world.services, GREETER);
    upsert(world.policies,
           POLICY_JSON("greeter", 1, "{'loadBalancing':{'policy':'LeastRequest'}}"));
    turn();
    expect("greeter", CONDITION_PUBLISHED, true, "Published",
           "these clients use RoundRobin instead: C++, Python, Node.js, Go before 1.74, Java before 1.51");
    upsert(world.policies, POLICY_JSON("greeter", 2, "{'maxCallDuration':'5s'}"));
    turn();
    expect("greeter", CONDITION_PUBLISHED, true, "Published",
           "these clients end calls 1 to 2 s early: C++, Python");
    upsert(world.policies,
           POLICY_JSON("greeter", 3,
                       "{'maxCallDuration':'2s','loadBalancing':{'policy':'LeastRequest'},"
                       "'circuitBreaker':{'maxRequests':9},'outlierDetection':{'successRate':{}}}"));
    turn();
    expect("greeter", CONDITION_PUBLISHED, true, "Published",
           "these clients use RoundRobin instead: C++, Python, Node.js, Go before 1.74, Java before 1.51; "
           "these clients ignore a maxCallDuration of at most 2 s: C++, Python (all their calls would fail); "
           "these clients ignore circuitBreaker: Java (without --load-reports); "
           "these clients ignore outlierDetection: Java (it would hang them)");
}

Test(resource, says_that_nobody_sees_it)
{
    upsert(world.services, GREETER);
    upsert(world.policies, POLICY_JSON("greeter", 1, "{'access':{'namespaces':['shop']}}"));
    turn();
    expect("greeter", CONDITION_PUBLISHED, false, "NobodyIdentified",
           "no client sees the Service: spec.access says who may, and nothing that tells who clients are is switched on "
           "(--tokens, --tls-client-ca, --unix-account, --identify-pods)");
    upsert(world.policies, POLICY_JSON("greeter", 2, "{}"));
    turn();
    expect("greeter", CONDITION_PUBLISHED, true, "Published", "");
}

static void refuse(const char *agent, const char *peer, const char *words)
{
    const struct refusal refusal = {policy_at("greeter"), str_of(agent), str_of(peer),
                                    str_of(words)};

    controller_report_refusal(world.controller, &refusal);
}

Test(resource, says_which_clients_refuse_it_in_their_own_words)
{
    upsert(world.services, GREETER);
    upsert(world.policies, POLICY_JSON("greeter", 1, RING));
    turn();
    log_capture();
    refuse("gRPC Go 1.85.0", "10.0.0.1",
           "error parsing \"ClusterResource\" response: resource \"shop/greeter:8001\": JSON that was "
           "made of the list of policies in it is not good for anything, and this client says so in "
           "many words, of which the last are: no rings");
    refuse("other 1", "10.0.0.1", "nor me");
    turn();
    expect("greeter", CONDITION_PUBLISHED, true, "Published", RING_NOTE);
    refuse("gRPC Go 1.85.0", "10.0.0.2", "no more rings");
    turn_until(&world.publications, 2);
    expect("greeter", CONDITION_PUBLISHED, false, "ClientRejected",
           "clients of these kinds refuse the policy, and get the Service without it: gRPC Go "
           "1.85.0 ('...greeter:8001\": JSON that was made of the list of policies in it is not good for anything, and this client says "
           "so in many words, of which the last are: no rings'); a changed spec is tried again");
    upsert(world.policies,
           POLICY_JSON("greeter", 2, "{'loadBalancing':{'policy':'LeastRequest'}}"));
    wait_for_policy("greeter", LB_LEAST_REQUEST);
    cr_assert_str_eq(status_of("greeter").conditions[CONDITION_PUBLISHED].reason, "Published");
}

static size_t quarantined(const char *name)
{
    return policy_at(name)->refused_by_len;
}

static void refuse_twice(void)
{
    turn_for_ms(50);
    cr_assert_eq(quarantined("greeter"), 0);
    refuse("gRPC Go 1.85.0", "10.0.0.1", "no");
    refuse("gRPC Go 1.85.0", "10.0.0.2", "no");
    turn_for_ms(50);
    cr_assert_eq(quarantined("greeter"), 1);
}

Test(resource, a_quarantine_ends_with_the_version_that_was_refused)
{
    log_capture();
    upsert(world.services, GREETER);
    upsert(world.policies, POLICY_JSON("greeter", 1, RING));
    refuse_twice();
    upsert(world.policies, POLICY_JSON("greeter", 2, "{}"));
    turn_for_ms(50);
    cr_assert_eq(quarantined("greeter"), 0);
    upsert(world.policies, POLICY_JSON("greeter", 3, RING));
    refuse_twice();
    remove_object(world.policies, "greeter");
    turn_for_ms(50);
    upsert(world.policies, "{'metadata':{'namespace':'shop','name':'greeter','uid':'another',"
                           "'generation':3},'spec':" RING "}");
    refuse_twice();
    /* In a directory, where only what they say tells versions apart. */
    upsert(world.policies, "{'metadata':{'namespace':'shop','name':'greeter'},'spec':" RING "}");
    refuse_twice();
    upsert(world.policies, "{'metadata':{'namespace':'shop','name':'greeter'}}");
    upsert(world.policies, "{'metadata':{'namespace':'shop','name':'greeter'},'spec':" RING "}");
    refuse_twice();
}

/* Two versions that say the same are one to clients: what they refuse is the newer. */
Test(resource, a_version_that_was_never_published_is_refused)
{
    log_capture();
    upsert(world.services, GREETER);
    upsert(world.policies, POLICY_JSON("greeter", 1, RING));
    turn_for_ms(50);
    upsert(world.policies, POLICY_JSON("greeter", 2, "{}"));
    upsert(world.policies, POLICY_JSON("greeter", 3, RING));
    refuse_twice();
}

/* ---- which Services ---- */

static void start_resources(void)
{
    world.mode = PUBLISH_RESOURCES;
    world.deletion_grace_ms = 300;
    world_start();
}

static void stop_mode(void)
{
    world_stop();
    world.mode = PUBLISH_ALL;
    world.deletion_grace_ms = 0;
}

TestSuite(publish_mode, .fini = stop_mode);

Test(publish_mode, resources, .init = start_resources)
{
    upsert(world.services, GREETER);
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    turn();
    cr_assert_str_eq(published("greeter"), "none");
    log_capture();
    upsert(world.policies, POLICY_JSON("greeter", 1, "{'retry':{}}"));
    turn();
    cr_assert_str_eq(published("greeter"), "none");
    expect("greeter", CONDITION_PUBLISHED, false, "NeverAccepted",
           "no version was ever accepted: the Service is not published");
    upsert(world.policies, POLICY_JSON("greeter", 2, "{'retry':{},'access':{'namespaces':['a']}}"));
    turn();
    cr_assert_str_eq(published("greeter"), "none", "though that is in force");
    upsert(world.policies, POLICY_JSON("greeter", 2, "{}"));
    turn();
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    upsert(world.policies, "{'metadata':{'namespace':'shop','name':'greeter','uid':'other','generation':1},"
                           "'spec':{'retry':{},'access':{'namespaces':['a']}}}");
    turn_until_hold("greeter", "deletion"); /* made anew, and refused */
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001", "it may be mended");
    upsert(world.policies, POLICY_JSON("greeter", 2, "{}"));
    turn();
    remove_object(world.policies, "greeter");
    turn_until_hold("greeter", "deletion");
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001", "it may come back");
    turn_until_published("greeter", "none");
}

static void start_annotated(void)
{
    world.mode = PUBLISH_ANNOTATED;
    world_start();
}

#define ANNOTATED(value)                                                                           \
    "{'metadata':{'namespace':'shop','name':'greeter','annotations':{'lookaside.dev/"              \
    "publish':" value "}},'spec':{'ports':[{'port':8001}]}}"

Test(publish_mode, annotated, .init = start_annotated)
{
    upsert(world.services, GREETER);
    upsert(world.services, CANARY);
    upsert(world.policies, POLICY_JSON("canary", 1, "{}"));
    turn();
    cr_assert_str_eq(published("greeter"), "none");
    cr_assert_str_eq(published("canary"), "8002:");
    upsert(world.services, ANNOTATED("'false'"));
    turn();
    cr_assert_str_eq(published("greeter"), "none");
    upsert(world.services, ANNOTATED("'true'"));
    turn_until_published("greeter", "8001:");
    upsert(world.services, ANNOTATED("true"));
    turn_until_published("greeter", "none");
}

Test(resource, a_list_that_lacks_most_is_doubted)
{
    upsert(world.services, GREETER);
    upsert(world.policies, POLICY_JSON("greeter", 1, RING));
    turn();
    log_capture();
    list_begin(world.policies);
    cr_assert_not(list_end(world.policies), "a CRD that was restored is empty");
    turn();
    cr_assert_eq(policy_at("greeter")->lb, LB_RING_HASH);
    cr_assert_str_eq(hold_of("greeter"), "relist");
    list_begin_after(world.policies, KUBE_SINK_DOUBT_MS);
    cr_assert(list_end(world.policies));
    wait_for_policy("greeter", LB_ROUND_ROBIN);
    cr_assert_str_eq(hold_of("greeter"), "");
}

/* ---- all of them ---- */

static void add_name(void *ctx, const struct resource_status *status)
{
    buf_printf(ctx, "%" STR_FMT "/%" STR_FMT " ", STR_ARG(status->namespace_name),
               STR_ARG(status->name));
}

Test(resource, each_comes_in_order)
{
    struct buf names = BUFFER_INIT(1024);

    log_capture();
    upsert(world.policies, POLICY_JSON("b", 1, "{}"));
    upsert(world.policies, POLICY_JSON("a", 1, "{'port':0}"));
    upsert(world.policies, "{'metadata':{'namespace':'a-shop','name':'z'}}");
    upsert(world.policies, "{'metadata':{'namespace':'a','name':'z'}}");
    controller_each_resource(world.controller, add_name, &names);
    cr_assert_str_eq(buf_cstr(&names), "a/z a-shop/z shop/a shop/b ");
    buf_done(&names);
}

/* Without an API server nobody else tells of it. */
Test(resource, says_which_field_is_ignored)
{
    upsert(world.services, GREETER);
    upsert(world.policies, POLICY_JSON("greeter", 1, RING));
    turn();
    world.told = 0;
    log_capture();
    upsert(world.policies,
           POLICY_JSON("greeter", 1, "{'loadBalancing':{'policy':'RingHash'},'localty':{}}"));
    cr_assert_geq(world.told, 1);
    expect("greeter", CONDITION_ACCEPTED, true, "Accepted",
           "spec.localty: no such field; there are: port, hosts, backends, loadBalancing, "
           "locality, subset, whenNoneReady, protection, maxCallDuration, retry, circuitBreaker, "
           "outlierDetection, access (ignored)");
    world.told = 0;
    upsert(world.policies, POLICY_JSON("greeter", 1, RING));
    cr_assert_geq(world.told, 1);
    expect("greeter", CONDITION_ACCEPTED, true, "Accepted", "");
}

static void count_fault(void *ctx, const struct resource_fault *fault)
{
    buf_printf(ctx, "%s(%" STR_FMT ") ", fault->condition->reason, STR_ARG(fault->missing));
}

/* The conditions have one each. */
Test(resource, has_all_its_faults_told)
{
    struct buf found = BUFFER_INIT(4096);

    upsert(world.services, GREETER);
    upsert(world.policies,
           POLICY_JSON("greeter", 1,
                       "{'port':7,'hosts':['a.org','b.org'],'backends':[{'service':'x'},{'service':"
                       "'greeter','port':9},{'service':'y'}]}"));
    turn();
    controller_resource_faults(world.controller, STR("shop"), STR("greeter"), count_fault, &found);
    cr_assert_str_eq(buf_cstr(&found), "HostNotAllowed() HostNotAllowed() PortNotFound() "
                                       "BackendNotFound(x) BackendPortNotFound() "
                                       "BackendNotFound(y) ");
    buf_done(&found);
}
