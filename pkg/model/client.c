#include "model/client.h"

static bool contains(struct str text, struct str part)
{
    for (size_t at = 0; at + part.len <= text.len; at++) {
        if (str_eq(str_slice(text, at, at + part.len), part))
            return true;
    }
    return false;
}

unsigned client_faults(struct str agent)
{
    if (str_starts_with(agent, STR("gRPC Java ")))
        return CLIENT_FAULT_OUTLIER_DETECTION;
    if (!str_starts_with(agent, STR("gRPC C-core ")))
        return 0;
    if (contains(agent, STR(" C-core 28.")) || contains(agent, STR(" C-core 29.")))
        return CLIENT_FAULT_EARLY_END | CLIENT_FAULT_RING_HASH;
    return CLIENT_FAULT_EARLY_END;
}

void client_spare(const struct policy *policy, unsigned faults, struct policy *ret_policy)
{
    *ret_policy = *policy;
    if (faults & CLIENT_FAULT_RING_HASH && policy->lb == LB_RING_HASH)
        ret_policy->lb = LB_ROUND_ROBIN;
    if (faults & CLIENT_FAULT_OUTLIER_DETECTION)
        ret_policy->failure_percentage.enabled = ret_policy->success_rate.enabled = false;
    if (faults & CLIENT_FAULT_EARLY_END && policy->max_call_us <= CLIENT_EARLY_US)
        ret_policy->max_call_us = 0;
}
