/* Listeners and Clusters, read as protobuf-c reads them and by the rules by which clients refuse
 * them. */
#include <criterion/criterion.h>

#include "encode/xds.h"
#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "wire/fields.h"
#include "wire/reader.h"

#define NAME "greeter.shop:8001"
#define CLUSTER "shop/greeter:8001"

typedef Envoy__Extensions__Filters__Network__HttpConnectionManager__V3__HttpConnectionManager Hcm;

static struct blob *blob;
static Envoy__Service__Discovery__V3__DiscoveryResponse *response;
static Envoy__Config__Listener__V3__Listener *listener;
static Hcm *hcm;
static Envoy__Config__Cluster__V3__Cluster *cluster;

static void read_resource(const char *type_url)
{
    response =
        envoy__service__discovery__v3__discovery_response__unpack(NULL, blob->len, blob->bytes);
    cr_assert_not_null(response);
    cr_assert_eq(response->n_resources, 1);
    cr_assert_str_eq(response->resources[0]->type_url, type_url);
}

/* shop/<service>:8001 */
static const struct route *route_to(struct str service)
{
    static struct route route;

    route = (struct route){
        .namespace_name = STR("shop"),
        .policy = policy_default(),
        .len = 1,
        .targets = {{.service = service, .number = 8001, .weight = 1, .policy = policy_default()}},
    };
    return &route;
}

static void open_listener(void)
{
    const ProtobufCBinaryData *value;

    blob = encode_listener(STR(NAME), route_to(STR("greeter")));
    read_resource(LISTENER_URL);
    value = &response->resources[0]->value;
    listener = envoy__config__listener__v3__listener__unpack(NULL, value->len, value->data);
    cr_assert_not_null(listener);
    cr_assert_str_eq(listener->api_listener->api_listener->type_url, HTTP_CONNECTION_MANAGER_URL);
    value = &listener->api_listener->api_listener->value;
    hcm =
        envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__unpack(
            NULL, value->len, value->data);
    cr_assert_not_null(hcm);
}

static void close_listener(void)
{
    envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__free_unpacked(
        hcm, NULL);
    envoy__config__listener__v3__listener__free_unpacked(listener, NULL);
    envoy__service__discovery__v3__discovery_response__free_unpacked(response, NULL);
    blob_unref(blob);
}

static void read_cluster(void)
{
    const ProtobufCBinaryData *value;

    read_resource(CLUSTER_URL);
    value = &response->resources[0]->value;
    cluster = envoy__config__cluster__v3__cluster__unpack(NULL, value->len, value->data);
    cr_assert_not_null(cluster);
}

static void open_cluster(void)
{
    blob = encode_cluster(STR(CLUSTER), policy_default(), false);
    read_cluster();
}

static void open_dns(void)
{
    blob = encode_cluster_dns(STR(CLUSTER), STR("db.example.com"), 5432, policy_default(), false);
    read_cluster();
}

static void close_cluster(void)
{
    envoy__config__cluster__v3__cluster__free_unpacked(cluster, NULL);
    envoy__service__discovery__v3__discovery_response__free_unpacked(response, NULL);
    blob_unref(blob);
}

TestSuite(encode_listener, .init = open_listener, .fini = close_listener);
TestSuite(encode_cluster, .init = open_cluster, .fini = close_cluster);
TestSuite(encode_cluster_dns, .init = open_dns, .fini = close_cluster);

/* True if the field is on the wire: protobuf-c does not tell an empty one from none. */
static bool has_field(struct str message, const uint32_t *path, size_t len)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == path[0] && (len == 1 || has_field(field.bytes, path + 1, len - 1)))
            return true;
    }
    return false;
}

#define HAS_FIELD(...)                                                                             \
    has_field(blob_str(blob), (const uint32_t[]){__VA_ARGS__},                                     \
              sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

Test(encode_listener, has_the_name_that_the_client_asked)
{
    cr_assert_str_eq(listener->name, NAME);
}

Test(encode_listener, has_its_route_inline)
{
    cr_assert_eq(
        hcm->route_specifier_case,
        ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_CONNECTION_MANAGER__ROUTE_SPECIFIER_ROUTE_CONFIG);
    cr_assert_eq(hcm->route_config->n_virtual_hosts, 1);
}

Test(encode_listener, matches_every_host_and_every_path)
{
    Envoy__Config__Route__V3__VirtualHost *host = hcm->route_config->virtual_hosts[0];

    cr_assert_eq(host->n_domains, 1);
    cr_assert_str_eq(host->domains[0], "*");
    cr_assert_eq(host->n_routes, 1);
    cr_assert_eq(host->routes[0]->match->path_specifier_case,
                 ENVOY__CONFIG__ROUTE__V3__ROUTE_MATCH__PATH_SPECIFIER_PREFIX);
    cr_assert_str_eq(host->routes[0]->match->prefix, "");
}

/* Without it there is no path_specifier, and every client refuses the route. */
Test(encode_listener, writes_the_empty_prefix)
{
    cr_assert(HAS_FIELD(DISCOVERY_RESPONSE_RESOURCES, ANY_VALUE, LISTENER_API_LISTENER,
                        API_LISTENER_API_LISTENER, ANY_VALUE, HTTP_CONNECTION_MANAGER_ROUTE_CONFIG,
                        ROUTE_CONFIGURATION_VIRTUAL_HOSTS, VIRTUAL_HOST_ROUTES, ROUTE_MATCH,
                        ROUTE_MATCH_PREFIX));
}

/* Java takes its absence for "insensitive". */
Test(encode_listener, is_case_sensitive_in_words)
{
    cr_assert(hcm->route_config->virtual_hosts[0]->routes[0]->match->case_sensitive->value);
}

Test(encode_listener, routes_to_the_cluster)
{
    Envoy__Config__Route__V3__Route *route = hcm->route_config->virtual_hosts[0]->routes[0];

    cr_assert_eq(route->action_case, ENVOY__CONFIG__ROUTE__V3__ROUTE__ACTION_ROUTE);
    cr_assert_str_eq(route->route->cluster, CLUSTER);
}

Test(encode_listener, has_one_filter_the_router)
{
    cr_assert_eq(hcm->n_http_filters, 1);
    cr_assert_str_eq(hcm->http_filters[0]->name, "router");
    cr_assert_str_eq(hcm->http_filters[0]->typed_config->type_url, ROUTER_URL);
    cr_assert_eq(hcm->http_filters[0]->typed_config->value.len, 0);
}

Test(encode_listener, equal_input_gives_equal_bytes)
{
    CLEANUP(blob_unrefp) struct blob *again = encode_listener(STR(NAME), route_to(STR("greeter")));

    cr_assert(str_eq(blob_str(blob), blob_str(again)));
}

Test(encode_listener, takes_the_longest_names)
{
    char name[1024];
    CLEANUP(blob_unrefp) struct blob *big = NULL;

    memset(name, 'n', sizeof(name));
    big = encode_listener(str_make(name, sizeof(name)), route_to(str_make(name, 500)));
    cr_assert_gt(big->len, 3 * sizeof(name) + 500);
}

Test(encode_cluster, says_nothing_of_load_unless_it_is_to_be_reported)
{
    cr_assert_null(cluster->lrs_server);
    cr_assert_eq(cluster->n_lrs_report_endpoint_metrics, 0);
    close_cluster();
    blob = encode_cluster(STR(CLUSTER), policy_default(), true);
    read_cluster();
    cr_assert_not_null(cluster->lrs_server);
    cr_assert_not_null(cluster->lrs_server->self, "clients refuse any other server");
    cr_assert_eq(cluster->n_lrs_report_endpoint_metrics, 4);
    cr_assert_str_eq(cluster->lrs_report_endpoint_metrics[0], "named_metrics.*");
}

Test(encode_cluster_dns, has_its_load_reported_too)
{
    close_cluster();
    blob = encode_cluster_dns(STR(CLUSTER), STR("db.example.com"), 5432, policy_default(), true);
    read_cluster();
    cr_assert_not_null(cluster->lrs_server);
}

Test(encode_cluster, takes_its_endpoints_from_the_same_stream)
{
    cr_assert_str_eq(cluster->name, CLUSTER);
    cr_assert_eq(cluster->cluster_discovery_type_case,
                 ENVOY__CONFIG__CLUSTER__V3__CLUSTER__CLUSTER_DISCOVERY_TYPE_TYPE);
    cr_assert_eq(cluster->type, ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__EDS);
    cr_assert_eq(cluster->eds_cluster_config->eds_config->config_source_specifier_case,
                 ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_ADS);
    cr_assert_not_null(cluster->eds_cluster_config->eds_config->ads);
    cr_assert_str_eq(cluster->eds_cluster_config->service_name, CLUSTER);
}

Test(encode_cluster, balances_round_robin)
{
    cr_assert_eq(cluster->lb_policy, ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_POLICY__ROUND_ROBIN);
}

/* Without a threshold of the default priority, clients stop at 1024 calls. */
Test(encode_cluster, does_not_limit_concurrent_calls)
{
    cr_assert_eq(cluster->circuit_breakers->n_thresholds, 1);
    cr_assert_eq(cluster->circuit_breakers->thresholds[0]->priority,
                 ENVOY__CONFIG__CORE__V3__ROUTING_PRIORITY__DEFAULT);
    cr_assert_eq(cluster->circuit_breakers->thresholds[0]->max_requests->value, INT32_MAX);
}

/* What all clients ask of a LOGICAL_DNS Cluster: one locality, one endpoint, a host and a port in a socket address. */
Test(encode_cluster_dns, has_one_endpoint_that_is_a_host)
{
    Envoy__Config__Endpoint__V3__LocalityLbEndpoints *locality;
    Envoy__Config__Core__V3__Address *address;

    cr_assert_str_eq(cluster->name, CLUSTER);
    cr_assert_eq(cluster->type, ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__LOGICAL_DNS);
    cr_assert_null(cluster->eds_cluster_config);
    cr_assert_eq(cluster->load_assignment->n_endpoints, 1);
    locality = cluster->load_assignment->endpoints[0];
    cr_assert_not_null(locality->locality);
    cr_assert_eq(locality->load_balancing_weight->value, 1);
    cr_assert_eq(locality->priority, 0);
    cr_assert_eq(locality->n_lb_endpoints, 1);
    address = locality->lb_endpoints[0]->endpoint->address;
    cr_assert_eq(address->address_case, ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS);
    cr_assert_str_eq(address->socket_address->address, "db.example.com");
    cr_assert_eq(address->socket_address->port_specifier_case,
                 ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE);
    cr_assert_eq(address->socket_address->port_value, 5432);
    cr_assert_eq(locality->lb_endpoints[0]->endpoint->n_additional_addresses, 0);
}

Test(encode_cluster_dns, is_otherwise_like_every_cluster)
{
    cr_assert_eq(cluster->lb_policy, ENVOY__CONFIG__CLUSTER__V3__CLUSTER__LB_POLICY__ROUND_ROBIN);
    cr_assert_eq(cluster->circuit_breakers->n_thresholds, 1);
    cr_assert_eq(cluster->circuit_breakers->thresholds[0]->max_requests->value, INT32_MAX);
}

Test(encode_cluster_dns, takes_the_longest_host)
{
    char host[253];
    CLEANUP(blob_unrefp) struct blob *big = NULL;

    memset(host, 'h', sizeof(host));
    big = encode_cluster_dns(STR(CLUSTER), str_make(host, sizeof(host)), 65535, policy_default(),
                             true);
    cr_assert_gt(big->len, sizeof(host));
}
