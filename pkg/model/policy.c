#include "model/policy.h"

#include <stdatomic.h>

#include "base/base.h"
#include "model/arena.h"

#define SECOND_US (UINT64_C(1000) * 1000)

struct policy_box {
    struct policy policy;
    atomic_uint refs;
    struct arena arena;
};

static struct policy_box *box_of(const struct policy *policy)
{
    return container_of(policy, struct policy_box, policy);
}

const struct policy *policy_default(void)
{
    static const struct policy policy = {
        .minimum_ring_size = 1024,
        .minimum_per_zone = 1,
        .retry_base_us = 25 * 1000,
        .retry_max_us = 250 * 1000,
        .outlier_interval_us = 10 * SECOND_US,
        .base_ejection_us = 30 * SECOND_US,
        .max_ejection_us = 300 * SECOND_US,
        .max_ejection_percent = 10,
    };

    return &policy;
}

/* ---- life ---- */

static const struct str *copy_texts(struct arena *arena, const struct str *texts, size_t len)
{
    struct str *copies = arena_alloc(arena, len * sizeof(*copies));

    for (size_t i = 0; i < len; i++)
        copies[i] = arena_text(arena, texts[i]);
    return copies;
}

static const struct policy_backend *copy_backends(struct arena *arena,
                                                  const struct policy_backend *backends, size_t len)
{
    struct policy_backend *copies = arena_alloc(arena, len * sizeof(*copies));

    for (size_t i = 0; i < len; i++) {
        copies[i] = backends[i];
        copies[i].service = arena_text(arena, copies[i].service);
        copies[i].port.name = arena_text(arena, copies[i].port.name);
    }
    return copies;
}

const struct policy *policy_new(const struct policy *fields)
{
    struct policy_box *box = xcalloc(1, sizeof(*box));
    struct policy *policy = &box->policy;
    struct arena *arena = &box->arena;

    atomic_init(&box->refs, 1);
    *policy = *fields;
    policy->namespace_name = arena_text(arena, fields->namespace_name);
    policy->name = arena_text(arena, fields->name);
    policy->uid = arena_text(arena, fields->uid);
    policy->port.name = arena_text(arena, fields->port.name);
    policy->hash_header = arena_text(arena, fields->hash_header);
    policy->hosts = copy_texts(arena, fields->hosts, fields->hosts_len);
    policy->refused_by = copy_texts(arena, fields->refused_by, fields->refused_by_len);
    policy->access_namespaces.items =
        copy_texts(arena, fields->access_namespaces.items, fields->access_namespaces.len);
    policy->access_accounts.items =
        copy_texts(arena, fields->access_accounts.items, fields->access_accounts.len);
    policy->backends = copy_backends(arena, fields->backends, fields->backends_len);
    policy->announced = copy_backends(arena, fields->announced, fields->announced_len);
    return policy;
}

const struct policy *policy_ref(const struct policy *policy)
{
    if (policy != policy_default())
        atomic_fetch_add_explicit(&box_of(policy)->refs, 1, memory_order_relaxed);
    return policy;
}

void policy_unref(const struct policy *policy)
{
    struct policy_box *box;

    if (!policy || policy == policy_default())
        return;
    box = box_of(policy);
    if (atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_done(&box->arena);
    free(box);
}

/* ---- comparing ---- */

bool port_ref_equal(const struct port_ref *a, const struct port_ref *b)
{
    return a->kind == b->kind && a->number == b->number && str_eq(a->name, b->name);
}

static bool texts_equal(const struct str *a, size_t a_len, const struct str *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    for (size_t i = 0; i < a_len; i++) {
        if (!str_eq(a[i], b[i]))
            return false;
    }
    return true;
}

static bool backends_equal(const struct policy_backend *a, size_t a_len,
                           const struct policy_backend *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    for (size_t i = 0; i < a_len; i++) {
        const struct policy_backend *left = &a[i], *right = &b[i];

        if (!str_eq(left->service, right->service) || !port_ref_equal(&left->port, &right->port) ||
            left->weight != right->weight || left->fail_when_empty != right->fail_when_empty)
            return false;
    }
    return true;
}

static bool ejection_equal(const struct policy_ejection *a, const struct policy_ejection *b)
{
    return a->enabled == b->enabled && a->threshold == b->threshold &&
           a->minimum_hosts == b->minimum_hosts && a->request_volume == b->request_volume;
}

static bool route_equal(const struct policy *a, const struct policy *b)
{
    return texts_equal(a->hosts, a->hosts_len, b->hosts, b->hosts_len) &&
           backends_equal(a->backends, a->backends_len, b->backends, b->backends_len) &&
           str_eq(a->hash_header, b->hash_header) && a->max_call_us == b->max_call_us &&
           a->retry_attempts == b->retry_attempts && a->retry_on == b->retry_on &&
           a->retry_base_us == b->retry_base_us && a->retry_max_us == b->retry_max_us;
}

static bool list_equal(const struct policy *a, const struct policy *b)
{
    return a->locality == b->locality && a->minimum_per_zone == b->minimum_per_zone &&
           a->subset_size == b->subset_size && a->none_ready == b->none_ready &&
           a->protection_percent == b->protection_percent && a->protection_us == b->protection_us;
}

static bool cluster_equal(const struct policy *a, const struct policy *b)
{
    return a->lb == b->lb && a->minimum_ring_size == b->minimum_ring_size &&
           a->max_requests == b->max_requests &&
           ejection_equal(&a->failure_percentage, &b->failure_percentage) &&
           ejection_equal(&a->success_rate, &b->success_rate) &&
           a->outlier_interval_us == b->outlier_interval_us &&
           a->base_ejection_us == b->base_ejection_us && a->max_ejection_us == b->max_ejection_us &&
           a->max_ejection_percent == b->max_ejection_percent;
}

static bool access_equal(const struct policy *a, const struct policy *b)
{
    return a->access_given == b->access_given &&
           texts_equal(a->access_namespaces.items, a->access_namespaces.len,
                       b->access_namespaces.items, b->access_namespaces.len) &&
           texts_equal(a->access_accounts.items, a->access_accounts.len, b->access_accounts.items,
                       b->access_accounts.len);
}

bool policy_same_spec(const struct policy *a, const struct policy *b)
{
    return a == b || (str_eq(a->namespace_name, b->namespace_name) && str_eq(a->name, b->name) &&
                      port_ref_equal(&a->port, &b->port) && route_equal(a, b) && list_equal(a, b) &&
                      cluster_equal(a, b) && access_equal(a, b));
}

bool policy_equal(const struct policy *a, const struct policy *b)
{
    return policy_same_spec(a, b) &&
           backends_equal(a->announced, a->announced_len, b->announced, b->announced_len) &&
           texts_equal(a->refused_by, a->refused_by_len, b->refused_by, b->refused_by_len);
}

bool policy_is_refused_by(const struct policy *policy, struct str agent)
{
    for (size_t i = 0; i < policy->refused_by_len; i++) {
        if (str_eq(policy->refused_by[i], agent))
            return true;
    }
    return false;
}

bool policy_splits(const struct policy_backend *backends, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (backends[i].weight > 0)
            return true;
    }
    return false;
}

bool policy_is_port(const struct port_ref *ref, struct str name, uint16_t number)
{
    switch (ref->kind) {
    case PORT_NONE:
        return true;
    case PORT_NUMBER:
        return ref->number == number;
    case PORT_NAME:
        return str_eq(ref->name, name);
    }
    return false;
}

/* ---- names ---- */

const char *lb_policy_name(enum lb_policy lb)
{
    static const char *const names[LB_POLICIES] = {
        [LB_ROUND_ROBIN] = "RoundRobin",     [LB_WEIGHTED_ROUND_ROBIN] = "WeightedRoundRobin",
        [LB_LEAST_REQUEST] = "LeastRequest", [LB_RING_HASH] = "RingHash",
        [LB_PICK_FIRST] = "PickFirst",
    };

    return names[lb];
}

const char *locality_mode_name(enum locality_mode mode)
{
    static const char *const names[LOCALITY_MODES] = {
        [LOCALITY_SERVICE] = "Service",
        [LOCALITY_NONE] = "None",
        [LOCALITY_PREFER_ZONE] = "PreferZone",
        [LOCALITY_PREFER_NODE] = "PreferNode",
    };

    return names[mode];
}

const char *none_ready_name(enum none_ready none_ready)
{
    static const char *const names[NONE_READY_KINDS] = {
        [NONE_READY_SERVING_TERMINATING] = "ServingTerminating",
        [NONE_READY_EMPTY] = "Empty",
        [NONE_READY_ALL] = "All",
    };

    return names[none_ready];
}
