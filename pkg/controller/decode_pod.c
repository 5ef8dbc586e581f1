#include "controller/decode.h"

#include "model/name.h"

/* Of a pod that the kubelet made from a file of its own (a mirror pod) there is none. */
static enum code read_account(const struct json *spec, struct str *ret_account, struct err *err)
{
    struct str name = STR("");
    enum code code = json_read_str(spec, "spec", "serviceAccountName", STR(""), &name, err);

    if (code != CODE_OK)
        return code;
    if (name.len > 0 && (name.len > OBJECT_NAME_MAX || name_count_labels(name) == 0))
        return fail(err, CODE_INVALID_ARGUMENT,
                    "spec.serviceAccountName: '%" STR_FMT "' is no valid name",
                    STR_ARG(str_slice(name, 0, 64)));
    *ret_account = name;
    return CODE_OK;
}

static enum code read_address(const struct json *json, size_t index, struct pod_object *pod,
                              struct err *err)
{
    char path[DECODE_PATH_MAX];
    struct str text;

    decode_path_item(path, "status.podIPs", index);
    if (decode_expect_object(json, path, err) != CODE_OK ||
        json_read_str(json, path, "ip", STR(""), &text, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    if (!pod_address_parse(text, &pod->addresses[index]))
        return fail(err, CODE_INVALID_ARGUMENT, "%s.ip: '%" STR_FMT "' is no address of a pod",
                    path, STR_ARG(str_slice(text, 0, 64)));
    pod->len = index + 1;
    return CODE_OK;
}

static enum code read_addresses(const struct json *status, struct pod_object *pod, struct err *err)
{
    const struct json *array = NULL;
    size_t index = 0;

    if (json_read_array(status, "status", "podIPs", &array, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    if (json_len(array) > POD_ADDRESSES_MAX)
        return fail(err, CODE_INVALID_ARGUMENT, "status.podIPs: more than %d", POD_ADDRESSES_MAX);
    for (const struct json *item = json_first(array); item; item = json_next(item))
        if (read_address(item, index++, pod, err) != CODE_OK)
            return CODE_INVALID_ARGUMENT;
    return CODE_OK;
}

/* Its addresses are others' by now, or may be at any moment. */
static bool has_ended(struct str phase)
{
    return str_eq(phase, STR("Succeeded")) || str_eq(phase, STR("Failed"));
}

static enum code read_pod(const struct json *object, struct pod_object *pod, struct err *err)
{
    const struct json *spec = NULL, *status = NULL;
    struct str phase = STR("");
    bool host = false;

    if (json_read_object(object, "", "spec", &spec, err) != CODE_OK ||
        json_read_object(object, "", "status", &status, err) != CODE_OK ||
        read_account(spec, &pod->account, err) != CODE_OK ||
        json_read_bool(spec, "spec", "hostNetwork", false, &host, err) != CODE_OK ||
        json_read_str(status, "status", "phase", STR(""), &phase, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    /* Not even read: a node's addresses are of any kind. */
    if (host || has_ended(phase) || pod->account.len == 0)
        return CODE_OK;
    return read_addresses(status, pod, err);
}

enum code decode_pod(const struct json *object, const struct object_meta *meta,
                     struct pod_object *ret_pod, struct err *err)
{
    struct pod_object pod = {.account = STR("")};
    struct err inner = {0};

    if (read_pod(object, &pod, &inner) != CODE_OK)
        return fail(err, inner.code, "%" STR_FMT "/%" STR_FMT ": %s", STR_ARG(meta->namespace_name),
                    STR_ARG(meta->name), inner.msg);
    *ret_pod = pod;
    return CODE_OK;
}
