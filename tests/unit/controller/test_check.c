/* LookasideServices in files, looked at without an API server. */
#include "fixture.h"

#include "controller/check.h"
#include "controller/resource.h"

static struct check_options options;
static struct manifest manifests[4];
static size_t manifests_len;
static struct check *check;

static void start(void)
{
    options = (struct check_options){0};
    check = NULL;
    manifests_len = 0;
}

static void stop(void)
{
    check_free(check);
    for (size_t i = 0; i < manifests_len; i++)
        manifest_done(&manifests[i]);
}

TestSuite(check, .init = start, .fini = stop);

static void add(const char *file, const char *text, bool services_only)
{
    struct manifest *manifest = &manifests[manifests_len++];
    struct err err = {0};

    if (!check)
        check = check_new(&options);
    *manifest = (struct manifest){0};
    cr_assert_eq(manifest_parse(str_of(text), false, manifest, &err), CODE_OK, "%s", err.msg);
    check_add(check, file, manifest, services_only);
}

static void keep(void *ctx, const struct check_finding *finding)
{
    buf_printf(ctx, "%s%s:%zu: %s: %s\n", finding->fault ? "" : "(note) ", finding->file,
               finding->line, finding->object, finding->message);
}

static void expect(const char *wanted)
{
    struct buf found = BUFFER_INIT(1 << 16);
    struct err err = {0};

    log_capture();
    cr_assert_eq(check_run(check, keep, &found, &err), CODE_OK, "%s", err.msg);
    cr_assert_str_eq(buf_cstr(&found), wanted, "%s", buf_cstr(&found));
    buf_done(&found);
}

#define SERVICE(name)                                                                              \
    "apiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: " name "}\n"                 \
    "spec: {ports: [{port: 8001, name: grpc}]}\n"
#define LKS(name, spec)                                                                            \
    "apiVersion: lookaside.dev/v1alpha1\nkind: LookasideService\n"                                 \
    "metadata: {namespace: shop, name: " name "}\nspec: " spec "\n"
#define AT(line) "a.yaml:" #line ": LookasideService shop/greeter: "

Test(check, says_all_that_is_wrong_with_one)
{
    add("a.yaml",
        SERVICE("greeter") "---\n" LKS("greeter", "{subset: {size: 0}, retry: {statuses: [x]}, hosts: "
                                                  "[A], more: 1}"),
        false);
    expect(AT(6) "spec.hosts[0]: must be a DNS name in lower case with two labels or more and no "
                 "dot at its end, such as greeter.example.com\n" AT(
                     6) "spec.subset.size: expected a whole number from 1 to 1000, found 0\n" AT(6)
               "spec.retry.attempts: missing\n" AT(
                   6) "spec.retry.statuses[0]: 'x' is none of cancelled, deadline-exceeded, internal, "
                      "resource-exhausted, unavailable\n" AT(
                          6) "spec.more: no such field; there are: port, hosts, backends, "
                             "loadBalancing, locality, subset, whenNoneReady, protection, "
                             "maxCallDuration, retry, circuitBreaker, outlierDetection, access\n");
}

Test(check, looks_at_rules_between_fields)
{
    add("a.yaml",
        SERVICE("greeter") "---\n" LKS(
            "greeter", "{loadBalancing: {policy: RingHash}, subset: {size: 3}, retry: {attempts: "
                       "2, backoff: {base: 2s, max: 1s}}}"),
        false);
    expect(AT(6) "spec: subset and policy RingHash exclude each other, since every group of "
                 "clients would have a ring of its own: remove subset or choose another "
                 "policy\n" AT(6) "spec.retry.backoff: base must not be longer than max: lower "
                                  "base or raise max\n");
}

/* What the condition would say of the first, of all. */
Test(check, follows_references_that_are_given)
{
    add("a.yaml",
        LKS("greeter", "{port: web, backends: [{service: canary, port: 99}, {service: greeter, "
                       "port: 7}]}"),
        false);
    add("b.yaml", SERVICE("greeter") "---\n" SERVICE("canary"), false);
    expect(AT(1) "spec.port: the Service has no TCP port 'web', but 8001 grpc: name one of "
                 "those; until then nothing of the resource is in force\n" AT(
                     1) "spec.backends: Service 'canary' has no TCP port '99', but 8001 grpc: name "
                        "one of those; until then the other backends take over\n" AT(1) "spec.backends: Service 'greeter' has "
                                                           "no TCP port '7', but 8001 grpc: name "
                                                           "one of those; until then the other "
                                                           "backends take over\n");
}

#define SPLIT LKS("greeter", "{backends: [{service: greeter}, {service: canary}]}")

Test(check, does_not_blame_what_is_not_given)
{
    add("a.yaml", SPLIT, false);
    expect("(note) " AT(1) "not checked against Service 'greeter', which is not given\n"
                           "(note) " AT(1) "not checked against Service 'canary', which is not "
                                           "given\n");
}

Test(check, blames_it_where_every_service_is_given)
{
    options.complete = true;
    add("a.yaml", SPLIT, false);
    add("services.yaml", SERVICE("greeter") "---\n" LKS("canary", "{subset: {size: 0}}"), true);
    expect(AT(1) "spec.backends: there is no Service 'canary' in namespace shop: create it, "
                 "or remove the backend; until then the other backends take over\n");
}

#define TWO_CLAIMS                                                                                 \
    LKS("greeter", "{hosts: [a.example.com, b.example.org]}")                                      \
    "---\n" LKS("zeb", "{hosts: [a.example.com]}") "---\n" SERVICE("greeter") "---\n" SERVICE("zeb")

Test(check, holds_hosts_against_suffixes)
{
    static const char *const suffixes[] = {"example.com", NULL};

    options.host_suffixes = suffixes;
    add("a.yaml", TWO_CLAIMS, false);
    expect(AT(1) "spec.hosts: 'b.example.org' does not lie under a suffix that the administrator "
                 "allows (--host-suffixes: example.com): choose a host under one, or ask for another "
                 "suffix; everything else is in force\n"
                 "a.yaml:6: LookasideService shop/zeb: spec.hosts: 'a.example.com' belongs to "
                 "shop/greeter: remove it from one of the two; everything else is in force\n");
}

/* Where all Services are, other things may be, too: they are not what is looked at. */
Test(check, takes_nothing_but_services_from_beside)
{
    static const char *const suffixes[] = {"example.com", NULL};

    options.host_suffixes = suffixes;
    options.complete = true;
    add("a.yaml", LKS("zeb", "{hosts: [a.example.com]}"), false);
    add("services.yaml", TWO_CLAIMS, true);
    expect("");
}

Test(check, holds_hosts_against_nothing_where_there_are_no_suffixes)
{
    add("a.yaml", TWO_CLAIMS, false);
    expect("");
}

Test(check, finds_what_stands_twice)
{
    add("a.yaml", SERVICE("greeter") "---\n" LKS("greeter", "{}"), false);
    add("b.yaml", LKS("other", "{}") "---\n" SERVICE("other") "---\n" LKS("greeter", "{}"), false);
    expect("b.yaml:11: LookasideService shop/greeter: stands in a.yaml, line 6, too: keep one\n");
}

Test(check, finds_what_is_nearly_ours)
{
    add("a.yaml",
        "apiVersion: lookaside.dev/v1\nkind: LookasideService\nmetadata: {name: a}\n---\n"
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n---\n"
        "apiVersion: lookaside.dev/v1alpha1\nkind: LookAsideService\nmetadata: {name: a}\n",
        false);
    expect("a.yaml:0: : 'lookaside.dev/v1 LookasideService' is unknown: expected apiVersion "
           "lookaside.dev/v1alpha1, kind LookasideService\n"
           "a.yaml:0: : 'lookaside.dev/v1alpha1 LookAsideService' is unknown: expected apiVersion "
           "lookaside.dev/v1alpha1, kind LookasideService\n");
}

Test(check, finds_services_that_nobody_could_read)
{
    add("a.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: x}]}\n", false);
    expect("a.yaml:1: Service default/a: spec.ports[0].port: expected a number, found a string\n");
}

/* What a pipeline reads is what the condition would say. */
Test(check, says_what_conditions_say)
{
    struct buf found = BUFFER_INIT(1 << 16);
    struct resource_status status;

    world_start();
    add("a.yaml",
        SERVICE("greeter") "---\n" LKS("greeter",
                                       "{backends: [{service: greeter, port: 5}], port: 6}"),
        false);
    upsert(world.services, SERVICE_JSON("greeter", 8001));
    upsert(world.policies, "{'metadata':{'namespace':'shop','name':'greeter'},'spec':{'backends':[{"
                           "'service':'greeter','port':5}],'port':6}}");
    cr_assert(
        controller_resource_status(world.controller, STR("shop"), STR("greeter"), &status));
    cr_assert_not(status.conditions[CONDITION_RESOLVED_REFS].status);
    cr_assert_eq(check_run(check, keep, &found, NULL), CODE_OK);
    /* The Service of the file names its port. */
    cr_assert(strstr(buf_cstr(&found), "spec.port: the Service has no TCP port '6', but 8001"));
    cr_assert(strstr(status.conditions[CONDITION_RESOLVED_REFS].message,
                     "spec.port: the Service has no TCP port '6', but 8001"));
    buf_done(&found);
    world_stop();
}
