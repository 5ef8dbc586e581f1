#include "encode/balancing.h"

#include "encode/resource.h"

/* Drawn for every call; the least that clients accept, and what they do by themselves. */
#define LEAST_REQUEST_CHOICES 2

void encode_lb_policy(struct buf *out, const struct policy *policy)
{
    if (policy->lb == LB_RING_HASH)
        wire_put_varint(out, CLUSTER_LB_POLICY, CLUSTER_LB_POLICY_RING_HASH);
}

void encode_ring(struct buf *out, const struct policy *policy)
{
    size_t ring, size;

    if (policy->lb != LB_RING_HASH)
        return;
    ring = wire_open(out, CLUSTER_RING_HASH_LB_CONFIG);
    size = wire_open(out, CLUSTER_RING_HASH_LB_CONFIG_MINIMUM_RING_SIZE);
    wire_put_varint(out, UINT64_VALUE_VALUE, policy->minimum_ring_size);
    wire_close(out, size);
    wire_close(out, ring);
}

/* ---- lists of policies: a client takes the first that it knows ---- */

/* An element of a list that is still open: its configuration follows. */
struct element {
    size_t policy, config, any, value;
};

static struct element open_element(struct buf *out, const char *name, struct str url)
{
    struct element element;

    element.policy = wire_open(out, LOAD_BALANCING_POLICY_POLICIES);
    element.config = wire_open(out, LOAD_BALANCING_POLICY_POLICY_TYPED_EXTENSION_CONFIG);
    wire_put_bytes(out, TYPED_EXTENSION_CONFIG_NAME, str_of(name));
    element.any = wire_open_any(out, TYPED_EXTENSION_CONFIG_TYPED_CONFIG, url, &element.value);
    return element;
}

static void close_element(struct buf *out, struct element element)
{
    wire_close_any(out, element.any, element.value);
    wire_close(out, element.config);
    wire_close(out, element.policy);
}

static void put_round_robin(struct buf *out)
{
    close_element(out, open_element(out, "round_robin", STR(ROUND_ROBIN_URL)));
}

static void put_weighted_round_robin(struct buf *out)
{
    close_element(out, open_element(out, "client_side_weighted_round_robin",
                                    STR(CLIENT_SIDE_WEIGHTED_ROUND_ROBIN_URL)));
}

static void put_least_request(struct buf *out)
{
    struct element element = open_element(out, "least_request", STR(LEAST_REQUEST_URL));

    put_u32_value(out, LEAST_REQUEST_CHOICE_COUNT, LEAST_REQUEST_CHOICES);
    close_element(out, element);
}

/* Shuffled: else every client would call the same endpoint. */
static void put_pick_first(struct buf *out)
{
    struct element element = open_element(out, "pick_first", STR(PICK_FIRST_URL));

    wire_put_varint(out, PICK_FIRST_SHUFFLE_ADDRESS_LIST, true);
    close_element(out, element);
}

/* Localities by their weights, and in each what `put` writes, else round robin. */
static void put_by_locality(struct buf *out, void (*put)(struct buf *out))
{
    struct element element = open_element(out, "wrr_locality", STR(WRR_LOCALITY_URL));
    size_t list = wire_open(out, WRR_LOCALITY_ENDPOINT_PICKING_POLICY);

    if (put)
        put(out);
    put_round_robin(out);
    wire_close(out, list);
    close_element(out, element);
}

void encode_policy_list(struct buf *out, const struct policy *policy)
{
    size_t list;

    if (policy->lb == LB_ROUND_ROBIN || policy->lb == LB_RING_HASH)
        return;
    list = wire_open(out, CLUSTER_LOAD_BALANCING_POLICY);
    if (policy->lb == LB_PICK_FIRST) {
        put_pick_first(out);
        put_by_locality(out, NULL);
    } else {
        put_by_locality(out, policy->lb == LB_LEAST_REQUEST ? put_least_request
                                                            : put_weighted_round_robin);
    }
    wire_close(out, list);
}
