/* What some kinds of clients do instead of what a policy asks for. */
#include "controller/resource_internal.h"
#include "model/client.h"

/* By the releases that brought each (gRFC A48, A52, A58, A62). RingHash: see model/client.h. */
static const char *balancing_note(const struct policy *policy)
{
    switch (policy->lb) {
    case LB_LEAST_REQUEST:
        return "these clients use RoundRobin instead: C++, Python, Node.js, Go before 1.74, Java "
               "before 1.51";
    case LB_WEIGHTED_ROUND_ROBIN:
        return "these clients use RoundRobin instead: C++ before 1.55, Python before 1.55, "
               "Node.js, "
               "Go before 1.56, Java before 1.54";
    case LB_RING_HASH:
        return "these clients use RoundRobin instead: C++ 1.50 to 1.51, Python 1.50 to 1.51 (it "
               "would crash "
               "them)";
    case LB_PICK_FIRST:
        return "these clients use RoundRobin instead: C++ before 1.58, Python before 1.58, "
               "Node.js, "
               "Go before 1.56, Java before 1.58";
    default:
        return "";
    }
}

/* See model/client.h. */
static const char *duration_note(const struct policy *policy)
{
    if (policy->max_call_us == 0)
        return "";
    return policy->max_call_us > CLIENT_EARLY_US
               ? "these clients end calls 1 to 2 s early: C++, Python"
               : "these clients ignore a maxCallDuration of at most 2 s: C++, Python (all their "
                 "calls would fail)";
}

/* grpc-java counts calls in flight only where it reports load (1.85). */
static const char *breaker_note(const struct policy *policy, bool reports_load)
{
    return policy->max_requests > 0 && !reports_load
               ? "these clients ignore circuitBreaker: Java (without --load-reports)"
               : "";
}

/* See model/client.h. */
static const char *outlier_note(const struct policy *policy)
{
    return policy->failure_percentage.enabled || policy->success_rate.enabled
               ? "these clients ignore outlierDetection: Java (it would hang them)"
               : "";
}

void resource_set_noted(const struct policy *policy, bool reports_load, struct condition *condition)
{
    const char *notes[] = {balancing_note(policy), duration_note(policy),
                           breaker_note(policy, reports_load), outlier_note(policy)};
    char text[CONDITION_MESSAGE_MAX] = "";
    size_t len = 0;

    for (size_t i = 0; i < ARRAY_LEN(notes); i++)
        if (*notes[i])
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len > 0 ? "; " : "",
                                    notes[i]);
    resource_set_condition(condition, true, "Published", "%s", text);
}
