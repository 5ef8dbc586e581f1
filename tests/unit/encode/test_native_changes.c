/* What makes one native list of another. */
#include <criterion/criterion.h>

#include "base/buf.h"
#include "encode/native.h"
#include "fixture.h"
#include "lookaside/v1/discovery.pb-c.h"

static const struct service *services[2];
static struct blob *lists[2], *changes;
static Lookaside__V1__WatchResponse *response;

static void done(void)
{
    if (response)
        lookaside__v1__watch_response__free_unpacked(response, NULL);
    blob_unref(changes);
    for (size_t i = 0; i < 2; i++) {
        blob_unref(lists[i]);
        service_unref(services[i]);
    }
}

TestSuite(native_changes, .fini = done);

/* Takes over the Services; NULL: none. */
static void compare(const struct service *before, const struct service *after)
{
    uint64_t version;

    services[0] = before;
    services[1] = after;
    for (size_t i = 0; i < 2; i++)
        lists[i] =
            encode_native_list(services[i] ? list_of(services[i]) : NULL, 0, STR(""), &version);
    changes = encode_native_changes(blob_str(lists[0]), blob_str(lists[1]));
    if (!changes)
        return;
    response = lookaside__v1__watch_response__unpack(NULL, changes->len, changes->bytes);
    cr_assert_not_null(response);
}

/* "+10.0.0.1:8001" and "-…", in the order of the message. */
static void expect(const char *wanted)
{
    CLEANUP(buf_done) struct buf text = BUFFER_INIT(4096);

    cr_assert_not_null(changes);
    for (size_t i = 0; i < response->n_removed; i++)
        buf_printf(&text, " -%s:%u", response->removed[i]->address, response->removed[i]->port);
    for (size_t i = 0; i < response->n_backends; i++)
        buf_printf(&text, " +%s:%u", response->backends[i]->address, response->backends[i]->port);
    cr_assert_str_eq(text.len ? buf_cstr(&text) + 1 : "", wanted);
}

Test(native_changes, tells_what_comes_and_what_goes)
{
    compare(SERVICE({.address = "10.0.0.1"}, {.address = "10.0.0.2"}, {.address = "10.0.0.3"}),
            SERVICE({.address = "10.0.0.1"}, {.address = "10.0.0.3"}, {.address = "10.0.0.4"}));
    expect("-10.0.0.2:8001 +10.0.0.4:8001");
}

Test(native_changes, tells_a_backend_that_is_not_as_it_was)
{
    compare(SERVICE({.address = "10.0.0.1", .pod = "a"}, {.address = "10.0.0.2"}),
            SERVICE({.address = "10.0.0.1", .pod = "b"}, {.address = "10.0.0.2"}));
    expect("+10.0.0.1:8001");
    cr_assert_str_eq(response->backends[0]->pod, "b");
}

Test(native_changes, another_port_is_another_backend)
{
    compare(SERVICE({.address = "10.0.0.1", .port = 1}, {.address = "10.0.0.2"}),
            SERVICE({.address = "10.0.0.1", .port = 2}, {.address = "10.0.0.2"}));
    expect("-10.0.0.1:1 +10.0.0.1:2");
}

/* The order of lists is by zone first: it is the same backend in another place. */
Test(native_changes, a_backend_of_another_zone_is_not_removed)
{
    compare(SERVICE({.address = "10.0.0.1", .zone = "a"}, {.address = "10.0.0.2", .zone = "b"},
                    {.address = "10.0.0.3", .zone = "b"}),
            SERVICE({.address = "10.0.0.1", .zone = "c"}, {.address = "10.0.0.2", .zone = "b"},
                    {.address = "10.0.0.3", .zone = "b"}));
    expect("+10.0.0.1:8001");
}

Test(native_changes, equal_lists_need_none)
{
    compare(SERVICE({.address = "10.0.0.1"}), SERVICE({.address = "10.0.0.1"}));
    expect("");
}

Test(native_changes, an_empty_list_is_sent_whole)
{
    compare(SERVICE({.address = "10.0.0.1"}), NULL);
    cr_assert_null(changes);
}

Test(native_changes, so_is_what_would_be_no_shorter)
{
    compare(SERVICE({.address = "10.0.0.1"}, {.address = "10.0.0.2"}),
            SERVICE({.address = "10.0.0.3"}));
    cr_assert_null(changes);
}

Test(native_changes, and_what_comes_after_nothing)
{
    compare(NULL, SERVICE({.address = "10.0.0.1"}));
    cr_assert_null(changes);
}

enum { MANY = 100 };

/* So many pods as clusters have them, three zones. */
static const struct service *many(size_t len)
{
    static char texts[3][MANY + 1][32];
    static const char *const zones[] = {"eu-west-1a", "eu-west-1b", "eu-west-1c"};
    struct spot spots[MANY + 1];

    for (size_t i = 0; i < len; i++) {
        snprintf(texts[0][i], 32, "10.1.%zu.%zu", i % 10, 10 + i / 10);
        snprintf(texts[1][i], 32, "greeter-6d9f8b7c54-%05zx", i * 7919 % 0xfffff);
        snprintf(texts[2][i], 32, "ip-10-0-%zu-17.ec2.internal", i % 10);
        spots[i] = (struct spot){.address = texts[0][i],
                                 .pod = texts[1][i],
                                 .node = texts[2][i],
                                 .zone = zones[i % ARRAY_LEN(zones)]};
    }
    return service_of(spots, len);
}

/* The README's figures. Version and target come on top in both protocols. */
Test(native_changes, one_more_pod_of_a_hundred_costs_little_beside_xds)
{
    struct blob *assignment;

    compare(many(MANY), many(MANY + 1));
    assignment = encode_assignment(STR("shop/greeter:8001"), list_of(services[1]), 0, STR(""));
    printf("one pod more beside %d: ClusterLoadAssignment %zu bytes, native list %zu, native "
           "changes %zu\n",
           MANY, assignment->len, lists[1]->len, changes->len);
    cr_assert_eq(response->n_backends, 1);
    cr_assert_eq(response->n_removed, 0);
    cr_assert_lt(changes->len * 20, assignment->len);
    blob_unref(assignment);
}
