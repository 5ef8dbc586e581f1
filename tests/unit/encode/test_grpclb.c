#include <criterion/criterion.h>

#include "encode/grpclb.h"
#include "fixture.h"
#include "grpc/lb/v1/load_balancer.pb-c.h"

#define SERVICES_MAX 4

static const struct service *services[SERVICES_MAX];
static struct blob *blob;
static uint64_t version;
static Grpc__Lb__V1__LoadBalanceResponse *response;
static const Grpc__Lb__V1__ServerList *list;

static void forget(void)
{
    if (response)
        grpc__lb__v1__load_balance_response__free_unpacked(response, NULL);
    response = NULL;
    blob_unref(blob);
    blob = NULL;
}

static void done(void)
{
    forget();
    for (size_t i = 0; i < SERVICES_MAX; i++)
        service_unref(services[i]);
}

TestSuite(encode_grpclb, .fini = done);

static void encode(const struct grpclb_share *shares, size_t len)
{
    forget();
    blob = encode_grpclb_list(shares, len, &version);
    response = grpc__lb__v1__load_balance_response__unpack(NULL, blob->len, blob->bytes);
    cr_assert_not_null(response);
    cr_assert_not_null(response->server_list, "an empty list is a list, too");
    list = response->server_list;
    cr_assert_neq(version, 0);
}

static void encode_one(const struct backend_list *backends, uint16_t asked_port,
                       const char *hostname)
{
    const struct grpclb_share share = {backends, asked_port, str_of(hostname), 1, STR("")};

    encode(&share, 1);
}

/* The last byte of each address in order, a dot for a drop: "1213." */
static const char *order(void)
{
    static char text[4096];
    size_t len = 0;

    for (size_t i = 0; i < list->n_servers && len < sizeof(text) - 4; i++) {
        const Grpc__Lb__V1__Server *server = list->servers[i];

        if (server->drop)
            text[len++] = '.';
        else
            len += (size_t)snprintf(text + len, 4, "%u",
                                    server->ip_address.data[server->ip_address.len - 1]);
    }
    text[len] = '\0';
    return text;
}

static size_t count(char what)
{
    size_t found = 0;

    for (const char *at = order(); *at; at++)
        found += *at == what;
    return found;
}

/* `len` endpoints 10.0.0.FIRST and on, in one zone. */
static const struct service *pods(unsigned first, size_t len)
{
    static char addresses[32][16];
    struct spot spots[32] = {0};

    for (size_t i = 0; i < len; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "10.0.0.%u", first + (unsigned)i);
        spots[i].address = addresses[i];
    }
    return service_of(spots, len);
}

static void encode_split(uint32_t mine, uint32_t theirs, const char *drop_token)
{
    const struct grpclb_share shares[] = {
        {services[0] ? list_of(services[0]) : NULL, 0, STR(""), mine, str_of(drop_token)},
        {services[1] ? list_of(services[1]) : NULL, 0, STR(""), theirs, str_of(drop_token)},
    };

    encode(shares, ARRAY_LEN(shares));
}

Test(encode_grpclb, no_backends_are_an_empty_list)
{
    encode_one(NULL, 0, NULL);
    cr_assert_eq(list->n_servers, 0);
    cr_assert_eq(blob->len, 2, "tag and length");
}

Test(encode_grpclb, addresses_are_bytes_in_network_order)
{
    const uint8_t four[] = {10, 0, 0, 1},
                  six[] = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};

    services[0] = SERVICE({.address = "10.0.0.1", .port = 65535}, {.address = "fd00::9"});
    encode_one(list_of(services[0]), 0, NULL);
    cr_assert_eq(list->n_servers, 2);
    cr_assert_eq(list->servers[0]->ip_address.len, 4);
    cr_assert_arr_eq(list->servers[0]->ip_address.data, four, 4);
    cr_assert_eq(list->servers[0]->port, 65535);
    cr_assert_eq(list->servers[1]->ip_address.len, 16);
    cr_assert_arr_eq(list->servers[1]->ip_address.data, six, 16);
    cr_assert_eq(list->servers[1]->port, 8001);
    cr_assert_not(list->servers[1]->drop);
}

Test(encode_grpclb, a_token_names_the_pod)
{
    services[0] = SERVICE({.address = "10.0.0.1", .pod = "greeter-6d9f-x"}, {.address = "10.0.0.2"},
                          {.address = "fd00::9"});
    encode_one(list_of(services[0]), 0, NULL);
    cr_assert_str_eq(list->servers[0]->load_balance_token, "greeter-6d9f-x");
    cr_assert_str_eq(list->servers[1]->load_balance_token, "10.0.0.2:8001");
    cr_assert_str_eq(list->servers[2]->load_balance_token, "[fd00::9]:8001");
}

Test(encode_grpclb, a_token_is_short_and_printable)
{
    services[0] =
        SERVICE({.address = "10.0.0.1",
                 .pod = "a-very-long-name-of-a-deployment-and-of-its-replica-set-6d9f7c8b45-x7k2p"},
                {.address = "10.0.0.2", .pod = "two words\n\xc3\xa9"});
    encode_one(list_of(services[0]), 0, NULL);
    cr_assert_str_eq(list->servers[0]->load_balance_token,
                     "deployment-and-of-its-replica-set-6d9f7c8b45-x7k2p");
    cr_assert_eq(strlen(list->servers[0]->load_balance_token), GRPCLB_TOKEN_MAX);
    cr_assert_str_eq(list->servers[1]->load_balance_token, "two_words___");
}

Test(encode_grpclb, the_asked_port_stands_in_where_there_is_none)
{
    const struct spot spot = {.address = "10.0.0.1"};

    services[0] = portless_service_of(&spot, 1);
    encode_one(list_of(services[0]), 9000, NULL);
    cr_assert_eq(list->servers[0]->port, 9000);
    cr_assert_str_eq(list->servers[0]->load_balance_token, "10.0.0.1:9000");
    encode_one(list_of(services[0]), 0, NULL);
    cr_assert_eq(list->n_servers, 0);
}

Test(encode_grpclb, a_hostname_chooses_one_pod)
{
    services[0] = SERVICE({.address = "10.0.0.1", .hostname = "pod-0"},
                          {.address = "10.0.0.2", .hostname = "pod-1"});
    encode_one(list_of(services[0]), 0, "pod-1");
    cr_assert_str_eq(order(), "2");
}

Test(encode_grpclb, a_pod_stands_there_by_one_of_its_addresses)
{
    services[0] = SERVICE({.address = "10.0.0.1", .uid = "a"}, {.address = "fd00::1", .uid = "a"});
    encode_one(list_of(services[0]), 0, NULL);
    cr_assert_eq(list->n_servers, 1);
}

Test(encode_grpclb, zones_take_turns)
{
    services[0] =
        SERVICE({.address = "10.0.0.1", .zone = "a"}, {.address = "10.0.0.2", .zone = "a"},
                {.address = "10.0.0.3", .zone = "a"}, {.address = "10.0.0.4", .zone = "a"},
                {.address = "10.0.0.5", .zone = "b"}, {.address = "10.0.0.6", .zone = "b"});
    encode_one(list_of(services[0]), 0, NULL);
    cr_assert_str_eq(order(), "152364");
}

Test(encode_grpclb, the_first_priority_that_lists_somebody_counts)
{
    const struct locality localities[] = {
        {.zone = STR("a"), .len = 1},
        {.zone = STR("b"), .priority = 1, .first = 1, .len = 1},
        {.zone = STR("c"), .priority = 1, .first = 2, .len = 1},
        {.zone = STR("d"), .priority = 2, .first = 3, .len = 1},
    };
    struct backend_list backends;

    services[0] = SERVICE({.address = "10.0.0.1", .zone = "a", .hostname = "x"},
                          {.address = "10.0.0.2", .zone = "b", .hostname = "y"},
                          {.address = "10.0.0.3", .zone = "c", .hostname = "y"},
                          {.address = "10.0.0.4", .zone = "d", .hostname = "y"});
    backends = *list_of(services[0]);
    backends.localities = localities;
    backends.localities_len = ARRAY_LEN(localities);
    encode_one(&backends, 0, NULL);
    cr_assert_str_eq(order(), "1");
    encode_one(&backends, 0, "y");
    cr_assert_str_eq(order(), "23");
}

Test(encode_grpclb, weights_are_repetitions_that_are_spread_evenly)
{
    services[0] = pods(1, 3);
    services[1] = pods(9, 1);
    encode_split(90, 10, "");
    cr_assert_str_eq(order(), "1231293123");
    encode_split(3, 1, "");
    cr_assert_str_eq(order(), "1293");
}

Test(encode_grpclb, a_share_is_of_its_backends_together)
{
    services[0] = pods(1, 2);
    services[1] = pods(3, 4);
    encode_split(1, 1, "");
    cr_assert_eq(count('1'), 2);
    cr_assert_eq(count('3'), 1);
    cr_assert_eq(list->n_servers, 8);
}

Test(encode_grpclb, odd_weights_are_met_to_a_hundredth)
{
    double share;

    services[0] = pods(1, 7);
    services[1] = pods(8, 2);
    encode_split(89, 11, "");
    share = (double)(count('8') + count('9')) / (double)list->n_servers;
    cr_assert(share > 0.11 * 0.985 && share < 0.11 * 1.015, "%zu entries, %f", list->n_servers,
              share);
    cr_assert_leq(list->n_servers, 400);
}

Test(encode_grpclb, a_list_does_not_grow_with_its_weights)
{
    services[0] = pods(1, 1);
    services[1] = pods(2, 1);
    encode_split(1000000, 1, "");
    cr_assert_leq(list->n_servers, GRPCLB_ENTRIES_MIN + 1);
    cr_assert_eq(count('2'), 1, "who has a weight has an entry");
    encode_split(UINT32_C(32000000), UINT32_C(31999999), "");
    cr_assert_str_eq(order(), "12");
}

Test(encode_grpclb, without_a_weight_there_is_no_entry)
{
    services[0] = pods(1, 1);
    services[1] = pods(2, 1);
    encode_split(1, 0, "t");
    cr_assert_str_eq(order(), "1");
}

Test(encode_grpclb, the_calls_of_a_share_that_is_to_fail_are_dropped)
{
    services[0] = pods(1, 3);
    encode_split(50, 50, "empty:greeter-canary");
    cr_assert_str_eq(order(), "1.2.3.");
    cr_assert_eq(list->servers[1]->ip_address.len, 0);
    cr_assert_eq(list->servers[1]->port, 0);
    cr_assert_str_eq(list->servers[1]->load_balance_token, "empty:greeter-canary");
}

Test(encode_grpclb, nothing_is_dropped_where_nobody_is_listed)
{
    encode_split(50, 50, "empty");
    cr_assert_eq(list->n_servers, 0);
}

Test(encode_grpclb, without_a_token_an_empty_share_leaves_its_calls_to_the_others)
{
    services[0] = pods(1, 2);
    encode_split(50, 50, "");
    cr_assert_str_eq(order(), "12");
}

Test(encode_grpclb, the_version_is_that_of_the_bytes)
{
    uint64_t before;

    services[0] = pods(1, 2);
    services[1] = pods(1, 2);
    encode_one(list_of(services[0]), 0, NULL);
    before = version;
    encode_one(list_of(services[1]), 0, NULL);
    cr_assert_eq(version, before);
    encode_split(1, 3, "");
    cr_assert_neq(version, before);
}
