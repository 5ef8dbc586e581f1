#include "fixture.h"

#include "controller/decode.h"

static enum code decode(const char *text, const struct slice **ret_slice, struct err *err)
{
    struct json *json = parse(text);
    struct object_meta meta;
    enum code code = decode_meta(json, &meta, err);

    if (code == CODE_OK)
        code = decode_slice(json, &meta, ret_slice, err);
    json_free(json);
    return code;
}

static const struct slice *good(const char *text)
{
    const struct slice *slice = NULL;
    struct err err = {0};

    cr_assert_eq(decode(text, &slice, &err), CODE_OK, "%s", err.msg);
    return slice;
}

Test(decode_slice, reads_everything_that_counts)
{
    const struct slice *slice =
        good("{'metadata':{'namespace':'shop','name':'greeter-abc','resourceVersion':'12345',"
             "'labels':{'kubernetes.io/service-name':'greeter'},"
             "'ownerReferences':[{'kind':'Other','uid':'x'},{'apiVersion':'v1','kind':'Service',"
             "'uid':'u1'}]},"
             "'addressType':'IPv6','ports':[{'name':'grpc','port':9001,'protocol':'TCP','"
             "appProtocol':'grpc'},"
             "{'name':'any'}],'endpoints':[{'addresses':['FD00::1','fd00::2'],"
             "'conditions':{'ready':false,'serving':true,'terminating':true},'hostname':'pod-0',"
             "'nodeName':'n1','zone':'z1','targetRef':{'kind':'Pod','name':'p1','uid':'pu'},"
             "'hints':{'forZones':[{'name':'z1'},{'name':'z2'}],'forNodes':[{'name':'n1'}]}}]}");
    const struct endpoint *endpoint = &slice->endpoints[0];

    cr_assert(str_eq(slice->namespace_name, STR("shop")));
    cr_assert(str_eq(slice->name, STR("greeter-abc")));
    cr_assert(str_eq(slice->service, STR("greeter")));
    cr_assert(str_eq(slice->owner_uid, STR("u1")));
    cr_assert_eq(slice->resource_version, 12345);
    cr_assert_eq(slice->family, FAMILY_IPV6);
    cr_assert_eq(slice->ports_len, 2);
    cr_assert(str_eq(slice->ports[0].name, STR("grpc")));
    cr_assert_eq(slice->ports[0].number, 9001);
    cr_assert(str_eq(slice->ports[0].app_protocol, STR("grpc")));
    cr_assert_eq(slice->ports[1].number, 0);
    cr_assert_eq(slice->endpoints_len, 1);
    cr_assert(str_eq(endpoint->address, STR("fd00::1")));
    cr_assert(!endpoint->ready && endpoint->serving && endpoint->terminating);
    cr_assert(str_eq(endpoint->hostname, STR("pod-0")));
    cr_assert(str_eq(endpoint->node, STR("n1")));
    cr_assert(str_eq(endpoint->zone, STR("z1")));
    cr_assert(str_eq(endpoint->pod, STR("p1")));
    cr_assert(str_eq(endpoint->uid, STR("pu")));
    cr_assert_eq(endpoint->zone_hints_len, 2);
    cr_assert(str_eq(endpoint->zone_hints[0], STR("z1")));
    cr_assert(str_eq(endpoint->zone_hints[1], STR("z2")));
    cr_assert_eq(endpoint->node_hints_len, 1);
    cr_assert(str_eq(endpoint->node_hints[0], STR("n1")));
    cr_assert_gt(slice_backends(slice, 0)[0].wire.len, 0);
    slice_unref(slice);
}

Test(decode_slice, gives_absent_conditions_their_defaults)
{
    static const struct {
        const char *conditions;
        bool ready, serving, terminating;
    } cases[] = {
        {"{}", true, true, false},
        {"null", true, true, false},
        {"{'ready':null,'serving':null,'terminating':null}", true, true, false},
        {"{'ready':false}", false, true, false},
        {"{'ready':false,'terminating':true}", false, true, true},
        {"{'serving':false}", true, false, false},
        {"{'ready':false,'serving':false,'terminating':true}", false, false, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512];
        const struct slice *slice;

        snprintf(text, sizeof(text),
                 "{'metadata':{'name':'s'},'addressType':'IPv4','endpoints':[{'addresses':"
                 "['10.0.0.1'],'conditions':%s}]}",
                 cases[i].conditions);
        slice = good(text);
        cr_assert_eq(slice->endpoints[0].ready, cases[i].ready, "%s", cases[i].conditions);
        cr_assert_eq(slice->endpoints[0].serving, cases[i].serving, "%s", cases[i].conditions);
        cr_assert_eq(slice->endpoints[0].terminating, cases[i].terminating, "%s",
                     cases[i].conditions);
        slice_unref(slice);
    }
}

Test(decode_slice, takes_null_for_empty)
{
    const struct slice *slice =
        good("{'metadata':{'name':'s','labels':null,'ownerReferences':null},"
             "'addressType':'IPv4','endpoints':null,'ports':null}");

    cr_assert_eq(slice->endpoints_len, 0);
    cr_assert_eq(slice->ports_len, 0);
    cr_assert_eq(slice->service.len, 0);
    cr_assert_eq(slice->resource_version, 0);
    slice_unref(slice);
}

Test(decode_slice, knows_no_pod_behind_a_target_that_is_none)
{
    const struct slice *slice =
        good("{'metadata':{'name':'s'},'addressType':'IPv4','endpoints':[{'addresses':['10.0.0.1'],"
             "'targetRef':{'kind':'Node','name':'n','uid':'u'}}]}");

    cr_assert_eq(slice->endpoints[0].pod.len, 0);
    slice_unref(slice);
}

Test(decode_slice, ignores_slices_of_names)
{
    cr_assert_null(good("{'metadata':{'name':'s'},'addressType':'FQDN','endpoints':[{'addresses':"
                        "['example.com']}]}"));
}

#define HEAD "{'metadata':{'namespace':'shop','name':'s'},'addressType':'IPv4',"

Test(decode_slice, refuses_by_name_field_and_cause)
{
    static const char *const cases[][2] = {
        {"{'metadata':{'namespace':'shop','name':'s'}}", "shop/s: addressType: missing"},
        {"{'metadata':{'namespace':'shop','name':'s'},'addressType':'ipv4'}",
         "shop/s: addressType: 'ipv4' is no type of address"},
        {"{'metadata':{'namespace':'shop','name':'s','labels':[]},'addressType':'IPv4'}",
         "shop/s: metadata.labels: expected an object, found an array"},
        {"{'metadata':{'namespace':'shop','name':'s','labels':{'kubernetes.io/service-name':1}},"
         "'addressType':'IPv4'}",
         "shop/s: metadata.labels.kubernetes.io/service-name: expected a string, found a number"},
        {"{'metadata':{'namespace':'shop','name':'s','ownerReferences':['x']},'addressType':'IPv4'"
         "}",
         "shop/s: metadata.ownerReferences[0]: expected an object, found a string"},
        {"{'metadata':{'namespace':'shop','name':'s','ownerReferences':[{'apiVersion':1}]},"
         "'addressType':'IPv4'}",
         "shop/s: metadata.ownerReferences[0].apiVersion: expected a string, found a number"},
        {HEAD "'endpoints':{}}", "shop/s: endpoints: expected an array, found an object"},
        {HEAD "'endpoints':['10.0.0.1']}",
         "shop/s: endpoints[0]: expected an object, found a string"},
        {HEAD "'endpoints':[{'addresses':'10.0.0.1'}]}",
         "shop/s: endpoints[0].addresses: expected an array, found a string"},
        {HEAD "'endpoints':[{'addresses':['10.0.0.1']},{'addresses':[7]}]}",
         "shop/s: endpoints[1].addresses[0]: expected a string, found a number"},
        {HEAD "'endpoints':[{'addresses':['10.0.0.400'],'zone':3}]}",
         "shop/s: endpoints[0].zone: expected a string, found a number"},
        {HEAD "'endpoints':[{'addresses':['10.0.0.1'],'conditions':true}]}",
         "shop/s: endpoints[0].conditions: expected an object, found a boolean"},
        {HEAD "'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':'yes'}}]}",
         "shop/s: endpoints[0].conditions.ready: expected a boolean, found a string"},
        {HEAD "'endpoints':[{'addresses':['10.0.0.1'],'targetRef':{'kind':3}}]}",
         "shop/s: endpoints[0].targetRef.kind: expected a string, found a number"},
        {HEAD "'endpoints':[{'addresses':['10.0.0.1'],'zone':3}]}",
         "shop/s: endpoints[0].zone: expected a string, found a number"},
        {HEAD "'ports':[{'port':'grpc'}]}",
         "shop/s: ports[0].port: expected a number, found a string"},
        {HEAD "'ports':[{'port':0}]}", "shop/s: ports[0].port: 0 is no port"},
        {HEAD "'ports':[{'port':80},{'port':70000}]}",
         "shop/s: ports[1].port: expected a whole number from 0 to 65535, found 70000"},
        {HEAD "'ports':[{'port':80,'protocol':'HTTP'}]}",
         "shop/s: ports[0].protocol: 'HTTP' is no protocol"},
        {HEAD "'endpoints':[{'addresses':['10.0.0.1'],'hints':[]}]}",
         "shop/s: endpoints[0].hints: expected an object, found an array"},
        {HEAD "'endpoints':[{'addresses':['10.0.0.1'],'hints':{'forZones':{}}}]}",
         "shop/s: endpoints[0].hints.forZones: expected an array, found an object"},
        {HEAD "'endpoints':[{'addresses':['10.0.0.1'],'hints':{'forNodes':['n1']}}]}",
         "shop/s: endpoints[0].hints.forNodes[0]: expected an object, found a string"},
        {HEAD "'endpoints':[{'addresses':['10.0.0.1'],'hints':{'forNodes':[{'name':1}]}}]}",
         "shop/s: endpoints[0].hints.forNodes[0].name: expected a string, found a number"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct slice *slice = NULL;
        struct err err = {0};

        cr_assert_neq(decode(cases[i][0], &slice, &err), CODE_OK, "%s", cases[i][0]);
        cr_assert_null(slice);
        cr_assert_str_eq(err.msg, cases[i][1]);
    }
}

Test(decode_slice, takes_null_and_empty_hints_for_none)
{
    static const char *const hints[] = {"null", "{}", "{'forZones':null,'forNodes':null}",
                                        "{'forZones':[],'forNodes':[]}"};

    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        char text[256];
        const struct slice *slice;

        snprintf(text, sizeof(text), HEAD "'endpoints':[{'addresses':['10.0.0.1'],'hints':%s}]}",
                 hints[i]);
        slice = good(text);
        cr_assert_eq(slice->endpoints[0].zone_hints_len + slice->endpoints[0].node_hints_len, 0);
        slice_unref(slice);
    }
}

/* Without that list, all clients get all: better than no backends. */
Test(decode_slice, ignores_a_list_of_hints_that_the_api_does_not_allow_by_name)
{
    static const char nine[] = "{'name':'1'},{'name':'2'},{'name':'3'},{'name':'4'},{'name':'5'},"
                               "{'name':'6'},{'name':'7'},{'name':'8'},{'name':'9'}";
    static const char *const cases[][2] = {
        {nine, "shop/s: endpoints[1].hints.forZones: more than 8, the hints are ignored"},
        {"{'name':'a'},{}",
         "shop/s: endpoints[1].hints.forZones[1].name: missing, the hints are ignored"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[1024];
        const struct slice *slice = NULL;
        struct err err = {0};

        snprintf(text, sizeof(text),
                 HEAD "'endpoints':[{'addresses':['10.0.0.1']},{'addresses':['10.0.0.2'],'hints':{"
                      "'forZones':[%s],'forNodes':[{'name':'n'}]}}]}",
                 cases[i][0]);
        cr_assert_eq(decode(text, &slice, &err), CODE_OK);
        cr_assert_str_eq(err.msg, cases[i][1]);
        cr_assert_eq(slice->endpoints[1].zone_hints_len, 0);
        cr_assert_eq(slice->endpoints[1].node_hints_len, 1);
        slice_unref(slice);
    }
}

/* Whoever has the others need not wait until somebody mends that one: kube-proxy skips them one by one. */
Test(decode_slice, leaves_out_by_name_an_endpoint_that_nobody_can_call)
{
    static const char *const cases[][2] = {
        {"{'addresses':['10.0.0.400']}", "addresses[0]: '10.0.0.400' is no IPv4 address"},
        {"{'addresses':['010.0.0.9']}", "addresses[0]: '010.0.0.9' is no IPv4 address"},
        {"{'addresses':['::ffff:10.0.0.9']}",
         "addresses[0]: '::ffff:10.0.0.9' is no IPv4 address"},
        {"{'addresses':['239.0.0.9']}", "addresses[0]: '239.0.0.9' is a multicast address"},
        {"{'addresses':['0.0.0.0']}", "addresses[0]: '0.0.0.0' is the unspecified address"},
        {"{'addresses':['']}", "addresses[0]: '' is no IPv4 address"},
        {"{'addresses':[]}", "addresses: empty"},
        {"{'conditions':{'ready':true}}", "addresses: missing"},
        {"{'addresses':['x','10.0.0.9']}", "addresses[0]: 'x' is no IPv4 address"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512], wanted[256];
        const struct slice *slice = NULL;
        struct err err = {0};

        snprintf(text, sizeof(text),
                 HEAD "'endpoints':[{'addresses':['10.0.0.1']},%s,{'addresses':['10.0.0.3']}]}",
                 cases[i][0]);
        snprintf(wanted, sizeof(wanted), "shop/s: endpoints[1].%s, the endpoint is left out",
                 cases[i][1]);
        cr_assert_eq(decode(text, &slice, &err), CODE_OK, "%s", cases[i][0]);
        cr_assert_str_eq(err.msg, wanted);
        cr_assert_eq(slice->endpoints_len, 2);
        cr_assert(str_eq(slice->endpoints[1].address, STR("10.0.0.3")));
        slice_unref(slice);
    }
}

Test(decode_slice, counts_what_it_leaves_out_and_names_the_first)
{
    const struct slice *slice = NULL;
    struct err err = {0};

    cr_assert_eq(decode(HEAD "'endpoints':[{'addresses':['a']},{'addresses':['10.0.0.1'],'hints':"
                             "{'forZones':[{}]}},{'addresses':['c']}]}",
                        &slice, &err),
                 CODE_OK);
    cr_assert_str_eq(err.msg, "shop/s: endpoints[0].addresses[0]: 'a' is no IPv4 address, the "
                              "endpoint is left out (and 2 more faults)");
    cr_assert_eq(slice->endpoints_len, 1);
    slice_unref(slice);
}

Test(decode_slice, takes_as_many_hints_as_the_api_allows)
{
    const struct slice *slice =
        good(HEAD "'endpoints':[{'addresses':['10.0.0.1'],'hints':{'forNodes':[{'name':'1'},{'name'"
                  ":'2'},{'name':'3'},{'name':'4'},{'name':'5'},{'name':'6'},{'name':'7'},{'name':"
                  "'8'}]}}]}");

    cr_assert_eq(slice->endpoints[0].node_hints_len, ENDPOINT_HINTS_MAX);
    slice_unref(slice);
}

/* publishNotReadyAddresses: the endpoint is ready, whatever its pod is (endpointslice controller). */
Test(decode_slice, goes_by_ready_whatever_else_is_said)
{
    const struct slice *slice =
        good(HEAD "'endpoints':[{'addresses':['10.0.0.1'],'conditions':{'ready':true,'serving':"
                  "false,'terminating':true}}]}");

    cr_assert(backend_is_ready(&slice_backends(slice, 0)[0]));
    slice_unref(slice);
}

/* Knative's Service is another kind of object with another UID. */
Test(decode_slice, has_no_owner_that_is_a_service_of_another_api)
{
    static const char *const owners[][2] = {
        {"{'apiVersion':'serving.knative.dev/v1','kind':'Service','uid':'k1'}", ""},
        {"{'kind':'Service','uid':'k1'}", ""},
        {"{'apiVersion':'serving.knative.dev/v1','kind':'Service','uid':'k1'},"
         "{'apiVersion':'v1','kind':'Service','uid':'u1'}",
         "u1"},
    };

    for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
        char text[512];
        const struct slice *slice;

        snprintf(text, sizeof(text),
                 "{'metadata':{'namespace':'shop','name':'s','ownerReferences':[%s]},"
                 "'addressType':'IPv4'}",
                 owners[i][0]);
        slice = good(text);
        cr_assert(str_eq(slice->owner_uid, str_of(owners[i][1])), "%s", owners[i][0]);
        slice_unref(slice);
    }
}

/* The mirroring controller's slices are owned by the Endpoints, hand-made ones by nobody. */
Test(decode_slice, has_no_owner_that_is_no_service)
{
    const struct slice *slice =
        good("{'metadata':{'namespace':'shop','name':'s','labels':{'kubernetes.io/service-name':"
             "'db','endpointslice.kubernetes.io/managed-by':"
             "'endpointslicemirroring-controller.k8s.io'},'ownerReferences':[{'apiVersion':"
             "'v1','kind':'Endpoints','uid':'e1'}]},'addressType':'IPv4','ports':[{'port':80}],'endpoints':[{'addresses':"
             "['10.0.0.1']}]}");

    cr_assert_eq(slice->owner_uid.len, 0);
    cr_assert(str_eq(slice->service, STR("db")));
    slice_unref(slice);
}

Test(decode_slice, refuses_more_than_the_api_allows)
{
    struct buf text = BUFFER_INIT(1 << 20);
    const struct slice *slice = NULL;
    struct err err = {0};

    buf_printf(&text, HEAD "'endpoints':[");
    for (int i = 0; i <= SLICE_ENDPOINTS_MAX; i++)
        buf_printf(&text, "%s{'addresses':['10.0.%d.%d']}", i > 0 ? "," : "", i / 250, i % 250);
    buf_printf(&text, "]}");
    cr_assert_eq(decode(buf_cstr(&text), &slice, &err), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "shop/s: endpoints: more than 1000 endpoints");
    buf_done(&text);
}
