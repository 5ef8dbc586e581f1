#include "controller/value.h"

#include "controller/decode_policy.h"

const char *value_kind_name(enum object_kind kind)
{
    static const char *const names[OBJECT_KINDS] = {
        [OBJECT_SERVICE] = "Service",     [OBJECT_SLICE] = "EndpointSlice",
        [OBJECT_ENDPOINTS] = "Endpoints", [OBJECT_NODE] = "Node",
        [OBJECT_POLICY] = POLICY_KIND,
    };

    return names[kind];
}

static enum code decode_one_slice(const struct json *json, const struct object_meta *meta,
                                  struct value *value, struct err *err)
{
    const struct slice *slice = NULL;
    enum code code = decode_slice(json, meta, &slice, err);

    if (code != CODE_OK || !slice)
        return code;
    value->slices = xmalloc(sizeof(*value->slices));
    value->slices[0] = slice;
    value->slices_len = 1;
    return CODE_OK;
}

enum code value_decode(enum object_kind kind, const struct json *json,
                       const struct object_meta *meta, struct value *ret_value, struct err *err)
{
    *ret_value = (struct value){0};
    switch (kind) {
    case OBJECT_SERVICE:
        return decode_service(json, meta, &ret_value->service, err);
    case OBJECT_SLICE:
        return decode_one_slice(json, meta, ret_value, err);
    case OBJECT_ENDPOINTS:
        return decode_endpoints(json, meta, &ret_value->slices, &ret_value->slices_len, err);
    case OBJECT_NODE:
        return decode_node(json, meta, &ret_value->node, err);
    case OBJECT_POLICY:
        return decode_policy(json, meta, &ret_value->policy, &ret_value->created_us, err);
    case OBJECT_KINDS:
        break;
    }
    return fail(err, CODE_INTERNAL, "no such kind");
}

struct value value_copy(struct value value)
{
    struct value copy = {.created_us = value.created_us, .slices_len = value.slices_len};

    if (value.service)
        copy.service = service_object_copy(value.service);
    if (value.policy)
        copy.policy = policy_ref(value.policy);
    if (value.slices_len > 0)
        copy.slices = xmalloc(value.slices_len * sizeof(*copy.slices));
    for (size_t i = 0; i < value.slices_len; i++)
        copy.slices[i] = slice_ref(value.slices[i]);
    return copy;
}

void value_done(struct value *value)
{
    service_object_free(value->service);
    for (size_t i = 0; i < value->slices_len; i++)
        slice_unref(value->slices[i]);
    free(value->slices);
    free(value->node);
    policy_unref(value->policy);
    *value = (struct value){0};
}

bool value_is_empty(struct value value)
{
    return !value.service && value.slices_len == 0 && !value.node && !value.policy;
}

/* Which of two slices counts for a duplicate depends on the version, so that it is content too. */
static bool slices_equal(struct value a, struct value b)
{
    if (a.slices_len != b.slices_len)
        return false;
    for (size_t i = 0; i < a.slices_len; i++) {
        if (a.slices[i]->resource_version != b.slices[i]->resource_version ||
            !slice_equal(a.slices[i], b.slices[i]))
            return false;
    }
    return true;
}

/* Also what no client sees of it, but its status tells. */
static bool policies_equal(struct value a, struct value b)
{
    return a.created_us == b.created_us && a.policy->generation == b.policy->generation &&
           a.policy->partial == b.policy->partial &&
           a.policy->access_fault == b.policy->access_fault &&
           str_eq(a.policy->uid, b.policy->uid) &&
           policy_equal(a.policy, b.policy);
}

bool value_equal(struct value a, struct value b)
{
    if (a.service && b.service)
        return service_object_equal(a.service, b.service);
    if (a.node && b.node)
        return node_object_equal(a.node, b.node);
    if (a.policy && b.policy)
        return policies_equal(a, b);
    if (a.slices_len > 0 && b.slices_len > 0)
        return slices_equal(a, b);
    return value_is_empty(a) && value_is_empty(b);
}

bool value_is_accepted(struct value value)
{
    return value.policy && !value.policy->partial;
}

size_t value_endpoints(struct value value)
{
    size_t len = 0;

    for (size_t i = 0; i < value.slices_len; i++)
        len += value.slices[i]->endpoints_len;
    return len;
}
