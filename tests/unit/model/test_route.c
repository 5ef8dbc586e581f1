#include "base/buf.h"
#include "fixture.h"
#include "model/route.h"

static const char *const suffixes[] = {"example.com", NULL};
static const struct name_context context = {STR_INIT(""), STR_INIT(""), suffixes};
static const struct catalog *catalog;
static struct policy fields;
static struct policy_backend backends[POLICY_BACKENDS_MAX];

static void start(void)
{
    catalog = catalog_new_empty();
    fields = *policy_default();
    fields.namespace_name = STR("shop");
    fields.name = STR("greeter");
    fields.backends = backends;
    memset(backends, 0, sizeof(backends));
}

static void stop(void)
{
    catalog_unref(catalog);
}

TestSuite(route, .init = start, .fini = stop);

static void finish(struct catalog_edit *edit)
{
    const struct catalog *next = catalog_edit_finish(edit);

    catalog_unref(catalog);
    catalog = next;
}

static void put(const struct service *service)
{
    struct catalog_edit *edit = catalog_edit_new(catalog);

    catalog_put(edit, service);
    finish(edit);
}

/* Ports "grpc=8001"; endpoints NULL: none. */
static void put_service(const char *name, const char *ports, const char *endpoints)
{
    const struct policy *policy = strcmp(name, "greeter") == 0 ? policy_new(&fields) : NULL;
    const struct slice *slice = SLICE_TEXT("s", "grpc=9001", endpoints);

    put(make_service(SERVICE_TEXT(.name = name, .ports = ports, .policy = policy), &slice, 1));
    policy_unref(policy);
}

static void backend(const char *service, uint32_t weight)
{
    backends[fields.backends_len++] = (struct policy_backend){.service = str_of(service), .weight = weight};
}

/* "greeter:8001*90 canary:8001*0(it has no endpoints)" */
static const char *route_text(const char *dialled)
{
    static struct buf text = BUFFER_INIT(4096);
    struct route route;
    struct name name;

    cr_assert_eq(name_parse(str_of(dialled), &context, &name, NULL), CODE_OK);
    route_set_owner(&(struct sight){.catalog = catalog}, &name);
    route_find(&(struct sight){.catalog = catalog}, &name, &route);
    buf_reset(&text);
    for (size_t i = 0; i < route.len; i++) {
        const struct route_target *target = &route.targets[i];
        char cluster[NAME_CLUSTER_MAX];

        name_format_target(route.namespace_name, target->service, route.hostname, &target->port, target->number,
                           cluster);
        buf_printf(&text, "%s%s*%u%s%s%s", i ? " " : "", cluster, target->weight, target->problem ? "(" : "",
                   target->problem ? target->problem : "", target->problem ? ")" : "");
    }
    return buf_cstr(&text);
}

#define EXPECT_ROUTE(dialled, text) cr_expect_str_eq(route_text(dialled), text)

Test(route, leads_to_the_service_itself)
{
    put_service("greeter", "grpc=8001", "10.0.0.1");
    EXPECT_ROUTE("greeter.shop", "shop/greeter:8001*1");
    EXPECT_ROUTE("greeter.shop:grpc", "shop/greeter:8001*1");
    EXPECT_ROUTE("pod-0.greeter.shop:8001", "shop/greeter/pod-0:8001*1");
}

Test(route, of_what_is_not_there_says_so)
{
    EXPECT_ROUTE("ghost.shop:grpc", "shop/ghost:grpc*1(there is no such Service)");
    put_service("greeter", "grpc=8001", "");
    EXPECT_ROUTE("greeter.shop:7", "shop/greeter:7*1(the Service has no such TCP port)");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*1(it has no endpoints)");
}

Test(route, is_split_by_the_weights_of_the_dialled_services_policy)
{
    backend("greeter", 90);
    backend("canary", 10);
    put_service("greeter", "grpc=8001", "10.0.0.1");
    put_service("canary", "grpc=8001", "10.0.0.2");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*90 shop/canary:8001*10");
    EXPECT_ROUTE("canary.shop:8001", "shop/canary:8001*1");
    EXPECT_ROUTE("pod-0.greeter.shop:8001", "shop/greeter/pod-0:8001*1");
}

Test(route, a_backends_port_is_the_dialled_one_else_its_default_unless_it_says)
{
    backend("canary", 1);
    backend("other", 1);
    backend("named", 1);
    backends[2].port = (struct port_ref){.kind = PORT_NAME, .name = STR("web")};
    put_service("greeter", "grpc=8001", "10.0.0.1");
    put_service("canary", "=80 grpc=8001", "10.0.0.2");
    put_service("other", "grpc=9000", "10.0.0.3");
    put_service("named", "grpc=8001 web=80", "10.0.0.4");
    EXPECT_ROUTE("greeter.shop:grpc",
                 "shop/canary:8001*1 shop/other:9000*1 shop/named:80*0(it has no endpoints)");
}

Test(route, an_empty_backends_share_falls_to_the_others)
{
    backend("greeter", 90);
    backend("canary", 10);
    put_service("greeter", "grpc=8001", "10.0.0.1");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*90 shop/canary:8001*0(there is no such Service)");
    put_service("canary", "grpc=8001", "");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*90 shop/canary:8001*0(it has no endpoints)");
    put_service("canary", "=80 =81", "10.0.0.2");
    EXPECT_ROUTE("greeter.shop:8001",
                 "shop/greeter:8001*90 shop/canary:8001*0(the Service has no such TCP port)");
    put_service("canary", "grpc=8001", "10.0.0.2");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*90 shop/canary:8001*10");
}

/* Calls that have begun there end there; no more begin. */
Test(route, a_backend_that_shuts_down_gives_its_share_away)
{
    backend("greeter", 90);
    backend("canary", 10);
    put_service("greeter", "grpc=8001", "10.0.0.1");
    put_service("canary", "grpc=8001", "10.0.0.2/d 10.0.0.3");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*90 shop/canary:8001*10");
    put_service("canary", "grpc=8001", "10.0.0.2/d");
    EXPECT_ROUTE("greeter.shop:8001",
                 "shop/greeter:8001*90 shop/canary:8001*0(its last endpoints are shutting down)");
    put_service("greeter", "grpc=8001", "10.0.0.1/d");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*90 shop/canary:8001*10");
    put_service("greeter", "grpc=8001", "");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*0(it has no endpoints) shop/canary:8001*10");
    put_service("greeter", "grpc=8001", "10.0.0.1");
    backends[1].fail_when_empty = true;
    put_service("greeter", "grpc=8001", "10.0.0.1");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*90 shop/canary:8001*10");
}

Test(route, what_is_announced_has_no_share_yet)
{
    static const struct policy_backend canary[] = {{.service = STR_INIT("greeter"), .weight = 90},
                                                   {.service = STR_INIT("canary"), .weight = 10}};

    fields.announced = canary;
    fields.announced_len = 2;
    put_service("greeter", "grpc=8001", "10.0.0.1");
    put_service("canary", "grpc=8001", "10.0.0.2");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*1 shop/canary:8001*0(it is new: clients hear of it"
                                      " before it gets calls, within seconds)");
    EXPECT_ROUTE("pod-0.greeter.shop:8001", "shop/greeter/pod-0:8001*1");
    backend("canary", 1);
    fields.announced_len = 1;
    put_service("greeter", "grpc=8001", "10.0.0.1");
    EXPECT_ROUTE("greeter.shop:8001", "shop/canary:8001*1 shop/greeter:8001*0(it is new: clients hear of it"
                                      " before it gets calls, within seconds)");
}

Test(route, a_backend_that_is_to_fail_keeps_its_share)
{
    backend("greeter", 90);
    backend("canary", 10);
    backend("third", 10);
    backends[1].fail_when_empty = true;
    put_service("greeter", "grpc=8001", "10.0.0.1");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*90 shop/canary:8001*10(there is no such Service)"
                                      " shop/third:8001*0(there is no such Service)");
}

Test(route, weights_stay_when_all_are_empty)
{
    backend("greeter", 90);
    backend("canary", 10);
    put_service("greeter", "grpc=8001", "");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*90(it has no endpoints)"
                                      " shop/canary:8001*10(there is no such Service)");
}

Test(route, a_weight_of_nothing_takes_no_share)
{
    backend("greeter", 0);
    backend("canary", 10);
    put_service("greeter", "grpc=8001", "10.0.0.1");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*0 shop/canary:8001*10(there is no such Service)");
    backends[1].weight = 0;
    put_service("greeter", "grpc=8001", "10.0.0.1");
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*1");
}

Test(route, backends_that_are_the_same_are_one)
{
    backend("greeter", 3);
    backend("canary", 1);
    backend("greeter", 4);
    backends[2].port = (struct port_ref){.kind = PORT_NUMBER, .number = 8001};
    put_service("greeter", "grpc=8001", "10.0.0.1");
    put_service("canary", "grpc=8001", "10.0.0.2");
    EXPECT_ROUTE("greeter.shop", "shop/greeter:8001*7 shop/canary:8001*1"
                                 " shop/greeter:8001*0(an earlier backend is the same)");
}

Test(route, a_policy_of_one_port_is_for_that_port)
{
    backend("canary", 1);
    fields.port = (struct port_ref){.kind = PORT_NAME, .name = STR("grpc")};
    put_service("greeter", "grpc=8001 web=80", "10.0.0.1");
    put_service("canary", "grpc=8001", "10.0.0.2");
    EXPECT_ROUTE("greeter.shop:8001", "shop/canary:8001*1");
    EXPECT_ROUTE("greeter.shop:80", "shop/greeter:80*1(it has no endpoints)");
    EXPECT_ROUTE("greeter.shop:7", "shop/greeter:7*1(the Service has no such TCP port)");
}

Test(route, an_external_name_takes_calls)
{
    backend("greeter", 1);
    backend("outside", 1);
    backends[1].port = (struct port_ref){.kind = PORT_NUMBER, .number = 443};
    put_service("greeter", "grpc=8001", "10.0.0.1");
    put(make_service(SERVICE_TEXT(.name = "outside", .ports = "", .type = SERVICE_EXTERNAL_NAME,
                                  .external_name = "db.example.com"),
                     NULL, 0));
    EXPECT_ROUTE("greeter.shop:8001", "shop/greeter:8001*1 shop/outside:443*1");
}

Test(route, of_a_host_is_that_of_its_owner)
{
    const struct pair host = {STR("api.example.com"), STR("shop/greeter")};
    struct catalog_edit *edit = catalog_edit_new(catalog);

    catalog_set_hosts(edit, &host, 1);
    finish(edit);
    fields.port = (struct port_ref){.kind = PORT_NAME, .name = STR("web")};
    put_service("greeter", "grpc=8001 web=80", "10.0.0.1");
    EXPECT_ROUTE("api.example.com:grpc", "shop/greeter:8001*1");
    EXPECT_ROUTE("API.example.com", "shop/greeter:80*1(it has no endpoints)");
    put_service("greeter", "grpc=8001 other=80", "10.0.0.1");
    EXPECT_ROUTE("api.example.com", "shop/greeter:8001*1");
}

Test(route, plain_keeps_its_weights_and_nothing_else)
{
    struct route route;
    struct name name;

    backend("greeter", 90);
    backend("canary", 10);
    fields.lb = LB_RING_HASH;
    fields.max_call_us = 7;
    put_service("greeter", "grpc=8001", "10.0.0.1");
    put_service("canary", "grpc=8001", "10.0.0.2");
    cr_assert_eq(name_parse(STR("greeter.shop:8001"), &context, &name, NULL), CODE_OK);
    route_find(&(struct sight){.catalog = catalog}, &name, &route);
    cr_assert_eq(route.policy->max_call_us, 7);
    cr_assert_eq(route.targets[0].policy->lb, LB_RING_HASH);
    cr_assert_eq(route.targets[1].policy, policy_default());
    route_make_plain(&route);
    cr_assert_eq(route.policy, policy_default());
    cr_assert_eq(route.targets[0].policy, policy_default());
    cr_assert_eq(route.targets[0].weight, 90);
    cr_assert_eq(route.targets[1].weight, 10);
}
