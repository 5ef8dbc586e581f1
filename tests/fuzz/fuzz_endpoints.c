/*
 * Any JSON as a v1 Endpoints object: what is accepted becomes slices within their limits that
 * belong to the Service of its name, with names of their own; what is refused has a message that
 * names the object.
 */
#include "controller/value.h"
#include "must_hold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_slice(const struct slice *slice, const struct object_meta *meta)
{
    must_hold(str_eq(slice->namespace_name, meta->namespace_name));
    must_hold(str_eq(slice->service, meta->name) && str_starts_with(slice->name, meta->name));
    must_hold(slice->resource_version == meta->resource_version && slice->owner_uid.len == 0);
    must_hold(slice->endpoints_len > 0 && slice->endpoints_len <= SLICE_ENDPOINTS_MAX);
    must_hold(slice->ports_len <= SLICE_PORTS_MAX);
    for (size_t i = 0; i < slice->ports_len; i++)
        must_hold(slice->ports[i].number > 0);
    for (size_t i = 0; i < slice->endpoints_len; i++) {
        must_hold(slice->endpoints[i].family == slice->family);
        must_hold(slice->endpoints[i].serving == slice->endpoints[i].ready);
        must_hold(i == 0 || backend_cmp_address(&slice_backends(slice, 0)[i - 1],
                                                &slice_backends(slice, 0)[i]) <= 0);
    }
}

static void check_value(const struct value *value, const struct object_meta *meta)
{
    size_t backends = 0;

    for (size_t i = 0; i < value->slices_len; i++) {
        const struct slice *slice = value->slices[i];

        check_slice(slice, meta);
        backends += slice->endpoints_len * (slice->ports_len ? slice->ports_len : 1);
        for (size_t k = 0; k < i; k++)
            must_hold(!str_eq(value->slices[k]->name, slice->name));
    }
    must_hold(backends <= ENDPOINTS_BACKENDS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *json = NULL;
    struct object_meta meta;
    struct value value, again;
    struct err err = {0};

    if (json_parse(str_make(data, size), &json, NULL) != CODE_OK)
        return 0;
    if (decode_meta(json, &meta, &err) != CODE_OK) {
        must_hold(err.code == CODE_INVALID_ARGUMENT && err.msg[0]);
    } else if (value_decode(OBJECT_ENDPOINTS, json, &meta, &value, &err) != CODE_OK) {
        must_hold(str_starts_with(str_of(err.msg), meta.namespace_name));
        must_hold(err.code == CODE_INVALID_ARGUMENT || err.code == CODE_RESOURCE_EXHAUSTED);
        must_hold(value_is_empty(value));
    } else {
        check_value(&value, &meta);
        must_hold(value_decode(OBJECT_ENDPOINTS, json, &meta, &again, &err) == CODE_OK);
        must_hold(value_equal(value, again));
        value_done(&again);
        value_done(&value);
    }
    json_free(json);
    return 0;
}
