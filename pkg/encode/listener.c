#include "encode/resource.h"
#include "encode/xds.h"

/* gRPC C-core 1.85 makes a wait of less than a millisecond, by chance, of a base of one, and then never tries again. */
#define RETRY_BASE_LEAST_US 2000

/* ---- which Cluster ---- */

/* The same for two targets: their Cluster is the same. */
static void cluster_name(const struct route *route, const struct route_target *target,
                         char out[NAME_CLUSTER_MAX])
{
    name_format_target(route->namespace_name, target->service, route->hostname, &target->port,
                       target->number, out);
}

static void put_cluster_name(struct buf *out, uint32_t number, const struct route *route,
                             const struct route_target *target)
{
    struct buf name = BUFFER_INIT(RESOURCE_NAME_MAX);
    char cluster[NAME_CLUSTER_MAX];

    cluster_name(route, target, cluster);
    xdstp_put(&name, route->authority, resource_type(STR(CLUSTER_URL)), str_of(cluster));
    wire_put_bytes(out, number, buf_str(&name));
    buf_done(&name);
}

/* Clusters with the weights that they have in a route of the resource. */
struct shares {
    const struct route *route;
    size_t len;
    const struct route_target *targets[ROUTE_TARGETS_MAX];
    uint32_t weights[ROUTE_TARGETS_MAX];
};

static void add_share(struct shares *shares, const struct route_target *target, uint32_t weight)
{
    shares->targets[shares->len] = target;
    shares->weights[shares->len++] = weight;
}

static void put_weight(struct buf *out, const struct shares *shares, size_t index)
{
    size_t entry = wire_open(out, WEIGHTED_CLUSTER_CLUSTERS);

    put_cluster_name(out, WEIGHTED_CLUSTER_CLUSTER_WEIGHT_NAME, shares->route,
                     shares->targets[index]);
    put_u32_value(out, WEIGHTED_CLUSTER_CLUSTER_WEIGHT_WEIGHT, shares->weights[index]);
    wire_close(out, entry);
}

/* With their sum: gRPC C-core 1.51 refuses weights that do not come to it, or to 100. */
static void put_clusters(struct buf *out, const struct shares *shares)
{
    uint32_t total = 0;
    size_t weighted;

    if (shares->len == 1) {
        put_cluster_name(out, ROUTE_ACTION_CLUSTER, shares->route, shares->targets[0]);
        return;
    }
    weighted = wire_open(out, ROUTE_ACTION_WEIGHTED_CLUSTERS);
    for (size_t i = 0; i < shares->len; i++) {
        put_weight(out, shares, i);
        total += shares->weights[i];
    }
    put_u32_value(out, WEIGHTED_CLUSTER_TOTAL_WEIGHT, total);
    wire_close(out, weighted);
}

static bool is_named(const struct shares *shares, const char *cluster)
{
    char other[NAME_CLUSTER_MAX];

    for (size_t i = 0; i < shares->len; i++) {
        cluster_name(shares->route, shares->targets[i], other);
        if (strcmp(other, cluster) == 0)
            return true;
    }
    return false;
}

/* Its Cluster has the name that it will have. */
static bool is_settled(const struct route *route, const struct route_target *target)
{
    return target->resolved || (route->names_missing && target->port.kind == PORT_NUMBER);
}

/* Those that get calls, and those that may come to get some. */
static void find_shares(const struct route *route, struct shares *ret_now, struct shares *ret_later)
{
    char cluster[NAME_CLUSTER_MAX];

    ret_now->route = ret_later->route = route;
    ret_now->len = ret_later->len = 0;
    for (size_t i = 0; i < route->len; i++)
        if (route->targets[i].weight > 0)
            add_share(ret_now, &route->targets[i], route->targets[i].weight);
    for (size_t i = 0; i < route->len; i++) {
        cluster_name(route, &route->targets[i], cluster);
        if (route->targets[i].weight == 0 && is_settled(route, &route->targets[i]) &&
            !is_named(ret_now, cluster) && !is_named(ret_later, cluster))
            add_share(ret_later, &route->targets[i], 1);
    }
}

/* ---- how ---- */

static struct str retry_text(unsigned retry_on, struct buf *out)
{
    static const struct {
        enum retry_on bit;
        const char *name;
    } statuses[] = {
        {RETRY_CANCELLED, "cancelled"},     {RETRY_DEADLINE_EXCEEDED, "deadline-exceeded"},
        {RETRY_INTERNAL, "internal"},       {RETRY_RESOURCE_EXHAUSTED, "resource-exhausted"},
        {RETRY_UNAVAILABLE, "unavailable"},
    };

    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (retry_on & statuses[i].bit)
            buf_printf(out, "%s%s", out->len > 0 ? "," : "", statuses[i].name);
    return buf_str(out);
}

static void put_retry(struct buf *out, const struct policy *policy)
{
    uint64_t base_us = max_u64(policy->retry_base_us, RETRY_BASE_LEAST_US);
    struct buf text = BUFFER_INIT(128);
    struct str statuses = retry_text(policy->retry_on, &text);
    size_t retry, back_off;

    if (policy->retry_attempts > 1 && statuses.len > 0) {
        retry = wire_open(out, ROUTE_ACTION_RETRY_POLICY);
        wire_put_bytes(out, RETRY_POLICY_RETRY_ON, statuses);
        put_u32_value(out, RETRY_POLICY_NUM_RETRIES, policy->retry_attempts - 1);
        back_off = wire_open(out, RETRY_POLICY_RETRY_BACK_OFF);
        put_duration(out, RETRY_POLICY_RETRY_BACK_OFF_BASE_INTERVAL, base_us);
        put_duration(out, RETRY_POLICY_RETRY_BACK_OFF_MAX_INTERVAL,
                     max_u64(policy->retry_max_us, base_us));
        wire_close(out, back_off);
        wire_close(out, retry);
    }
    buf_done(&text);
}

/* Some Cluster that calls may go to looks at a hash. */
static bool needs_hash(const struct route *route)
{
    for (size_t i = 0; i < route->len; i++)
        if (route->targets[i].weight > 0 && route->targets[i].policy->lb == LB_RING_HASH)
            return true;
    return false;
}

/* What clients know by that key is a number that each channel draws for itself. */
static void put_hash(struct buf *out, const struct route *route)
{
    struct str header = route->policy->hash_header;
    size_t hash, source;

    if (!needs_hash(route))
        return;
    hash = wire_open(out, ROUTE_ACTION_HASH_POLICY);
    if (header.len > 0) {
        source = wire_open(out, ROUTE_ACTION_HASH_POLICY_HEADER);
        wire_put_bytes(out, ROUTE_ACTION_HASH_POLICY_HEADER_HEADER_NAME, header);
    } else {
        source = wire_open(out, ROUTE_ACTION_HASH_POLICY_FILTER_STATE);
        wire_put_bytes(out, ROUTE_ACTION_HASH_POLICY_FILTER_STATE_KEY, STR("io.grpc.channel_id"));
    }
    wire_close(out, source);
    wire_close(out, hash);
}

static void put_duration_limit(struct buf *out, uint64_t us)
{
    size_t limit;

    if (us == 0)
        return;
    limit = wire_open(out, ROUTE_ACTION_MAX_STREAM_DURATION);
    put_duration(out, ROUTE_ACTION_MAX_STREAM_DURATION_MAX_STREAM_DURATION, us);
    wire_close(out, limit);
}

static void put_action(struct buf *out, const struct route *route, const struct shares *shares)
{
    size_t action = wire_open(out, ROUTE_ROUTE);

    put_clusters(out, shares);
    put_retry(out, route->policy);
    put_hash(out, route);
    put_duration_limit(out, route->policy->max_call_us);
    wire_close(out, action);
}

/* ---- the Listener around it ---- */

/* An empty prefix matches everything, but has to be there; case_sensitive too: Java takes its
 * absence for false. */
static void put_route(struct buf *out, const struct route *to, const struct shares *shares)
{
    size_t route = wire_open(out, VIRTUAL_HOST_ROUTES);
    size_t match = wire_open(out, ROUTE_MATCH);
    size_t case_sensitive;

    put_empty(out, ROUTE_MATCH_PREFIX);
    case_sensitive = wire_open(out, ROUTE_MATCH_CASE_SENSITIVE);
    wire_put_varint(out, BOOL_VALUE_VALUE, true);
    wire_close(out, case_sensitive);
    wire_close(out, match);
    put_action(out, to, shares);
    wire_close(out, route);
}

/* The second route matches nothing that the first leaves: it has clients know a Cluster before calls go there. grpc-go fails calls that
 * meet one that it has just heard of (UNAVAILABLE, "unknown cluster selected for RPC"). */
static void put_route_config(struct buf *out, struct str name, const struct route *route)
{
    struct shares now, later;
    size_t host;

    wire_put_bytes(out, ROUTE_CONFIGURATION_NAME, name);
    host = wire_open(out, ROUTE_CONFIGURATION_VIRTUAL_HOSTS);
    wire_put_bytes(out, VIRTUAL_HOST_NAME, name);
    wire_put_bytes(out, VIRTUAL_HOST_DOMAINS, STR("*"));
    find_shares(route, &now, &later);
    put_route(out, route, &now);
    if (later.len > 0)
        put_route(out, route, &later);
    wire_close(out, host);
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

static void put_api_listener(struct buf *out, struct str name, const struct route *route)
{
    size_t listener = wire_open(out, LISTENER_API_LISTENER);
    size_t value;
    size_t any =
        wire_open_any(out, API_LISTENER_API_LISTENER, STR(HTTP_CONNECTION_MANAGER_URL), &value);
    size_t config;

    wire_put_bytes(out, HTTP_CONNECTION_MANAGER_STAT_PREFIX, name);
    config = wire_open(out, HTTP_CONNECTION_MANAGER_ROUTE_CONFIG);
    put_route_config(out, name, route);
    wire_close(out, config);
    put_router(out);
    wire_close_any(out, any, value);
    wire_close(out, listener);
}

struct blob *encode_listener(struct str name, const struct route *route)
{
    struct buf out = BUFFER_INIT(SMALL_RESOURCE_MAX);
    size_t value;
    size_t any = wire_open_any(&out, DISCOVERY_RESPONSE_RESOURCES, STR(LISTENER_URL), &value);

    wire_put_bytes(&out, LISTENER_NAME, name);
    put_api_listener(&out, name, route);
    wire_close_any(&out, any, value);
    return resource_take(&out);
}

struct blob *encode_route(struct str name, const struct route *route)
{
    struct buf out = BUFFER_INIT(SMALL_RESOURCE_MAX);
    size_t value;
    size_t any =
        wire_open_any(&out, DISCOVERY_RESPONSE_RESOURCES, STR(ROUTE_CONFIGURATION_URL), &value);

    put_route_config(&out, name, route);
    wire_close_any(&out, any, value);
    return resource_take(&out);
}
