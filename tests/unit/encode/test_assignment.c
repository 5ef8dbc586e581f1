/* ClusterLoadAssignments, read as protobuf-c reads them and by the rules by which clients refuse
 * them. */
#include <criterion/criterion.h>

#include "envoy/config/endpoint/v3/endpoint.pb-c.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "fixture.h"
#include "wire/fields.h"

#define NAME "shop/greeter:80"

typedef Envoy__Config__Endpoint__V3__ClusterLoadAssignment Assignment;
typedef Envoy__Config__Endpoint__V3__LocalityLbEndpoints Locality;

static const struct service *service;
static Assignment *assignment;

static void done(void)
{
    if (assignment)
        envoy__config__endpoint__v3__cluster_load_assignment__free_unpacked(assignment, NULL);
    service_unref(service);
}

TestSuite(encode_assignment, .fini = done);

/* What every client checks, whatever the list is. */
static void check_rules(void)
{
    uint64_t weights = 0;
    uint32_t priority = 0;

    cr_assert_str_not_empty(assignment->cluster_name);
    for (size_t i = 0; i < assignment->n_endpoints; i++) {
        Locality *locality = assignment->endpoints[i];

        cr_assert_not_null(locality->locality);
        cr_assert_not_null(locality->load_balancing_weight);
        cr_assert_gt(locality->n_lb_endpoints, 0);
        cr_assert_eq(locality->load_balancing_weight->value, locality->n_lb_endpoints);
        cr_assert(locality->priority == priority || (i > 0 && locality->priority == priority + 1),
                  "in order, without gaps");
        priority = locality->priority;
        weights += locality->load_balancing_weight->value;
        for (size_t j = 0; j < i; j++)
            cr_assert(strcmp(locality->locality->zone, assignment->endpoints[j]->locality->zone) ||
                      strcmp(locality->locality->sub_zone,
                             assignment->endpoints[j]->locality->sub_zone));
    }
    cr_assert_leq(weights, INT32_MAX);
}

static void read_blob(struct blob *blob)
{
    Envoy__Service__Discovery__V3__DiscoveryResponse *response =
        envoy__service__discovery__v3__discovery_response__unpack(NULL, blob->len, blob->bytes);

    cr_assert_not_null(response);
    cr_assert_eq(response->n_resources, 1);
    cr_assert_str_eq(response->resources[0]->type_url, CLUSTER_LOAD_ASSIGNMENT_URL);
    assignment = envoy__config__endpoint__v3__cluster_load_assignment__unpack(
        NULL, response->resources[0]->value.len, response->resources[0]->value.data);
    cr_assert_not_null(assignment);
    envoy__service__discovery__v3__discovery_response__free_unpacked(response, NULL);
    blob_unref(blob);
    check_rules();
}

static void encode(uint16_t asked_port, const char *hostname)
{
    read_blob(encode_assignment(STR(NAME), service ? list_of(service) : NULL, asked_port,
                                str_of(hostname)));
}

static size_t put_text(char *out, size_t size, const char *before,
                       const Envoy__Config__Core__V3__Address *address)
{
    return (size_t)snprintf(out, size, "%s%s:%u", before, address->socket_address->address,
                            address->socket_address->port_value);
}

/* "zone%sub_zone!priority=weight,address:port,address:port+other:port zone=..." */
static const char *text(void)
{
    static char out[1024];
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < assignment->n_endpoints; i++) {
        Locality *locality = assignment->endpoints[i];

        len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s", i ? " " : "",
                                locality->locality->zone);
        if (*locality->locality->sub_zone)
            len += (size_t)snprintf(out + len, sizeof(out) - len, "%%%s",
                                    locality->locality->sub_zone);
        if (locality->priority)
            len += (size_t)snprintf(out + len, sizeof(out) - len, "!%u", locality->priority);
        len += (size_t)snprintf(out + len, sizeof(out) - len, "=%u",
                                locality->load_balancing_weight->value);
        for (size_t j = 0; j < locality->n_lb_endpoints; j++) {
            const Envoy__Config__Endpoint__V3__Endpoint *endpoint =
                locality->lb_endpoints[j]->endpoint;

            len += put_text(out + len, sizeof(out) - len, ",", endpoint->address);
            for (size_t k = 0; k < endpoint->n_additional_addresses; k++)
                len += put_text(out + len, sizeof(out) - len, "+",
                                endpoint->additional_addresses[k]->address);
        }
    }
    return out;
}

Test(encode_assignment, no_list_is_an_assignment_without_localities)
{
    encode(0, NULL);
    cr_assert_str_eq(assignment->cluster_name, NAME);
    cr_assert_eq(assignment->n_endpoints, 0);
}

Test(encode_assignment, an_empty_list_is_an_assignment_without_localities)
{
    service = service_of(NULL, 0);
    encode(0, NULL);
    cr_assert_str_eq(assignment->cluster_name, NAME);
    cr_assert_eq(assignment->n_endpoints, 0);
}

Test(encode_assignment, one_endpoint_without_a_zone_has_an_empty_locality)
{
    service = SERVICE({.address = "10.0.0.1"});
    encode(0, NULL);
    cr_assert_str_eq(text(), "=1,10.0.0.1:8001");
}

Test(encode_assignment, a_zone_weighs_as_many_endpoints_as_it_has)
{
    service = SERVICE({.address = "10.0.0.3", .zone = "b"}, {.address = "10.0.0.2", .zone = "a"},
                      {.address = "10.0.0.1", .zone = "b"}, {.address = "10.0.0.9"});
    encode(0, NULL);
    cr_assert_str_eq(text(), "=1,10.0.0.9:8001 a=1,10.0.0.2:8001 b=2,10.0.0.1:8001,10.0.0.3:8001");
}

Test(encode_assignment, ipv6_addresses_have_no_brackets)
{
    service = SERVICE({.address = "2001:DB8:0::1"});
    encode(0, NULL);
    cr_assert_str_eq(text(), "=1,2001:db8::1:8001");
}

Test(encode_assignment, every_backend_has_its_own_port)
{
    service = SERVICE({.address = "10.0.0.1", .port = 65535}, {.address = "10.0.0.2", .port = 1},
                      {.address = "10.0.0.2", .port = 2});
    encode(0, NULL);
    cr_assert_str_eq(text(), "=3,10.0.0.1:65535,10.0.0.2:1,10.0.0.2:2");
}

Test(encode_assignment, the_asked_port_stands_in_where_there_is_none)
{
    const struct spot spots[] = {{.address = "10.0.0.1"}, {.address = "10.0.0.2", .zone = "z"}};

    service = portless_service_of(spots, 2);
    encode(9000, NULL);
    cr_assert_str_eq(text(), "=1,10.0.0.1:9000 z=1,10.0.0.2:9000");
}

Test(encode_assignment, a_backend_without_any_port_is_left_out)
{
    const struct spot spot = {.address = "10.0.0.1"};

    service = portless_service_of(&spot, 1);
    encode(0, NULL);
    cr_assert_eq(assignment->n_endpoints, 0);
}

Test(encode_assignment, a_hostname_chooses_one_pod_and_drops_the_other_zones)
{
    service = SERVICE({.address = "10.0.0.1", .zone = "a", .hostname = "pod-0"},
                      {.address = "10.0.0.2", .zone = "a", .hostname = "pod-1"},
                      {.address = "10.0.0.3", .zone = "b", .hostname = "pod-2"});
    encode(0, "pod-1");
    cr_assert_str_eq(text(), "a=1,10.0.0.2:8001");
}

Test(encode_assignment, a_hostname_that_nobody_has_is_an_empty_list)
{
    service = SERVICE({.address = "10.0.0.1", .hostname = "pod-0"});
    encode(0, "pod");
    cr_assert_eq(assignment->n_endpoints, 0);
}

/* Zones that lists keep are not those of the slices. */
Test(encode_assignment, a_backend_stands_in_the_zone_that_the_list_gives_it)
{
    const struct service *before = SERVICE({.address = "10.0.0.1", .zone = "old"});
    const struct spot spot = {.address = "10.0.0.1", .zone = "new"};

    service = service_after(before, &spot, 1);
    service_unref(before);
    encode(0, NULL);
    cr_assert_str_eq(text(), "old=1,10.0.0.1:8001");
}

Test(encode_assignment, the_other_address_of_a_pod_is_an_additional_one)
{
    service =
        SERVICE({.address = "10.0.0.1", .uid = "a"}, {.address = "fd00::1", .uid = "a"},
                {.address = "10.0.0.2", .zone = "z"}, {.address = "fd00::2", .uid = "b"},
                {.address = "10.0.0.3", .uid = "c"}, {.address = "fd00::3", .uid = "c", .port = 9});
    encode(0, NULL);
    cr_assert_str_eq(text(), "=4,10.0.0.1:8001+fd00::1:8001,10.0.0.3:8001,fd00::2:8001,fd00::3:9 "
                             "z=1,10.0.0.2:8001");
}

Test(encode_assignment, the_asked_port_stands_in_at_both_addresses)
{
    const struct spot spots[] = {
        {.address = "10.0.0.1", .uid = "a", .hostname = "pod-0"},
        {.address = "fd00::1", .uid = "a", .hostname = "pod-0"},
        {.address = "10.0.0.2", .hostname = "pod-1"},
    };

    service = portless_service_of(spots, 3);
    encode(9000, "pod-0");
    cr_assert_str_eq(text(), "=1,10.0.0.1:9000+fd00::1:9000");
}

Test(encode_assignment, the_longest_addresses_fit)
{
    service = SERVICE({.address = "1111:1111:1111:1111:1111:1111:1111:1111", .port = 65535});
    encode(0, NULL);
    cr_assert_str_eq(text(), "=1,1111:1111:1111:1111:1111:1111:1111:1111:65535");
}

Test(encode_assignment, equal_input_gives_equal_bytes_whatever_order_it_came_in)
{
    const struct service *other =
        SERVICE({.address = "10.0.0.2", .zone = "a"}, {.address = "10.0.0.1"});
    struct blob *a;
    struct blob *b;

    service = SERVICE({.address = "10.0.0.1"}, {.address = "10.0.0.2", .zone = "a"});
    a = encode_assignment(STR(NAME), list_of(service), 0, STR(""));
    b = encode_assignment(STR(NAME), list_of(other), 0, STR(""));
    cr_assert(str_eq(blob_str(a), blob_str(b)));
    blob_unref(a);
    blob_unref(b);
    service_unref(other);
}

/* ---- many ---- */

#define MANY 10000

/* A list of our own: a Service would need ten slices. */
struct many {
    struct endpoint endpoints[MANY];
    struct backend backends[MANY];
    struct listed order[MANY];
    char addresses[MANY][16];
    struct locality locality;
    struct buf wires;
};

static void fill(struct many *many)
{
    size_t from;

    buf_init(&many->wires, MANY * 64);
    buf_append(&many->wires, (char[MANY * 40]){0}, MANY * 40); /* so that it does not move */
    many->wires.len = 0;
    for (size_t i = 0; i < MANY; i++) {
        snprintf(many->addresses[i], sizeof(many->addresses[i]), "10.%zu.%zu.1", i / 256, i % 256);
        many->endpoints[i] =
            (struct endpoint){.address = str_of(many->addresses[i]), .ready = true};
        from = many->wires.len;
        encode_backend(&many->wires, &many->endpoints[i], 8001);
        many->backends[i] = (struct backend){
            .endpoint = &many->endpoints[i],
            .port = 8001,
            .wire = str_make(many->wires.ptr + from, many->wires.len - from),
        };
        many->order[i] = (struct listed){&many->backends[i], NULL, STR("")};
    }
    many->locality = (struct locality){.zone = STR("zone-1"), .len = MANY};
}

static struct blob *encode_many(struct many *many)
{
    struct backend_list list = {MANY, many->order, 1, &many->locality};

    return encode_assignment(STR(NAME), &list, 0, STR(""));
}

Test(encode_assignment, ten_thousand_endpoints_are_all_there)
{
    struct many *many = xcalloc(1, sizeof(*many));

    fill(many);
    read_blob(encode_many(many));
    cr_assert_eq(assignment->endpoints[0]->n_lb_endpoints, MANY);
    cr_assert_str_eq(assignment->endpoints[0]
                         ->lb_endpoints[MANY - 1]
                         ->endpoint->address->socket_address->address,
                     many->addresses[MANY - 1]);
    buf_done(&many->wires);
    free(many);
}

/* ---- priorities ---- */

static void encode_by_priority(const char *hostname)
{
    const struct locality localities[] = {
        {.zone = STR("a"), .sub_zone = STR("n1"), .len = 1},
        {.zone = STR("a"), .priority = 1, .first = 1, .len = 1},
        {.zone = STR("b"), .priority = 2, .first = 2, .len = 1},
        {.zone = STR("c"), .priority = 2, .first = 3, .len = 1},
    };
    struct backend_list list;

    service = SERVICE({.address = "10.0.0.1", .zone = "a", .hostname = "x"},
                      {.address = "10.0.0.2", .zone = "a", .hostname = "y"},
                      {.address = "10.0.0.3", .zone = "b", .hostname = "x"},
                      {.address = "10.0.0.4", .zone = "c", .hostname = "x"});
    list = *list_of(service);
    list.localities = localities;
    list.localities_len = ARRAY_LEN(localities);
    read_blob(encode_assignment(STR(NAME), &list, 0, str_of(hostname)));
}

Test(encode_assignment, localities_have_priorities_and_sub_zones)
{
    encode_by_priority(NULL);
    cr_assert_str_eq(text(), "a%n1=1,10.0.0.1:8001 a!1=1,10.0.0.2:8001 b!2=1,10.0.0.3:8001 "
                             "c!2=1,10.0.0.4:8001");
}

Test(encode_assignment, priorities_have_no_gaps_whatever_is_left_out)
{
    encode_by_priority("x");
    cr_assert_str_eq(text(), "a%n1=1,10.0.0.1:8001 b!1=1,10.0.0.3:8001 c!1=1,10.0.0.4:8001");
}

Test(encode_assignment, the_first_priority_that_is_left_is_0)
{
    encode_by_priority("y");
    cr_assert_str_eq(text(), "a=1,10.0.0.2:8001");
}
