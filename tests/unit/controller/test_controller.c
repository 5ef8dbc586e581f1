/* Objects in, catalogs out: what is published. */
#include "fixture.h"

#include "base/log.h"

TestSuite(controller, .init = world_start, .fini = world_stop);

Test(controller, publishes_a_service_with_its_slices_at_the_end_of_the_turn)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("greeter-a", "greeter", 1, READY("10.0.0.1")));
    upsert(world.slices, SLICE_JSON("greeter-b", "greeter", 2, READY("10.0.0.2")));
    cr_assert_eq(world.publications, 0);
    turn();
    cr_assert_eq(world.publications, 1, "one catalog for all that one turn brought");
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001,10.0.0.2:9001");
    cr_assert_eq(controller_catalog(world.controller), world.published);
}

Test(controller, publishes_slices_that_came_before_their_service)
{
    upsert(world.slices, SLICE_JSON("greeter-a", "greeter", 1, READY("10.0.0.1")));
    turn();
    cr_assert_eq(world.publications, 0);
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn();
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
}

Test(controller, publishes_a_service_without_slices_as_empty)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn();
    cr_assert_str_eq(published("greeter"), "8001:");
}

Test(controller, takes_a_deleted_service_out_and_brings_it_back)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("greeter-a", "greeter", 1, READY("10.0.0.1")));
    turn();
    remove_object(world.services, "greeter");
    turn_until_published("greeter", "none");
    cr_assert_eq(catalog_len(world.published), 0);
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
}

Test(controller, follows_slices_that_come_change_and_go)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("greeter-a", "greeter", 1, READY("10.0.0.1")));
    turn();
    upsert(world.slices, SLICE_JSON("greeter-b", "greeter", 2, READY("10.0.0.2")));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.2:9001");
    upsert(world.slices, SLICE_JSON("greeter-a", "greeter", 3, NOT_READY("10.0.0.1")));
    turn_until_published("greeter", "8001: 10.0.0.2:9001");
    remove_object(world.slices, "greeter-b");
    turn_until_published("greeter", "8001:");
}

Test(controller, moves_a_slice_whose_label_changes)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.services, SERVICE_JSON("other", 80));
    upsert(world.slices, SLICE_JSON("s", "greeter", 1, READY("10.0.0.1")));
    turn();
    upsert(world.slices, SLICE_JSON("s", "other", 2, READY("10.0.0.1")));
    turn_until_published("other", "80: 10.0.0.1:9001");
    turn_until_published("greeter", "8001:");
}

Test(controller, takes_a_slice_without_a_label_for_nobodys)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn();
    upsert(world.slices, "{'metadata':{'namespace':'shop','name':'s'},'addressType':'IPv4',"
                         "'endpoints':[" READY("10.0.0.1") "]}");
    turn();
    cr_assert_eq(world.publications, 1);
    remove_object(world.slices, "s");
    cr_assert_eq(counter_get(&controller_stats(world.controller)->objects_slices), 0);
}

Test(controller, leaves_pointers_of_unchanged_services_alone)
{
    const struct service *greeter, *other;

    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.services, SERVICE_JSON("other", 80));
    turn();
    greeter = published_service("greeter");
    other = published_service("other");
    upsert(world.slices, SLICE_JSON("s", "greeter", 1, READY("10.0.0.1")));
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
    cr_assert_eq(published_service("other"), other);
    cr_assert_neq(published_service("greeter"), greeter);
}

Test(controller, publishes_nothing_for_a_change_that_no_client_sees)
{
    const struct service *before;
    const struct controller_stats *stats = controller_stats(world.controller);
    uint64_t rebuilds;

    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("s", "greeter", 1, READY("10.0.0.1")));
    turn();
    before = published_service("greeter");
    rebuilds = counter_get(&stats->rebuilds);
    /* the very same objects: not even looked at */
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("s", "greeter", 1, READY("10.0.0.1")));
    turn_for_ms(20);
    cr_assert_eq(counter_get(&stats->rebuilds), rebuilds);
    /* only the version differs: it can decide between duplicates, so it is looked at */
    upsert(world.slices, SLICE_JSON("s", "greeter", 2, READY("10.0.0.1")));
    turn_for_ms(20);
    cr_assert_eq(counter_get(&stats->rebuilds), rebuilds + 1);
    cr_assert_eq(world.publications, 1);
    cr_assert_eq(published_service("greeter"), before);
}

Test(controller, believes_the_slice_with_the_higher_version_also_when_only_that_changed)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 5, READY("10.0.0.1")));
    upsert(world.slices, SLICE_JSON("b", "greeter", 4, NOT_READY("10.0.0.1")));
    turn();
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    upsert(world.slices, SLICE_JSON("b", "greeter", 6, NOT_READY("10.0.0.1")));
    turn_until_published("greeter", "8001:");
}

Test(controller, ignores_leftovers_of_an_earlier_service)
{
#define OWNED(name, uid, address)                                                                  \
    "{'metadata':{'namespace':'shop','name':'" name "','labels':{'kubernetes.io/service-name':"    \
    "'greeter'},'ownerReferences':[{'apiVersion':'v1','kind':'Service','uid':'" uid "'}]},"        \
    "'addressType':'IPv4',"                                                                        \
    "'ports':[{'port':1}],'endpoints':[" READY(address) "]}"
    upsert(world.services, "{'metadata':{'namespace':'shop','name':'greeter','uid':'new'},"
                           "'spec':{'ports':[{'port':80}]}}");
    upsert(world.slices, OWNED("a", "new", "10.0.0.1"));
    upsert(world.slices, OWNED("b", "old", "10.0.0.2"));
    turn();
    cr_assert_str_eq(published("greeter"), "80: 10.0.0.1:1");
}

Test(controller, ignores_slices_of_names_also_where_addresses_were)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("s", "greeter", 1, READY("10.0.0.1")));
    turn();
    upsert(world.slices, "{'metadata':{'namespace':'shop','name':'s','labels':{"
                         "'kubernetes.io/service-name':'greeter'}},'addressType':'FQDN',"
                         "'endpoints':[{'addresses':['example.com']}]}");
    turn_until_published("greeter", "8001:");
    cr_assert_eq(counter_get(&controller_stats(world.controller)->objects_slices), 0);
}

Test(controller, counts_objects_and_what_is_published)
{
    const struct controller_stats *stats = controller_stats(world.controller);

    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.services, SERVICE_JSON("other", 80));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1") "," READY("10.0.0.2")));
    upsert(world.slices, SLICE_JSON("b", "greeter", 1, NOT_READY("10.0.0.3")));
    turn();
    cr_assert_eq(counter_get(&stats->objects_services), 2);
    cr_assert_eq(counter_get(&stats->objects_slices), 2);
    cr_assert_eq(counter_get(&stats->services), 2);
    cr_assert_eq(counter_get(&stats->endpoints), 2);
    remove_object(world.slices, "a");
    remove_object(world.services, "other");
    turn_until_published("greeter", "8001:");
    turn_until_published("other", "none");
    cr_assert_eq(counter_get(&stats->objects_services), 1);
    cr_assert_eq(counter_get(&stats->objects_slices), 1);
    cr_assert_eq(counter_get(&stats->services), 1);
    cr_assert_eq(counter_get(&stats->endpoints), 0);
}

Test(controller, says_when_the_oldest_change_came_in)
{
    uint64_t first;

    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn();
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    first = loop_now_us(world.loop);
    turn(); /* still inside the window */
    upsert(world.slices, SLICE_JSON("b", "greeter", 2, READY("10.0.0.2")));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.2:9001");
    cr_assert_eq(published_service("greeter")->received_us, first);
}

/* ---- bad objects ---- */

Test(controller, keeps_the_last_good_version_of_a_bad_object)
{
    const struct controller_stats *stats = controller_stats(world.controller);
    const char *log;

    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    turn();
    log_capture();
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, READY("10.0.0.2") ",7"));
    upsert(world.services, "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{}}");
    upsert(world.slices, SLICE_JSON("b", "greeter", 3, READY("10.0.0.3")));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.3:9001");
    cr_assert_eq(counter_get(&stats->bad_objects), 2);
    log = log_taken();
    cr_assert(strstr(log, "bad object: its last good version stays kind=EndpointSlice "
                          "source=endpointslices error=\"shop/a: endpoints[1]: expected an "
                          "object, found a number\""),
              "%s", log);
    cr_assert(strstr(log, "kind=Service source=services error=\"shop/greeter: spec.ports: missing"),
              "%s", log);
}

/* A slice as it was would keep pods that are gone, and lack those that are new. */
Test(controller, goes_on_without_an_endpoint_that_nobody_can_call)
{
    const char *log;

    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1") "," READY("10.0.0.2")));
    turn();
    log_capture();
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, READY("10.0.0.2") "," READY("10.0.0.999")
                                    "," READY("10.0.0.3")));
    turn_until_published("greeter", "8001: 10.0.0.2:9001,10.0.0.3:9001");
    log = log_taken();
    cr_assert(strstr(log, "bad field of an object: ignored kind=EndpointSlice "
                          "source=endpointslices error=\"shop/a: endpoints[1].addresses[0]: "
                          "'10.0.0.999' is no IPv4 address, the endpoint is left out\""),
              "%s", log);
    cr_assert_eq(counter_get(&controller_stats(world.controller)->bad_objects), 1);
}

Test(controller, says_which_field_of_an_object_it_ignores)
{
    const char *log;

    log_capture();
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    for (int version = 1; version <= 2; version++)
        upsert(world.slices,
               "{'metadata':{'namespace':'shop','name':'a','resourceVersion':'%d','labels':"
               "{'kubernetes.io/service-name':'greeter'}},'addressType':'IPv4',"
               "'ports':[{'port':9001}],'endpoints':[{'addresses':['10.0.0.1'],"
               "'hints':{'forZones':[{'name':''}]}}]}",
               version);
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
    log = log_taken();
    cr_assert_eq(log_count(log, "bad field of an object: ignored kind=EndpointSlice "), 1, "%s",
                 log);
    cr_assert_eq(counter_get(&controller_stats(world.controller)->bad_objects), 2);
}

Test(controller, skips_a_bad_object_and_lets_others_live)
{
    log_capture();
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, "'nonsense'"));
    upsert(world.slices, SLICE_JSON("b", "greeter", 1, READY("10.0.0.2")));
    upsert(world.slices, "{'metadata':{}}");
    turn();
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.2:9001");
    cr_assert_eq(log_count(log_taken(), "bad object: skipped"), 2);
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, READY("10.0.0.1")));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.2:9001");
}

Test(controller, says_a_cause_once)
{
    const struct controller_stats *stats = controller_stats(world.controller);
    const char *log;

    log_capture();
    for (int i = 0; i < 3; i++)
        upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("nonsense")));
    cr_assert_eq(counter_get(&stats->bad_objects), 1);
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, READY("nonsense")));
    cr_assert_eq(counter_get(&stats->bad_objects), 2, "another version of it");
    upsert(world.slices, SLICE_JSON("a", "greeter", 3, READY("rubbish")));
    log = log_taken();
    cr_assert_eq(log_count(log, "nonsense"), 1, "%s", log);
    cr_assert_eq(log_count(log, "rubbish"), 1, "%s", log);
    upsert(world.slices, SLICE_JSON("a", "greeter", 4, READY("10.0.0.1")));
    upsert(world.slices, SLICE_JSON("a", "greeter", 5, READY("rubbish")));
    cr_assert_eq(log_count(log_taken(), "rubbish"), 1, "it was good in between");
}

Test(controller, forgets_a_bad_object_that_is_deleted)
{
    log_capture();
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    turn();
    upsert(world.slices, SLICE_JSON("a", "greeter", 2, "'nonsense'"));
    remove_object(world.slices, "a");
    turn_until_published("greeter", "8001:");
    remove_object(world.slices, "never-heard-of");
}

/* ---- lists ---- */

Test(controller, removes_what_a_list_does_not_name)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    upsert(world.slices, SLICE_JSON("b", "greeter", 1, READY("10.0.0.2")));
    turn();
    list_begin(world.slices);
    list_object(world.slices, SLICE_JSON("b", "greeter", 1, READY("10.0.0.2")));
    list_object(world.slices, SLICE_JSON("c", "greeter", 5, READY("10.0.0.3")));
    list_end(world.slices);
    turn_until_published("greeter", "8001: 10.0.0.2:9001,10.0.0.3:9001");
}

/* Of a list that is streamed while objects come and go. */
Test(controller, forgets_what_went_while_it_was_listed)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    turn();
    list_begin(world.slices);
    list_object(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    list_object(world.slices, SLICE_JSON("b", "greeter", 2, READY("10.0.0.2")));
    list_object(world.slices, SLICE_JSON("c", "greeter", 3, READY("10.0.0.3")));
    list_object(world.slices, SLICE_JSON("d", "greeter", 3, READY("10.0.0.4")));
    list_object(world.slices, SLICE_JSON("c", "greeter", 4, READY("10.0.0.9")));
    remove_object(world.slices, "a");
    remove_object(world.slices, "b");
    remove_object(world.slices, "d");
    list_object(world.slices, SLICE_JSON("d", "greeter", 7, READY("10.0.0.5")));
    turn_for_ms(30);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    list_end(world.slices);
    turn_until_published("greeter", "8001: 10.0.0.5:9001,10.0.0.9:9001");
}

/* Page by page, an endpoint that moved from one slice to another would be missing for a while. */
Test(controller, applies_a_list_whole)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    upsert(world.slices, SLICE_JSON("b", "greeter", 1, READY("10.0.0.2")));
    turn();
    list_begin(world.slices);
    list_object(world.slices, SLICE_JSON("a", "greeter", 3, READY("10.0.0.9")));
    turn_for_ms(30);
    cr_assert_eq(world.publications, 1);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001,10.0.0.2:9001");
    list_object(world.slices, SLICE_JSON("b", "greeter", 4, READY("10.0.0.1")));
    list_end(world.slices);
    turn_until(&world.publications, 2);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001,10.0.0.9:9001");
}

Test(controller, forgets_a_list_that_is_aborted)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    turn();
    list_begin(world.slices);
    list_object(world.slices, SLICE_JSON("b", "greeter", 3, READY("10.0.0.9")));
    list_abort(world.slices);
    turn_for_ms(20);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    list_begin(world.slices); /* one that never ends, and the next */
    list_object(world.slices, SLICE_JSON("c", "greeter", 3, READY("10.0.0.8")));
    list_begin(world.slices);
    list_object(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    list_object(world.slices, SLICE_JSON("d", "greeter", 4, READY("10.0.0.7")));
    list_end(world.slices);
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.7:9001");
}

Test(controller, keeps_the_last_good_version_of_what_a_list_has_bad)
{
    log_capture();
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    turn();
    for (int i = 0; i < 2; i++) {
        list_begin(world.slices);
        list_object(world.slices, SLICE_JSON("a", "greeter", 2, "'nonsense'"));
        list_object(world.slices, SLICE_JSON("b", "greeter", 2, "'rubbish'"));
        list_end(world.slices);
        turn_for_ms(15);
        cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    }
    cr_assert_eq(log_count(log_taken(), "bad object"), 2, "each once, though listed twice");
    remove_object(world.slices, "a");
    turn_until_published("greeter", "8001:");
}

Test(controller, an_unchanged_list_rebuilds_nothing)
{
    uint64_t rebuilds;

    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    turn();
    rebuilds = counter_get(&controller_stats(world.controller)->rebuilds);
    list_begin(world.slices);
    list_object(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    list_end(world.slices);
    list_begin(world.services);
    list_object(world.services, SERVICE_JSON("greeter", 8001));
    list_end(world.services);
    turn_for_ms(20);
    cr_assert_eq(counter_get(&controller_stats(world.controller)->rebuilds), rebuilds);
}

Test(controller, a_list_replaces_only_its_own_scope)
{
    struct controller_scope *other =
        controller_scope_new(world.controller, OBJECT_SLICE, "endpointslices");

    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    upsert(other, SLICE_JSON("b", "greeter", 1, READY("10.0.0.2")));
    upsert(other, SLICE_JSON("c", "greeter", 1, READY("10.0.0.3")));
    turn();
    list_begin(other);
    list_object(other, SLICE_JSON("b", "greeter", 1, READY("10.0.0.2")));
    list_end(other);
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.2:9001");
    controller_scope_free(other);
}

/* ---- nodes ---- */

Test(controller, publishes_zones_of_nodes_when_they_change)
{
    struct controller_scope *nodes = controller_scope_new(world.controller, OBJECT_NODE, "nodes");

    upsert(nodes, "{'metadata':{'name':'n1','labels':{'topology.kubernetes.io/zone':'z1'}}}");
    turn();
    cr_assert_eq(world.publications, 1);
    cr_assert(str_eq(catalog_node_zone(world.published, STR("n1")), STR("z1")));
    upsert(nodes, "{'metadata':{'name':'n1','resourceVersion':'9','labels':{"
                  "'topology.kubernetes.io/zone':'z1'}},'status':{'phase':'x'}}");
    turn();
    cr_assert_eq(world.publications, 1, "its status is nobody's business");
    upsert(nodes, "{'metadata':{'name':'n1','labels':{'topology.kubernetes.io/zone':'z2'}}}");
    turn();
    cr_assert(str_eq(catalog_node_zone(world.published, STR("n1")), STR("z2")));
    controller_scope_free(nodes);
}

/* ---- life ---- */

TestSuite(controller_sync, .init = world_start_bare, .fini = world_stop);

Test(controller_sync, publishes_nothing_before)
{
    world.services = controller_scope_new(world.controller, OBJECT_SERVICE, "services");
    world.slices = controller_scope_new(world.controller, OBJECT_SLICE, "endpointslices");
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn_for_ms(20);
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    turn_for_ms(20);
    cr_assert_eq(world.publications, 0);
    cr_assert_eq(catalog_len(controller_catalog(world.controller)), 0);
    controller_set_synced(world.controller);
    cr_assert_eq(world.publications, 1);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    controller_set_synced(world.controller);
    cr_assert_eq(world.publications, 1);
}

Test(controller_sync, publishes_an_empty_cluster_too)
{
    controller_set_synced(world.controller);
    cr_assert_eq(world.publications, 1);
    cr_assert_eq(catalog_len(world.published), 0);
}

/* That a source ends says nothing about its objects. */
Test(controller, keeps_what_is_published_when_a_source_ends)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("a", "greeter", 1, READY("10.0.0.1")));
    turn();
    upsert(world.slices,
           SLICE_JSON("b", "greeter", 1, READY("10.0.0.2"))); /* waits for its window */
    controller_scope_free(world.slices);
    world.slices = NULL;
    turn_for_ms(30);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    controller_scope_free(world.services);
    world.services = NULL;
    turn_for_ms(30);
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001");
    cr_assert_eq(counter_get(&controller_stats(world.controller)->objects_slices), 0);
}
