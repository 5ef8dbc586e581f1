/* Why a list is as it is: every reason there is. */
#include "fixture.h"

#include "base/clock.h"
#include "controller/explain.h"

static struct json *answer;

static void start(void)
{
    world_start();
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    turn();
}

static void stop(void)
{
    json_free(answer);
    answer = NULL;
    world_stop();
}

TestSuite(explain, .init = start, .fini = stop);

/* ---- asking ---- */

static enum code ask_at(const char *target, const char *zone, const char *node, struct err *err)
{
    struct buf text = BUFFER_INIT(1 << 20);
    struct json_writer writer = json_writer(&text);
    const struct explain_query query = {
        .target = str_of(target),
        .default_namespace = STR("shop"),
        .cluster_domain = STR("cluster.local"),
        .place = {.zone = str_of(zone), .node = str_of(node)},
    };
    enum code code;

    json_free(answer);
    answer = NULL;
    json_open_object(&writer, NULL);
    code = controller_explain(world.controller, &query, &writer, err);
    json_close_object(&writer);
    if (code == CODE_OK)
        cr_assert_eq(json_parse(buf_str(&text), &answer, err), CODE_OK, "%s", err->msg);
    buf_done(&text);
    return code;
}

/* Of an array, at any depth of slices: how many say that they are in. */
static size_t count_in(void)
{
    size_t count = json_len(json_get(answer, "kept"));

    for (const struct json *slice = json_first(json_get(answer, "slices")); slice;
         slice = json_next(slice)) {
        const struct json *endpoints = json_get(slice, "endpoints");

        for (const struct json *item = json_first(endpoints); item; item = json_next(item))
            count += json_bool(json_get(item, "in"));
    }
    return count;
}

/* Some endpoint of a slice, or one that is kept, has this reason. */
static bool has_reason(const char *reason)
{
    static const char *const lists[] = {"slices", "kept"};

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct json *list = json_get(answer, lists[i]);

        for (const struct json *item = json_first(list); item; item = json_next(item)) {
            const struct json *endpoints = json_get(item, "endpoints");

            if (str_eq(json_text(json_get(item, "reason")), str_of(reason)))
                return true;
            for (const struct json *one = json_first(endpoints); one; one = json_next(one)) {
                if (str_eq(json_text(json_get(one, "reason")), str_of(reason)))
                    return true;
            }
        }
    }
    return false;
}

/* Once nothing is on its way any more. */
static void ask_from(const char *target, const char *zone, const char *node)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;
    struct err err = {0};

    do {
        turn_for_ms(1);
        cr_assert_eq(ask_at(target, zone, node, &err), CODE_OK, "%s", err.msg);
    } while ((has_reason("waiting") || has_reason("leaving")) && clock_monotonic_us() < end_us);
}

static void ask(const char *target)
{
    ask_from(target, "", "");
    cr_assert_geq(count_in(), (size_t)json_number(json_get(answer, "listed")));
}

/* A text at a path of members. Static memory. */
static const char *text_of(const struct json *json)
{
    static char text[4][1024];
    static size_t next;
    char *out = text[next++ % ARRAY_LEN(text)];

    if (json_type(json) == JSON_BOOL)
        return json_bool(json) ? "true" : "false";
    if (json_type(json) == JSON_NUMBER)
        snprintf(out, sizeof(text[0]), "%g", json_number(json));
    else
        snprintf(out, sizeof(text[0]), "%" STR_FMT, STR_ARG(json_text(json)));
    return out;
}

static const char *member(const char *key)
{
    return text_of(json_get(answer, key));
}

/* "in ready", "out not-ready"; "" if it is in no slice. Of several the first, or of that slice. */
static const char *fate_in(const char *address, const char *slice_name)
{
    static char text[64];

    for (const struct json *slice = json_first(json_get(answer, "slices")); slice;
         slice = json_next(slice)) {
        const struct json *endpoints = json_get(slice, "endpoints");

        for (const struct json *item = json_first(endpoints); item; item = json_next(item)) {
            if (strcmp(text_of(json_get(item, "address")), address) != 0 ||
                (slice_name && strcmp(text_of(json_get(slice, "name")), slice_name) != 0))
                continue;
            cr_assert_gt(strlen(text_of(json_get(item, "why"))), 0);
            snprintf(text, sizeof(text), "%s %s", json_bool(json_get(item, "in")) ? "in" : "out",
                     text_of(json_get(item, "reason")));
            return text;
        }
    }
    return "";
}

static const char *fate(const char *address)
{
    return fate_in(address, NULL);
}

static void put_slice(const char *name, int version, const char *endpoints)
{
    /* clang-format off */ /* takes the % for a sign */
    upsert(world.slices, SLICE_JSON("%s", "greeter", %d, "%s"), name, version, endpoints);
    /* clang-format on */
    turn();
}

/* Address, conditions as JSON, and more members. */
#define ENDPOINT(address, conditions, more)                                                        \
    "{'addresses':['" address "'],'conditions':{" conditions "}" more "}"
#define DRAINING "'ready':false,'serving':true,'terminating':true"
#define STOPPED "'ready':false,'serving':false,'terminating':true"

/* ---- names ---- */

Test(explain, says_how_a_name_was_read)
{
    static const struct {
        const char *target, *form;
    } cases[] = {
        {"greeter", "one label, so the client's own namespace: Service greeter in namespace shop"},
        {"greeter.shop:8001", "two labels: Service greeter in namespace shop"},
        {"p-0.greeter.shop",
         "three labels, so one pod by its hostname: pod p-0 of Service greeter in namespace shop"},
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

#define SERVICE_WITH(text) "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{" text "}}"

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
    } cases[] = {
        {READY("10.0.0.1"), false, false},
        {READY("10.0.0.1") "," READY("nonsense"), false, true},
        {READY("10.0.0.1") ",7", true, false},
        {READY("10.0.0.1"), false, false},
    };

    upsert(world.services, SERVICE_WITH("'ports':[{'port':8001}]"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct json *slice;

        put_slice("a", (int)i, cases[i].endpoints);
        ask("greeter");
        slice = json_first(json_get(answer, "slices"));
        cr_assert_eq(json_bool(json_get(slice, "malformed")), cases[i].malformed, "%zu", i);
        cr_assert_eq(json_bool(json_get(slice, "flawed")), cases[i].flawed, "%zu", i);
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
    cr_assert_str_eq(member("summary"), "1 of 2 endpoints is listed; none is ready, but these shut "
                                        "down and still serve");
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
                     "2 of 2 endpoints are listed (1 pod, some with two addresses)");
}

/* ---- places ---- */

#define HINTED(address, node, zone, hints)                                                         \
    "{'addresses':['" address "'],'nodeName':'" node "','zone':'" zone "','hints':{" hints "}}"
#define FOR_ZONE(zone) "'forZones':[{'name':'" zone "'}]"
#define FOR_NODE(node) "'forNodes':[{'name':'" node "'}]"

static size_t views(void)
{
    return json_len(json_get(answer, "views"));
}

Test(explain, tells_zone_hints)
{
    put_slice("a", 1,
              HINTED("10.0.0.1", "n1", "z1", FOR_ZONE("z1")) "," HINTED(
                  "10.0.0.2", "n2", "z2", FOR_ZONE("z2")) "," HINTED("10.0.0.3", "n3", "z2",
                                                                     FOR_ZONE("z2")));
    ask_from("greeter", "z2", "");
    cr_assert_str_eq(fate("10.0.0.1"), "out other-zone");
    cr_assert_str_eq(fate("10.0.0.2"), "in ready");
    cr_assert_str_eq(member("listed"), "2");
    cr_assert_str_eq(member("summary"),
                     "2 of 3 endpoints are listed, those that hints give zone z2");
    cr_assert_str_eq(text_of(json_get(json_get(answer, "view"), "ipv4")), "zone");
    cr_assert_str_eq(text_of(json_get(json_get(answer, "view"), "ipv6")), "all");
    cr_assert_eq(views(), 3, "all, z1, z2");
    ask_from("greeter", "z9", "");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_str_eq(text_of(json_get(json_get(answer, "view"), "ipv4")), "all");
}

Test(explain, knows_the_zone_of_a_node)
{
    struct controller_scope *nodes = controller_scope_new(world.controller, OBJECT_NODE, "nodes");

    upsert(nodes, "{'metadata':{'name':'n7','labels':{'topology.kubernetes.io/zone':'z1'}}}");
    put_slice("a", 1,
              HINTED("10.0.0.1", "n1", "z1", FOR_ZONE("z1")) "," HINTED("10.0.0.2", "n2", "z2",
                                                                        FOR_ZONE("z2")));
    ask_from("greeter", "", "n7");
    cr_assert_str_eq(text_of(json_get(json_get(answer, "place"), "zone")), "z1");
    cr_assert_str_eq(fate("10.0.0.2"), "out other-zone");
    controller_scope_free(nodes);
}

Test(explain, tells_node_hints)
{
    put_slice("a", 1,
              HINTED("10.0.0.1", "n1", "z1", FOR_NODE("n1")) "," HINTED("10.0.0.2", "n2", "z2",
                                                                        FOR_NODE("n2")));
    ask_from("greeter", "", "n1");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_str_eq(fate("10.0.0.2"), "out other-node");
    cr_assert_str_eq(member("summary"),
                     "1 of 2 endpoints is listed, those that hints give node n1");
}

Test(explain, tells_what_is_not_local)
{
    upsert(world.services, SERVICE_WITH("'internalTrafficPolicy':'Local','ports':[{'port':8001}]"));
    put_slice("a", 1,
              HINTED("10.0.0.1", "n1", "", "") "," HINTED(
                  "10.0.0.2", "n2", "",
                  "") ","
                      "{'addresses':['10.0.0.3'],'nodeName':'n3','conditions':{" DRAINING "}}");
    ask_from("greeter", "", "n1");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_str_eq(fate("10.0.0.2"), "out not-local");
    cr_assert_str_eq(fate("10.0.0.3"), "out not-local");
    cr_assert_str_eq(member("blind"), "false");
    cr_assert_str_eq(member("summary"), "1 of 3 endpoints is listed, those on node n1");
    cr_assert_eq(views(), 5, "all, n1, n2, n3, and nodes without endpoints");
    ask_from("greeter", "", "n3");
    cr_assert_str_eq(fate("10.0.0.3"), "in draining");
    ask_from("greeter", "", "n9");
    cr_assert_str_eq(member("summary"), "the list is empty: internalTrafficPolicy is Local, and no "
                                        "ready endpoint is on the client's node");
    ask_from("greeter", "", "");
    cr_assert_str_eq(member("blind"), "true");
    cr_assert_str_eq(fate("10.0.0.2"), "in ready");
}

Test(explain, leaves_views_out_where_there_are_many)
{
    struct buf text = BUFFER_INIT(1 << 20);

    for (int i = 0; i < 100; i++)
        buf_printf(&text, "%s{'addresses':['10.0.0.%d'],'nodeName':'n%d'}", i > 0 ? "," : "", i + 1,
                   i);
    upsert(world.services, SERVICE_WITH("'internalTrafficPolicy':'Local','ports':[{'port':8001}]"));
    put_slice("a", 1, buf_cstr(&text));
    ask("greeter");
    cr_assert_eq(views(), EXPLAIN_VIEWS_MAX);
    cr_assert_str_eq(member("views_left_out"), "38", "of 100 nodes, all, and those without any");
    buf_done(&text);
}

/* ---- holds and delays ---- */

static const struct json *hold_member(const char *key)
{
    return json_get(json_get(answer, "hold"), key);
}

Test(explain, tells_what_a_hold_keeps)
{
    put_slice("a", 1, READY("10.0.0.1"));
    put_slice("b", 1, READY("10.0.0.2"));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.2:9001");
    upsert(world.services, SERVICE_WITH("'ports':[{'port':8001,'name':'renamed'}]"));
    remove_object(world.slices, "b");
    turn_until_hold("greeter", "service-change");
    ask("greeter");
    cr_assert_str_eq(text_of(hold_member("name")), "service-change");
    cr_assert_leq(json_number(hold_member("until_ms")), 2000);
    cr_assert_eq(json_number(hold_member("doubted")), 0);
    cr_assert_str_eq(fate("10.0.0.1"), "out no-such-port");
    cr_assert_eq(json_len(json_get(answer, "kept")), 2, "both, as they were");
    cr_assert_str_eq(text_of(json_get(json_first(json_get(answer, "kept")), "reason")), "kept");
    cr_assert_str_eq(member("summary"),
                     "2 of 2 endpoints are listed; a hold keeps this list for now");
    cr_assert_eq(count_in(), 2);
}

Test(explain, tells_what_a_hold_keeps_back)
{
    world_stop();
    world.deletion_grace_ms = 2000;
    start();
    put_slice("a", 1, READY("10.0.0.1"));
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
    remove_object(world.services, "greeter");
    turn_until_hold("greeter", "deletion");
    put_slice("a", 2, NOT_READY("10.0.0.1") "," READY("10.0.0.2"));
    ask("greeter");
    cr_assert_str_eq(member("found"), "false");
    cr_assert_str_eq(text_of(hold_member("name")), "deletion");
    cr_assert_str_eq(fate("10.0.0.1"), "in kept");
    cr_assert_str_eq(fate("10.0.0.2"), "out no-service");
    cr_assert(strstr(member("summary"), "the Service is deleted, and a hold keeps what there was"));
    upsert(world.services, SERVICE_WITH("'ports':[{'port':8001,'name':'x'}]"));
    turn_until_hold("greeter", "service-change");
}

/* Two endpoints vanish; one comes back in another slice while the hold still waits for the other. */
Test(explain, tells_what_settles)
{
    struct err err = {0};

    put_slice("a", 1, READY("10.0.0.1") "," READY("10.0.0.2"));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.2:9001");
    turn_for_ms(15);
    put_slice("a", 3, READY("10.0.0.1") "," READY("10.0.0.3"));
    turn();
    cr_assert_eq(ask_at("greeter", "", "", &err), CODE_OK);
    cr_assert_str_eq(text_of(hold_member("name")), "settle");
    cr_assert_str_eq(fate("10.0.0.1"), "in ready");
    cr_assert_str_eq(fate("10.0.0.3"), "out held-back");
    cr_assert_eq(json_len(json_get(answer, "kept")), 1);
    cr_assert_str_eq(text_of(json_get(json_first(json_get(answer, "kept")), "address")),
                     "10.0.0.2");
}

Test(explain, tells_what_is_on_its_way)
{
    struct err err = {0};

    world.fanout_us = 200 * 1000; /* a window of 800 ms */
    put_slice("a", 1, READY("10.0.0.1"));
    turn_until_published("greeter", "8001: 10.0.0.1:9001");
    put_slice("a", 2, NOT_READY("10.0.0.1") "," READY("10.0.0.2"));
    cr_assert_eq(ask_at("greeter", "", "", &err), CODE_OK);
    cr_assert_str_eq(fate("10.0.0.1"), "in leaving");
    cr_assert_str_eq(fate("10.0.0.2"), "out waiting");
    cr_assert_null(json_get(answer, "hold"));
}

Test(explain, tells_what_is_doubted)
{
    put_slice("a", 1, READY("10.0.0.1"));
    list_begin(world.slices);
    cr_assert_not(list_end(world.slices));
    ask("greeter");
    cr_assert_str_eq(fate("10.0.0.1"), "in kept");
    cr_assert_str_eq(text_of(hold_member("name")), "relist");
    cr_assert_null(hold_member("until_ms"));
    cr_assert_eq(json_number(hold_member("doubted")), 1);
    cr_assert(
        strstr(member("summary"), "the API server's last list lacked objects of this Service"));
}

Test(explain, has_a_word_and_a_sentence_for_every_reason)
{
    for (enum explain_reason reason = 0; reason < EXPLAIN_REASONS; reason++) {
        cr_assert_not_null(explain_reason_name(reason));
        cr_assert_not_null(explain_reason_text(reason));
        for (enum explain_reason other = 0; other < reason; other++)
            cr_assert_str_neq(explain_reason_name(reason), explain_reason_name(other));
    }
}
