#include "controller/decode.h"

#include "encode/xds.h"

#define FAMILIES 2
#define SLICE_NAME_MAX 300 /* an object's name, and a number */

/* One Endpoints object on its way to slices. */
struct reading {
    const struct object_meta *meta;
    const struct slice **slices;
    size_t len, cap;
    size_t begun;    /* slices, finished or not */
    size_t backends; /* addresses × ports so far */
    struct decode_notes notes;
    /* Of the subset that is being read. */
    struct slice_port ports[SLICE_PORTS_MAX];
    size_t ports_len;
    struct slice_builder *builders[FAMILIES];
    size_t lens[FAMILIES]; /* of their endpoints */
};

static void finish_slice(struct reading *reading, size_t family)
{
    if (!reading->builders[family])
        return;
    if (reading->lens[family] == 0) { /* nothing that could be called */
        slice_builder_free(TAKE(reading->builders[family]));
        return;
    }
    reading->slices = xgrow(reading->slices, &reading->cap, reading->len, sizeof(*reading->slices));
    reading->slices[reading->len++] = slice_finish(TAKE(reading->builders[family]), encode_backend);
    reading->lens[family] = 0;
}

static void reading_done(struct reading *reading)
{
    for (size_t i = 0; i < FAMILIES; i++)
        slice_builder_free(reading->builders[i]);
    for (size_t i = 0; i < reading->len; i++)
        slice_unref(reading->slices[i]);
    free(reading->slices);
}

static enum code begin_slice(struct reading *reading, enum address_family family, size_t index,
                             struct err *err)
{
    const struct object_meta *meta = reading->meta;
    struct slice_spec spec = {
        .namespace_name = meta->namespace_name,
        .service = meta->name,
        .resource_version = meta->resource_version,
        .family = family,
    };
    char name[SLICE_NAME_MAX];
    size_t number = reading->begun++;

    if (number == 0)
        snprintf(name, sizeof(name), "%" STR_FMT, STR_ARG(meta->name));
    else
        snprintf(name, sizeof(name), "%" STR_FMT "/%zu", STR_ARG(meta->name), number);
    spec.name = str_of(name);
    reading->builders[index] = slice_builder_new(&spec);
    for (size_t i = 0; i < reading->ports_len; i++) {
        enum code code = slice_add_port(reading->builders[index], &reading->ports[i], err);

        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

/* To the slice of its family; a full one makes room for another. */
static enum code add_endpoint(struct reading *reading, const struct endpoint *endpoint,
                              const char *path, struct err *err)
{
    bool ipv6 = str_find(endpoint->address, ':') < endpoint->address.len;
    size_t index = ipv6 ? 1 : 0;
    struct err fault = {0};
    enum code code = CODE_OK;

    reading->backends += reading->ports_len ? reading->ports_len : 1;
    if (reading->backends > ENDPOINTS_BACKENDS_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "subsets: more than %d addresses × ports",
                    ENDPOINTS_BACKENDS_MAX);
    if (reading->lens[index] == SLICE_ENDPOINTS_MAX)
        finish_slice(reading, index);
    if (!reading->builders[index])
        code = begin_slice(reading, ipv6 ? FAMILY_IPV6 : FAMILY_IPV4, index, err);
    if (code != CODE_OK)
        return code;
    if (slice_add_endpoint(reading->builders[index], endpoint, &fault) == CODE_OK)
        reading->lens[index]++;
    else
        fail(decode_note(&reading->notes), fault.code, "%s.ip: %s, the address is left out", path,
             fault.msg);
    return CODE_OK;
}

static enum code decode_address(const struct json *json, const char *path,
                                struct endpoint *endpoint, struct err *err)
{
    if (decode_expect_object(json, path, err) != CODE_OK ||
        json_read_str(json, path, "ip", STR(""), &endpoint->address, err) != CODE_OK ||
        json_read_str(json, path, "hostname", STR(""), &endpoint->hostname, err) != CODE_OK ||
        json_read_str(json, path, "nodeName", STR(""), &endpoint->node, err) != CODE_OK ||
        decode_target(json, path, endpoint, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    return CODE_OK;
}

/* `key` is "addresses" or "notReadyAddresses". */
static enum code decode_addresses(struct reading *reading, const struct json *subset,
                                  const char *path, const char *key, bool ready, struct err *err)
{
    const struct json *array = NULL;
    char list[DECODE_PATH_MAX], inner[DECODE_PATH_MAX];
    size_t index = 0;

    if (json_read_array(subset, path, key, &array, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    decode_path_member(list, path, key);
    for (const struct json *item = json_first(array); item; item = json_next(item)) {
        struct endpoint endpoint = {.ready = ready, .serving = ready};
        enum code code;

        decode_path_item(inner, list, index++);
        code = decode_address(item, inner, &endpoint, err);
        if (code == CODE_OK && endpoint.address.len == 0)
            fail(decode_note(&reading->notes), CODE_INVALID_ARGUMENT,
                 "%s.ip: missing, the address is left out", inner);
        else if (code == CODE_OK)
            code = add_endpoint(reading, &endpoint, inner, err);
        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

static enum code decode_ports(struct reading *reading, const struct json *subset, const char *path,
                              struct err *err)
{
    const struct json *array = NULL;
    char list[DECODE_PATH_MAX], inner[DECODE_PATH_MAX];

    reading->ports_len = 0;
    if (json_read_array(subset, path, "ports", &array, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    if (json_len(array) > SLICE_PORTS_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "%s.ports: more than %d ports", path,
                    SLICE_PORTS_MAX);
    decode_path_member(list, path, "ports");
    for (const struct json *item = json_first(array); item; item = json_next(item)) {
        struct slice_port *port = &reading->ports[reading->ports_len];

        decode_path_item(inner, list, reading->ports_len++);
        if (decode_backend_port(item, inner, port, err) != CODE_OK)
            return CODE_INVALID_ARGUMENT;
        if (port->number == 0)
            return fail(err, CODE_INVALID_ARGUMENT, "%s.port: missing", inner);
    }
    return CODE_OK;
}

static enum code decode_subset(struct reading *reading, const struct json *subset, size_t index,
                               struct err *err)
{
    char path[DECODE_PATH_MAX];
    enum code code;

    decode_path_item(path, "subsets", index);
    code = decode_expect_object(subset, path, err);
    if (code == CODE_OK)
        code = decode_ports(reading, subset, path, err);
    if (code == CODE_OK)
        code = decode_addresses(reading, subset, path, "addresses", true, err);
    if (code == CODE_OK)
        code = decode_addresses(reading, subset, path, "notReadyAddresses", false, err);
    for (size_t i = 0; i < FAMILIES && code == CODE_OK; i++)
        finish_slice(reading, i);
    return code;
}

static enum code decode_subsets(struct reading *reading, const struct json *object, struct err *err)
{
    const struct json *array = NULL;
    size_t index = 0;

    if (json_read_array(object, "", "subsets", &array, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    if (json_len(array) > ENDPOINTS_SUBSETS_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "subsets: more than %d", ENDPOINTS_SUBSETS_MAX);
    for (const struct json *item = json_first(array); item; item = json_next(item)) {
        enum code code = decode_subset(reading, item, index++, err);

        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

enum code decode_endpoints(const struct json *object, const struct object_meta *meta,
                           const struct slice ***ret_slices, size_t *ret_len, struct err *err)
{
    CLEANUP(freep) struct reading *reading = xcalloc(1, sizeof(*reading));
    struct err inner = {0};
    enum code code;

    reading->meta = meta;
    code = decode_subsets(reading, object, &inner);
    if (code != CODE_OK) {
        reading_done(reading);
        return fail(err, code, "%" STR_FMT "/%" STR_FMT ": %s", STR_ARG(meta->namespace_name),
                    STR_ARG(meta->name), inner.msg);
    }
    decode_tell(&reading->notes, meta, err);
    *ret_slices = reading->slices;
    *ret_len = reading->len;
    return CODE_OK;
}

bool decode_is_truncated(const struct json *object)
{
    const struct json *annotations = json_get(json_get(object, "metadata"), "annotations");

    return str_eq(json_text(json_get(annotations, "endpoints.kubernetes.io/over-capacity")),
                  STR("truncated"));
}
