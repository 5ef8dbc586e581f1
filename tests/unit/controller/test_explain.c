/* Why a list is as it is: names, ports, conditions. */
#include "explain_world.h"

#include "base/clock.h"

TestSuite(explain, .init = explain_start, .fini = explain_stop);

/* ---- names ---- */

Test(explain, says_how_a_name_was_read)
{
    static const struct {
        const char *target, *form;
    } cases[] = {
        {"greeter", "SERVICE, in the client's own namespace: Service greeter in namespace shop"},
        {"greeter.shop:8001", "SERVICE.NAMESPACE: Service greeter in namespace shop"},
        {"p-0.greeter.shop",
         "POD.SERVICE.NAMESPACE, one pod by its hostname: pod p-0 of Service greeter in namespace shop"},
        {"greeter.shop.svc", "a name under svc: Service greeter in namespace shop"},
        {"GREETER.shop.svc.cluster.local.:8001",
         "a name under svc and the cluster domain: Service greeter in namespace shop"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ask(cases[i].target);
        cr_assert_str_eq(member("form"), cases[i].form);
        cr_assert_str_eq(member("target"), cases[i].target);
        cr_assert_str_eq(member("service"), "greeter");
        cr_assert_str_eq(member("namespace"), "shop");
    }
    cr_assert_str_eq(member("port_asked"), "8001");
    cr_assert_str_eq(member("cluster"), "shop/greeter:8001");
    ask("p-0.greeter.shop:grpc");
    cr_assert_str_eq(member("hostname"), "p-0");
    cr_assert_str_eq(member("port_asked"), "grpc");
}

Test(explain, refuses_what_is_no_name)
{
    struct err err = {0};

    cr_assert_eq(ask_at("a.b.c.d:80", "", "", &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "name 'a.b.c.d:80' is not one to three DNS labels");
}

Test(explain, says_by_which_rule_a_port_was_found_or_not)
{
    static const struct {
        const char *spec, *target, *rule, *problem;
    } cases[] = {
        {"'ports':[{'port':8001}]", "greeter",
         "the name says no port, and the Service has only this TCP port", ""},
        {"'ports':[{'port':8001}]", "greeter:8001", "the Service's port of that number", ""},
        {"'ports':[{'port':8001}]", "greeter:8002", "", "the Service has no such TCP port"},
        {"'ports':[{'port':8001,'name':'a'},{'port':8002,'name':'grpc'}]", "greeter",
         "the name says no port: of several, the one named grpc", ""},
        {"'ports':[{'port':8001,'name':'a'},{'port':8002,'name':'b','appProtocol':'grpc'}]",
         "greeter", "the name says no port: of several, the only one whose appProtocol is gRPC's",
         ""},
        {"'ports':[{'port':8001,'name':'a'},{'port':8002,'name':'b'}]", "greeter", "",
         "several ports and none is marked as gRPC: the name must say which"},
        {"'ports':[{'port':8001,'name':'a'},{'port':8002,'name':'b'}]", "greeter:b",
         "the Service's port of that name", ""},
        {"'clusterIP':'None','ports':[{'port':8001}]", "greeter:9001",
         "no port of the Service has that number, but the pods' own port has (headless Service)",
         ""},
        {"'clusterIP':'None'", "greeter:9001",
         "the Service has no ports: the pods' own port of that number", ""},
    };

    uint64_t end_us;

    put_slice("a", 1, READY("10.0.0.1"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        upsert(world.services, SERVICE_WITH("%s"), cases[i].spec);
        turn_for_ms(20);
        controller_release(world.controller, STR("shop"), STR("greeter"));
        end_us = clock_monotonic_us() + WAIT_MS * 1000;
        do {
            turn_for_ms(5);
            ask(cases[i].target);
        } while (strcmp(member("rule"), cases[i].rule) != 0 && clock_monotonic_us() < end_us);
        cr_assert_str_eq(member("rule"), cases[i].rule, "%s: %s", cases[i].spec, member("rule"));
        cr_assert_str_eq(member("problem"), cases[i].problem, "%s", member("problem"));
        cr_assert_eq(json_get(answer, "port") != NULL, *cases[i].problem == '\0');
    }
}

/* Pods that lack the named port, in a headless Service. */
Test(explain, shows_the_port_that_a_slice_leaves_open)
{
    static const struct {
        const char *target, *rule;
        double port;
    } cases[] = {
        {"greeter:8001", "the Service's port of that number", 8001},
        {"greeter:grpc", "the Service's port of that name", 8001},
        {"greeter:7000",
         "no port has that number: it is taken as it is, where slices name no ports", 7000},
    };

    upsert(world.services, SERVICE_WITH("'clusterIP':'None','ports':[{'name':'grpc','port':8001}]"));
    upsert(world.slices, "{'metadata':{'namespace':'shop','name':'a','labels':"
                         "{'kubernetes.io/service-name':'greeter'}},'addressType':'IPv4',"
                         "'ports':[],'endpoints':[" READY("10.0.0.1") "]}");
    turn();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct json *slice, *endpoint;

        ask(cases[i].target);
        slice = json_first(json_get(answer, "slices"));
        endpoint = json_first(json_get(slice, "endpoints"));
        cr_assert_str_eq(member("rule"), cases[i].rule, "%s", member("rule"));
        cr_assert(json_number(json_get(endpoint, "port")) == cases[i].port, "%s", cases[i].target);
        cr_assert_str_eq(fate("10.0.0.1"), "in ready");
        cr_assert_eq(json_len(json_get(answer, "ports")), 1);
    }
}

/* Two named ports of a headless Service lead to it. */
Test(explain, shows_an_endpoint_once_whatever_its_slice_calls_the_port)
{
    upsert(world.services, SERVICE_WITH("'clusterIP':'None','ports':[{'name':'a','port':80},"
                                        "{'name':'b','port':81}]"));
    upsert(world.slices, "{'metadata':{'namespace':'shop','name':'a','labels':"
                         "{'kubernetes.io/service-name':'greeter'}},'addressType':'IPv4',"
                         "'ports':[{'name':'a','port':9001},{'name':'b','port':9001}],"
                         "'endpoints':[" READY("10.0.0.1") "]}");
    turn();
    ask("greeter:9001");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_eq(json_len(json_get(json_first(json_get(answer, "slices")), "endpoints")), 1);
}

Test(explain, tells_a_slice_that_is_malformed_from_one_of_which_something_is_left_out)
{
    static const struct {
        const char *endpoints;
        bool malformed, flawed;
        const char *fault; /* a part of what is said of it */
    } cases[] = {
        {READY("10.0.0.1"), false, false, ""},
        {READY("10.0.0.1") "," READY("nonsense"), false, true, "'nonsense'"},
        {READY("10.0.0.1") ",7", true, false, "shop/a: endpoints[1]"},
        {READY("10.0.0.1"), false, false, ""},
    };

    upsert(world.services, SERVICE_WITH("'ports':[{'port':8001}]"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct json *slice;

        put_slice("a", (int)i, cases[i].endpoints);
        ask("greeter");
        slice = json_first(json_get(answer, "slices"));
        cr_assert_eq(json_bool(json_get(slice, "malformed")), cases[i].malformed, "%zu", i);
        cr_assert_eq(json_bool(json_get(slice, "flawed")), cases[i].flawed, "%zu", i);
        cr_assert_eq(json_text(json_get(slice, "fault")).len > 0, *cases[i].fault != '\0', "%zu", i);
        cr_assert(strstr(json_text(json_get(slice, "fault")).ptr, cases[i].fault), "%" STR_FMT,
                  STR_ARG(json_text(json_get(slice, "fault"))));
        cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    }
}

Test(explain, knows_no_service)
{
    upsert(world.slices, SLICE_JSON("x", "nobody", 1, READY("10.0.0.1")));
    turn();
    ask("nobody.shop:80");
    cr_assert_str_eq(member("found"), "false");
    cr_assert_str_eq(member("problem"), "there is no such Service");
    cr_assert_str_eq(fate("10.0.0.1"), "out no-service");
    cr_assert_str_eq(member("summary"), "there is no Service nobody in namespace shop: the list is "
                                        "empty, and calls fail until it is created");
    ask("never-heard-of.shop");
    cr_assert_str_eq(member("found"), "false");
}

Test(explain, of_an_external_name)
{
    put_slice("a", 1, READY("10.0.0.1"));
    upsert(world.services, SERVICE_WITH("'type':'ExternalName','externalName':'Db.example.com.'"));
    turn_until_published("greeter", "");
    ask("greeter:5432");
    cr_assert_str_eq(member("type"), "ExternalName");
    cr_assert_str_eq(member("external_name"), "db.example.com");
    cr_assert_str_eq(fate("10.0.0.1"), "out external-name");
    cr_assert_str_eq(member("cluster"), "shop/greeter:5432");
    cr_assert_str_eq(member("summary"),
                     "clients resolve db.example.com themselves and connect to port 5432");
    ask("greeter");
    cr_assert_str_eq(member("problem"),
                     "the Service is an ExternalName without ports: the name must give a number");
}
/* ---- conditions ---- */

Test(explain, tells_conditions)
{
    put_slice("a", 1,
              READY("10.0.0.1") "," NOT_READY("10.0.0.2") "," ENDPOINT(
                  "10.0.0.3", DRAINING, "") "," ENDPOINT("10.0.0.4", STOPPED, ""));
    ask("greeter");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_str_eq(fate("10.0.0.2"), "out not-ready");
    cr_assert_str_eq(fate("10.0.0.3"), "out terminating");
    cr_assert_str_eq(fate("10.0.0.4"), "out stopped");
    cr_assert_str_eq(member("summary"), "1 of 4 endpoints is listed");
    cr_assert_str_eq(member("ready"), "1");
    cr_assert_str_eq(member("draining"), "1");
    cr_assert_str_eq(member("total"), "4");
    put_slice("a", 2, NOT_READY("10.0.0.2") "," ENDPOINT("10.0.0.3", DRAINING, ""));
    turn_until_published("greeter", "8001: 10.0.0.3:9001");
    ask("greeter");
    cr_assert_str_eq(fate("10.0.0.3"), "in draining");
    cr_assert_str_eq(member("summary"), "1 of 2 endpoints is listed; none is ready, but these are "
                                        "terminating and still serve");
    put_slice("a", 3, NOT_READY("10.0.0.2"));
    turn_until_published("greeter", "8001:");
    ask("greeter");
    cr_assert_str_eq(member("summary"), "the list is empty: none of its endpoints is ready");
}

Test(explain, tells_ports_that_slices_do_not_have)
{
    upsert(world.slices,
           "{'metadata':{'namespace':'shop','name':'a','labels':{'kubernetes.io/service-name':"
           "'greeter'}},'addressType':'IPv4','ports':[{'name':'other','port':1},"
           "{'port':2,'protocol':'UDP'}],'endpoints':[" READY("10.0.0.1") "]}");
    ask("greeter");
    cr_assert_str_eq(fate("10.0.0.1"), "out no-such-port");
    cr_assert_str_eq(member("summary"), "the list is empty: no slice has endpoints at this port");
    ask("greeter:grpc");
    cr_assert_str_eq(fate("10.0.0.1"), "out no-port");
    cr_assert_str_eq(member("summary"), "the list is empty: the Service has no such TCP port");
}

Test(explain, tells_duplicates)
{
    put_slice("a", 1, READY("10.0.0.1") "," READY("10.0.0.1"));
    put_slice("b", 2, NOT_READY("10.0.0.1"));
    ask("greeter");
    cr_assert_str_eq(fate_in("10.0.0.1", "a"), "out duplicate");
    cr_assert_str_eq(fate_in("10.0.0.1", "b"), "out not-ready");
    put_slice("a", 3, READY("10.0.0.1") "," READY("10.0.0.1"));
    ask("greeter");
    cr_assert_str_eq(fate_in("10.0.0.1", "a"), "in ready");
    cr_assert_str_eq(fate_in("10.0.0.1", "b"), "out duplicate");
    cr_assert_eq(count_in(), 1);
}

Test(explain, tells_leftovers)
{
    upsert(world.services, "{'metadata':{'namespace':'shop','name':'greeter','uid':'new'},"
                           "'spec':{'ports':[{'port':8001}]}}");
    upsert(world.slices,
           "{'metadata':{'namespace':'shop','name':'a','labels':{'kubernetes.io/service-name':"
           "'greeter'},'ownerReferences':[{'apiVersion':'v1','kind':'Service','uid':'old'}]},"
           "'addressType':'IPv4',"
           "'ports':[{'port':1}],'endpoints':[" READY("10.0.0.1") "]}");
    ask("greeter");
    cr_assert_str_eq(fate("10.0.0.1"), "out leftover");
    cr_assert_str_eq(text_of(json_get(json_first(json_get(answer, "slices")), "refused")),
                     "the slice is a leftover of an earlier Service of this name");
}

Test(explain, tells_pods_apart)
{
    put_slice("a", 1,
              ENDPOINT("10.0.0.1", "", ",'hostname':'p-0'") "," ENDPOINT("10.0.0.2", "",
                                                                         ",'hostname':'p-1'"));
    ask("p-1.greeter.shop");
    cr_assert_str_eq(fate("10.0.0.1"), "out other-pod");
    cr_assert_str_eq(fate("10.0.0.2"), "in ready");
    cr_assert_str_eq(member("cluster"), "shop/greeter/p-1:8001");
    cr_assert_str_eq(member("listed"), "1");
    ask("p-2.greeter.shop");
    cr_assert_str_eq(member("summary"),
                     "the list is empty: no endpoint that could be listed has this hostname");
}

#define POD_AT(address, uid)                                                                       \
    "{'addresses':['" address "'],'targetRef':{'kind':'Pod','name':'p','uid':'" uid "'}}"

Test(explain, tells_the_other_address_of_a_pod)
{
    put_slice("a", 1, POD_AT("10.0.0.1", "u1"));
    upsert(world.slices,
           "{'metadata':{'namespace':'shop','name':'b','labels':{'kubernetes.io/service-name':"
           "'greeter'}},'addressType':'IPv6','ports':[{'port':9001}],'endpoints':[" POD_AT(
               "fd00::1", "u1") "]}");
    ask("greeter");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_str_eq(fate("fd00::1"), "in joined");
    cr_assert_str_eq(member("listed"), "1");
    cr_assert_str_eq(member("summary"),
                     "2 of 2 endpoints are listed (1 backend: the two addresses of a pod are one)");
}
