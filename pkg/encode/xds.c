#include "encode/xds.h"

#include <assert.h>

#include "encode/address.h"

/* A Listener or Cluster is a name or two (at most a few KiB, four times) and constants. */
#define SMALL_RESOURCE_MAX (64 * 1024)

#define NO_LIMIT UINT32_MAX

static struct blob *take(struct buf *buf)
{
    struct blob *blob;

    assert(!buf_failed(buf)); /* names are at most a few KiB */
    blob = blob_copy(buf->ptr, buf->len);
    buf_done(buf);
    return blob;
}

static void put_empty(struct buf *out, uint32_t number)
{
    wire_put_bytes(out, number, STR(""));
}

/* ---- Listener ---- */

/* An empty prefix matches everything, but has to be there; case_sensitive too: Java takes its
 * absence for false. */
static void put_route(struct buf *out, struct str cluster)
{
    size_t route = wire_open(out, VIRTUAL_HOST_ROUTES);
    size_t match = wire_open(out, ROUTE_MATCH);
    size_t case_sensitive;
    size_t action;

    put_empty(out, ROUTE_MATCH_PREFIX);
    case_sensitive = wire_open(out, ROUTE_MATCH_CASE_SENSITIVE);
    wire_put_varint(out, BOOL_VALUE_VALUE, true);
    wire_close(out, case_sensitive);
    wire_close(out, match);
    action = wire_open(out, ROUTE_ROUTE);
    wire_put_bytes(out, ROUTE_ACTION_CLUSTER, cluster);
    wire_close(out, action);
    wire_close(out, route);
}

static void put_route_config(struct buf *out, struct str name, struct str cluster)
{
    size_t config = wire_open(out, HTTP_CONNECTION_MANAGER_ROUTE_CONFIG);
    size_t host;

    wire_put_bytes(out, ROUTE_CONFIGURATION_NAME, name);
    host = wire_open(out, ROUTE_CONFIGURATION_VIRTUAL_HOSTS);
    wire_put_bytes(out, VIRTUAL_HOST_NAME, name);
    wire_put_bytes(out, VIRTUAL_HOST_DOMAINS, STR("*"));
    put_route(out, cluster);
    wire_close(out, host);
    wire_close(out, config);
}

static void put_router(struct buf *out)
{
    size_t filter = wire_open(out, HTTP_CONNECTION_MANAGER_HTTP_FILTERS);
    size_t value;
    size_t any;

    wire_put_bytes(out, HTTP_FILTER_NAME, STR("router"));
    any = wire_open_any(out, HTTP_FILTER_TYPED_CONFIG, STR(ROUTER_URL), &value);
    wire_close_any(out, any, value);
    wire_close(out, filter);
}

static void put_api_listener(struct buf *out, struct str name, struct str cluster)
{
    size_t listener = wire_open(out, LISTENER_API_LISTENER);
    size_t value;
    size_t any =
        wire_open_any(out, API_LISTENER_API_LISTENER, STR(HTTP_CONNECTION_MANAGER_URL), &value);

    wire_put_bytes(out, HTTP_CONNECTION_MANAGER_STAT_PREFIX, name);
    put_route_config(out, name, cluster);
    put_router(out);
    wire_close_any(out, any, value);
    wire_close(out, listener);
}

struct blob *encode_listener(struct str name, struct str cluster)
{
    struct buf out = BUFFER_INIT(SMALL_RESOURCE_MAX);
    size_t value;
    size_t any = wire_open_any(&out, DISCOVERY_RESPONSE_RESOURCES, STR(LISTENER_URL), &value);

    wire_put_bytes(&out, LISTENER_NAME, name);
    put_api_listener(&out, name, cluster);
    wire_close_any(&out, any, value);
    return take(&out);
}

/* ---- Cluster ---- */

static void put_eds_config(struct buf *out, struct str name)
{
    size_t eds = wire_open(out, CLUSTER_EDS_CLUSTER_CONFIG);
    size_t source = wire_open(out, CLUSTER_EDS_CLUSTER_CONFIG_EDS_CONFIG);

    put_empty(out, CONFIG_SOURCE_ADS);
    wire_close(out, source);
    wire_put_bytes(out, CLUSTER_EDS_CLUSTER_CONFIG_SERVICE_NAME, name);
    wire_close(out, eds);
}

static void put_circuit_breakers(struct buf *out)
{
    size_t breakers = wire_open(out, CLUSTER_CIRCUIT_BREAKERS);
    size_t thresholds = wire_open(out, CIRCUIT_BREAKERS_THRESHOLDS);
    size_t max_requests = wire_open(out, CIRCUIT_BREAKERS_THRESHOLDS_MAX_REQUESTS);

    wire_put_varint(out, UINT32_VALUE_VALUE, NO_LIMIT);
    wire_close(out, max_requests);
    wire_close(out, thresholds);
    wire_close(out, breakers);
}

static size_t open_cluster(struct buf *out, struct str name, uint32_t type, size_t *ret_value)
{
    size_t any = wire_open_any(out, DISCOVERY_RESPONSE_RESOURCES, STR(CLUSTER_URL), ret_value);

    wire_put_bytes(out, CLUSTER_NAME, name);
    wire_put_varint(out, CLUSTER_TYPE, type);
    return any;
}

/* The policy is left out: round robin, which every language has. */
struct blob *encode_cluster(struct str name)
{
    struct buf out = BUFFER_INIT(SMALL_RESOURCE_MAX);
    size_t value;
    size_t any = open_cluster(&out, name, CLUSTER_DISCOVERY_TYPE_EDS, &value);

    put_eds_config(&out, name);
    put_circuit_breakers(&out);
    wire_close_any(&out, any, value);
    return take(&out);
}

/* One locality with one endpoint, neither more nor less: clients refuse anything else. */
static void put_host(struct buf *out, struct str name, struct str host, uint16_t port)
{
    size_t assignment = wire_open(out, CLUSTER_LOAD_ASSIGNMENT);
    size_t locality, lb_endpoint, endpoint, weight;

    wire_put_bytes(out, CLUSTER_LOAD_ASSIGNMENT_CLUSTER_NAME, name);
    locality = wire_open(out, CLUSTER_LOAD_ASSIGNMENT_ENDPOINTS);
    put_empty(out, LOCALITY_LB_ENDPOINTS_LOCALITY);
    lb_endpoint = wire_open(out, LOCALITY_LB_ENDPOINTS_LB_ENDPOINTS);
    endpoint = wire_open(out, LB_ENDPOINT_ENDPOINT);
    encode_address(out, ENDPOINT_ADDRESS, host, port);
    wire_close(out, endpoint);
    wire_close(out, lb_endpoint);
    weight = wire_open(out, LOCALITY_LB_ENDPOINTS_LOAD_BALANCING_WEIGHT);
    wire_put_varint(out, UINT32_VALUE_VALUE, 1);
    wire_close(out, weight);
    wire_close(out, locality);
    wire_close(out, assignment);
}

struct blob *encode_cluster_dns(struct str name, struct str host, uint16_t port)
{
    struct buf out = BUFFER_INIT(SMALL_RESOURCE_MAX);
    size_t value;
    size_t any = open_cluster(&out, name, CLUSTER_DISCOVERY_TYPE_LOGICAL_DNS, &value);

    put_circuit_breakers(&out);
    put_host(&out, name, host, port);
    wire_close_any(&out, any, value);
    return take(&out);
}
