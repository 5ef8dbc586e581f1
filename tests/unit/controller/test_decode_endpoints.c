#include "fixture.h"

#include "controller/value.h"

static enum code decode(const char *text, struct value *ret_value, struct err *err)
{
    struct json *json = parse(text);
    struct object_meta meta;
    enum code code = decode_meta(json, &meta, err);

    *ret_value = (struct value){0};
    if (code == CODE_OK)
        code = value_decode(OBJECT_ENDPOINTS, json, &meta, ret_value, err);
    json_free(json);
    return code;
}

#define HEAD "{'metadata':{'namespace':'shop','name':'greeter','resourceVersion':'7'}"

/* "name family version: port/number,... | address(r|n) ..." by slice. Static memory. */
static const char *shown(const char *text)
{
    static struct buf out = BUFFER_INIT(1 << 20);
    struct value value;
    struct err err = {0};

    cr_assert_eq(decode(text, &value, &err), CODE_OK, "%s", err.msg);
    buf_reset(&out);
    for (size_t i = 0; i < value.slices_len; i++) {
        const struct slice *slice = value.slices[i];

        cr_assert(str_eq(slice->service, STR("greeter")));
        cr_assert_eq(slice->resource_version, 7);
        buf_printf(&out, "%s%" STR_FMT " v%d", i > 0 ? "; " : "", STR_ARG(slice->name),
                   (int)slice->family);
        for (size_t k = 0; k < slice->ports_len; k++)
            buf_printf(&out, " %" STR_FMT ":%u", STR_ARG(slice->ports[k].name),
                       (unsigned)slice->ports[k].number);
        for (size_t k = 0; k < slice->endpoints_len; k++)
            buf_printf(&out, " %s%" STR_FMT, slice->endpoints[k].ready ? "+" : "-",
                       STR_ARG(slice->endpoints[k].address));
    }
    value_done(&value);
    return buf_cstr(&out);
}

Test(decode_endpoints, makes_a_slice_of_every_subset)
{
    cr_assert_str_eq(
        shown(HEAD ",'subsets':[{'addresses':[{'ip':'10.0.0.1'},{'ip':'10.0.0.2'}],"
                   "'notReadyAddresses':[{'ip':'10.0.0.3'}],'ports':[{'name':'grpc','port':9001},"
                   "{'name':'http','port':9002}]},"
                   "{'addresses':[{'ip':'10.0.0.4'}],'ports':[{'port':80}]}]}"),
        "greeter v4 grpc:9001 http:9002 +10.0.0.1 +10.0.0.2 -10.0.0.3; greeter/1 v4 :80 +10.0.0.4");
}

Test(decode_endpoints, makes_a_slice_of_every_family)
{
    cr_assert_str_eq(shown(HEAD ",'subsets':[{'addresses':[{'ip':'FD00::1'},{'ip':'10.0.0.1'}],"
                                "'notReadyAddresses':[{'ip':'fd00::2'}],'ports':[{'port':80}]}]}"),
                     "greeter/1 v4 :80 +10.0.0.1; greeter v6 :80 +fd00::1 -fd00::2");
}

Test(decode_endpoints, reads_all_that_an_address_says)
{
    struct value value;
    const struct endpoint *endpoint;
    struct err err = {0};

    cr_assert_eq(decode(HEAD ",'subsets':[{'notReadyAddresses':[{'ip':'10.0.0.1','hostname':'p-0',"
                             "'nodeName':'n1','targetRef':{'kind':'Pod','name':'p','uid':'u'}}],"
                             "'ports':[{'port':80,'protocol':'UDP','appProtocol':'grpc'}]}]}",
                        &value, &err),
                 CODE_OK, "%s", err.msg);
    endpoint = &value.slices[0]->endpoints[0];
    cr_assert(!endpoint->ready && !endpoint->serving && !endpoint->terminating);
    cr_assert(str_eq(endpoint->hostname, STR("p-0")));
    cr_assert(str_eq(endpoint->node, STR("n1")));
    cr_assert(str_eq(endpoint->pod, STR("p")));
    cr_assert(str_eq(endpoint->uid, STR("u")));
    cr_assert_eq(value.slices[0]->ports[0].protocol, PROTOCOL_UDP);
    cr_assert(str_eq(value.slices[0]->ports[0].app_protocol, STR("grpc")));
    value_done(&value);
}

Test(decode_endpoints, without_addresses_are_empty)
{
    cr_assert_str_eq(shown(HEAD "}"), "", "a leader election's");
    cr_assert_str_eq(shown(HEAD ",'subsets':null}"), "");
    cr_assert_str_eq(shown(HEAD ",'subsets':[{'ports':[{'port':80}]},{'addresses':[]}]}"), "");
}

Test(decode_endpoints, may_have_no_ports)
{
    cr_assert_str_eq(shown(HEAD ",'subsets':[{'addresses':[{'ip':'10.0.0.1'}]}]}"),
                     "greeter v4 +10.0.0.1");
}

Test(decode_endpoints, names_what_is_wrong)
{
#define SUBSET(text) HEAD ",'subsets':[{'addresses':[{'ip':'10.0.0.1'}]}," text "]}"
    static const struct {
        const char *text, *error;
    } cases[] = {
        {HEAD ",'subsets':{}}", "subsets: expected an array, found an object"},
        {SUBSET("7"), "subsets[1]: expected an object, found a number"},
        {SUBSET("{'addresses':'x'}"), "subsets[1].addresses: expected an array, found a string"},
        {SUBSET("{'addresses':[null]}"), "subsets[1].addresses[0]: expected an object, found null"},
        {SUBSET("{'addresses':[{'ip':'10.0.0.1','targetRef':[]}]}"),
         "subsets[1].addresses[0].targetRef: expected an object, found an array"},
        {SUBSET("{'ports':[{'port':1},{}]}"), "subsets[1].ports[1].port: missing"},
        {SUBSET("{'ports':[{'port':0}]}"), "subsets[1].ports[0].port: 0 is no port"},
        {SUBSET("{'ports':[{'port':70000}]}"), "subsets[1].ports[0].port: "},
        {SUBSET("{'ports':[{'port':1,'protocol':'X'}]}"),
         "subsets[1].ports[0].protocol: 'X' is no protocol"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct value value;
        struct err err = {0};

        cr_assert_eq(decode(cases[i].text, &value, &err), CODE_INVALID_ARGUMENT, "%s",
                     cases[i].text);
        cr_assert(str_starts_with(str_of(err.msg), STR("shop/greeter: ")), "%s", err.msg);
        cr_assert(str_starts_with(str_of(err.msg + 14), str_of(cases[i].error)), "%s", err.msg);
        cr_assert(value_is_empty(value));
    }
}

Test(decode_endpoints, leaves_out_by_name_an_address_that_nobody_can_call)
{
    static const char *const cases[][2] = {
        {"{}", "subsets[0].addresses[1].ip: missing, the address is left out"},
        {"{'ip':'10.0.0.256'}",
         "subsets[0].addresses[1].ip: '10.0.0.256' is no IPv4 address, the address is left out"},
        {"{'ip':'::'},{'ip':'::'}", "subsets[0].addresses[1].ip: '::' is the unspecified address, "
                                    "the address is left out (and 1 more fault)"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512];
        struct value value;
        struct err err = {0};

        snprintf(text, sizeof(text),
                 HEAD ",'subsets':[{'addresses':[{'ip':'10.0.0.1'},%s,{'ip':'10.0.0.3'}],"
                      "'ports':[{'port':80}]},{'addresses':[%s],'ports':[{'port':81}]}]}",
                 cases[i][0], i == 0 ? "" : "{'ip':'fd00::1'}");
        cr_assert_eq(decode(text, &value, &err), CODE_OK, "%s", err.msg);
        cr_assert(str_starts_with(str_of(err.msg), STR("shop/greeter: ")), "%s", err.msg);
        cr_assert_str_eq(err.msg + 14, cases[i][1]);
        cr_assert_eq(value.slices_len, i == 0 ? 1 : 2, "none without addresses");
        cr_assert_eq(value.slices[0]->endpoints_len, 2);
        value_done(&value);
    }
}

/* ---- limits ---- */

/* An object with `subsets` subsets of `addresses` addresses and `ports` ports each. */
static enum code decode_many(size_t subsets, size_t addresses, size_t ports,
                             struct value *ret_value, struct err *err)
{
    struct buf text = BUFFER_INIT(64 << 20);
    enum code code;

    buf_printf(&text, HEAD ",'subsets':[");
    for (size_t s = 0; s < subsets; s++) {
        buf_printf(&text, "%s{'addresses':[", s > 0 ? "," : "");
        for (size_t a = 0; a < addresses; a++)
            buf_printf(&text, "%s{'ip':'10.%zu.%zu.%zu'}", a > 0 ? "," : "", a >> 16, a >> 8 & 255,
                       a & 255);
        buf_printf(&text, "],'ports':[");
        for (size_t p = 0; p < ports; p++)
            buf_printf(&text, "%s{'name':'p%zu','port':%zu}", p > 0 ? "," : "", p, p + 1);
        buf_printf(&text, "]}");
    }
    buf_printf(&text, "]}");
    code = decode(buf_cstr(&text), ret_value, err);
    buf_done(&text);
    return code;
}

Test(decode_endpoints, with_more_addresses_than_a_slice_takes_are_several)
{
    struct value value;
    struct err err = {0};

    cr_assert_eq(decode_many(1, 2500, 1, &value, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(value.slices_len, 3);
    cr_assert_eq(value.slices[0]->endpoints_len, SLICE_ENDPOINTS_MAX);
    cr_assert_eq(value.slices[2]->endpoints_len, 500);
    cr_assert(str_eq(value.slices[2]->name, STR("greeter/2")));
    cr_assert_eq(value_endpoints(value), 2500);
    value_done(&value);
}

Test(decode_endpoints, have_limits)
{
    struct value value;
    struct err err = {0};

    cr_assert_eq(decode_many(ENDPOINTS_SUBSETS_MAX + 1, 0, 0, &value, &err),
                 CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "shop/greeter: subsets: more than 1000");
    cr_assert_eq(decode_many(1, 1, SLICE_PORTS_MAX + 1, &value, &err), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "shop/greeter: subsets[0].ports: more than 100 ports");
    cr_assert_eq(decode_many(11, 1000, 10, &value, &err), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "shop/greeter: subsets: more than 100000 addresses × ports");
}

Test(decode_endpoints, tell_when_they_were_cut_off)
{
    struct json *cut =
        parse("{'metadata':{'annotations':{'endpoints.kubernetes.io/over-capacity':'truncated'}}}");
    struct json *whole = parse(HEAD "}");

    cr_assert(decode_is_truncated(cut));
    cr_assert_not(decode_is_truncated(whole));
    json_free(cut);
    json_free(whole);
}

/* ---- in the controller ---- */

static struct controller_scope *endpoints;

static void start(void)
{
    world_start();
    endpoints = controller_scope_new(world.controller, OBJECT_ENDPOINTS, "endpoints");
}

static void stop(void)
{
    controller_scope_free(endpoints);
    world_stop();
}

TestSuite(endpoints, .init = start, .fini = stop);

#define ENDPOINTS_JSON(version, subsets)                                                           \
    "{'metadata':{'namespace':'shop','name':'greeter','resourceVersion':'" #version "'},"          \
    "'subsets':[" subsets "]}"
#define SUBSET_JSON(port, addresses) "{'addresses':[" addresses "],'ports':[{'port':" #port "}]}"
#define IP(address) "{'ip':'" address "'}"

Test(endpoints, are_published_as_slices_are)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(endpoints, ENDPOINTS_JSON(1, SUBSET_JSON(9001, IP("10.0.0.1")) "," SUBSET_JSON(
                                            9002, IP("10.0.0.2"))));
    turn();
    cr_assert_str_eq(published("greeter"), "8001: 10.0.0.1:9001,10.0.0.2:9002");
    cr_assert_eq(published_service("greeter")->slices_len, 2);
    upsert(endpoints, ENDPOINTS_JSON(2, SUBSET_JSON(9001, IP("10.0.0.1") "," IP("10.0.0.3"))));
    turn_until_published("greeter", "8001: 10.0.0.1:9001,10.0.0.3:9001");
    cr_assert_eq(counter_get(&controller_stats(world.controller)->objects_endpoints), 1);
    remove_object(endpoints, "greeter");
    turn_until_published("greeter", "8001:");
    cr_assert_eq(counter_get(&controller_stats(world.controller)->objects_endpoints), 0);
}

Test(endpoints, of_a_leader_election_rebuild_nothing)
{
    const struct controller_stats *stats = controller_stats(world.controller);

    upsert(endpoints, ENDPOINTS_JSON(1, ""));
    upsert(endpoints, ENDPOINTS_JSON(2, ""));
    turn_for_ms(20);
    cr_assert_eq(counter_get(&stats->rebuilds), 0);
    cr_assert_eq(counter_get(&stats->objects_endpoints), 0);
}
