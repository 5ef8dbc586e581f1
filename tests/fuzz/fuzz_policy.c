/* Any JSON as a LookasideService: what is accepted keeps the bounds that readers of a policy rely on, and is found good by the check too but for
 * fields that nobody knows; what is refused has a message, and still closes what it says that it closes. */
#include "controller/decode_policy.h"
#include "controller/policy_field.h"
#include "must_hold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_within(const struct policy_field *field, const void *base)
{
    const void *at = (const char *)base + field->offset;

    if (field->kind == POLICY_COUNT && *(const uint32_t *)at != 0)
        return *(const uint32_t *)at >= field->min && *(const uint32_t *)at <= field->max;
    if (field->kind == POLICY_DURATION)
        return *(const uint64_t *)at / 1000 <= max_u64(field->max, 10 * 60 * 1000);
    if (field->kind == POLICY_CHOICE)
        return policy_word(field->words, *(const unsigned *)at).len > 0;
    if (field->kind == POLICY_STATUSES)
        return *(const unsigned *)at < 1u << field->max;
    return true;
}

static void check_policy(const struct policy *policy)
{
    uint64_t weights = 0;

    for (size_t i = 0; i < POLICY_FIELDS; i++)
        must_hold(is_within(&policy_fields[i], policy));
    for (size_t i = 0; i < policy->backends_len; i++) {
        must_hold(policy->backends[i].service.len > 0);
        must_hold(policy->backends[i].weight <= POLICY_WEIGHT_MAX);
        weights += policy->backends[i].weight;
    }
    must_hold(policy->backends_len == 0 || weights > 0);
    must_hold(policy->backends_len <= POLICY_BACKENDS_MAX);
    must_hold(policy->hosts_len <= POLICY_HOSTS_MAX);
    must_hold(policy->access_namespaces.len <= POLICY_ACCESS_MAX);
    must_hold(policy->access_accounts.len <= POLICY_ACCESS_MAX);
    must_hold(policy->access_given || policy->access_namespaces.len + policy->access_accounts.len == 0);
    for (size_t i = 1; i < policy->hosts_len; i++)
        must_hold(str_cmp(policy->hosts[i - 1], policy->hosts[i]) < 0);
    must_hold(policy->retry_base_us > 0 && policy->retry_base_us <= policy->retry_max_us);
    must_hold(policy->base_ejection_us <= policy->max_ejection_us);
    must_hold(policy->subset_size == 0 || policy->lb != LB_RING_HASH);
    must_hold((policy->retry_attempts == 0) == (policy->retry_on == 0));
    must_hold((policy->protection_percent == 0) == (policy->protection_us == 0));
}

/* Of one that is refused or not: it closes what it says that it closes. */
static void check_access(const struct json *json, const struct object_meta *meta, const struct policy *accepted)
{
    const struct policy *access = decode_policy_access(json, meta);
    const struct json *spec = json_get(json, "spec");

    must_hold((access != NULL) == (json_get(spec, "access") != NULL));
    must_hold(!accepted || (access != NULL) == accepted->access_given);
    if (!access)
        return;
    check_policy(access);
    must_hold(access->partial && access->access_given && access->hosts_len + access->backends_len == 0);
    must_hold(!accepted || (access->access_namespaces.len == accepted->access_namespaces.len &&
                            access->access_accounts.len == accepted->access_accounts.len));
    policy_unref(access);
}

static void count(void *ctx, const char *text)
{
    must_hold(*text);
    ++*(size_t *)ctx;
}

static void visit(void *ctx unused_arg, const struct policy_field *field)
{
    must_hold(field->path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *json = NULL;
    struct object_meta meta;
    const struct policy *policy = NULL;
    uint64_t created_us;
    struct err err = {0};
    size_t faults = 0;

    if (json_parse(str_make(data, size), &json, NULL) != CODE_OK)
        return 0;
    if (decode_meta(json, &meta, &err) != CODE_OK) {
        json_free(json);
        return 0;
    }
    policy_check(json, &meta, count, &faults);
    if (decode_policy(json, &meta, &policy, &created_us, &err) == CODE_OK) {
        must_hold((err.code != CODE_OK) == (faults > 0));
        check_policy(policy);
        policy_diff(policy, policy_default(), visit, NULL);
        must_hold(policy_equal(policy, policy));
    } else {
        must_hold(faults > 0 && err.code == CODE_INVALID_ARGUMENT && err.msg[0] && !policy);
    }
    check_access(json, &meta, policy);
    policy_unref(policy);
    json_free(json);
    return 0;
}
