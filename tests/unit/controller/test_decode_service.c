#include "fixture.h"

#include "controller/decode.h"

static enum code decode(const char *text, struct service_object **ret_service, struct err *err)
{
    struct json *json = parse(text);
    struct object_meta meta;
    enum code code = decode_meta(json, &meta, err);

    if (code == CODE_OK)
        code = decode_service(json, &meta, ret_service, err);
    json_free(json);
    return code;
}

static struct service_object *good(const char *text)
{
    struct service_object *service = NULL;
    struct err err = {0};

    cr_assert_eq(decode(text, &service, &err), CODE_OK, "%s", err.msg);
    return service;
}

Test(decode_service, reads_ports_and_identity)
{
    struct service_object *service =
        good("{'kind':'Service','metadata':{'namespace':'shop','name':'greeter','uid':'u1',"
             "'resourceVersion':'7','labels':{'a':'b'}},'spec':{'type':'NodePort','clusterIP':'10."
             "9.0.1',"
             "'ports':[{'name':'grpc','port':8001,'targetPort':'grpc','protocol':'TCP',"
             "'appProtocol':'kubernetes.io/"
             "h2c','nodePort':30000},{'name':'dns','port':53,'protocol':'UDP'},"
             "{'name':'s','port':54,'protocol':'SCTP'}]},'status':{'loadBalancer':{}}}");
    const struct service_spec *spec = &service->spec;

    cr_assert(str_eq(spec->namespace_name, STR("shop")));
    cr_assert(str_eq(spec->name, STR("greeter")));
    cr_assert(str_eq(spec->uid, STR("u1")));
    cr_assert_eq(spec->type, SERVICE_CLUSTER_IP);
    cr_assert_eq(spec->ports_len, 3);
    cr_assert(str_eq(spec->ports[0].name, STR("grpc")));
    cr_assert_eq(spec->ports[0].number, 8001);
    cr_assert_eq(spec->ports[0].protocol, PROTOCOL_TCP);
    cr_assert(str_eq(spec->ports[0].app_protocol, STR("kubernetes.io/h2c")));
    cr_assert_eq(spec->ports[1].protocol, PROTOCOL_UDP);
    cr_assert_eq(spec->ports[2].protocol, PROTOCOL_SCTP);
    service_object_free(service);
}

Test(decode_service, knows_the_types)
{
    static const struct {
        const char *spec;
        enum service_type type;
        size_t ports;
    } cases[] = {
        {"{'ports':[{'port':80}]}", SERVICE_CLUSTER_IP, 1},
        {"{'type':'ClusterIP','ports':[{'port':80}]}", SERVICE_CLUSTER_IP, 1},
        {"{'type':'LoadBalancer','ports':[{'port':80}]}", SERVICE_CLUSTER_IP, 1},
        {"{'clusterIP':'None','ports':[{'port':80}]}", SERVICE_HEADLESS, 1},
        {"{'clusterIP':'None','ports':null}", SERVICE_HEADLESS, 0},
        {"{'clusterIP':'None'}", SERVICE_HEADLESS, 0},
        {"{'type':'ExternalName','externalName':'example.com','ports':[{'port':80}]}",
         SERVICE_EXTERNAL_NAME, 1},
        {"{'type':'ExternalName','externalName':'example.com'}", SERVICE_EXTERNAL_NAME, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512];
        struct service_object *service;

        snprintf(text, sizeof(text), "{'metadata':{'name':'greeter'},'spec':%s}", cases[i].spec);
        service = good(text);
        cr_assert_eq(service->spec.type, cases[i].type, "%s", cases[i].spec);
        cr_assert_eq(service->spec.ports_len, cases[i].ports, "%s", cases[i].spec);
        cr_assert(str_eq(service->spec.namespace_name, STR("default")));
        service_object_free(service);
    }
}

Test(decode_service, reads_external_names_as_dns_names)
{
    static const char *const cases[][2] = {
        {"Db.Example.COM", "db.example.com"},
        {"db.example.com.", "db.example.com"},
        {"localhost", "localhost"},
        {"10.0.0.1", "10.0.0.1"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512];
        struct service_object *service;

        snprintf(text, sizeof(text),
                 "{'metadata':{'name':'db'},'spec':{'type':'ExternalName','externalName':'%s'}}",
                 cases[i][0]);
        service = good(text);
        cr_assert(str_eq(service->spec.external_name, str_of(cases[i][1])), "%s", cases[i][0]);
        service_object_free(service);
    }
}

Test(decode_service, refuses_external_names_that_nobody_could_resolve)
{
    static const char *const cases[] = {
        ".",    "a..b", ".a",   "a..", "a b", "http://a",
        "a:80", "-a",   "a-.b", "::1", "a_b", "\u00fc.de",
    };
    char text[1024], label[256];

    for (size_t i = 0; i <= ARRAY_LEN(cases) + 1; i++) {
        size_t len = i == ARRAY_LEN(cases) ? 64 : 255; /* a label and a name that are too long */
        struct service_object *service = NULL;
        struct err err = {0};

        memset(label, 'a', len);
        label[len] = '\0';
        for (size_t k = 1; len > 64 && k < len; k += 2)
            label[k] = '.';
        snprintf(text, sizeof(text),
                 "{'metadata':{'name':'db'},'spec':{'type':'ExternalName','externalName':'%s'}}",
                 i < ARRAY_LEN(cases) ? cases[i] : label);
        cr_assert_eq(decode(text, &service, &err), CODE_INVALID_ARGUMENT, "%s", text);
        cr_assert(str_ends_with(str_of(err.msg), STR("' is no DNS name")), "%s", err.msg);
    }
}

Test(decode_service, reads_which_family_comes_first_and_whose_endpoints_count)
{
    static const struct {
        const char *members;
        enum address_family prefers;
        bool local;
    } cases[] = {
        {"", 0, false},
        {",'ipFamilies':null,'internalTrafficPolicy':null", 0, false},
        {",'ipFamilies':[],'internalTrafficPolicy':'Cluster'", 0, false},
        {",'ipFamilies':['IPv4']", FAMILY_IPV4, false},
        {",'ipFamilies':['IPv6','IPv4'],'ipFamilyPolicy':'RequireDualStack'", FAMILY_IPV6, false},
        {",'internalTrafficPolicy':'Local','externalTrafficPolicy':'Cluster'", 0, true},
        {",'externalTrafficPolicy':'Local'", 0, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512];
        struct service_object *service;

        snprintf(text, sizeof(text), "{'metadata':{'name':'g'},'spec':{'ports':[{'port':80}]%s}}",
                 cases[i].members);
        service = good(text);
        cr_assert_eq(service->spec.prefers, cases[i].prefers, "%s", cases[i].members);
        cr_assert_eq(service->spec.local, cases[i].local, "%s", cases[i].members);
        service_object_free(service);
    }
}

/* What these mean for backends, the slices say: hints, and endpoints that are ready though their pods are not. The labels hide a Service
 * from kube-proxy, not from its clients. */
Test(decode_service, is_not_changed_by_what_others_follow)
{
    struct service_object *plain = good("{'metadata':{'name':'g'},'spec':{'ports':[{'port':80}]}}");
    struct service_object *service =
        good("{'metadata':{'name':'g','labels':{'service.kubernetes.io/headless':'',"
             "'service.kubernetes.io/service-proxy-name':'other'}},'spec':{'ports':[{'port':80}],"
             "'trafficDistribution':'PreferSameNode','publishNotReadyAddresses':true}}");

    cr_assert(service_object_equal(plain, service));
    service_object_free(plain);
    service_object_free(service);
}

static void expect_refusals(const char *const cases[][2], size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct service_object *service = NULL;
        struct err err = {0};

        cr_assert_neq(decode(cases[i][0], &service, &err), CODE_OK, "%s", cases[i][0]);
        cr_assert_null(service);
        cr_assert_str_eq(err.msg, cases[i][1]);
    }
}

Test(decode_service, refuses_by_name_field_and_cause)
{
    static const char *const cases[][2] = {
        {"{}", "metadata.name: missing"},
        {"{'metadata':7}", "metadata: expected an object, found a number"},
        {"{'metadata':{'name':7}}", "metadata.name: expected a string, found a number"},
        {"{'metadata':{'name':'Greeter'}}", "metadata.name: 'Greeter' is no valid name"},
        {"{'metadata':{'name':'a/b'}}", "metadata.name: 'a/b' is no valid name"},
        {"{'metadata':{'name':'a','namespace':'B'}}", "metadata.namespace: 'B' is no valid name"},
        {"{'metadata':{'name':'g','namespace':'shop'}}", "shop/g: spec: missing"},
        {"{'metadata':{'name':'g','namespace':'shop'},'spec':[]}",
         "shop/g: spec: expected an object, found an array"},
        {"{'metadata':{'name':'g'},'spec':{'type':'Odd'}}",
         "default/g: spec.type: 'Odd' is no type of Service"},
        {"{'metadata':{'name':'g'},'spec':{'type':1}}",
         "default/g: spec.type: expected a string, found a number"},
        {"{'metadata':{'name':'g'},'spec':{}}",
         "default/g: spec.ports: missing, and only a headless Service can do without"},
    };

    expect_refusals(cases, ARRAY_LEN(cases));
}

Test(decode_service, refuses_what_its_spec_cannot_have)
{
    static const char *const cases[][2] = {
        {"{'metadata':{'name':'g'},'spec':{'ports':{}}}",
         "default/g: spec.ports: expected an array, found an object"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[80]}}",
         "default/g: spec.ports[0]: expected an object, found a number"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'name':'x'}]}}",
         "default/g: spec.ports[0].port: missing"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'port':0}]}}",
         "default/g: spec.ports[0].port: 0 is no port"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'port':'80'}]}}",
         "default/g: spec.ports[0].port: expected a number, found a string"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'port':65536}]}}",
         "default/g: spec.ports[0].port: expected a whole number from 0 to 65535, found 65536"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'port':80},{'name':'b','port':81,'protocol':'"
         "tcp'}]}}",
         "default/g: spec.ports[1].protocol: 'tcp' is no protocol"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'name':'a','port':80},{'name':'b','port':80}]}"
         "}",
         "default/g: spec.ports[1].port: 80 is already that of spec.ports[0]"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'name':'a','port':80},{'name':'a','port':81}]}"
         "}",
         "default/g: spec.ports[1].name: 'a' is already that of spec.ports[0]"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'name':'a','port':80,'appProtocol':true}]}}",
         "default/g: spec.ports[0].appProtocol: expected a string, found a boolean"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'port':80}],'selector':['app']}}",
         "default/g: spec.selector: expected an object, found an array"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'port':80}],'selector':{'app':1}}}",
         "default/g: spec.selector.app: expected a string, found a number"},
        {"{'metadata':{'name':'g'},'spec':{'type':'ExternalName'}}",
         "default/g: spec.externalName: missing"},
        {"{'metadata':{'name':'g'},'spec':{'type':'ExternalName','externalName':['a']}}",
         "default/g: spec.externalName: expected a string, found an array"},
        {"{'metadata':{'name':'g'},'spec':{'type':'ExternalName','externalName':'a b'}}",
         "default/g: spec.externalName: 'a b' is no DNS name"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'port':80}],'ipFamilies':'IPv4'}}",
         "default/g: spec.ipFamilies: expected an array, found a string"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'port':80}],'ipFamilies':['IPv4','ipv6']}}",
         "default/g: spec.ipFamilies[1]: 'ipv6' is no address family"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'port':80}],'ipFamilies':[4]}}",
         "default/g: spec.ipFamilies[0]: expected a string, found a number"},
        {"{'metadata':{'name':'g'},'spec':{'ports':[{'port':80}],'internalTrafficPolicy':'local'}}",
         "default/g: spec.internalTrafficPolicy: 'local' is neither Cluster nor Local"},
    };

    expect_refusals(cases, ARRAY_LEN(cases));
}

Test(decode_service, takes_tcp_and_udp_on_one_number)
{
    service_object_free(good("{'metadata':{'name':'dns'},'spec':{'ports':[{'name':'dns','port':53,"
                             "'protocol':'UDP'},{'name':'dns-tcp','port':53}]}}"));
}

Test(decode_service, refuses_more_ports_than_the_limit)
{
    struct buf text = BUFFER_INIT(1 << 20);
    struct service_object *service = NULL;
    struct err err = {0};

    buf_printf(&text, "{'metadata':{'name':'g'},'spec':{'ports':[");
    for (int i = 0; i <= SERVICE_PORTS_MAX; i++)
        buf_printf(&text, "%s{'name':'p%d','port':%d}", i > 0 ? "," : "", i, i + 1);
    buf_printf(&text, "]}}");
    cr_assert_eq(decode(buf_cstr(&text), &service, &err), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "default/g: spec.ports: more than 1000 ports");
    buf_done(&text);
}

Test(decode_service, compares_what_it_read)
{
    static const char base[] =
        "{'metadata':{'name':'g','uid':'1'},'spec':{'ports':[{'name':'a','port':80}]}}";
    static const char *const others[] = {
        "{'metadata':{'name':'h','uid':'1'},'spec':{'ports':[{'name':'a','port':80}]}}",
        "{'metadata':{'name':'g','uid':'2'},'spec':{'ports':[{'name':'a','port':80}]}}",
        "{'metadata':{'name':'g','uid':'1','namespace':'x'},'spec':{'ports':[{'name':'a','port':80}"
        "]}}",
        "{'metadata':{'name':'g','uid':'1'},'spec':{'clusterIP':'None','ports':[{'name':'a','port':"
        "80}]}}",
        "{'metadata':{'name':'g','uid':'1'},'spec':{'ports':[{'name':'b','port':80}]}}",
        "{'metadata':{'name':'g','uid':'1'},'spec':{'ports':[{'name':'a','port':81}]}}",
        "{'metadata':{'name':'g','uid':'1'},'spec':{'ports':[{'name':'a','port':80,'protocol':'UDP'"
        "}]}}",
        "{'metadata':{'name':'g','uid':'1'},'spec':{'ports':[{'name':'a','port':80,'appProtocol':'"
        "x'}]}}",
        "{'metadata':{'name':'g','uid':'1'},'spec':{'ports':[{'name':'a','port':80},{'name':'b','"
        "port':81}]}}",
        "{'metadata':{'name':'g','uid':'1'},'spec':{'ports':[{'name':'a','port':80}],'ipFamilies':["
        "'IPv6']}}",
        "{'metadata':{'name':'g','uid':'1'},'spec':{'ports':[{'name':'a','port':80}],"
        "'internalTrafficPolicy':'Local'}}",
        "{'metadata':{'name':'g','uid':'1'},'spec':{'ports':[{'name':'a','port':80}],'type':"
        "'ExternalName','externalName':'a'}}",
    };
    struct service_object *one = good(base), *same = good(base);

    cr_assert(service_object_equal(one, same));
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct service_object *other = good(others[i]);

        cr_assert(!service_object_equal(one, other), "%s", others[i]);
        service_object_free(other);
    }
    service_object_free(one);
    service_object_free(same);
}

Test(decode_service, compares_selectors_in_any_order)
{
#define SELECTING(members) "{'metadata':{'name':'g'},'spec':{'ports':[{'port':80}]" members "}}"
    static const char *const others[] = {
        SELECTING(""),
        SELECTING(",'selector':{'app':'a'}"),
        SELECTING(",'selector':{'app':'a','tier':'c'}"),
        SELECTING(",'selector':{'app':'b','tier':'a'}"),
        SELECTING(",'selector':{'a':'app','b':'tier'}"),
        SELECTING(",'selector':{'app':'a','tier':'b','x':''}"),
    };
    struct service_object *one = good(SELECTING(",'selector':{'app':'a','tier':'b'}"));
    struct service_object *same = good(SELECTING(",'selector':{'tier':'b','app':'a'}"));

    cr_assert(service_object_equal(one, same));
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct service_object *other = good(others[i]);

        cr_assert(!service_object_equal(one, other), "%s", others[i]);
        service_object_free(other);
    }
    service_object_free(one);
    service_object_free(same);
}
