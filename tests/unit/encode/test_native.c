#include <criterion/criterion.h>

#include "base/hash.h"
#include "encode/native.h"
#include "fixture.h"
#include "lookaside/v1/discovery.pb-c.h"

static const struct service *service;
static struct blob *blob;
static uint64_t version;
static Lookaside__V1__WatchResponse *response;

static void done(void)
{
    if (response)
        lookaside__v1__watch_response__free_unpacked(response, NULL);
    blob_unref(blob);
    service_unref(service);
}

TestSuite(encode_native, .fini = done);

static void encode(uint16_t asked_port, const char *hostname)
{
    blob = encode_native_list(service ? list_of(service) : NULL, asked_port, str_of(hostname),
                              &version);
    response = lookaside__v1__watch_response__unpack(NULL, blob->len, blob->bytes);
    cr_assert_not_null(response);
    cr_assert_str_empty(response->target);
    cr_assert_str_empty(response->problem);
    cr_assert_str_empty(response->version);
}

Test(encode_native, no_list_is_a_version_and_nothing_else)
{
    encode(0, NULL);
    cr_assert_eq(blob->len, 0);
    cr_assert_neq(version, 0);
}

Test(encode_native, tells_what_is_known_of_a_backend)
{
    Lookaside__V1__Backend *backend;

    service = SERVICE({.address = "10.0.0.1",
                       .zone = "eu-1",
                       .pod = "greeter-abc",
                       .node = "node-7",
                       .port = 9000});
    encode(0, NULL);
    cr_assert_eq(response->n_backends, 1);
    backend = response->backends[0];
    cr_expect_str_eq(backend->address, "10.0.0.1");
    cr_expect_eq(backend->port, 9000);
    cr_expect_str_eq(backend->zone, "eu-1");
    cr_expect_eq(backend->weight, 1);
    cr_expect_str_eq(backend->pod, "greeter-abc");
    cr_expect_str_eq(backend->node, "node-7");
    cr_expect_eq(backend->health, LOOKASIDE__V1__BACKEND__HEALTH__READY);
}

Test(encode_native, leaves_out_what_is_not_known)
{
    service = SERVICE({.address = "10.0.0.1"});
    encode(0, NULL);
    cr_assert_str_empty(response->backends[0]->zone);
    cr_assert_str_empty(response->backends[0]->pod);
    cr_assert_str_empty(response->backends[0]->node);
}

Test(encode_native, says_that_a_backend_is_draining)
{
    service = SERVICE({.address = "10.0.0.1", .draining = true});
    encode(0, NULL);
    cr_assert_eq(response->backends[0]->health, LOOKASIDE__V1__BACKEND__HEALTH__DRAINING);
}

Test(encode_native, is_sorted_by_zone_and_address)
{
    service = SERVICE({.address = "10.0.0.2", .zone = "b"}, {.address = "10.0.0.3", .zone = "a"},
                      {.address = "10.0.0.1", .zone = "b"});
    encode(0, NULL);
    cr_assert_eq(response->n_backends, 3);
    cr_assert_str_eq(response->backends[0]->address, "10.0.0.3");
    cr_assert_str_eq(response->backends[1]->address, "10.0.0.1");
    cr_assert_str_eq(response->backends[2]->address, "10.0.0.2");
}

Test(encode_native, the_asked_port_stands_in_where_there_is_none)
{
    const struct spot spot = {.address = "10.0.0.1"};

    service = portless_service_of(&spot, 1);
    encode(9000, NULL);
    cr_assert_eq(response->backends[0]->port, 9000);
}

Test(encode_native, a_backend_without_any_port_is_left_out)
{
    const struct spot spot = {.address = "10.0.0.1"};

    service = portless_service_of(&spot, 1);
    encode(0, NULL);
    cr_assert_eq(response->n_backends, 0);
}

Test(encode_native, a_hostname_chooses_one_pod)
{
    service = SERVICE({.address = "10.0.0.1", .hostname = "pod-0"},
                      {.address = "10.0.0.2", .hostname = "pod-1"});
    encode(0, "pod-1");
    cr_assert_eq(response->n_backends, 1);
    cr_assert_str_eq(response->backends[0]->address, "10.0.0.2");
}

Test(encode_native, tells_the_other_address_of_a_pod)
{
    service = SERVICE({.address = "10.0.0.1", .uid = "a"},
                      {.address = "fd00::1", .uid = "a", .zone = "z"}, {.address = "10.0.0.2"});
    encode(0, NULL);
    cr_assert_eq(response->n_backends, 2);
    cr_assert_str_eq(response->backends[0]->address, "10.0.0.1");
    cr_assert_str_eq(response->backends[0]->other_address, "fd00::1");
    cr_assert_eq(response->backends[0]->other_port, 8001);
    cr_assert_str_empty(response->backends[0]->zone);
    cr_assert_str_empty(response->backends[1]->other_address);
    cr_assert_eq(response->backends[1]->other_port, 0);
}

Test(encode_native, the_asked_port_stands_in_at_the_other_address_too)
{
    const struct spot spots[] = {{.address = "10.0.0.1", .uid = "a"},
                                 {.address = "fd00::1", .uid = "a"}};

    service = portless_service_of(spots, 2);
    encode(9000, NULL);
    cr_assert_eq(response->n_backends, 1);
    cr_assert_eq(response->backends[0]->other_port, 9000);
}

Test(encode_native, a_host_is_one_backend)
{
    CLEANUP(blob_unrefp) struct blob *other = NULL;
    uint64_t other_version;

    blob = encode_native_host(STR("db.example.com"), 5432, &version);
    other = encode_native_host(STR("db.example.com"), 5433, &other_version);
    response = lookaside__v1__watch_response__unpack(NULL, blob->len, blob->bytes);
    cr_assert_eq(response->n_backends, 1);
    cr_assert_str_eq(response->backends[0]->address, "db.example.com");
    cr_assert_eq(response->backends[0]->port, 5432);
    cr_assert_eq(response->backends[0]->weight, 1);
    cr_assert_neq(version, 0);
    cr_assert_neq(version, other_version);
}

Test(encode_native, the_version_is_the_hash_of_the_bytes)
{
    service = SERVICE({.address = "10.0.0.1"});
    encode(0, NULL);
    cr_assert_eq(version, hash_content(blob->bytes, blob->len));
}

Test(encode_native, other_content_has_another_version)
{
    CLEANUP(blob_unrefp) struct blob *other = NULL;
    uint64_t other_version;

    service = SERVICE({.address = "10.0.0.1", .hostname = "pod-0"},
                      {.address = "10.0.0.2", .hostname = "pod-1"});
    encode(0, NULL);
    other = encode_native_list(list_of(service), 0, STR("pod-0"), &other_version);
    cr_assert_neq(version, other_version);
}

Test(encode_native, backends_tell_their_priority)
{
    const struct locality localities[] = {
        {.zone = STR("a"), .len = 1},
        {.zone = STR("b"), .priority = 1, .first = 1, .len = 1},
    };
    struct backend_list list;

    service = SERVICE({.address = "10.0.0.1", .zone = "a"}, {.address = "10.0.0.2", .zone = "b"});
    list = *list_of(service);
    list.localities = localities;
    list.localities_len = ARRAY_LEN(localities);
    blob = encode_native_list(&list, 0, STR(""), &version);
    response = lookaside__v1__watch_response__unpack(NULL, blob->len, blob->bytes);
    cr_assert_eq(response->n_backends, 2);
    cr_assert_eq(response->backends[0]->priority, 0);
    cr_assert_eq(response->backends[1]->priority, 1);
}
