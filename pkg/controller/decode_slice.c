#include "controller/decode.h"

#include "encode/xds.h"

enum code decode_expect_object(const struct json *json, const char *path, struct err *err)
{
    if (json_type(json) == JSON_OBJECT)
        return CODE_OK;
    return fail(err, CODE_INVALID_ARGUMENT, "%s: expected an object, found %s", path,
                json_type_name(json_type(json)));
}

/* The Service that owns the slice, or none. Other APIs have a kind of that name, too (Knative). */
static enum code decode_owner(const struct json *metadata, struct str *ret_uid, struct err *err)
{
    const struct json *array = NULL;
    char path[DECODE_PATH_MAX];
    size_t index = 0;

    *ret_uid = STR("");
    if (json_read_array(metadata, "metadata", "ownerReferences", &array, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    for (const struct json *item = json_first(array); item; item = json_next(item), index++) {
        struct str api, kind, uid;

        decode_path_item(path, "metadata.ownerReferences", index);
        if (decode_expect_object(item, path, err) != CODE_OK ||
            json_read_str(item, path, "apiVersion", STR(""), &api, err) != CODE_OK ||
            json_read_str(item, path, "kind", STR(""), &kind, err) != CODE_OK ||
            json_read_str(item, path, "uid", STR(""), &uid, err) != CODE_OK)
            return CODE_INVALID_ARGUMENT;
        if (str_eq(api, STR("v1")) && str_eq(kind, STR("Service")) && ret_uid->len == 0)
            *ret_uid = uid;
    }
    return CODE_OK;
}

static enum code decode_head(const struct json *object, struct slice_spec *spec, bool *ret_fqdn,
                             struct err *err)
{
    const struct json *metadata = NULL, *labels = NULL;
    struct str type, shown;

    if (json_read_object(object, "", "metadata", &metadata, err) != CODE_OK ||
        json_read_object(metadata, "metadata", "labels", &labels, err) != CODE_OK ||
        json_read_str(labels, "metadata.labels", "kubernetes.io/service-name", STR(""),
                      &spec->service, err) != CODE_OK ||
        decode_owner(metadata, &spec->owner_uid, err) != CODE_OK ||
        json_read_str(object, "", "addressType", STR(""), &type, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    *ret_fqdn = str_eq(type, STR("FQDN"));
    spec->family = str_eq(type, STR("IPv6")) ? FAMILY_IPV6 : FAMILY_IPV4;
    if (type.len == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "addressType: missing");
    shown = str_slice(type, 0, 64);
    if (!*ret_fqdn && !str_eq(type, STR("IPv4")) && !str_eq(type, STR("IPv6")))
        return fail(err, CODE_INVALID_ARGUMENT, "addressType: '%" STR_FMT "' is no type of address",
                    STR_ARG(shown));
    return CODE_OK;
}

enum code decode_backend_port(const struct json *json, const char *path,
                              struct slice_port *ret_port, struct err *err)
{
    struct slice_port port = {0};
    uint64_t number;

    if (decode_expect_object(json, path, err) != CODE_OK ||
        json_read_str(json, path, "name", STR(""), &port.name, err) != CODE_OK ||
        json_read_str(json, path, "appProtocol", STR(""), &port.app_protocol, err) != CODE_OK ||
        json_read_u64(json, path, "port", UINT16_MAX, 0, &number, err) != CODE_OK ||
        decode_protocol(json, path, &port.protocol, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    if (number == 0 && json_get(json, "port"))
        return fail(err, CODE_INVALID_ARGUMENT, "%s.port: 0 is no port", path);
    port.number = (uint16_t)number;
    *ret_port = port;
    return CODE_OK;
}

static enum code decode_port(struct slice_builder *builder, const struct json *json,
                             const char *path, unused_arg struct decode_notes *notes, struct err *err)
{
    struct slice_port port;

    if (decode_backend_port(json, path, &port, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    if (slice_add_port(builder, &port, err) != CODE_OK)
        return fail_in(err, "ports");
    return CODE_OK;
}

static enum code decode_conditions(const struct json *json, const char *path,
                                   struct endpoint *endpoint, struct err *err)
{
    const struct json *conditions = NULL;
    char inner[DECODE_PATH_MAX];

    if (json_read_object(json, path, "conditions", &conditions, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    decode_path_member(inner, path, "conditions");
    if (json_read_bool(conditions, inner, "ready", true, &endpoint->ready, err) != CODE_OK ||
        json_read_bool(conditions, inner, "serving", true, &endpoint->serving, err) != CODE_OK ||
        json_read_bool(conditions, inner, "terminating", false, &endpoint->terminating, err) !=
            CODE_OK)
        return CODE_INVALID_ARGUMENT;
    return CODE_OK;
}

enum code decode_target(const struct json *json, const char *path, struct endpoint *endpoint,
                        struct err *err)
{
    const struct json *target = NULL;
    char inner[DECODE_PATH_MAX];
    struct str kind, name;

    if (json_read_object(json, path, "targetRef", &target, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    decode_path_member(inner, path, "targetRef");
    if (json_read_str(target, inner, "kind", STR(""), &kind, err) != CODE_OK ||
        json_read_str(target, inner, "name", STR(""), &name, err) != CODE_OK ||
        json_read_str(target, inner, "uid", STR(""), &endpoint->uid, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    endpoint->pod = str_eq(kind, STR("Pod")) ? name : STR("");
    return CODE_OK;
}

/* The first address is the endpoint's; what more there is means nothing to anybody (API reference).
 * {NULL, 0}: there is none. */
static enum code decode_address(const struct json *json, const char *path,
                                struct endpoint *endpoint, struct decode_notes *notes,
                                struct err *err)
{
    const struct json *addresses = NULL;
    const struct json *first;

    if (json_read_array(json, path, "addresses", &addresses, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    first = json_first(addresses);
    if (!first) {
        fail(decode_note(notes), CODE_INVALID_ARGUMENT,
             "%s.addresses: %s, the endpoint is left out", path, addresses ? "empty" : "missing");
        return CODE_OK;
    }
    if (json_type(first) != JSON_STRING)
        return fail(err, CODE_INVALID_ARGUMENT, "%s.addresses[0]: expected a string, found %s",
                    path, json_type_name(json_type(first)));
    endpoint->address = json_text(first);
    return CODE_OK;
}

/* What of the names in a list of hints there is room for. */
struct hints {
    struct str names[ENDPOINT_HINTS_MAX];
    size_t len;
};

/* A list that no API server would accept is ignored whole, by name in *notes: then the endpoint has no hints of this kind, and every client
 * gets all. `key` is "forZones" or "forNodes". */
static enum code decode_hint_list(const struct json *json, const char *path, const char *key,
                                  struct hints *hints, struct decode_notes *notes, struct err *err)
{
    const struct json *array = NULL;
    char list[DECODE_PATH_MAX], inner[DECODE_PATH_MAX];
    size_t index = 0;

    hints->len = 0;
    if (json_read_array(json, path, key, &array, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    decode_path_member(list, path, key);
    for (const struct json *item = json_first(array); item; item = json_next(item)) {
        struct str name;

        decode_path_item(inner, list, index++);
        if (decode_expect_object(item, inner, err) != CODE_OK ||
            json_read_str(item, inner, "name", STR(""), &name, err) != CODE_OK)
            return CODE_INVALID_ARGUMENT;
        if (name.len > 0 && hints->len < ENDPOINT_HINTS_MAX) {
            hints->names[hints->len++] = name;
            continue;
        }
        if (name.len == 0)
            fail(decode_note(notes), CODE_INVALID_ARGUMENT,
                 "%s.name: missing, the hints are ignored", inner);
        else
            fail(decode_note(notes), CODE_RESOURCE_EXHAUSTED,
                 "%s: more than %d, the hints are ignored", list, ENDPOINT_HINTS_MAX);
        hints->len = 0;
        return CODE_OK;
    }
    return CODE_OK;
}

static enum code decode_hints(const struct json *json, const char *path, struct hints *zones,
                              struct hints *nodes, struct decode_notes *notes, struct err *err)
{
    const struct json *hints = NULL;
    char inner[DECODE_PATH_MAX];

    if (json_read_object(json, path, "hints", &hints, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    decode_path_member(inner, path, "hints");
    if (decode_hint_list(hints, inner, "forZones", zones, notes, err) != CODE_OK ||
        decode_hint_list(hints, inner, "forNodes", nodes, notes, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    return CODE_OK;
}

static enum code add_endpoint(struct slice_builder *builder, const struct endpoint *endpoint,
                              const char *path, struct decode_notes *notes, struct err *err)
{
    struct err fault = {0};
    enum code code = slice_add_endpoint(builder, endpoint, &fault);

    if (code != CODE_INVALID_ARGUMENT)
        return code == CODE_OK ? CODE_OK : fail(err, code, "endpoints: %s", fault.msg);
    fail(decode_note(notes), code, "%s.addresses[0]: %s, the endpoint is left out", path,
         fault.msg);
    return CODE_OK;
}

static enum code decode_endpoint(struct slice_builder *builder, const struct json *json,
                                 const char *path, struct decode_notes *notes, struct err *err)
{
    struct endpoint endpoint = {0};
    struct hints zones, nodes;

    if (decode_expect_object(json, path, err) != CODE_OK ||
        decode_address(json, path, &endpoint, notes, err) != CODE_OK ||
        decode_conditions(json, path, &endpoint, err) != CODE_OK ||
        decode_target(json, path, &endpoint, err) != CODE_OK ||
        json_read_str(json, path, "hostname", STR(""), &endpoint.hostname, err) != CODE_OK ||
        json_read_str(json, path, "nodeName", STR(""), &endpoint.node, err) != CODE_OK ||
        json_read_str(json, path, "zone", STR(""), &endpoint.zone, err) != CODE_OK ||
        decode_hints(json, path, &zones, &nodes, notes, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    endpoint.zone_hints = zones.names;
    endpoint.zone_hints_len = zones.len;
    endpoint.node_hints = nodes.names;
    endpoint.node_hints_len = nodes.len;
    return endpoint.address.ptr ? add_endpoint(builder, &endpoint, path, notes, err) : CODE_OK;
}

/* `key` is "ports" or "endpoints". */
static enum code
decode_items(struct slice_builder *builder, const struct json *object, const char *key,
             enum code (*decode)(struct slice_builder *builder, const struct json *json,
                                 const char *path, struct decode_notes *notes, struct err *err),
             struct decode_notes *notes, struct err *err)
{
    const struct json *array = NULL;
    char path[DECODE_PATH_MAX];
    size_t index = 0;

    if (json_read_array(object, "", key, &array, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    for (const struct json *item = json_first(array); item; item = json_next(item)) {
        enum code code;

        decode_path_item(path, key, index++);
        code = decode(builder, item, path, notes, err);
        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

DEFINE_CLEANUP(struct slice_builder, slice_builder_free)

static enum code decode_body(const struct json *object, const struct slice_spec *spec,
                             const struct slice **ret_slice, struct decode_notes *notes,
                             struct err *err)
{
    CLEANUP(slice_builder_freep) struct slice_builder *builder = slice_builder_new(spec);
    enum code code = decode_items(builder, object, "ports", decode_port, notes, err);

    if (code == CODE_OK)
        code = decode_items(builder, object, "endpoints", decode_endpoint, notes, err);
    if (code == CODE_OK)
        *ret_slice = slice_finish(TAKE(builder), encode_backend);
    return code;
}

enum code decode_slice(const struct json *object, const struct object_meta *meta,
                       const struct slice **ret_slice, struct err *err)
{
    struct slice_spec spec = {
        .namespace_name = meta->namespace_name,
        .name = meta->name,
        .resource_version = meta->resource_version,
    };
    const struct slice *slice = NULL;
    struct decode_notes notes = {0};
    struct err inner = {0};
    bool fqdn = false;
    enum code code = decode_head(object, &spec, &fqdn, &inner);

    if (code == CODE_OK && !fqdn)
        code = decode_body(object, &spec, &slice, &notes, &inner);
    if (code != CODE_OK)
        return fail(err, inner.code, "%" STR_FMT "/%" STR_FMT ": %s", STR_ARG(meta->namespace_name),
                    STR_ARG(meta->name), inner.msg);
    decode_tell(&notes, meta, err);
    *ret_slice = slice;
    return CODE_OK;
}
