#include "fixture.h"

#include "controller/decode_policy.h"

#define POLICY(spec) "{'metadata':{'namespace':'shop','name':'greeter'},'spec':" spec "}"

static enum code decode(const char *text, const struct policy **ret_policy, struct err *err)
{
    struct json *json = parse(text);
    struct object_meta meta;
    uint64_t created_us;
    enum code code = decode_meta(json, &meta, err);

    if (code == CODE_OK)
        code = decode_policy(json, &meta, ret_policy, &created_us, err);
    json_free(json);
    return code;
}

static const struct policy *good(const char *text)
{
    const struct policy *policy = NULL;
    struct err err = {0};

    cr_assert_eq(decode(text, &policy, &err), CODE_OK, "%s", err.msg);
    cr_assert_eq(err.code, CODE_OK, "%s", err.msg);
    return policy;
}

Test(decode_policy, an_empty_one_asks_for_nothing)
{
    static const char *const texts[] = {
        POLICY("{}"), POLICY("null"),
        POLICY("{'loadBalancing':{},'locality':{},'hosts':[],'port':null}"),
        "{'apiVersion':'lookaside.dev/v1alpha1','kind':'LookasideService',"
        "'metadata':{'namespace':'shop','name':'greeter'},'status':{'clients':3}}"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct policy *policy = good(texts[i]);
        struct policy fields = *policy_default();
        const struct policy *same;

        fields.namespace_name = STR("shop");
        fields.name = STR("greeter");
        same = policy_new(&fields);
        cr_assert(policy_equal(policy, same), "%s", texts[i]);
        policy_unref(same);
        policy_unref(policy);
    }
}

Test(decode_policy, reads_every_field)
{
    const struct policy *policy = good(
        "{'metadata':{'namespace':'shop','name':'greeter','uid':'u1','generation':7},'spec':{"
        "'port':'grpc','hosts':['b.example.com','a.example.com'],"
        "'backends':[{'service':'greeter','weight':90},"
        "{'service':'canary','port':8001,'weight':10,'whenEmpty':'Fail'}],"
        "'loadBalancing':{'policy':'RingHash','ringHash':{'header':'x-user','minimumRingSize':64}},"
        "'locality':{'mode':'PreferZone','minimumPerZone':2},'whenNoneReady':'All',"
        "'protection':{'minimumPercent':20,'window':'1m30s'},'maxCallDuration':'5s',"
        "'retry':{'attempts':3,'statuses':['unavailable','cancelled'],"
        "'backoff':{'base':'50ms','max':'1s'}},'circuitBreaker':{'maxRequests':1000},"
        "'outlierDetection':{'failurePercentage':{'threshold':50,'minimumHosts':3,"
        "'requestVolume':20},'successRate':{'stdevFactor':1500,'minimumHosts':4,"
        "'requestVolume':30},'interval':'5s','baseEjection':'10s','maxEjection':'1m',"
        "'maxEjectionPercent':50},"
        "'access':{'namespaces':['web','shop'],'serviceAccounts':['web/a.b']}}}");

    cr_assert(str_eq(policy->uid, STR("u1")));
    cr_assert_eq(policy->generation, 7);
    cr_assert(policy->port.kind == PORT_NAME && str_eq(policy->port.name, STR("grpc")));
    cr_assert(policy->hosts_len == 2 && str_eq(policy->hosts[0], STR("a.example.com")));
    cr_assert_eq(policy->backends_len, 2);
    cr_assert_eq(policy->backends[0].port.kind, PORT_NONE);
    cr_assert_eq(policy->backends[0].weight, 90);
    cr_assert_not(policy->backends[0].fail_when_empty);
    cr_assert(str_eq(policy->backends[1].service, STR("canary")));
    cr_assert_eq(policy->backends[1].port.number, 8001);
    cr_assert(policy->backends[1].fail_when_empty);
    cr_assert_eq(policy->lb, LB_RING_HASH);
    cr_assert(str_eq(policy->hash_header, STR("x-user")));
    cr_assert_eq(policy->minimum_ring_size, 64);
    cr_assert_eq(policy->locality, LOCALITY_PREFER_ZONE);
    cr_assert_eq(policy->minimum_per_zone, 2);
    cr_assert_eq(policy->none_ready, NONE_READY_ALL);
    cr_assert_eq(policy->protection_percent, 20);
    cr_assert_eq(policy->protection_us, 90 * 1000000);
    cr_assert_eq(policy->max_call_us, 5000000);
    cr_assert_eq(policy->retry_attempts, 3);
    cr_assert_eq(policy->retry_on, RETRY_UNAVAILABLE | RETRY_CANCELLED);
    cr_assert_eq(policy->retry_base_us, 50000);
    cr_assert_eq(policy->retry_max_us, 1000000);
    cr_assert_eq(policy->max_requests, 1000);
    cr_assert(policy->failure_percentage.enabled && policy->success_rate.enabled);
    cr_assert_eq(policy->failure_percentage.threshold, 50);
    cr_assert_eq(policy->failure_percentage.minimum_hosts, 3);
    cr_assert_eq(policy->failure_percentage.request_volume, 20);
    cr_assert_eq(policy->success_rate.threshold, 1500);
    cr_assert_eq(policy->success_rate.minimum_hosts, 4);
    cr_assert_eq(policy->success_rate.request_volume, 30);
    cr_assert_eq(policy->outlier_interval_us, 5000000);
    cr_assert_eq(policy->base_ejection_us, 10000000);
    cr_assert_eq(policy->max_ejection_us, 60000000);
    cr_assert_eq(policy->max_ejection_percent, 50);
    cr_assert(policy->access_given);
    cr_assert_eq(policy->access_namespaces.len, 2);
    cr_assert(str_eq(policy->access_namespaces.items[0], STR("shop")));
    cr_assert_eq(policy->access_accounts.len, 1);
    cr_assert(str_eq(policy->access_accounts.items[0], STR("web/a.b")));
    policy_unref(policy);
}

Test(decode_policy, access_for_nobody_is_not_that_for_everybody)
{
    const char *const nobody[] = {POLICY("{'access':{}}"), POLICY("{'access':{'namespaces':[]}}"),
                                  POLICY("{'access':{'serviceAccounts':[]}}")};
    const struct policy *open = good(POLICY("{}"));

    cr_assert_not(open->access_given);
    for (size_t i = 0; i < ARRAY_LEN(nobody); i++) {
        const struct policy *policy = good(nobody[i]);

        cr_assert(policy->access_given && policy->access_namespaces.len == 0 &&
                  policy->access_accounts.len == 0);
        cr_assert_not(policy_same_spec(policy, open));
        policy_unref(policy);
    }
    policy_unref(open);
}

Test(decode_policy, what_is_given_in_part_has_defaults)
{
    const struct policy *policy =
        good(POLICY("{'protection':{'minimumPercent':1},'subset':{'size':20},"
                    "'backends':[{'service':'greeter','port':'8001'}],"
                    "'retry':{'attempts':2,'backoff':{'base':'2s'}},"
                    "'outlierDetection':{'successRate':{},'baseEjection':'10m'}}"));

    cr_assert_eq(policy->protection_us, 30 * 1000000);
    cr_assert_eq(policy->subset_size, 20);
    cr_assert_eq(policy->backends[0].weight, 1);
    cr_assert(policy->backends[0].port.kind == PORT_NUMBER);
    cr_assert_eq(policy->backends[0].port.number, 8001);
    cr_assert_eq(policy->retry_on, RETRY_UNAVAILABLE);
    cr_assert_eq(policy->retry_max_us, 20000000, "ten times base");
    cr_assert_not(policy->failure_percentage.enabled);
    cr_assert_eq(policy->success_rate.threshold, 1900);
    cr_assert_eq(policy->success_rate.request_volume, 100);
    cr_assert_eq(policy->outlier_interval_us, 10000000);
    cr_assert_eq(policy->max_ejection_us, 600000000, "baseEjection is longer than 5m");
    policy_unref(policy);
}

#define DURATION(path, bounds) path ": must be a duration from " bounds ", such as 1m30s"
#define PORT(path) path ": must be the name of a port, such as grpc, or a number from 1 to 65535"
#define HOST(index)                                                                                \
    "spec.hosts[" #index "]: must be a DNS name in lower case with two labels or more and no dot " \
    "at its end, such as greeter.example.com"
#define HEADER                                                                                     \
    "spec.loadBalancing.ringHash.header: must be the name of a header in lower case that does "    \
    "not end with -bin, such as x-user-id"
#define RING(header) "{'loadBalancing':{'policy':'RingHash','ringHash':{'header':'" header "'}}}"
#define BACKEND(rest) "{'backends':[{'service':'a'" rest "}]}"

/* What is refused, and with which words. */
static const struct {
    const char *spec, *error;
} wrong[] = {
    {"[]", "spec: expected an object, found an array"},
    {"{'port':0}", "spec.port: expected a whole number from 1 to 65535, found 0"},
    {"{'port':70000}", "spec.port: expected a whole number from 1 to 65535, found 70000"},
    {"{'port':1.5}", "spec.port: expected a whole number from 1 to 65535, found 1.5"},
    {"{'port':'70000'}", PORT("spec.port")},
    {"{'port':'0'}", PORT("spec.port")},
    {"{'port':'000080'}", PORT("spec.port")},
    {"{'port':'99999999999999999999'}", PORT("spec.port")},
    {"{'port':'Grpc'}", PORT("spec.port")},
    {"{'port':true}", PORT("spec.port")},
    {"{'hosts':'a.example.com'}", "spec.hosts: expected an array, found a string"},
    {"{'hosts':['a.example.com',7]}", "spec.hosts[1]: expected a string, found a number"},
    {"{'hosts':['greeter']}", HOST(0)},
    {"{'hosts':['Greeter.example.com']}", HOST(0)},
    {"{'hosts':['greeter.example.com.']}", HOST(0)},
    {"{'hosts':['10.0.0.1']}", HOST(0)},
    {"{'hosts':['greeter..com']}", HOST(0)},
    {"{'hosts':['a.b','a.b']}", "spec.hosts[1]: 'a.b' is given twice"},
    {"{'access':5}", "spec.access: expected an object, found a number"},
    {"{'access':{'namespaces':'web'}}",
     "spec.access.namespaces: expected an array, found a string"},
    {"{'access':{'namespaces':['Web']}}",
     "spec.access.namespaces[0]: must be the name of a namespace"},
    {"{'access':{'namespaces':['web','web']}}", "spec.access.namespaces[1]: 'web' is given twice"},
    {"{'access':{'serviceAccounts':['web']}}", "spec.access.serviceAccounts[0]: must be a service "
                                               "account as NAMESPACE/NAME, such as web/frontend"},
    {"{'access':{'serviceAccounts':['web/']}}", "spec.access.serviceAccounts[0]: must be a service "
                                                "account as NAMESPACE/NAME, such as web/frontend"},
    {"{'access':{'serviceAccounts':['/a']}}", "spec.access.serviceAccounts[0]: must be a service "
                                              "account as NAMESPACE/NAME, such as web/frontend"},
    {"{'access':{'serviceAccounts':['a/b/c']}}",
     "spec.access.serviceAccounts[0]: must be a service account as NAMESPACE/NAME, such as "
     "web/frontend"},
    {"{'access':{'serviceAccounts':[5]}}",
     "spec.access.serviceAccounts[0]: expected a string, found a number"},
    {"{'hosts':['a.b','b.b','c.b','d.b','e.b','f.b','g.b','h.b','i.b','j.b','k.b','l.b','m.b',"
     "'n.b','o.b','p.b','q.b']}",
     "spec.hosts: expected 0 to 16 items, found 17"},
    {"{'backends':[]}", "spec.backends: expected 1 to 16 items, found 0"},
    {"{'backends':[7]}", "spec.backends[0]: expected an object, found a number"},
    {"{'backends':[{}]}", "spec.backends[0].service: missing"},
    {"{'backends':[{'service':'other/a'}]}",
     "spec.backends[0].service: must be the name of a Service of the same namespace, without "
     "the namespace"},
    {BACKEND(",'port':'a.b'"), PORT("spec.backends[0].port")},
    {BACKEND(",'weight':-1"),
     "spec.backends[0].weight: expected a whole number from 0 to 1000000, found -1"},
    {BACKEND(",'weight':'9'"),
     "spec.backends[0].weight: expected a whole number from 0 to 1000000, found a string"},
    {BACKEND(",'whenEmpty':'Drop'"),
     "spec.backends[0].whenEmpty: 'Drop' is none of Redistribute, Fail"},
    {"{'backends':[{'service':'a'},{'service':'a'}]}",
     "spec.backends[1]: 'a' has an entry already: one for each Service"},
    {"{'backends':[{'service':'a','weight':0},{'service':'b','weight':0}]}",
     "spec.backends: one backend at least must have a weight above 0, else no call could go "
     "anywhere"},
    {"{'loadBalancing':'RoundRobin'}", "spec.loadBalancing: expected an object, found a string"},
    {"{'loadBalancing':{'policy':'Random'}}",
     "spec.loadBalancing.policy: 'Random' is none of RoundRobin, WeightedRoundRobin, "
     "LeastRequest, RingHash, PickFirst"},
    {"{'loadBalancing':{'policy':'LeastRequest','ringHash':{}}}",
     "spec.loadBalancing: ringHash goes with policy RingHash only: set policy to RingHash or "
     "remove ringHash"},
    {"{'loadBalancing':{'policy':'RingHash'},'subset':{'size':3}}",
     "spec: subset and policy RingHash exclude each other, since every group of clients would "
     "have a ring of its own: remove subset or choose another policy"},
    {RING("X-User"), HEADER},
    {RING("trace-bin"), HEADER},
    {RING(":path"), HEADER},
    {RING(""), HEADER},
    {"{'locality':{'mode':'none'}}",
     "spec.locality.mode: 'none' is none of Service, None, PreferZone, PreferNode"},
    {"{'locality':{'minimumPerZone':0}}",
     "spec.locality.minimumPerZone: expected a whole number from 1 to 1000, found 0"},
    {"{'subset':{}}", "spec.subset.size: missing"},
    {"{'subset':{'size':1001}}",
     "spec.subset.size: expected a whole number from 1 to 1000, found 1001"},
    {"{'whenNoneReady':7}",
     "spec.whenNoneReady: expected one of ServingTerminating, Empty, All, found a number"},
    {"{'protection':{'window':'5s'}}", "spec.protection.minimumPercent: missing"},
    {"{'protection':{'minimumPercent':20,'window':'1h'}}",
     DURATION("spec.protection.window", "1s to 10m")},
    {"{'maxCallDuration':5}", DURATION("spec.maxCallDuration", "1ms to 24h")},
    {"{'maxCallDuration':'5'}", DURATION("spec.maxCallDuration", "1ms to 24h")},
    {"{'maxCallDuration':'0s'}", DURATION("spec.maxCallDuration", "1ms to 24h")},
    {"{'maxCallDuration':'1.5s'}", DURATION("spec.maxCallDuration", "1ms to 24h")},
    {"{'maxCallDuration':'25h'}", DURATION("spec.maxCallDuration", "1ms to 24h")},
    {"{'maxCallDuration':''}", DURATION("spec.maxCallDuration", "1ms to 24h")},
    {"{'maxCallDuration':'5sm'}", DURATION("spec.maxCallDuration", "1ms to 24h")},
    {"{'maxCallDuration':'1s1s1s1s1s1s1s'}", DURATION("spec.maxCallDuration", "1ms to 24h")},
    {"{'retry':{}}", "spec.retry.attempts: missing"},
    {"{'retry':{'attempts':1}}",
     "spec.retry.attempts: expected a whole number from 2 to 5, found 1"},
    {"{'retry':{'attempts':2,'statuses':[]}}",
     "spec.retry.statuses: expected 1 to 5 items, found 0"},
    {"{'retry':{'attempts':2,'statuses':['5xx']}}",
     "spec.retry.statuses[0]: '5xx' is none of cancelled, deadline-exceeded, internal, "
     "resource-exhausted, unavailable"},
    {"{'retry':{'attempts':2,'statuses':['internal','internal']}}",
     "spec.retry.statuses[1]: 'internal' is given twice"},
    {"{'retry':{'attempts':2,'backoff':{'base':'1s','max':'500ms'}}}",
     "spec.retry.backoff: base must not be longer than max: lower base or raise max"},
    {"{'retry':{'attempts':2,'backoff':[]}}",
     "spec.retry.backoff: expected an object, found an array"},
    {"{'circuitBreaker':{}}", "spec.circuitBreaker.maxRequests: missing"},
    {"{'outlierDetection':{}}",
     "spec.outlierDetection: failurePercentage or successRate must be given, else nothing is "
     "ever ejected: add failurePercentage: {}"},
    {"{'outlierDetection':{'failurePercentage':7}}",
     "spec.outlierDetection.failurePercentage: expected an object, found a number"},
    {"{'outlierDetection':{'successRate':{'stdevFactor':1.9}}}",
     "spec.outlierDetection.successRate.stdevFactor: expected a whole number from 1 to 100000, "
     "found 1.9"},
    {"{'outlierDetection':{'successRate':{},'baseEjection':'2m','maxEjection':'1m'}}",
     "spec.outlierDetection: baseEjection must not be longer than maxEjection: lower "
     "baseEjection or raise maxEjection"},
};

Test(decode_policy, names_what_is_wrong)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        const struct policy *policy = NULL;
        struct err err = {0};
        char text[1024], wanted[512];

        snprintf(text, sizeof(text), POLICY("%s"), wrong[i].spec);
        snprintf(wanted, sizeof(wanted), "shop/greeter: %s", wrong[i].error);
        cr_assert_eq(decode(text, &policy, &err), CODE_INVALID_ARGUMENT, "%s", text);
        cr_assert_str_eq(err.msg, wanted, "'%s' and not '%s'", err.msg, wanted);
        cr_assert_null(policy);
    }
}

Test(decode_policy, refuses_the_name_of_no_service)
{
    const struct policy *policy = NULL;
    struct err err = {0};

    cr_assert_eq(decode("{'metadata':{'name':'greeter.shop'}}", &policy, &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg,
                     "default/greeter.shop: metadata.name must be that of a Service, which has at "
                     "most 63 characters and no dot");
}

Test(decode_policy, a_field_that_nobody_knows_is_noted)
{
    const struct policy *policy = NULL;
    struct err err = {0};

    cr_assert_eq(
        decode(POLICY("{'subset':{'size':3},'retry':{'attempts':2,'backof':{}}}"), &policy, &err),
        CODE_OK);
    cr_assert_str_eq(err.msg, "shop/greeter: spec.retry.backof: no such field; there are: "
                              "attempts, statuses, backoff");
    cr_assert_eq(policy->subset_size, 3);
    policy_unref(policy);
}

/* ---- everything at once ---- */

static void add_fault(void *ctx, const char *text)
{
    buf_printf(ctx, "%s\n", text);
}

static const char *check(const char *text)
{
    static struct buf faults = BUFFER_INIT(64 * 1024);
    struct json *json = parse(text);
    struct object_meta meta;
    struct err err = {0};

    buf_reset(&faults);
    cr_assert_eq(decode_meta(json, &meta, &err), CODE_OK, "%s", err.msg);
    policy_check(json, &meta, add_fault, &faults);
    json_free(json);
    return buf_cstr(&faults);
}

Test(decode_policy, check_says_everything)
{
    cr_assert_str_eq(check(POLICY("{'port':'grpc'}")), "");
    cr_assert_str_eq(
        check("{'metadata':{'name':'greeter'},'specs':1,'spec':{'prot':7,'backends':["
              "{'weigth':1},{'service':'a','port':{}}],'outlierDetection':{'failurePercentage':"
              "{'treshold':7,'minimumHosts':0}},'retry':7}}"),
        "spec.backends[0].service: missing\n"
        "spec.backends[1].port: must be the name of a port, such as grpc, or a number from 1 to "
        "65535\n"
        "spec.retry: expected an object, found a number\n"
        "spec.outlierDetection.failurePercentage.minimumHosts: expected a whole number from 1 to "
        "1000, found 0\n"
        "specs: no such field; what is asked for stands in spec\n"
        "spec.prot: no such field; there are: port, hosts, backends, loadBalancing, locality, "
        "subset, whenNoneReady, protection, maxCallDuration, retry, circuitBreaker, "
        "outlierDetection, access\n"
        "spec.backends[0].weigth: no such field; there are: service, port, weight, whenEmpty\n"
        "spec.outlierDetection.failurePercentage.treshold: no such field; there are: threshold, "
        "minimumHosts, requestVolume\n");
}
