/* Lists of which every client gets a part. */
#include "fixture.h"

#include <limits.h>

#include "base/buf.h"

#define ENDPOINTS_MAX 1000

/* ---- making ---- */

/* Endpoints 10.0.x.y from `first` on, `len` of them but `without`, in zones a and b by turns; 0: none is left out. */
static const struct service *make(unsigned first, unsigned len, unsigned without,
                                  const struct policy *fields)
{
    const struct policy *policy = policy_new(fields);
    struct buf text = BUFFER_INIT(1 << 20);
    const struct service *service;

    for (unsigned i = first; i < first + len; i++) {
        if (i != without)
            buf_printf(&text, "10.0.%u.%u@%s ", i / 200 + 1, i % 200 + 1, i % 2 ? "a" : "b");
    }
    service = MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .policy = policy),
                           SLICE_TEXT("s", "x=1", buf_cstr(&text)));
    policy_unref(policy);
    buf_done(&text);
    return service;
}

static struct policy of_size(uint32_t size)
{
    struct policy policy = *policy_default();

    policy.subset_size = size;
    return policy;
}

/* Marks by the number of the endpoint; returns how many. */
static size_t members(const struct service *service, const struct place *place,
                      bool in[ENDPOINTS_MAX], unsigned priority)
{
    const struct service_port *port = port_of(service, 80);
    struct view view = view_of(port, place);
    struct arena arena = {0};
    struct backend_list list;
    size_t len = 0;

    memset(in, 0, ENDPOINTS_MAX * sizeof(*in));
    view_list(port, &view, &arena, &list);
    for (size_t i = 0; i < list.localities_len; i++) {
        for (size_t k = 0; k < list.localities[i].len; k++) {
            const unsigned char *bytes =
                list.items[list.localities[i].first + k].backend->endpoint->bytes;

            if (list.localities[i].priority != priority)
                continue;
            in[(bytes[2] - 1) * 200 + bytes[3] - 1] = true;
            len++;
        }
    }
    arena_done(&arena);
    return len;
}

/* ---- what holds ---- */

static void check_even(unsigned len, uint32_t size)
{
    struct policy policy = of_size(size);
    const struct service *service = make(0, len, len, &policy);
    size_t expected = len <= size ? len : size > (len + 63) / 64 ? size : (len + 63) / 64;
    unsigned counts[ENDPOINTS_MAX] = {0}, least = UINT_MAX, most = 0;
    bool in[ENDPOINTS_MAX];

    for (unsigned group = 1; group <= PLACE_GROUPS; group++) {
        cr_assert_eq(members(service, &(struct place){.group = group}, in, 0), expected,
                     "%u of %u in group %u", size, len, group);
        for (unsigned i = 0; i < len; i++)
            counts[i] += in[i];
    }
    for (unsigned i = 0; i < len; i++) {
        least = counts[i] < least ? counts[i] : least;
        most = counts[i] > most ? counts[i] : most;
    }
    cr_assert_geq(least, 1, "%u of %u: every endpoint is in some group", size, len);
    /* Starts are a step or the next greater one apart. */
    cr_assert_leq(most - least, 2 + (len < 64 ? 64 / len : 0), "%u of %u: %u to %u", size, len,
                  least, most);
    service_unref(service);
}

Test(subset, is_even_and_leaves_nobody_out)
{
    static const unsigned lens[] = {1, 2, 3, 7, 20, 21, 63, 64, 65, 100, 128, 129, 640, 999};
    static const unsigned sizes[] = {1, 2, 3, 20, 64, 1000};

    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        for (size_t k = 0; k < ARRAY_LEN(sizes); k++)
            check_even(lens[i], sizes[k]);
}

Test(subset, a_list_that_is_not_longer_is_not_cut)
{
    struct policy policy = of_size(20);
    const struct service *service = make(0, 20, 20, &policy);

    cr_assert_not(port_of(service, 80)->by_place);
    service_unref(service);
    service = make(0, 21, 21, &policy);
    cr_assert(port_of(service, 80)->by_place);
    service_unref(service);
}

Test(subset, a_client_of_no_group_gets_the_list_whole)
{
    struct policy policy = of_size(3);
    const struct service *service = make(0, 50, 50, &policy);
    bool in[ENDPOINTS_MAX];

    cr_assert_eq(members(service, &(struct place){0}, in, 0), 50);
    service_unref(service);
}

Test(subset, an_endpoint_that_comes_or_goes_moves_few)
{
    struct policy policy = of_size(20);
    const struct service *all = make(0, 300, 300, &policy);

    for (unsigned gone = 0; gone < 300; gone += 13) {
        const struct service *less = make(0, 300, gone, &policy);

        for (unsigned group = 1; group <= PLACE_GROUPS; group++) {
            struct place place = {.group = group};
            bool before[ENDPOINTS_MAX], after[ENDPOINTS_MAX];
            unsigned moved = 0;

            (void)members(all, &place, before, 0);
            (void)members(less, &place, after, 0);
            for (unsigned i = 0; i < 300; i++)
                moved += i != gone && before[i] != after[i];
            cr_assert_leq(moved, 2, "group %u without %u", group, gone);
        }
        service_unref(less);
    }
    service_unref(all);
}

Test(subset, has_nothing_to_do_with_the_order_of_addresses)
{
    struct policy policy = of_size(8);
    const struct service *service = make(0, 200, 200, &policy);
    unsigned neighbours = 0;
    bool in[ENDPOINTS_MAX];

    for (unsigned group = 1; group <= PLACE_GROUPS; group++) {
        (void)members(service, &(struct place){.group = group}, in, 0);
        for (unsigned i = 1; i < 200; i++)
            neighbours += in[i - 1] && in[i];
    }
    cr_assert_lt(neighbours, 64 * 2, "of 448 if it had");
    service_unref(service);
}

Test(subset, is_cut_within_each_priority)
{
    struct policy policy = of_size(5);
    const struct service *service;
    bool in[ENDPOINTS_MAX];

    policy.locality = LOCALITY_PREFER_ZONE;
    service = make(0, 40, 40, &policy);
    for (unsigned group = 1; group <= PLACE_GROUPS; group++) {
        struct place place = {.zone = STR("a"), .group = group};

        for (unsigned priority = 0; priority < 2; priority++) {
            cr_assert_eq(members(service, &place, in, priority), 5);
            for (unsigned i = 0; i < 40; i++)
                cr_assert(!in[i] || i % 2 == (priority == 0));
        }
    }
    service_unref(service);
}

Test(subset, of_a_hinted_zone_is_a_part_of_that)
{
    struct policy fields = of_size(1);
    const struct policy *policy = policy_new(&fields);
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .policy = policy),
                     SLICE_TEXT("s", "x=1", "10.0.0.1~a 10.0.0.2~b 10.0.0.3~a"));
    const char *first = "", *text;

    policy_unref(policy);
    for (unsigned group = 1; group <= PLACE_GROUPS; group++) {
        text = place_text(port_of(service, 80), &(struct place){STR("a"), STR(""), group});
        cr_assert(strcmp(text, "10.0.0.1:1") == 0 || strcmp(text, "10.0.0.3:1") == 0, "%s", text);
    }
    first = place_text(port_of(service, 80), &(struct place){STR("b"), STR(""), 9});
    cr_assert_str_eq(first, "10.0.0.2:1");
    service_unref(service);
}

Test(subset, does_not_cut_what_local_leaves)
{
    struct policy fields = of_size(1);
    const struct policy *policy = policy_new(&fields);
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .local = true, .policy = policy),
                     SLICE_TEXT("s", "x=1", "10.0.0.1%n1 10.0.0.2%n1 10.0.0.3%n2"));
    const struct service_port *port = port_of(service, 80);
    struct view view = view_of(port, &(struct place){.group = 7});

    policy_unref(policy);
    cr_assert_str_eq(place_text(port, &(struct place){STR(""), STR("n1"), 7}),
                     "10.0.0.1:1,10.0.0.2:1");
    cr_assert_eq(view.group, 7, "a client of unknown node gets a part of all");
    service_unref(service);
}

Test(subset, a_pod_with_two_addresses_is_one)
{
    struct policy fields = of_size(1);
    const struct policy *policy = policy_new(&fields);
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .policy = policy),
                     SLICE_TEXT("4", "x=1", "10.0.0.1#u1 10.0.0.2#u2"),
                     SLICE_TEXT("6", "x=1", "fd00::1#u1 fd00::2#u2", .family = FAMILY_IPV6));

    policy_unref(policy);
    for (unsigned group = 1; group <= PLACE_GROUPS; group++) {
        const char *text = place_text(port_of(service, 80), &(struct place){.group = group});

        cr_assert(strcmp(text, "10.0.0.1:1+[fd00::1]:1") == 0 ||
                      strcmp(text, "10.0.0.2:1+[fd00::2]:1") == 0,
                  "%s", text);
    }
    service_unref(service);
}

Test(subset, groups_of_clients_are_stable_and_spread)
{
    unsigned counts[PLACE_GROUPS + 1] = {0};

    for (unsigned i = 0; i < 6400; i++) {
        struct str address = str_make((const char *)&i, sizeof(i));
        unsigned group = place_group(STR("client"), address);

        cr_assert_eq(group, place_group(STR("client"), address));
        cr_assert(group >= 1 && group <= PLACE_GROUPS);
        counts[group]++;
    }
    for (unsigned group = 1; group <= PLACE_GROUPS; group++)
        cr_assert(counts[group] > 50 && counts[group] < 150, "%u in %u", counts[group], group);
    cr_assert_neq(place_group(STR("a"), STR("1")), place_group(STR("b"), STR("1")));
    cr_assert_eq(place_group(STR("greeter-6d9f-x"), STR("\x0a\x01\x00\x0a")), 39,
                 "the same on every replica of every version");
}
