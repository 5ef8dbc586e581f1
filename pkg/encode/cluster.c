#include "encode/address.h"
#include "encode/balancing.h"
#include "encode/resource.h"
#include "encode/xds.h"

/* grpc-java before 1.68.3 takes a larger one for a negative one, and lets no call through (grpc/grpc-java#11695). */
#define NO_LIMIT INT32_MAX

/* The list of a Cluster has its name, in the terms of its own type (gRFC A47). */
static void put_list_name(struct buf *out, uint32_t number, struct str name)
{
    struct buf text = BUFFER_INIT(RESOURCE_NAME_MAX);
    struct xdstp xdstp;

    if (xdstp_is(name) && xdstp_parse(name, &xdstp, NULL) == CODE_OK)
        xdstp_put(&text, xdstp.authority, resource_type(STR(CLUSTER_LOAD_ASSIGNMENT_URL)),
                  xdstp.id);
    else
        buf_add_str(&text, name);
    wire_put_bytes(out, number, buf_str(&text));
    buf_done(&text);
}

static void put_eds_config(struct buf *out, struct str name)
{
    size_t eds = wire_open(out, CLUSTER_EDS_CLUSTER_CONFIG);
    size_t source = wire_open(out, CLUSTER_EDS_CLUSTER_CONFIG_EDS_CONFIG);

    put_empty(out, CONFIG_SOURCE_ADS);
    wire_close(out, source);
    put_list_name(out, CLUSTER_EDS_CLUSTER_CONFIG_SERVICE_NAME, name);
    wire_close(out, eds);
}

/* Always: without one, clients allow 1024. */
static void put_circuit_breakers(struct buf *out, const struct policy *policy)
{
    size_t breakers = wire_open(out, CLUSTER_CIRCUIT_BREAKERS);
    size_t thresholds = wire_open(out, CIRCUIT_BREAKERS_THRESHOLDS);

    put_u32_value(out, CIRCUIT_BREAKERS_THRESHOLDS_MAX_REQUESTS,
                  policy->max_requests ? policy->max_requests : NO_LIMIT);
    wire_close(out, thresholds);
    wire_close(out, breakers);
}

/* Whether each way of ejecting is enforced is always said: clients' defaults are on for the one and
 * off for the other. */
static void put_outlier_detection(struct buf *out, const struct policy *policy)
{
    const struct policy_ejection *rate = &policy->success_rate;
    const struct policy_ejection *percentage = &policy->failure_percentage;
    size_t outlier;

    if (!rate->enabled && !percentage->enabled)
        return;
    outlier = wire_open(out, CLUSTER_OUTLIER_DETECTION);
    put_duration(out, OUTLIER_DETECTION_INTERVAL, policy->outlier_interval_us);
    put_duration(out, OUTLIER_DETECTION_BASE_EJECTION_TIME, policy->base_ejection_us);
    put_u32_value(out, OUTLIER_DETECTION_MAX_EJECTION_PERCENT, policy->max_ejection_percent);
    put_u32_value(out, OUTLIER_DETECTION_ENFORCING_SUCCESS_RATE, rate->enabled ? 100 : 0);
    if (rate->enabled) {
        put_u32_value(out, OUTLIER_DETECTION_SUCCESS_RATE_MINIMUM_HOSTS, rate->minimum_hosts);
        put_u32_value(out, OUTLIER_DETECTION_SUCCESS_RATE_REQUEST_VOLUME, rate->request_volume);
        put_u32_value(out, OUTLIER_DETECTION_SUCCESS_RATE_STDEV_FACTOR, rate->threshold);
    }
    if (percentage->enabled)
        put_u32_value(out, OUTLIER_DETECTION_FAILURE_PERCENTAGE_THRESHOLD, percentage->threshold);
    put_u32_value(out, OUTLIER_DETECTION_ENFORCING_FAILURE_PERCENTAGE,
                  percentage->enabled ? 100 : 0);
    if (percentage->enabled) {
        put_u32_value(out, OUTLIER_DETECTION_FAILURE_PERCENTAGE_MINIMUM_HOSTS,
                      percentage->minimum_hosts);
        put_u32_value(out, OUTLIER_DETECTION_FAILURE_PERCENTAGE_REQUEST_VOLUME,
                      percentage->request_volume);
    }
    put_duration(out, OUTLIER_DETECTION_MAX_EJECTION_TIME, policy->max_ejection_us);
    wire_close(out, outlier);
}

static size_t open_cluster(struct buf *out, struct str name, uint32_t type, size_t *ret_value)
{
    size_t any = wire_open_any(out, DISCOVERY_RESPONSE_RESOURCES, STR(CLUSTER_URL), ret_value);

    wire_put_bytes(out, CLUSTER_NAME, name);
    wire_put_varint(out, CLUSTER_TYPE, type);
    return any;
}

/* What a policy says, up to the list of endpoints. */
static void put_policy(struct buf *out, const struct policy *policy)
{
    encode_lb_policy(out, policy);
    put_circuit_breakers(out, policy);
    put_outlier_detection(out, policy);
    encode_ring(out, policy);
}

/* The metrics are left to older clients' own choice, which is all. */
static void put_load_reports(struct buf *out)
{
    static const struct str metrics[] = {
        STR_INIT("named_metrics.*"),
        STR_INIT("cpu_utilization"),
        STR_INIT("mem_utilization"),
        STR_INIT("application_utilization"),
    };
    size_t server = wire_open(out, CLUSTER_LRS_SERVER);

    put_empty(out, CONFIG_SOURCE_SELF);
    wire_close(out, server);
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++)
        wire_put_bytes(out, CLUSTER_LRS_REPORT_ENDPOINT_METRICS, metrics[i]);
}

struct blob *encode_cluster(struct str name, const struct policy *policy, bool reports_load)
{
    struct buf out = BUFFER_INIT(SMALL_RESOURCE_MAX);
    size_t value;
    size_t any = open_cluster(&out, name, CLUSTER_DISCOVERY_TYPE_EDS, &value);

    put_eds_config(&out, name);
    put_policy(&out, policy);
    encode_policy_list(&out, policy);
    if (reports_load)
        put_load_reports(&out);
    wire_close_any(&out, any, value);
    return resource_take(&out);
}

/* One locality with one endpoint, neither more nor less: clients refuse anything else. */
static void put_host(struct buf *out, struct str name, struct str host, uint16_t port)
{
    size_t assignment = wire_open(out, CLUSTER_LOAD_ASSIGNMENT);
    size_t locality, lb_endpoint, endpoint;

    wire_put_bytes(out, CLUSTER_LOAD_ASSIGNMENT_CLUSTER_NAME, name);
    locality = wire_open(out, CLUSTER_LOAD_ASSIGNMENT_ENDPOINTS);
    put_empty(out, LOCALITY_LB_ENDPOINTS_LOCALITY);
    lb_endpoint = wire_open(out, LOCALITY_LB_ENDPOINTS_LB_ENDPOINTS);
    endpoint = wire_open(out, LB_ENDPOINT_ENDPOINT);
    encode_address(out, ENDPOINT_ADDRESS, host, port);
    wire_close(out, endpoint);
    wire_close(out, lb_endpoint);
    put_u32_value(out, LOCALITY_LB_ENDPOINTS_LOAD_BALANCING_WEIGHT, 1);
    wire_close(out, locality);
    wire_close(out, assignment);
}

struct blob *encode_cluster_dns(struct str name, struct str host, uint16_t port,
                                const struct policy *policy, bool reports_load)
{
    struct buf out = BUFFER_INIT(SMALL_RESOURCE_MAX);
    size_t value;
    size_t any = open_cluster(&out, name, CLUSTER_DISCOVERY_TYPE_LOGICAL_DNS, &value);

    put_policy(&out, policy);
    put_host(&out, name, host, port);
    encode_policy_list(&out, policy);
    if (reports_load)
        put_load_reports(&out);
    wire_close_any(&out, any, value);
    return resource_take(&out);
}
