/* Listeners and Clusters of policies, read as protobuf-c reads them, and the bytes of those without one. */
#include <criterion/criterion.h>
#include <stddef.h>

#include "base/buf.h"
#include "encode/xds.h"
#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/listener/v3/listener.pb-c.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "envoy/extensions/load_balancing_policies/least_request/v3/least_request.pb-c.h"
#include "envoy/extensions/load_balancing_policies/pick_first/v3/pick_first.pb-c.h"
#include "envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality.pb-c.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "wire/fields.h"

typedef Envoy__Config__Cluster__V3__LoadBalancingPolicy policy_list;

#define NAME STR("greeter.shop:8001")
#define CLUSTER STR("shop/greeter:8001")

static struct policy policy;
static struct route route;

/* What a test unpacks: nothing of it is freed. */
static max_align_t heap[1 << 16];
static size_t heap_used;

static void *heap_alloc(unused_arg void *ctx, size_t size)
{
    void *memory = &heap[heap_used];

    heap_used += (size + sizeof(*heap) - 1) / sizeof(*heap);
    cr_assert_leq(heap_used, ARRAY_LEN(heap));
    return memory;
}

static void heap_free(unused_arg void *ctx, unused_arg void *memory) {}

static ProtobufCAllocator unpacking = {heap_alloc, heap_free, NULL};

static void start(void)
{
    policy = *policy_default();
    route = (struct route){
        .namespace_name = STR("shop"),
        .policy = &policy,
        .len = 1,
        .targets = {{.service = STR("greeter"), .number = 8001, .weight = 1, .policy = &policy}},
    };
}

TestSuite(encode_policy, .init = start);

/* ---- without a policy ---- */

static void expect_bytes(struct blob *blob, const char *hex)
{
    struct buf text = BUFFER_INIT(1 << 20);

    for (size_t i = 0; i < blob->len; i++)
        buf_printf(&text, "%02x", blob->bytes[i]);
    cr_expect_str_eq(buf_cstr(&text), hex);
    buf_done(&text);
    blob_unref(blob);
}

/* Clients of a Service that nobody shapes must not see that others can be: not one byte. */
Test(encode_policy, the_default_one_leaves_no_trace)
{
    expect_bytes(
        encode_listener(NAME, &route),
        "12ef020a35747970652e676f6f676c65617069732e636f6d2f656e766f792e636f6e6669672e6c697374656e65722e76"
        "332e4c697374656e657212b5020a11677265657465722e73686f703a383030319a019e020a9b020a65747970652e676f"
        "6f676c65617069732e636f6d2f656e766f792e657874656e73696f6e732e66696c746572732e6e6574776f726b2e6874"
        "74705f636f6e6e656374696f6e5f6d616e616765722e76332e48747470436f6e6e656374696f6e4d616e6167657212b1"
        "011211677265657465722e73686f703a38303031224a0a11677265657465722e73686f703a3830303112350a11677265"
        "657465722e73686f703a3830303112012a1a1d0a060a002202080112130a1173686f702f677265657465723a38303031"
        "2a500a06726f7574657222460a42747970652e676f6f676c65617069732e636f6d2f656e766f792e657874656e73696f"
        "6e732e66696c746572732e687474702e726f757465722e76332e526f757465721200");
    expect_bytes(
        encode_cluster(CLUSTER, &policy, false),
        "12710a33747970652e676f6f676c65617069732e636f6d2f656e766f792e636f6e6669672e636c75737465722e76332e"
        "436c7573746572123a0a1173686f702f677265657465723a3830303110031a170a021a00121173686f702f6772656574"
        "65723a38303031520a0a08220608ffffffff07");
    expect_bytes(
        encode_cluster_dns(CLUSTER, STR("db.example.com"), 5432, &policy, false),
        "1291010a33747970652e676f6f676c65617069732e636f6d2f656e766f792e636f6e6669672e636c75737465722e7633"
        "2e436c7573746572125a0a1173686f702f677265657465723a383030311002520a0a08220608ffffffff078a02360a11"
        "73686f702f677265657465723a3830303112210a0012190a170a150a13120e64622e6578616d706c652e636f6d18b82a"
        "1a020801");
}

/* ---- routes ---- */

static ProtobufCBinaryData resource_of(struct blob *blob)
{
    const Envoy__Service__Discovery__V3__DiscoveryResponse *response =
        envoy__service__discovery__v3__discovery_response__unpack(&unpacking, blob->len, blob->bytes);

    cr_assert_not_null(response);
    blob_unref(blob);
    return response->resources[0]->value;
}

static const Envoy__Config__Route__V3__VirtualHost *virtual_host(void)
{
    ProtobufCBinaryData value = resource_of(encode_listener(NAME, &route));
    const Envoy__Config__Listener__V3__Listener *listener =
        envoy__config__listener__v3__listener__unpack(&unpacking, value.len, value.data);

    value = listener->api_listener->api_listener->value;
    return envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__unpack(
               &unpacking, value.len, value.data)
        ->route_config->virtual_hosts[0];
}

static const Envoy__Config__Route__V3__RouteAction *action(void)
{
    return virtual_host()->routes[0]->route;
}

static void target(const char *service, uint32_t weight)
{
    route.targets[route.len++] = (struct route_target){
        .service = str_of(service), .number = 8001, .weight = weight, .policy = policy_default()};
}

Test(encode_policy, weights_name_a_cluster_each)
{
    const Envoy__Config__Route__V3__RouteAction *seen;

    route.targets[0].weight = 90;
    target("canary", 10);
    seen = action();
    cr_assert_eq(seen->cluster_specifier_case,
                 ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS);
    cr_assert_eq(seen->weighted_clusters->n_clusters, 2);
    cr_expect_str_eq(seen->weighted_clusters->clusters[0]->name, "shop/greeter:8001");
    cr_expect_eq(seen->weighted_clusters->clusters[0]->weight->value, 90);
    cr_expect_str_eq(seen->weighted_clusters->clusters[1]->name, "shop/canary:8001");
    cr_expect_eq(seen->weighted_clusters->clusters[1]->weight->value, 10);
    route.targets[1].weight = 20;
    cr_expect_eq(action()->weighted_clusters->total_weight->value, 110);
    cr_expect_eq(virtual_host()->n_routes, 1);
}

/* In a route that no call takes: so clients know it before any call goes there. */
Test(encode_policy, who_gets_no_calls_is_named_behind_the_others)
{
    const Envoy__Config__Route__V3__VirtualHost *seen;

    target("canary", 0);
    cr_expect_eq(virtual_host()->n_routes, 1, "there is no such Service");
    route.names_missing = true;
    cr_expect_eq(virtual_host()->n_routes, 1, "nor a number");
    route.targets[1].port = (struct port_ref){.kind = PORT_NUMBER, .number = 8001};
    seen = virtual_host();
    cr_assert_eq(seen->n_routes, 2);
    cr_expect_str_eq(seen->routes[1]->route->cluster, "shop/canary:8001");
    route.names_missing = false;
    cr_expect_eq(virtual_host()->n_routes, 1, "it would not be answered");
    route.targets[1].resolved = true;
    seen = virtual_host();
    cr_assert_eq(seen->n_routes, 2);
    cr_assert_eq(seen->routes[0]->route->cluster_specifier_case,
                 ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER);
    cr_expect_str_eq(seen->routes[0]->route->cluster, "shop/greeter:8001");
    cr_expect_str_eq(seen->routes[0]->match->prefix, "");
    cr_expect_str_eq(seen->routes[1]->route->cluster, "shop/canary:8001");
    target("next", 0);
    route.targets[2].resolved = true;
    cr_expect_eq(virtual_host()->routes[1]->route->weighted_clusters->n_clusters, 2);
}

Test(encode_policy, of_two_names_for_a_cluster_none_is_named_twice)
{
    target("greeter", 0);
    target("canary", 0);
    target("canary", 0);
    for (size_t i = 1; i < route.len; i++)
        route.targets[i].resolved = true;
    cr_assert_eq(virtual_host()->n_routes, 2);
    cr_expect_str_eq(virtual_host()->routes[1]->route->cluster, "shop/canary:8001");
}

Test(encode_policy, a_calls_time_is_bounded)
{
    cr_expect_null(action()->max_stream_duration);
    policy.max_call_us = 1500000;
    cr_assert_eq(action()->max_stream_duration->max_stream_duration->seconds, 1);
    cr_assert_eq(action()->max_stream_duration->max_stream_duration->nanos, 500000000);
}

/* Attempts count the first call, num_retries does not. */
Test(encode_policy, calls_are_retried)
{
    policy.retry_on = RETRY_UNAVAILABLE | RETRY_CANCELLED;
    policy.retry_attempts = 1;
    cr_expect_null(action()->retry_policy);
    policy.retry_attempts = 3;
    cr_expect_eq(action()->retry_policy->num_retries->value, 2);
    cr_expect_str_eq(action()->retry_policy->retry_on, "cancelled,unavailable");
    cr_expect_eq(action()->retry_policy->retry_back_off->base_interval->nanos, 25000000);
    cr_expect_eq(action()->retry_policy->retry_back_off->max_interval->nanos, 250000000);
    policy.retry_on = RETRY_CANCELLED | RETRY_DEADLINE_EXCEEDED | RETRY_INTERNAL | RETRY_RESOURCE_EXHAUSTED |
                      RETRY_UNAVAILABLE;
    cr_expect_str_eq(action()->retry_policy->retry_on,
                     "cancelled,deadline-exceeded,internal,resource-exhausted,unavailable");
    policy.retry_on = 0;
    cr_expect_null(action()->retry_policy);
}

Test(encode_policy, no_retry_waits_for_less_than_clients_can)
{
    policy.retry_on = RETRY_UNAVAILABLE;
    policy.retry_attempts = 2;
    policy.retry_base_us = policy.retry_max_us = 1000;
    cr_expect_eq(action()->retry_policy->retry_back_off->base_interval->nanos, 2000000);
    cr_expect_eq(action()->retry_policy->retry_back_off->max_interval->nanos, 2000000);
}

Test(encode_policy, a_ring_hashes_a_header_or_the_channel)
{
    const Envoy__Config__Route__V3__RouteAction *seen;

    policy.hash_header = STR("x-user-id");
    cr_expect_eq(action()->n_hash_policy, 0, "nobody looks at it");
    policy.lb = LB_RING_HASH;
    seen = action();
    cr_assert_eq(seen->n_hash_policy, 1);
    cr_assert_eq(seen->hash_policy[0]->policy_specifier_case,
                 ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HASH_POLICY__POLICY_SPECIFIER_HEADER);
    cr_expect_str_eq(seen->hash_policy[0]->header->header_name, "x-user-id");
    policy.hash_header = STR("");
    cr_expect_str_eq(action()->hash_policy[0]->filter_state->key, "io.grpc.channel_id");
}

/* The dialled Service need not balance by a ring itself. */
Test(encode_policy, a_backend_with_a_ring_gets_its_hash_from_the_dialled_policy)
{
    struct policy ring = *policy_default();

    ring.lb = LB_RING_HASH;
    ring.hash_header = STR("not-mine");
    target("canary", 10);
    route.targets[1].policy = &ring;
    cr_expect_str_eq(action()->hash_policy[0]->filter_state->key, "io.grpc.channel_id");
    route.targets[1].weight = 0;
    cr_expect_eq(action()->n_hash_policy, 0);
}

Test(encode_policy, sixteen_long_backends_fit)
{
    char service[254];

    memset(service, 's', sizeof(service) - 1);
    service[sizeof(service) - 1] = 0;
    while (route.len < POLICY_BACKENDS_MAX)
        target(service, POLICY_WEIGHT_MAX);
    cr_expect_eq(action()->weighted_clusters->n_clusters, POLICY_BACKENDS_MAX);
}

/* ---- Clusters ---- */

static const Envoy__Config__Cluster__V3__Cluster *cluster(void)
{
    ProtobufCBinaryData value = resource_of(encode_cluster(CLUSTER, &policy, false));

    return envoy__config__cluster__v3__cluster__unpack(&unpacking, value.len, value.data);
}

/* "wrr_locality{least_request,round_robin}": the last parts of the type URLs. */
static void add_list(struct buf *text, const policy_list *list)
{
    for (size_t i = 0; i < list->n_policies; i++) {
        const Google__Protobuf__Any *any = list->policies[i]->typed_extension_config->typed_config;
        const Envoy__Extensions__LoadBalancingPolicies__WrrLocality__V3__WrrLocality *locality;

        cr_expect_neq(list->policies[i]->typed_extension_config->name[0], 0);
        buf_printf(text, "%s%s", i ? "," : "", strrchr(any->type_url, '.') + 1);
        if (strcmp(any->type_url, WRR_LOCALITY_URL) != 0)
            continue;
        locality = envoy__extensions__load_balancing_policies__wrr_locality__v3__wrr_locality__unpack(
            &unpacking, any->value.len, any->value.data);
        buf_add_char(text, '{');
        add_list(text, locality->endpoint_picking_policy);
        buf_add_char(text, '}');
    }
}

static const char *list_text(enum lb_policy lb)
{
    static struct buf text = BUFFER_INIT(4096);
    const Envoy__Config__Cluster__V3__Cluster *seen;

    policy.lb = lb;
    seen = cluster();
    /* Go looks at it whatever the list says. */
    cr_expect_eq(seen->lb_policy, lb == LB_RING_HASH ? CLUSTER_LB_POLICY_RING_HASH : CLUSTER_LB_POLICY_ROUND_ROBIN);
    buf_reset(&text);
    if (seen->load_balancing_policy)
        add_list(&text, seen->load_balancing_policy);
    return buf_cstr(&text);
}

Test(encode_policy, every_list_of_balancing_ends_with_round_robin)
{
    cr_expect_str_eq(list_text(LB_ROUND_ROBIN), "");
    cr_expect_str_eq(list_text(LB_RING_HASH), "");
    cr_expect_str_eq(list_text(LB_LEAST_REQUEST), "WrrLocality{LeastRequest,RoundRobin}");
    cr_expect_str_eq(list_text(LB_WEIGHTED_ROUND_ROBIN), "WrrLocality{ClientSideWeightedRoundRobin,RoundRobin}");
    cr_expect_str_eq(list_text(LB_PICK_FIRST), "PickFirst,WrrLocality{RoundRobin}");
}

Test(encode_policy, pick_first_is_shuffled)
{
    const Google__Protobuf__Any *any;

    policy.lb = LB_PICK_FIRST;
    any = cluster()->load_balancing_policy->policies[0]->typed_extension_config->typed_config;
    cr_expect(envoy__extensions__load_balancing_policies__pick_first__v3__pick_first__unpack(&unpacking, any->value.len,
                                                                                            any->value.data)
                  ->shuffle_address_list);
}

Test(encode_policy, a_ring_has_its_least_size)
{
    policy.lb = LB_RING_HASH;
    policy.minimum_ring_size = 2048;
    cr_expect_eq(cluster()->ring_hash_lb_config->minimum_ring_size->value, 2048);
    policy.lb = LB_ROUND_ROBIN;
    cr_expect_null(cluster()->ring_hash_lb_config);
}

Test(encode_policy, concurrent_calls_are_bounded_where_asked)
{
    policy.max_requests = 7;
    cr_assert_eq(cluster()->circuit_breakers->thresholds[0]->max_requests->value, 7);
}

/* A way of ejecting that is not asked for is said to be off: clients' own default is on. */
Test(encode_policy, says_of_both_ways_of_ejecting_whether_they_are_on)
{
    const Envoy__Config__Cluster__V3__OutlierDetection *seen;

    cr_expect_null(cluster()->outlier_detection);
    policy.failure_percentage = (struct policy_ejection){true, 50, 5, 50};
    seen = cluster()->outlier_detection;
    cr_expect_eq(seen->enforcing_success_rate->value, 0);
    cr_expect_eq(seen->enforcing_failure_percentage->value, 100);
    cr_expect_eq(seen->failure_percentage_threshold->value, 50);
    cr_expect_eq(seen->failure_percentage_minimum_hosts->value, 5);
    cr_expect_eq(seen->failure_percentage_request_volume->value, 50);
    cr_expect_eq(seen->interval->seconds, 10);
    cr_expect_eq(seen->base_ejection_time->seconds, 30);
    cr_expect_eq(seen->max_ejection_time->seconds, 300);
    cr_expect_eq(seen->max_ejection_percent->value, 10);
    policy.failure_percentage.enabled = false;
    policy.success_rate = (struct policy_ejection){true, 1900, 3, 100};
    seen = cluster()->outlier_detection;
    cr_expect_eq(seen->enforcing_success_rate->value, 100);
    cr_expect_not_null(seen->enforcing_failure_percentage);
    cr_expect_eq(seen->enforcing_failure_percentage->value, 0);
    cr_expect_eq(seen->success_rate_stdev_factor->value, 1900);
    cr_expect_eq(seen->success_rate_minimum_hosts->value, 3);
    cr_expect_eq(seen->success_rate_request_volume->value, 100);
}

Test(encode_policy, is_that_of_a_host_too)
{
    ProtobufCBinaryData value;
    const Envoy__Config__Cluster__V3__Cluster *seen;

    policy.lb = LB_PICK_FIRST;
    policy.max_requests = 7;
    value = resource_of(encode_cluster_dns(CLUSTER, STR("db.example.com"), 5432, &policy, false));
    seen = envoy__config__cluster__v3__cluster__unpack(&unpacking, value.len, value.data);
    cr_expect_eq(seen->circuit_breakers->thresholds[0]->max_requests->value, 7);
    cr_expect_not_null(seen->load_balancing_policy);
    cr_expect_not_null(seen->load_assignment);
}
