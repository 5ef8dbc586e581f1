/* What holds between the fields of a LookasideService. */
#include "controller/decode_policy_internal.h"

static const struct json *member_of(const struct json *spec, const char *object, const char *key)
{
    return json_get(json_get(spec, object), key);
}

static bool is_subset_of_ring(const struct policy *policy, const struct json *spec unused_arg)
{
    return policy->subset_size > 0 && policy->lb == LB_RING_HASH;
}

static bool is_split_of_nothing(const struct policy *policy, const struct json *spec unused_arg)
{
    for (size_t i = 0; i < policy->backends_len; i++) {
        if (policy->backends[i].weight > 0)
            return false;
    }
    return policy->backends_len > 0;
}

static bool is_ring_of_others(const struct policy *policy, const struct json *spec)
{
    return policy->lb != LB_RING_HASH && member_of(spec, "loadBalancing", "ringHash");
}

static bool is_backoff_reversed(const struct policy *policy, const struct json *spec unused_arg)
{
    return policy->retry_base_us > policy->retry_max_us;
}

static bool is_detection_of_nothing(const struct policy *policy, const struct json *spec)
{
    return json_get(spec, "outlierDetection") && !policy->failure_percentage.enabled &&
           !policy->success_rate.enabled;
}

static bool is_ejection_reversed(const struct policy *policy, const struct json *spec unused_arg)
{
    return policy->base_ejection_us > policy->max_ejection_us;
}

static bool is_no_service_name(const struct policy *policy, const struct json *spec unused_arg)
{
    return policy->name.len > 63 || str_find(policy->name, '.') < policy->name.len;
}

const struct policy_rule policy_rules[POLICY_RULES] = {
    {"", "metadata.name must be that of a Service, which has at most 63 characters and no dot",
     is_no_service_name},
    {"spec",
     "subset and policy RingHash exclude each other, since every group of clients would have a "
     "ring of its own: remove subset or choose another policy",
     is_subset_of_ring},
    {"spec.backends",
     "one backend at least must have a weight above 0, else no call could go anywhere",
     is_split_of_nothing},
    {"spec.loadBalancing",
     "ringHash goes with policy RingHash only: set policy to RingHash or remove ringHash",
     is_ring_of_others},
    {"spec.retry.backoff", "base must not be longer than max: lower base or raise max",
     is_backoff_reversed},
    {"spec.outlierDetection",
     "failurePercentage or successRate must be given, else nothing is ever ejected: add "
     "failurePercentage: {}",
     is_detection_of_nothing},
    {"spec.outlierDetection",
     "baseEjection must not be longer than maxEjection: lower baseEjection or raise maxEjection",
     is_ejection_reversed},
};

void policy_check_rules(struct policy_reader *reader)
{
    for (size_t i = 0; i < POLICY_RULES; i++) {
        if (policy_rules[i].broken(&reader->fields, reader->spec))
            policy_report(reader, policy_rules[i].path, "%s", policy_rules[i].message);
    }
}
