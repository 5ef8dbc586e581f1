#include "protocol/request.h"

#include "protocol/field.h"
#include "protocol/name_set.h"
#include "wire/fields.h"
#include "wire/reader.h"

static enum code read_locality(struct str bytes, struct xds_node *node, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type != WIRE_BYTES)
            continue;
        if (field.number == LOCALITY_REGION)
            code = field_text(&field, XDS_NAME_MAX, "node.locality.region", &node->region, err);
        else if (field.number == LOCALITY_ZONE)
            code = field_text(&field, XDS_NAME_MAX, "node.locality.zone", &node->zone, err);
        else if (field.number == LOCALITY_SUB_ZONE)
            code = field_text(&field, XDS_NAME_MAX, "node.locality.sub_zone", &node->sub_zone, err);
    }
    return reader.failed ? field_malformed(err, "node.locality") : code;
}

/* The string in a google.protobuf.Value; other kinds, nested ones too, are passed over unread. */
static enum code read_string_value(struct str bytes, struct str *ret_text, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.number == VALUE_STRING_VALUE && field.type == WIRE_BYTES)
            code = field_text(&field, XDS_NAME_MAX, "a value in node.metadata", ret_text, err);
    }
    return reader.failed ? field_malformed(err, "node.metadata") : code;
}

static enum code read_metadata_entry(struct str bytes, struct xds_node *node, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    struct str key = STR("");
    struct str value = STR("");

    while (wire_next(&reader, &field)) {
        if (field.number == WIRE_MAP_KEY && field.type == WIRE_BYTES)
            key = field.bytes;
        else if (field.number == WIRE_MAP_VALUE && field.type == WIRE_BYTES)
            value = field.bytes;
    }
    if (reader.failed)
        return field_malformed(err, "node.metadata");
    if (str_eq(key, STR("namespace")))
        return read_string_value(value, &node->namespace_name, err);
    if (str_eq(key, STR("node")))
        return read_string_value(value, &node->node, err);
    return CODE_OK;
}

static enum code read_metadata(struct str bytes, struct xds_node *node, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.number == STRUCT_FIELDS && field.type == WIRE_BYTES)
            code = read_metadata_entry(field.bytes, node, err);
    }
    return reader.failed ? field_malformed(err, "node.metadata") : code;
}

static enum code read_node_field(const struct wire_field *field, struct xds_node *node,
                                 struct err *err)
{
    switch (field->number) {
    case NODE_ID:
        return field_text(field, XDS_NAME_MAX, "node.id", &node->id, err);
    case NODE_CLUSTER:
        return field_text(field, XDS_NAME_MAX, "node.cluster", &node->cluster, err);
    case NODE_METADATA:
        return read_metadata(field->bytes, node, err);
    case NODE_LOCALITY:
        return read_locality(field->bytes, node, err);
    case NODE_USER_AGENT_NAME:
        return field_text(field, XDS_NAME_MAX, "node.user_agent_name", &node->user_agent, err);
    case NODE_USER_AGENT_VERSION:
        return field_text(field, XDS_NAME_MAX, "node.user_agent_version", &node->user_agent_version,
                          err);
    default:
        return CODE_OK;
    }
}

enum code xds_node_parse(struct str bytes, struct xds_node *node, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type == WIRE_BYTES)
            code = read_node_field(&field, node, err);
    }
    return reader.failed ? field_malformed(err, "node") : code;
}

/* The message is free text for people: it may be long or broken, whoever keeps it cuts and
 * escapes it. */
static enum code read_error(struct str bytes, struct xds_request *request, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;

    request->has_error = true;
    while (wire_next(&reader, &field)) {
        if (field.number == STATUS_CODE && field.type == WIRE_VARINT)
            request->error_code = (uint32_t)field.value;
        else if (field.number == STATUS_MESSAGE && field.type == WIRE_BYTES)
            request->error_message = field.bytes;
    }
    return reader.failed ? field_malformed(err, "error_detail") : CODE_OK;
}

/* ---- names ---- */

#define A_NAME_IN "a name in "

/* `what` begins with A_NAME_IN. */
static enum code add_name(const struct wire_field *field, const char *what, struct xds_names *names,
                          struct err *err)
{
    names->too_many = names->len == XDS_NAMES_MAX;
    if (names->too_many)
        return fail(err, CODE_RESOURCE_EXHAUSTED,
                    "more than %d %s: share them out over more streams", XDS_NAMES_MAX,
                    what + sizeof(A_NAME_IN) - 1);
    names->items = xgrow(names->items, &names->cap, names->len, sizeof(*names->items));
    return field_text(field, XDS_NAME_MAX, what, &names->items[names->len++], err);
}

/* "*" is no name. */
static void finish_names(struct xds_names *names)
{
    names->len = names_sort(names->items, names->len);
    for (size_t i = 0; i < names->len; i++) {
        if (!str_eq(names->items[i], STR("*")))
            continue;
        names->has_wildcard = true;
        names->len--;
        memmove(&names->items[i], &names->items[i + 1], (names->len - i) * sizeof(*names->items));
        return;
    }
}

static enum code add_known(struct str bytes, struct xds_request *request, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct xds_known *known;
    struct wire_field field;
    enum code code = CODE_OK;

    if (request->known_len == XDS_KNOWN_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED,
                    "more than %d initial_resource_versions: leave some out, they come in full",
                    XDS_KNOWN_MAX);
    request->known =
        xgrow(request->known, &request->known_cap, request->known_len, sizeof(*request->known));
    known = &request->known[request->known_len++];
    *known = (struct xds_known){STR(""), STR("")};
    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type != WIRE_BYTES)
            continue;
        if (field.number == WIRE_MAP_KEY)
            code = field_text(&field, XDS_NAME_MAX, "a name in initial_resource_versions",
                              &known->name, err);
        else if (field.number == WIRE_MAP_VALUE)
            code = field_text(&field, XDS_NAME_MAX, "a version in initial_resource_versions",
                              &known->version, err);
    }
    return reader.failed ? field_malformed(err, "initial_resource_versions") : code;
}

/* ---- requests ---- */

static enum code read_node_once(struct str bytes, struct xds_request *request, struct err *err)
{
    request->has_node = true;
    return xds_node_parse(bytes, &request->node, err);
}

static enum code read_field(const struct wire_field *field, struct xds_request *request,
                            struct err *err)
{
    switch (field->number) {
    case DISCOVERY_REQUEST_NODE:
        return read_node_once(field->bytes, request, err);
    case DISCOVERY_REQUEST_RESOURCE_NAMES:
        return add_name(field, A_NAME_IN "resource_names", &request->names, err);
    case DISCOVERY_REQUEST_TYPE_URL:
        return field_text(field, XDS_NAME_MAX, "type_url", &request->type_url, err);
    case DISCOVERY_REQUEST_RESPONSE_NONCE:
        return field_text(field, XDS_NAME_MAX, "response_nonce", &request->nonce, err);
    case DISCOVERY_REQUEST_ERROR_DETAIL:
        return read_error(field->bytes, request, err);
    default:
        return CODE_OK;
    }
}

static enum code read_delta_field(const struct wire_field *field, struct xds_request *request,
                                  struct err *err)
{
    switch (field->number) {
    case DELTA_DISCOVERY_REQUEST_NODE:
        return read_node_once(field->bytes, request, err);
    case DELTA_DISCOVERY_REQUEST_TYPE_URL:
        return field_text(field, XDS_NAME_MAX, "type_url", &request->type_url, err);
    case DELTA_DISCOVERY_REQUEST_RESOURCE_NAMES_SUBSCRIBE:
        return add_name(field, A_NAME_IN "resource_names_subscribe", &request->names, err);
    case DELTA_DISCOVERY_REQUEST_RESOURCE_NAMES_UNSUBSCRIBE:
        return add_name(field, A_NAME_IN "resource_names_unsubscribe", &request->gone, err);
    case DELTA_DISCOVERY_REQUEST_INITIAL_RESOURCE_VERSIONS:
        return add_known(field->bytes, request, err);
    case DELTA_DISCOVERY_REQUEST_RESPONSE_NONCE:
        return field_text(field, XDS_NAME_MAX, "response_nonce", &request->nonce, err);
    case DELTA_DISCOVERY_REQUEST_ERROR_DETAIL:
        return read_error(field->bytes, request, err);
    default:
        return CODE_OK;
    }
}

typedef enum code read_field_fn(const struct wire_field *field, struct xds_request *request,
                                struct err *err);

static struct xds_names emptied(const struct xds_names *names)
{
    return (struct xds_names){.items = names->items, .cap = names->cap};
}

static enum code parse(struct str message, const char *what, read_field_fn *read,
                       struct xds_request *request, struct err *err)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;
    enum code code = CODE_OK;

    *request = (struct xds_request){.names = emptied(&request->names),
                                    .gone = emptied(&request->gone),
                                    .known = request->known,
                                    .known_cap = request->known_cap};
    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type == WIRE_BYTES)
            code = read(&field, request, err);
    }
    if (reader.failed)
        return field_malformed(err, what);
    if (code != CODE_OK)
        return code;
    finish_names(&request->names);
    finish_names(&request->gone);
    return CODE_OK;
}

enum code xds_request_parse(struct str message, struct xds_request *request, struct err *err)
{
    return parse(message, "DiscoveryRequest", read_field, request, err);
}

enum code xds_delta_request_parse(struct str message, struct xds_request *request, struct err *err)
{
    return parse(message, "DeltaDiscoveryRequest", read_delta_field, request, err);
}

void xds_request_done(struct xds_request *request)
{
    free(request->names.items);
    free(request->gone.items);
    free(request->known);
    *request = (struct xds_request){0};
}
