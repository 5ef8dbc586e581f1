#include <criterion/criterion.h>

#include "model/policy.h"

TestSuite(policy);

static struct policy fields_of(void)
{
    static const struct str hosts[] = {STR_INIT("greeter.example.com")};
    static const struct policy_backend backends[] = {
        {STR_INIT("greeter"), {PORT_NAME, 0, STR_INIT("grpc")}, 90, false},
        {STR_INIT("canary"), {PORT_NUMBER, 8001, {"", 0}}, 10, true}};
    struct policy fields = *policy_default();

    fields.namespace_name = STR("shop");
    fields.name = STR("greeter");
    fields.hosts = hosts;
    fields.hosts_len = 1;
    fields.backends = backends;
    fields.backends_len = 2;
    return fields;
}

Test(policy, owns_what_it_was_made_of)
{
    char header[] = "x-user";
    struct policy fields = fields_of();
    const struct policy *policy;

    fields.hash_header = str_of(header);
    policy = policy_new(&fields);
    memset(header, 'y', 1);
    cr_assert(str_eq(policy->hash_header, STR("x-user")));
    cr_assert_neq(policy->backends, fields.backends);
    cr_assert(str_eq(policy->backends[1].service, STR("canary")));
    cr_assert_eq(policy_ref(policy), policy);
    policy_unref(policy);
    policy_unref(policy);
}

Test(policy, the_default_outlives_every_reference)
{
    policy_unref(policy_ref(policy_default()));
    policy_unref(policy_default());
    cr_assert_eq(policy_default()->lb, LB_ROUND_ROBIN);
}

Test(policy, differs_in_every_field_but_uid_and_generation)
{
    struct policy fields = fields_of(), other;
    const struct policy *a = policy_new(&fields), *b;
    struct policy_backend heavier[2] = {fields.backends[0], fields.backends[1]};

    fields.generation = 7;
    fields.uid = STR("u");
    b = policy_new(&fields);
    cr_assert(policy_equal(a, b));
    policy_unref(b);
#define DIFFERS(change)                                                                            \
    other = fields_of();                                                                           \
    change;                                                                                        \
    cr_assert_not(policy_same_spec(a, &other), #change)
    DIFFERS(other.port = ((struct port_ref){.kind = PORT_NUMBER, .number = 1}));
    DIFFERS(other.hosts_len = 0);
    DIFFERS(heavier[1].weight = 11; other.backends = heavier);
    DIFFERS(other.lb = LB_PICK_FIRST);
    DIFFERS(other.hash_header = STR("x"));
    DIFFERS(other.minimum_ring_size = 1);
    DIFFERS(other.locality = LOCALITY_NONE);
    DIFFERS(other.minimum_per_zone = 2);
    DIFFERS(other.subset_size = 2);
    DIFFERS(other.none_ready = NONE_READY_ALL);
    DIFFERS(other.protection_percent = 1);
    DIFFERS(other.protection_us = 1);
    DIFFERS(other.max_call_us = 1);
    DIFFERS(other.retry_attempts = 2);
    DIFFERS(other.retry_on = RETRY_INTERNAL);
    DIFFERS(other.retry_base_us = 1);
    DIFFERS(other.retry_max_us = 1);
    DIFFERS(other.max_requests = 1);
    DIFFERS(other.failure_percentage.enabled = true);
    DIFFERS(other.success_rate.threshold = 1);
    DIFFERS(other.outlier_interval_us = 1);
    DIFFERS(other.base_ejection_us = 1);
    DIFFERS(other.max_ejection_us = 1);
    DIFFERS(other.max_ejection_percent = 1);
    policy_unref(a);
}

Test(policy, knows_who_refused_it)
{
    static const struct str agents[] = {STR_INIT("gRPC Go 1.85.0")};
    struct policy fields = fields_of();
    const struct policy *a = policy_new(&fields), *b;

    fields.refused_by = agents;
    fields.refused_by_len = 1;
    b = policy_new(&fields);
    cr_assert(policy_same_spec(a, b));
    cr_assert_not(policy_equal(a, b));
    cr_assert(policy_is_refused_by(b, STR("gRPC Go 1.85.0")));
    cr_assert_not(policy_is_refused_by(b, STR("gRPC Go 1.85.1")));
    policy_unref(a);
    policy_unref(b);
}

Test(policy, a_port_is_meant_by_number_or_name)
{
    const struct port_ref none = {0}, number = {.kind = PORT_NUMBER, .number = 8001},
                          name = {.kind = PORT_NAME, .name = STR("grpc")};

    cr_assert(policy_is_port(&none, STR("grpc"), 8001));
    cr_assert(policy_is_port(&number, STR("x"), 8001));
    cr_assert_not(policy_is_port(&number, STR("grpc"), 8002));
    cr_assert(policy_is_port(&name, STR("grpc"), 1));
    cr_assert_not(policy_is_port(&name, STR("http"), 8001));
}
