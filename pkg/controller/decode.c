#include "controller/decode.h"

#include "base/hash.h"
#include "controller/controller.h"
#include "model/name.h"

/* What a name in a Kubernetes object may be made of; longer rules belong to the API server. */
static bool is_object_name(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];

        if (!(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9') && ch != '-' && ch != '.')
            return false;
    }
    return text.len > 0 && text.len <= OBJECT_NAME_MAX;
}

static enum code check_name(struct str text, const char *field, struct err *err)
{
    struct str shown = str_slice(text, 0, 64);

    if (is_object_name(text))
        return CODE_OK;
    return fail(err, CODE_INVALID_ARGUMENT, "metadata.%s: '%" STR_FMT "' is no valid name", field,
                STR_ARG(shown));
}

enum code decode_meta(const struct json *object, struct object_meta *ret_meta, struct err *err)
{
    const struct json *json = NULL;
    struct object_meta meta = {0};
    struct str version = STR("");

    if (json_read_object(object, "", "metadata", &json, err) != CODE_OK ||
        json_read_str(json, "metadata", "name", STR(""), &meta.name, err) != CODE_OK ||
        json_read_str(json, "metadata", "namespace", STR(""), &meta.namespace_name, err) !=
            CODE_OK ||
        json_read_str(json, "metadata", "uid", STR(""), &meta.uid, err) != CODE_OK ||
        json_read_str(json, "metadata", "resourceVersion", STR(""), &version, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    if (meta.name.len == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "metadata.name: missing");
    if (meta.namespace_name.len == 0)
        meta.namespace_name = STR("default");
    if (check_name(meta.name, "name", err) != CODE_OK ||
        check_name(meta.namespace_name, "namespace", err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    if (!str_to_u64(version, UINT64_MAX, &meta.resource_version))
        meta.resource_version = 0;
    *ret_meta = meta;
    return CODE_OK;
}

struct err *decode_note(struct decode_notes *notes)
{
    return notes->len++ == 0 ? &notes->first : NULL;
}

/* What there is room for, before the NUL at the end. */
static void append(char out[DECODE_PATH_MAX], size_t *len, struct str text)
{
    char *at = out + *len;

    text = str_slice(text, 0, DECODE_PATH_MAX - 1 - *len);
    str_put(&at, text);
    *at = '\0';
    *len += text.len;
}

void decode_path_item(char out[DECODE_PATH_MAX], const char *base, size_t index)
{
    char digits[21];
    size_t digits_len = str_format_u64(index, digits);
    size_t len = 0;

    append(out, &len, str_of(base));
    append(out, &len, STR("["));
    append(out, &len, str_make(digits, digits_len));
    append(out, &len, STR("]"));
}

void decode_path_member(char out[DECODE_PATH_MAX], const char *base, const char *name)
{
    size_t len = 0;

    append(out, &len, str_of(base));
    append(out, &len, STR("."));
    append(out, &len, str_of(name));
}

void decode_tell(const struct decode_notes *notes, const struct object_meta *meta, struct err *err)
{
    char more[48] = "";

    if (notes->len > 1)
        snprintf(more, sizeof(more), " (and %zu more fault%s)", notes->len - 1,
                 notes->len == 2 ? "" : "s");
    if (notes->len > 0)
        fail(err, notes->first.code, "%" STR_FMT "/%" STR_FMT ": %s%s",
             STR_ARG(meta->namespace_name), STR_ARG(meta->name), notes->first.msg, more);
}

enum code decode_protocol(const struct json *port, const char *path, enum protocol *ret_protocol,
                          struct err *err)
{
    struct str text, shown;
    enum code code = json_read_str(port, path, "protocol", STR("TCP"), &text, err);

    if (code != CODE_OK)
        return code;
    shown = str_slice(text, 0, 64);
    if (str_eq(text, STR("TCP")))
        *ret_protocol = PROTOCOL_TCP;
    else if (str_eq(text, STR("UDP")))
        *ret_protocol = PROTOCOL_UDP;
    else if (str_eq(text, STR("SCTP")))
        *ret_protocol = PROTOCOL_SCTP;
    else
        return fail(err, CODE_INVALID_ARGUMENT, "%s.protocol: '%" STR_FMT "' is no protocol", path,
                    STR_ARG(shown));
    return CODE_OK;
}

/* ---- Service ---- */

static enum code decode_type(const struct json *spec, enum service_type *ret_type, struct err *err)
{
    struct str type, cluster_ip, shown;

    if (json_read_str(spec, "spec", "type", STR("ClusterIP"), &type, err) != CODE_OK ||
        json_read_str(spec, "spec", "clusterIP", STR(""), &cluster_ip, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    shown = str_slice(type, 0, 64);
    if (str_eq(type, STR("ExternalName")))
        *ret_type = SERVICE_EXTERNAL_NAME;
    else if (!str_eq(type, STR("ClusterIP")) && !str_eq(type, STR("NodePort")) &&
             !str_eq(type, STR("LoadBalancer")))
        return fail(err, CODE_INVALID_ARGUMENT, "spec.type: '%" STR_FMT "' is no type of Service",
                    STR_ARG(shown));
    else
        *ret_type = str_eq(cluster_ip, STR("None")) ? SERVICE_HEADLESS : SERVICE_CLUSTER_IP;
    return CODE_OK;
}

/* Lower case, without the dot that a name may end with. */
static struct str own_dns_name(struct str text, struct arena *arena)
{
    char copy[OBJECT_NAME_MAX + 1];

    if (str_ends_with(text, STR(".")))
        text.len--;
    if (text.len > OBJECT_NAME_MAX)
        return STR("");
    for (size_t i = 0; i < text.len; i++)
        copy[i] =
            text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? (char)(text.ptr[i] | 0x20) : text.ptr[i];
    return arena_text(arena, str_make(copy, text.len));
}

static bool is_dns_name(struct str text)
{
    bool valid = text.len > 0;

    while (text.ptr && valid)
        valid = name_is_label(str_cut(&text, '.'));
    return valid;
}

static enum code decode_external_name(const struct json *spec, struct service_object *service,
                                      struct err *err)
{
    struct str text, shown;

    if (service->spec.type != SERVICE_EXTERNAL_NAME)
        return CODE_OK;
    if (json_read_str(spec, "spec", "externalName", STR(""), &text, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    shown = str_slice(text, 0, 64);
    service->spec.external_name = own_dns_name(text, &service->arena);
    if (text.len == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "spec.externalName: missing");
    if (!is_dns_name(service->spec.external_name))
        return fail(err, CODE_INVALID_ARGUMENT, "spec.externalName: '%" STR_FMT "' is no DNS name",
                    STR_ARG(shown));
    return CODE_OK;
}

/* The first is the Service's own; a second one only says that pods may have both. */
static enum code decode_families(const struct json *spec, enum address_family *ret_prefers,
                                 struct err *err)
{
    const struct json *families = NULL;
    size_t index = 0;

    if (json_read_array(spec, "spec", "ipFamilies", &families, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    for (const struct json *item = json_first(families); item; item = json_next(item), index++) {
        struct str text = json_text(item);
        struct str shown = str_slice(text, 0, 64);
        enum address_family family = str_eq(text, STR("IPv4"))   ? FAMILY_IPV4
                                     : str_eq(text, STR("IPv6")) ? FAMILY_IPV6
                                                                 : 0;

        if (json_type(item) != JSON_STRING)
            return fail(err, CODE_INVALID_ARGUMENT,
                        "spec.ipFamilies[%zu]: expected a string, found %s", index,
                        json_type_name(json_type(item)));
        if (!family)
            return fail(err, CODE_INVALID_ARGUMENT,
                        "spec.ipFamilies[%zu]: '%" STR_FMT "' is no address family", index,
                        STR_ARG(shown));
        *ret_prefers = *ret_prefers ? *ret_prefers : family;
    }
    return CODE_OK;
}

/* trafficDistribution and publishNotReadyAddresses are not read: the slices say what follows of them, as hints and conditions. */
static enum code decode_policy(const struct json *spec, bool *ret_local, struct err *err)
{
    struct str text, shown;

    if (json_read_str(spec, "spec", "internalTrafficPolicy", STR("Cluster"), &text, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    shown = str_slice(text, 0, 64);
    *ret_local = str_eq(text, STR("Local"));
    if (!*ret_local && !str_eq(text, STR("Cluster")))
        return fail(err, CODE_INVALID_ARGUMENT,
                    "spec.internalTrafficPolicy: '%" STR_FMT "' is neither Cluster nor Local",
                    STR_ARG(shown));
    return CODE_OK;
}

static enum code decode_service_port(const struct json *json, const char *path, struct arena *arena,
                                     struct service_spec_port *ret_port, struct err *err)
{
    struct str name, app_protocol;
    uint64_t number;

    if (json_type(json) != JSON_OBJECT)
        return fail(err, CODE_INVALID_ARGUMENT, "%s: expected an object, found %s", path,
                    json_type_name(json_type(json)));
    if (json_read_str(json, path, "name", STR(""), &name, err) != CODE_OK ||
        json_read_str(json, path, "appProtocol", STR(""), &app_protocol, err) != CODE_OK ||
        json_read_u64(json, path, "port", UINT16_MAX, 0, &number, err) != CODE_OK ||
        decode_protocol(json, path, &ret_port->protocol, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    if (number == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "%s.port: %s", path,
                    json_get(json, "port") ? "0 is no port" : "missing");
    ret_port->name = arena_text(arena, name);
    ret_port->app_protocol = arena_text(arena, app_protocol);
    ret_port->number = (uint16_t)number;
    return CODE_OK;
}

/* Two ports of one name would share their backends, two of one number could not be told apart. */
static enum code check_unique(const struct service_spec_port *ports, size_t index, struct err *err)
{
    const struct service_spec_port *port = &ports[index];
    struct str shown = str_slice(port->name, 0, 64);

    for (size_t i = 0; i < index; i++) {
        if (ports[i].number == port->number && ports[i].protocol == port->protocol)
            return fail(err, CODE_INVALID_ARGUMENT,
                        "spec.ports[%zu].port: %u is already that of spec.ports[%zu]", index,
                        (unsigned)port->number, i);
        if (str_eq(ports[i].name, port->name))
            return fail(err, CODE_INVALID_ARGUMENT,
                        "spec.ports[%zu].name: '%" STR_FMT "' is already that of spec.ports[%zu]",
                        index, STR_ARG(shown), i);
    }
    return CODE_OK;
}

static enum code decode_service_ports(const struct json *spec, struct service_object *service,
                                      struct err *err)
{
    const struct json *array = NULL;
    struct service_spec_port *ports;
    size_t len;
    char path[DECODE_PATH_MAX];

    if (json_read_array(spec, "spec", "ports", &array, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    len = json_len(array);
    if (len > SERVICE_PORTS_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "spec.ports: more than %d ports",
                    SERVICE_PORTS_MAX);
    ports = arena_alloc(&service->arena, len * sizeof(*ports));
    service->spec.ports = ports;
    for (const struct json *item = json_first(array); item; item = json_next(item)) {
        size_t index = service->spec.ports_len++;

        decode_path_item(path, "spec.ports", index);
        if (decode_service_port(item, path, &service->arena, &ports[index], err) != CODE_OK ||
            check_unique(ports, index, err) != CODE_OK)
            return CODE_INVALID_ARGUMENT;
    }
    if (len == 0 && service->spec.type == SERVICE_CLUSTER_IP)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "spec.ports: missing, and only a headless Service can do without");
    return CODE_OK;
}

/* Pods are chosen by others, but a Service that chooses other pods is another one. */
static enum code decode_selector(const struct json *spec, uint64_t *ret_selector, struct err *err)
{
    const struct json *selector = NULL;
    uint64_t sum = 0;

    if (json_read_object(spec, "spec", "selector", &selector, err) != CODE_OK)
        return CODE_INVALID_ARGUMENT;
    for (const struct json *item = json_first(selector); item; item = json_next(item)) {
        struct str key = json_key(item);
        struct str shown = str_slice(key, 0, 64);
        struct str value = json_text(item);

        if (json_type(item) != JSON_STRING)
            return fail(err, CODE_INVALID_ARGUMENT,
                        "spec.selector.%" STR_FMT ": expected a string, found %s", STR_ARG(shown),
                        json_type_name(json_type(item)));
        sum += hash_mix(hash_content(key.ptr, key.len), hash_content(value.ptr, value.len));
    }
    *ret_selector = sum;
    return CODE_OK;
}

static bool is_annotated(const struct json *object)
{
    const struct json *annotations = json_get(json_get(object, "metadata"), "annotations");

    return str_eq(json_text(json_get(annotations, PUBLISH_ANNOTATION)), STR("true"));
}

DEFINE_CLEANUP(struct service_object, service_object_free)

enum code decode_service(const struct json *object, const struct object_meta *meta,
                         struct service_object **ret_service, struct err *err)
{
    CLEANUP(service_object_freep) struct service_object *service = xcalloc(1, sizeof(*service));
    struct err inner = {0};
    const struct json *spec = NULL;
    enum code code = json_read_object(object, "", "spec", &spec, &inner);

    service->spec.namespace_name = arena_text(&service->arena, meta->namespace_name);
    service->spec.name = arena_text(&service->arena, meta->name);
    service->spec.uid = arena_text(&service->arena, meta->uid);
    service->annotated = is_annotated(object);
    if (code == CODE_OK && !spec)
        code = fail(&inner, CODE_INVALID_ARGUMENT, "spec: missing");
    if (code == CODE_OK)
        code = decode_type(spec, &service->spec.type, &inner);
    if (code == CODE_OK)
        code = decode_external_name(spec, service, &inner);
    if (code == CODE_OK)
        code = decode_families(spec, &service->spec.prefers, &inner);
    if (code == CODE_OK)
        code = decode_policy(spec, &service->spec.local, &inner);
    if (code == CODE_OK)
        code = decode_service_ports(spec, service, &inner);
    if (code == CODE_OK)
        code = decode_selector(spec, &service->selector, &inner);
    if (code != CODE_OK)
        return fail(err, inner.code, "%" STR_FMT "/%" STR_FMT ": %s", STR_ARG(meta->namespace_name),
                    STR_ARG(meta->name), inner.msg);
    *ret_service = TAKE(service);
    return CODE_OK;
}

struct service_object *service_object_copy(const struct service_object *service)
{
    struct service_object *copy = xcalloc(1, sizeof(*copy));
    const struct service_spec *spec = &service->spec;
    struct arena *arena = &copy->arena;
    struct service_spec_port *ports = arena_alloc(arena, spec->ports_len * sizeof(*ports));

    copy->spec = *spec;
    copy->annotated = service->annotated;
    copy->selector = service->selector;
    copy->spec.namespace_name = arena_text(arena, spec->namespace_name);
    copy->spec.name = arena_text(arena, spec->name);
    copy->spec.uid = arena_text(arena, spec->uid);
    copy->spec.external_name = arena_text(arena, spec->external_name);
    for (size_t i = 0; i < spec->ports_len; i++) {
        ports[i] = spec->ports[i];
        ports[i].name = arena_text(arena, ports[i].name);
        ports[i].app_protocol = arena_text(arena, ports[i].app_protocol);
    }
    copy->spec.ports = ports;
    return copy;
}

void service_object_free(struct service_object *service)
{
    if (!service)
        return;
    arena_done(&service->arena);
    free(service);
}

bool service_object_equal(const struct service_object *a, const struct service_object *b)
{
    const struct service_spec *left = &a->spec;
    const struct service_spec *right = &b->spec;

    if (a->selector != b->selector || a->annotated != b->annotated || left->type != right->type ||
        left->prefers != right->prefers || left->local != right->local ||
        left->ports_len != right->ports_len || !str_eq(left->external_name, right->external_name) ||
        !str_eq(left->namespace_name, right->namespace_name) || !str_eq(left->name, right->name) ||
        !str_eq(left->uid, right->uid))
        return false;
    for (size_t i = 0; i < left->ports_len; i++) {
        const struct service_spec_port *one = &left->ports[i];
        const struct service_spec_port *two = &right->ports[i];

        if (one->number != two->number || one->protocol != two->protocol ||
            !str_eq(one->name, two->name) || !str_eq(one->app_protocol, two->app_protocol))
            return false;
    }
    return true;
}
