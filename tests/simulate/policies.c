#include "policies.h"

#include "model/service.h"
#include "sim.h"

#define PROTECTION_US (10 * SIM_S)

/* Linked with --wrap: every Service that is made gets what is wished for it. */
const struct service *__wrap_service_new(const struct service_spec *spec,
                                         const struct slice *const *slices, size_t slices_len,
                                         const struct service *before);
const struct service *__real_service_new(const struct service_spec *spec,
                                         const struct slice *const *slices, size_t slices_len,
                                         const struct service *before);

static const struct policy *policies[SERVICES];

const struct policy *policies_of(unsigned service)
{
    return policies[service];
}

const struct service *__wrap_service_new(const struct service_spec *spec,
                                         const struct slice *const *slices, size_t slices_len,
                                         const struct service *before)
{
    struct service_spec wished = *spec;

    for (unsigned i = 0; i < SERVICES; i++) {
        char name[TEXT];

        slot_name(i, name);
        if (str_eq(spec->name, str_of(name)) &&
            str_eq(spec->namespace_name, str_of(slot_namespace(i))))
            wished.policy = policies[i];
    }
    return __real_service_new(&wished, slices, slices_len, before);
}

/* ---- choosing ---- */

/* Of a list that is cut, the oracle does not know who is near: not both. */
static void choose_places(struct policy *fields)
{
    fields->locality = (enum locality_mode)sim_below(LOCALITY_MODES);
    fields->minimum_per_zone = 1 + (uint32_t)sim_below(2);
    if (sim_rarely(5))
        fields->lb = LB_RING_HASH;
    else if (!policy_prefers(fields) && sim_rarely(2))
        fields->subset_size = 1 + (uint32_t)sim_below(3);
}

static const struct policy *choose(void)
{
    struct policy fields = *policy_default();

    choose_places(&fields);
    fields.none_ready = (enum none_ready)sim_below(NONE_READY_KINDS);
    if (sim_rarely(3)) {
        fields.protection_percent = 30 + 20 * (uint32_t)sim_below(4);
        fields.protection_us = PROTECTION_US;
    }
    return policy_new(&fields);
}

void policies_start(uint64_t seed)
{
    bool none;

    sim_reseed(seed ^ UINT64_C(0x9011C7));
    none = sim_rarely(2);
    for (unsigned i = 0; i < SERVICES; i++)
        policies[i] = none || sim_rarely(4) ? policy_ref(policy_default()) : choose();
}

void policies_done(void)
{
    for (unsigned i = 0; i < SERVICES; i++)
        policy_unref(policies[i]);
}

void policies_describe(unsigned service, char *text, size_t size)
{
    const struct policy *policy = policies[service];
    char name[TEXT];

    slot_name(service, name);
    snprintf(text, size, "%s/%s has %s %s %u, whenNoneReady %s, subset %u, protection %u",
             slot_namespace(service), name, lb_policy_name(policy->lb), locality_mode_name(policy->locality),
             policy->minimum_per_zone, none_ready_name(policy->none_ready), policy->subset_size,
             policy->protection_percent);
}
