#include "xds_read.h"

#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/endpoint/v3/endpoint.pb-c.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "sim.h"

#define URL "type.googleapis.com/envoy.config."

/* protobuf-c's names of types and functions. */
#define REQUEST Envoy__Service__Discovery__V3__DiscoveryRequest
#define RESPONSE Envoy__Service__Discovery__V3__DiscoveryResponse
#define CORE(name) Envoy__Config__Core__V3__##name
#define ENDPOINT(name) Envoy__Config__Endpoint__V3__##name
#define LISTENER Envoy__Config__Listener__V3__Listener
#define CLUSTER Envoy__Config__Cluster__V3__Cluster
#define MANAGER Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager
#define ROUTE(name) Envoy__Config__Route__V3__##name

static const struct {
    const char *name, *url;
} kinds[XDS_KINDS] = {
    [XDS_LDS] = {"Listener", URL "listener.v3.Listener"},
    [XDS_CDS] = {"Cluster", URL "cluster.v3.Cluster"},
    [XDS_EDS] = {"ClusterLoadAssignment", URL "endpoint.v3.ClusterLoadAssignment"},
};

const char *xds_kind_name(enum xds_kind kind)
{
    return kinds[kind].name;
}

/* protobuf-c's structs are not const. */
static char *text(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void *unpack(const ProtobufCMessageDescriptor *descriptor, struct str bytes)
{
    return protobuf_c_message_unpack(descriptor, NULL, bytes.len, (const uint8_t *)bytes.ptr);
}

static void message_freep(void *slot)
{
    ProtobufCMessage **message = slot;

    if (*message)
        protobuf_c_message_free_unpacked(*message, NULL);
}

/* ---- requests ---- */

static size_t send_message(struct call *call, const ProtobufCMessage *message)
{
    CLEANUP(freep) uint8_t *bytes = xmalloc(protobuf_c_message_get_packed_size(message) + 1);

    return call_send(call, bytes, protobuf_c_message_pack(message, bytes));
}

size_t xds_ask_send(struct call *call, const struct xds_ask *ask)
{
    REQUEST request = ENVOY__SERVICE__DISCOVERY__V3__DISCOVERY_REQUEST__INIT;
    CORE(Node) node = ENVOY__CONFIG__CORE__V3__NODE__INIT;
    CORE(Locality) locality = ENVOY__CONFIG__CORE__V3__LOCALITY__INIT;
    Google__Rpc__Status error = GOOGLE__RPC__STATUS__INIT;
    Google__Protobuf__Struct metadata = GOOGLE__PROTOBUF__STRUCT__INIT;
    Google__Protobuf__Struct__FieldsEntry field = GOOGLE__PROTOBUF__STRUCT__FIELDS_ENTRY__INIT;
    Google__Protobuf__Struct__FieldsEntry *fields[] = {&field};
    Google__Protobuf__Value value = GOOGLE__PROTOBUF__VALUE__INIT;
    char name[16];

    snprintf(name, sizeof(name), "node-%d", ask->at_node);
    value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    value.string_value = name;
    field.key = text("node");
    field.value = &value;
    metadata.fields = fields;
    metadata.n_fields = 1;
    node.id = text(XDS_NODE_ID);
    node.user_agent_name = text(ask->agent);
    node.metadata = ask->at_node >= 0 ? &metadata : NULL;
    node.locality = ask->zone >= 0 ? &locality : NULL;
    locality.zone = text(zone_name(ask->zone));
    error.code = 3;
    error.message = text(ask->error ? ask->error : "");
    request.node = ask->node ? &node : NULL;
    request.version_info = text(ask->version);
    request.response_nonce = text(ask->nonce);
    request.type_url = text(kinds[ask->kind].url);
    request.resource_names = (char **)(uintptr_t)ask->names;
    request.n_resource_names = ask->names_len;
    request.error_detail = ask->error ? &error : NULL;
    return send_message(call, &request.base);
}

/* ---- responses ---- */

bool xds_response_open(struct str bytes, struct xds_response_read *ret_response)
{
    RESPONSE *response =
        unpack(&envoy__service__discovery__v3__discovery_response__descriptor, bytes);

    if (!response)
        return false;
    *ret_response = (struct xds_response_read){
        .kind = XDS_KINDS,
        .version = response->version_info,
        .nonce = response->nonce,
        .len = response->n_resources,
        .message = response,
    };
    for (int kind = 0; kind < XDS_KINDS; kind++)
        if (strcmp(response->type_url, kinds[kind].url) == 0)
            ret_response->kind = (enum xds_kind)kind;
    for (size_t i = 0; i < response->n_resources; i++)
        if (strcmp(response->resources[i]->type_url, response->type_url) != 0)
            ret_response->kind = XDS_KINDS;
    if (ret_response->kind < XDS_KINDS && *response->nonce && *response->version_info)
        return true;
    xds_response_close(ret_response);
    return false;
}

void xds_response_close(struct xds_response_read *response)
{
    protobuf_c_message_free_unpacked(response->message, NULL);
}

struct str xds_response_value(const struct xds_response_read *response, size_t index)
{
    const RESPONSE *message = response->message;
    const ProtobufCBinaryData *value = &message->resources[index]->value;

    return str_make(value->data, value->len);
}

/* ---- resources ---- */

bool xds_read_name(enum xds_kind kind, struct str value, char out[XDS_TEXT])
{
    static const ProtobufCMessageDescriptor *const descriptors[XDS_KINDS] = {
        [XDS_LDS] = &envoy__config__listener__v3__listener__descriptor,
        [XDS_CDS] = &envoy__config__cluster__v3__cluster__descriptor,
        [XDS_EDS] = &envoy__config__endpoint__v3__cluster_load_assignment__descriptor,
    };
    CLEANUP(message_freep) ProtobufCMessage *message = unpack(descriptors[kind], value);
    const char *name = "";

    if (!message)
        return false;
    if (kind == XDS_LDS)
        name = ((const LISTENER *)message)->name;
    else if (kind == XDS_CDS)
        name = ((const CLUSTER *)message)->name;
    else
        name = ((const ENDPOINT(ClusterLoadAssignment) *)message)->cluster_name;
    snprintf(out, XDS_TEXT, "%s", name);
    return *name != '\0';
}

/* The one route of an inline configuration; NULL: there is none. */
static const char *route_of(const MANAGER *manager)
{
    const ROUTE(RouteConfiguration) *config = manager ? manager->route_config : NULL;
    const ROUTE(VirtualHost) * host;

    if (!config || config->n_virtual_hosts != 1)
        return NULL;
    host = config->virtual_hosts[0];
    if (host->n_domains != 1 || strcmp(host->domains[0], "*") != 0 || host->n_routes != 1)
        return NULL;
    return host->routes[0]->route ? host->routes[0]->route->cluster : NULL;
}

bool xds_read_listener(struct str value, const char *name, char out[XDS_TEXT], const char *who)
{
    CLEANUP(message_freep)
    LISTENER *listener = unpack(&envoy__config__listener__v3__listener__descriptor, value);
    CLEANUP(message_freep) MANAGER *manager = NULL;
    const char *cluster_name = NULL;

    if (listener && listener->api_listener && listener->api_listener->api_listener) {
        const ProtobufCBinaryData *any = &listener->api_listener->api_listener->value;

        manager = unpack(&envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__descriptor,
                         str_make(any->data, any->len));
        cluster_name = route_of(manager);
    }
    if (!cluster_name || strcmp(listener->name, name) != 0) {
        sim_fail("%s: a Listener that leads nowhere", who);
        return false;
    }
    snprintf(out, XDS_TEXT, "%s", cluster_name);
    return true;
}

static bool read_socket(const CORE(Address) *address, char out[TEXT], unsigned *ret_port)
{
    if (!address || !address->socket_address)
        return false;
    snprintf(out, TEXT, "%s", address->socket_address->address);
    *ret_port = address->socket_address->port_value;
    return *out != '\0' && *ret_port != 0;
}

static const char *read_others(const ENDPOINT(Endpoint) *from, struct entry *entry)
{
    if (from->n_additional_addresses > 1)
        return "an endpoint with more than one other address";
    if (from->n_additional_addresses == 1 &&
        !read_socket(from->additional_addresses[0]->address, entry->other, &entry->other_port))
        return "an endpoint whose other address is none";
    return NULL;
}

static const char *read_endpoint(const ENDPOINT(LbEndpoint) *from,
                                 const ENDPOINT(LocalityLbEndpoints) *locality,
                                 struct answer *answer)
{
    struct entry *backend = &answer->items[answer->len];

    if (answer->len == ANSWER_MAX)
        return "more endpoints than there can be";
    if (!from->endpoint || !read_socket(from->endpoint->address, backend->address, &backend->port))
        return "an endpoint without an address";
    for (size_t i = 0; i < answer->len; i++) {
        if (answer->items[i].port == backend->port &&
            strcmp(answer->items[i].address, backend->address) == 0)
            return "the same address twice";
    }
    snprintf(backend->zone, sizeof(backend->zone), "%s", locality->locality->zone);
    snprintf(backend->sub_zone, sizeof(backend->sub_zone), "%s", locality->locality->sub_zone);
    backend->priority = locality->priority;
    answer->len++;
    return read_others(from->endpoint, backend);
}

static const char *read_locality(const ENDPOINT(LocalityLbEndpoints) *from, struct answer *answer)
{
    unsigned last = answer->len > 0 ? answer->items[answer->len - 1].priority : 0;
    const char *fault = NULL;

    if (!from->locality)
        return "a locality that does not say which";
    for (size_t i = 0; i < answer->len; i++)
        if (strcmp(answer->items[i].zone, from->locality->zone) == 0 &&
            strcmp(answer->items[i].sub_zone, from->locality->sub_zone) == 0)
            return "a locality twice";
    if (from->n_lb_endpoints == 0)
        return "an empty locality";
    if (!from->load_balancing_weight || from->load_balancing_weight->value != from->n_lb_endpoints)
        return "a locality whose weight is not the number of its endpoints";
    if (from->priority != last && (answer->len == 0 || from->priority != last + 1))
        return "a priority out of order, or a gap before it";
    for (size_t i = 0; i < from->n_lb_endpoints && !fault; i++)
        fault = read_endpoint(from->lb_endpoints[i], from, answer);
    return fault;
}

/* The one endpoint of a LOGICAL_DNS Cluster. */
static bool read_host(const CLUSTER *from, char out[XDS_TEXT], unsigned *ret_port)
{
    const ENDPOINT(ClusterLoadAssignment) *list = from->load_assignment;

    return list && list->n_endpoints == 1 && list->endpoints[0]->n_lb_endpoints == 1 &&
           list->endpoints[0]->lb_endpoints[0]->endpoint &&
           read_socket(list->endpoints[0]->lb_endpoints[0]->endpoint->address, out, ret_port);
}

bool xds_read_cluster(struct str value, const char *name, char out[XDS_TEXT], unsigned *ret_port,
                      const char *who)
{
    CLEANUP(message_freep)
    CLUSTER *from = unpack(&envoy__config__cluster__v3__cluster__descriptor, value);
    bool good = from && strcmp(from->name, name) == 0;

    *out = '\0';
    *ret_port = 0;
    if (good && from->type == ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__LOGICAL_DNS)
        good = read_host(from, out, ret_port);
    else
        good = good && from->type == ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__EDS &&
               from->eds_cluster_config && from->eds_cluster_config->eds_config &&
               from->eds_cluster_config->eds_config->ads && !from->load_assignment &&
               strcmp(from->eds_cluster_config->service_name, name) == 0;
    if (!good)
        sim_fail("%s: a Cluster that is no client's", who);
    return good;
}

bool xds_read_assignment(struct str value, const char *name, struct answer *ret_answer,
                         const char *who)
{
    CLEANUP(message_freep)
    ENDPOINT(ClusterLoadAssignment) *assignment =
        unpack(&envoy__config__endpoint__v3__cluster_load_assignment__descriptor, value);
    const char *fault = NULL;

    *ret_answer = (struct answer){0};
    if (!assignment || strcmp(assignment->cluster_name, name) != 0)
        fault = "a malformed list";
    for (size_t i = 0; !fault && i < assignment->n_endpoints; i++)
        fault = read_locality(assignment->endpoints[i], ret_answer);
    if (fault)
        sim_fail("%s: %s", who, fault);
    answer_sort(ret_answer);
    return !fault;
}
