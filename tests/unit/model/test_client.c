#include <criterion/criterion.h>

#include "model/client.h"

Test(client, knows_whom_what_would_harm)
{
    cr_expect_eq(client_faults(STR("gRPC C-core linux Python C-core 29.0.0 Python 1.51.1")), CLIENT_FAULT_RING_HASH | CLIENT_FAULT_EARLY_END);
    cr_expect_eq(client_faults(STR("gRPC C-core linux C-core 28.0.0")), CLIENT_FAULT_RING_HASH | CLIENT_FAULT_EARLY_END);
    cr_expect_eq(client_faults(STR("gRPC C-core linux C-core 27.0.0")), CLIENT_FAULT_EARLY_END);
    cr_expect_eq(client_faults(STR("gRPC C-core linux Python C-core 58.0.0 Python 1.85.1")), CLIENT_FAULT_EARLY_END);
    cr_expect_eq(client_faults(STR("gRPC Java 1.85.0")), CLIENT_FAULT_OUTLIER_DETECTION);
    cr_expect_eq(client_faults(STR("gRPC Go 1.85.0")), 0);
    cr_expect_eq(client_faults(STR("")), 0);
}

Test(client, is_spared_that_and_nothing_else)
{
    struct policy policy = *policy_default(), spared;

    policy.lb = LB_RING_HASH;
    policy.failure_percentage.enabled = policy.success_rate.enabled = true;
    policy.max_requests = 5;
    client_spare(&policy, 0, &spared);
    cr_expect(policy_equal(&policy, &spared));
    client_spare(&policy, CLIENT_FAULT_RING_HASH, &spared);
    cr_expect(spared.lb == LB_ROUND_ROBIN && spared.success_rate.enabled && spared.max_requests == 5);
    client_spare(&policy, CLIENT_FAULT_OUTLIER_DETECTION, &spared);
    cr_expect(spared.lb == LB_RING_HASH && !spared.failure_percentage.enabled && !spared.success_rate.enabled);
    policy.max_call_us = CLIENT_EARLY_US;
    client_spare(&policy, CLIENT_FAULT_EARLY_END, &spared);
    cr_expect(spared.max_call_us == 0 && spared.lb == LB_RING_HASH);
    client_spare(&policy, CLIENT_FAULTS_OF_CLUSTERS, &spared);
    cr_expect_eq(spared.max_call_us, CLIENT_EARLY_US);
    policy.max_call_us++;
    client_spare(&policy, CLIENT_FAULT_EARLY_END, &spared);
    cr_expect_eq(spared.max_call_us, CLIENT_EARLY_US + 1, "a longer one is only short");
    policy.lb = LB_PICK_FIRST;
    client_spare(&policy, CLIENT_FAULTS_ALL, &spared);
    cr_expect_eq(spared.lb, LB_PICK_FIRST);
}
