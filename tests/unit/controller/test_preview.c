/* What applying manifests would change, and that asking changes nothing. */
#include "fixture.h"

#include "controller/preview.h"

static const char *const suffixes[] = {"example.com", NULL};

static void start(void)
{
    world.host_suffixes = suffixes;
    world_start();
}

TestSuite(preview, .init = start, .fini = world_stop);

#define NOW_US 5000000
#define SERVICE(name)                                                                              \
    "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'shop','name':'" name             \
    "'},'spec':{'ports':[{'port':8001}]}}"
#define LKS(name, spec)                                                                            \
    "{'apiVersion':'lookaside.dev/v1alpha1','kind':'LookasideService','metadata':{'namespace':"    \
    "'shop','name':'" name "'},'spec':" spec "}"
#define SPLIT "{'backends':[{'service':'greeter','weight':9},{'service':'canary','weight':1}]}"

/* "what: now -> then; ..." of every port, "host h: now -> then", and messages of conditions. */
static struct buf answer = BUFFER_INIT(1 << 20);

static void add_text(const struct json *json)
{
    struct str text = json_text(json);

    buf_printf(&answer, "%" STR_FMT, STR_ARG(text));
}

static void add_change(const struct json *change, const char *what)
{
    add_text(json_get(change, what));
    buf_add_str(&answer, STR(": "));
    add_text(json_get(change, "now"));
    buf_add_str(&answer, STR(" -> "));
    add_text(json_get(change, "then"));
    buf_add_str(&answer, STR("\n"));
}

static void add_service(const struct json *service)
{
    const struct json *port = json_first(json_get(service, "ports")), *change;

    for (; port; port = json_next(port)) {
        for (change = json_first(json_get(port, "changes")); change; change = json_next(change)) {
            add_text(json_get(service, "name"));
            if (json_get(port, "number"))
                buf_printf(&answer, ":%.0f", json_number(json_get(port, "number")));
            buf_add_str(&answer, STR(" "));
            add_change(change, "what");
        }
    }
}

static void add_page(const struct json *page)
{
    const struct json *item = json_first(json_get(page, "services")), *condition;

    for (; item; item = json_next(item))
        add_service(item);
    for (item = json_first(json_get(page, "hosts")); item; item = json_next(item))
        add_change(item, "host");
    for (item = json_first(json_get(page, "resources")); item; item = json_next(item)) {
        condition = json_first(json_get(item, "conditions"));
        for (; condition; condition = json_next(condition)) {
            if (json_bool(json_get(condition, "status")))
                continue;
            add_text(json_get(condition, "reason"));
            buf_add_str(&answer, STR("\n"));
        }
    }
}

static enum code ask(const char *items, uint64_t now_us, struct err *err)
{
    char text[8192];
    struct buf out = BUFFER_INIT(1 << 20);
    struct json_writer writer = json_writer(&out);
    struct manifest manifest = {0};
    struct json *json, *page = NULL;
    enum code code;

    snprintf(text, sizeof(text), "{'apiVersion':'v1','kind':'List','items':[%s]}", items);
    json = parse(text);
    json_open_object(&writer, NULL);
    json_put_json(&writer, "list", json);
    json_close_object(&writer);
    json_free(json);
    cr_assert_eq(manifest_parse(str_slice(buf_str(&out), strlen("{\"list\":"), out.len - 1), true,
                                &manifest, err),
                 CODE_OK, "%s", err->msg);
    buf_reset(&out);
    writer = json_writer(&out);
    json_open_object(&writer, NULL);
    code = controller_preview(world.controller, &manifest, now_us, &writer, err);
    json_close_object(&writer);
    buf_reset(&answer);
    if (code == CODE_OK) {
        cr_assert_eq(json_parse(buf_str(&out), &page, err), CODE_OK, "%s", err->msg);
        add_page(page);
        json_free(page);
    }
    manifest_done(&manifest);
    buf_done(&out);
    return code;
}

static void expect(const char *items, const char *wanted)
{
    struct err err = {0};

    cr_assert_eq(ask(items, NOW_US, &err), CODE_OK, "%s", err.msg);
    cr_assert_str_eq(buf_cstr(&answer), wanted, "%s", buf_cstr(&answer));
}

static void start_shop(void)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.services, SERVICE_JSON("canary", 8001));
    upsert(world.slices, SLICE_JSON("g", "greeter", 1, READY("10.0.0.1") "," READY("10.0.0.2")));
    upsert(world.slices, SLICE_JSON("c", "canary", 1, READY("10.0.0.9")));
    turn();
}

Test(preview, tells_of_shares_and_fields)
{
    start_shop();
    expect(LKS("greeter", "{'loadBalancing':{'policy':'LeastRequest'},'backends':[{'service':"
                          "'greeter','weight':9},{'service':'canary','weight':1}]}"),
           "greeter:8001 backends: greeter:8001 -> 90% greeter:8001, 10% canary:8001\n"
           "greeter:8001 loadBalancing.policy: RoundRobin -> LeastRequest\n");
}

Test(preview, changes_nothing)
{
    const struct service *before;
    size_t publications;

    start_shop();
    before = published_service("greeter");
    publications = world.publications;
    world.told = 0;
    log_capture();
    expect(LKS("greeter", "{'hosts':['a.example.com'],'subset':{'size':3}}") "," SERVICE("new"),
           "greeter:8001 subset.size:  -> 3\n"
           "new published: no -> yes\n"
           "new:8001 backends:  -> new:8001\n"
           "new:8001 endpoints:  -> 0\n"
           "a.example.com:  -> shop/greeter\n");
    turn_for_ms(50);
    cr_assert_eq(published_service("greeter"), before);
    cr_assert_eq(world.publications, publications);
    cr_assert_eq(world.told, 0);
    cr_assert_null(published_service("new"));
    cr_assert_str_eq(log_taken(), "");
}

/* Once applied, there is nothing more to change. */
Test(preview, comes_true)
{
    start_shop();
    expect(LKS("greeter", SPLIT),
           "greeter:8001 backends: greeter:8001 -> 90% greeter:8001, 10% canary:8001\n");
    upsert(world.policies, LKS("greeter", SPLIT));
    turn_for_ms(20);
    expect(LKS("greeter", SPLIT), "");
    expect(LKS("greeter", "{}"),
           "greeter:8001 backends: 90% greeter:8001, 10% canary:8001 -> greeter:8001\n");
}

Test(preview, leaves_other_ports_alone)
{
    upsert(world.services, "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{'ports':[{"
                           "'port':8001,'name':'grpc'},{'port':9090,'name':'web'}]}}");
    upsert(world.policies, LKS("greeter", "{'port':'grpc','maxCallDuration':'5s'}"));
    turn();
    expect(LKS("greeter", "{'port':'web','maxCallDuration':'5s'}"),
           "greeter:8001 maxCallDuration: 5s -> \n"
           "greeter:9090 maxCallDuration:  -> 5s\n");
    expect(LKS("greeter", "{'port':'other','maxCallDuration':'5s'}"),
           "greeter:8001 maxCallDuration: 5s -> \nPortNotFound\nNotPublished\n");
}

Test(preview, tells_of_ports_that_go_and_come)
{
    start_shop();
    expect("{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'shop','name':'greeter'},"
           "'spec':{'ports':[{'port':8002}]}}",
           "greeter:8002 backends: greeter:8002 (the Service has no such TCP port) -> "
           "greeter:8002\n"
           "greeter:8002 endpoints:  -> 2\n"
           "greeter:8001 backends: greeter:8001 -> greeter:8001 (the Service has no such TCP "
           "port)\n"
           "greeter:8001 endpoints: 2 -> \n");
}

/* A share that nobody took falls to a Service that comes, whoever asks for it. */
Test(preview, follows_those_who_refer_to_it)
{
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.slices, SLICE_JSON("g", "greeter", 1, READY("10.0.0.1")));
    upsert(world.policies, LKS("greeter", SPLIT));
    turn();
    expect(SERVICE("canary") ",{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice',"
                             "'metadata':{'namespace':'shop','name':'c','labels':{'kubernetes.io/"
                             "service-name':'canary'}},'addressType':'IPv4','ports':[{'port':1}],"
                             "'endpoints':[{'addresses':['10.0.0.9']}]}",
           "canary published: no -> yes\n"
           "canary:8001 backends:  -> canary:8001\n"
           "canary:8001 endpoints:  -> 1\n"
           "greeter:8001 backends: 100% greeter:8001, 0% canary:8001 (there is no such Service) "
           "-> 90% greeter:8001, 10% canary:8001\n");
}

Test(preview, says_whose_a_host_would_be)
{
    start_shop();
    upsert(world.policies, "{'metadata':{'namespace':'shop','name':'canary','creationTimestamp':"
                           "'1970-01-01T00:00:01Z'},'spec':{'hosts':['a.example.com']}}");
    turn();
    /* The one that is there is older than one that comes, whatever its file says. */
    expect("{'apiVersion':'lookaside.dev/v1alpha1','kind':'LookasideService','metadata':{"
           "'namespace':'shop','name':'greeter','creationTimestamp':'1970-01-01T00:00:00Z'},'spec':"
           "{'hosts':['a.example.com']}}",
           "HostConflict\n");
    expect(LKS("canary", "{'hosts':['b.example.com']}") "," LKS("greeter", "{'hosts':["
                                                                           "'a.example.com']}"),
           "a.example.com: shop/canary -> shop/greeter\n"
           "b.example.com:  -> shop/canary\n");
    expect(LKS("canary", "{'hosts':['other.org']}"),
           "a.example.com: shop/canary -> \nHostNotAllowed\n");
}

/* Without an API server a file says how old it is; without a word it is the oldest of all. */
Test(preview, believes_the_age_in_a_directory)
{
    struct err err = {0};

    start_shop();
    upsert(world.policies, "{'metadata':{'namespace':'shop','name':'greeter','creationTimestamp':"
                           "'1970-01-01T00:00:01Z'},'spec':{'hosts':['a.example.com']}}");
    turn();
    cr_assert_eq(ask("{'apiVersion':'lookaside.dev/v1alpha1','kind':'LookasideService','metadata':{"
                     "'namespace':'shop','name':'other','creationTimestamp':'1970-01-01T00:00:01Z'"
                     "},'spec':{'hosts':['b.example.com']}}," LKS(
                         "zeb", "{'hosts':['a.example.com','b.example.com']}"),
                     0, &err),
                 CODE_OK);
    cr_assert_eq(strstr(buf_cstr(&answer), "b.example.com:  -> shop/zeb\nHostConflict\n"),
                 buf_cstr(&answer), "%s", buf_cstr(&answer));
}

Test(preview, counts_no_hold)
{
    start_shop();
    turn_for_ms(15);
    upsert(world.slices, SLICE_JSON("g", "greeter", 2, READY("10.0.0.1")));
    turn_for_ms(5);
    cr_assert_str_eq(hold_of("greeter"), "settle");
    expect(LKS("greeter", "{}"), "");
}

Test(preview, refuses_what_would_be_refused)
{
    struct err err = {0};

    start_shop();
    cr_assert_eq(ask(LKS("greeter", "{'subset':{'size':0}}"), NOW_US, &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "LookasideService shop/greeter: spec.subset.size: expected a whole "
                              "number from 1 to 1000, found 0");
    err = (struct err){0};
    cr_assert_eq(ask("{'apiVersion':'v1','kind':'Service','metadata':{'name':'x'}}", NOW_US, &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "Service default/x: spec: missing");
}

Test(preview, has_a_bound)
{
    struct manifest_object objects[PREVIEW_OBJECTS_MAX + 1];
    const struct manifest manifest = {.objects = objects, .len = ARRAY_LEN(objects)};
    struct err err = {0};

    cr_assert_eq(controller_preview(world.controller, &manifest, 0, NULL, &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "1001 objects are more than 1000: give fewer at once");
}
