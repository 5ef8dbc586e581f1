#include "controller/announce.h"

/* NULL: it is not among them. */
static const struct policy_backend *find(const struct policy_backend *backends, size_t len,
                                         const struct policy_backend *backend)
{
    for (size_t i = 0; i < len; i++) {
        if (str_eq(backends[i].service, backend->service) &&
            port_ref_equal(&backends[i].port, &backend->port))
            return &backends[i];
    }
    return NULL;
}

/* By either of the names that a Service has in its own policy. */
static bool is_own(const struct service *service, const struct policy_backend *backend)
{
    return str_eq(backend->service, service->name) && backend->port.kind == PORT_NONE;
}

/* Of a Service with these. */
static bool takes_part(const struct service *service, const struct policy_backend *backends,
                       size_t len, const struct policy_backend *backend)
{
    return find(backends, len, backend) ||
           (!policy_splits(backends, len) && is_own(service, backend));
}

/* It gets calls, or clients know it as one that gets none. */
static bool is_in_force(const struct service *published, const struct policy_backend *backend)
{
    const struct policy *policy = published->policy;

    return takes_part(published, policy->backends, policy->backends_len, backend);
}

/* Or it has been announced. */
static bool is_told(const struct service *published, const struct policy_backend *backend)
{
    const struct policy *policy = published->policy;

    return is_in_force(published, backend) ||
           find(policy->announced, policy->announced_len, backend);
}

/* Of all that `wanted` gives calls to. */
static bool all_are(bool (*is)(const struct service *published,
                               const struct policy_backend *backend),
                    const struct service *published, const struct policy *wanted)
{
    const struct policy_backend own = {.service = published->name};

    for (size_t i = 0; i < wanted->backends_len; i++) {
        if (wanted->backends[i].weight > 0 && !is(published, &wanted->backends[i]))
            return false;
    }
    return policy_splits(wanted->backends, wanted->backends_len) || is(published, &own);
}

static void begin(struct announcement *state, uint64_t now_us)
{
    if (state->until_us == 0)
        state->first_us = now_us;
    state->until_us = min_u64(now_us + ANNOUNCE_US, state->first_us + ANNOUNCE_MOST_US);
}

/* What is in force, with what is to come. */
static const struct policy *announcing(const struct service *published, const struct policy *wanted)
{
    const struct policy_backend own = {.service = published->name, .weight = 1};
    bool splits = policy_splits(wanted->backends, wanted->backends_len);
    struct policy fields = *published->policy;

    fields.announced = splits ? wanted->backends : &own;
    fields.announced_len = splits ? wanted->backends_len : 1;
    /* Who may see it waits for nothing. */
    fields.access_given = wanted->access_given;
    fields.access_namespaces = wanted->access_namespaces;
    fields.access_accounts = wanted->access_accounts;
    return policy_new(&fields);
}

/* It was named a moment ago, for no calls, and is to get some now. */
static bool is_hasty(const struct announcement *state, const struct service *published,
                     const struct policy *wanted, uint64_t now_us)
{
    const struct policy *policy = published->policy;

    if (state->idle_us == 0 || now_us >= state->idle_us + ANNOUNCE_US)
        return false;
    for (size_t i = 0; i < wanted->backends_len; i++) {
        const struct policy_backend *known =
            find(policy->backends, policy->backends_len, &wanted->backends[i]);

        if (wanted->backends[i].weight > 0 && known && known->weight == 0)
            return true;
    }
    return false;
}

static bool names_idle(const struct service *published, const struct policy *wanted)
{
    for (size_t i = 0; i < wanted->backends_len; i++) {
        if (wanted->backends[i].weight == 0 && !is_told(published, &wanted->backends[i]))
            return true;
    }
    return false;
}

const struct policy *announce_policy(struct announcement *state, const struct service *published,
                                     const struct policy *wanted, uint64_t now_us)
{
    bool hasty;

    if (!published) {
        *state = (struct announcement){0};
        return policy_ref(wanted);
    }
    hasty = is_hasty(state, published, wanted, now_us);
    if (!all_are(is_told, published, wanted))
        begin(state, now_us);
    else if (hasty && state->until_us == 0)
        *state = (struct announcement){now_us, state->idle_us + ANNOUNCE_US, state->idle_us};
    if (now_us < state->until_us && (hasty || !all_are(is_in_force, published, wanted)))
        return announcing(published, wanted);
    *state =
        (struct announcement){.idle_us = names_idle(published, wanted) ? now_us : state->idle_us};
    return policy_ref(wanted);
}
