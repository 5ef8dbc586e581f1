/* What a policy does to lists: who is near, and what is listed when none is ready. */
#include "fixture.h"

#include "base/buf.h"

static const struct service *made;

static void clear(void)
{
    service_unref(made);
    made = NULL;
    text_now_us = 1;
}

TestSuite(near, .fini = clear);

/* ---- making ---- */

/* The next version of the Service: one port 80 with those endpoints, under that policy (a copy of `fields`). */
static const struct service_port *next(const struct policy *fields, const char *endpoints)
{
    const struct policy *policy = policy_new(fields);
    const struct service *before = made;

    made = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "x=80", .before = before, .policy = policy),
        SLICE_TEXT("s", "x=1", endpoints));
    service_unref(before);
    policy_unref(policy);
    return port_of(made, 80);
}

static struct policy with_mode(enum locality_mode mode, uint32_t minimum)
{
    struct policy policy = *policy_default();

    policy.locality = mode;
    policy.minimum_per_zone = minimum;
    return policy;
}

static struct policy with_none_ready(enum none_ready none_ready)
{
    struct policy policy = *policy_default();

    policy.none_ready = none_ready;
    return policy;
}

/* ---- none is ready ---- */

Test(near, by_default_those_that_shut_down_serve_when_none_is_ready)
{
    struct policy policy = with_none_ready(NONE_READY_SERVING_TERMINATING);

    cr_assert_str_eq(list_text(next(&policy, "10.0.0.1/n 10.0.0.2/d 10.0.0.3/t")), "10.0.0.2:1");
    cr_assert_str_eq(list_text(next(&policy, "10.0.0.1 10.0.0.2/d 10.0.0.3/t")), "10.0.0.1:1");
}

Test(near, empty_lists_none_that_is_not_ready)
{
    struct policy policy = with_none_ready(NONE_READY_EMPTY);

    cr_assert_str_eq(list_text(next(&policy, "10.0.0.1/n 10.0.0.2/d 10.0.0.3/t")), "");
    cr_assert_str_eq(list_text(next(&policy, "10.0.0.1 10.0.0.2/d 10.0.0.3/t")), "10.0.0.1:1");
}

Test(near, all_lists_every_one_when_none_is_ready)
{
    struct policy policy = with_none_ready(NONE_READY_ALL);

    cr_assert_str_eq(list_text(next(&policy, "10.0.0.1/n 10.0.0.2@b/d 10.0.0.3/t")),
                     "10.0.0.1:1,10.0.0.3:1 | 10.0.0.2:1@b");
    cr_assert_str_eq(list_text(next(&policy, "10.0.0.1 10.0.0.2/d 10.0.0.3/t")), "10.0.0.1:1");
}

/* With internalTrafficPolicy Local the same goes for each node. */
static const struct service *local_with(enum none_ready none_ready)
{
    struct policy fields = with_none_ready(none_ready);
    const struct policy *policy = policy_new(&fields);
    const struct service *service = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "x=80", .local = true, .policy = policy),
        SLICE_TEXT("s", "x=1", "10.0.0.1%n1 10.0.0.2%n2/d 10.0.0.3%n3/n 10.0.0.4%n3/t"));

    policy_unref(policy);
    return service;
}

Test(near, none_ready_counts_on_every_node_by_itself)
{
    static const char *const lists[NONE_READY_KINDS][2] = {
        [NONE_READY_SERVING_TERMINATING] = {"10.0.0.2:1", ""},
        [NONE_READY_EMPTY] = {"", ""},
        [NONE_READY_ALL] = {"10.0.0.2:1", "10.0.0.3:1,10.0.0.4:1"},
    };

    for (int i = 0; i < NONE_READY_KINDS; i++) {
        const struct service *service = local_with((enum none_ready)i);
        const struct service_port *port = port_of(service, 80);

        cr_assert_str_eq(view_text(port, NULL, "n1"), "10.0.0.1:1");
        cr_assert_str_eq(view_text(port, NULL, "n2"), lists[i][0], "%s", none_ready_name(i));
        cr_assert_str_eq(view_text(port, NULL, "n3"), lists[i][1], "%s", none_ready_name(i));
        service_unref(service);
    }
}

/* ---- off ---- */

Test(near, off_gives_everybody_everything)
{
    struct policy policy = with_mode(LOCALITY_NONE, 1);
    const struct service_port *port = next(&policy, "10.0.0.1@a%n1~a^n1 10.0.0.2@b%n2~b^n2");

    cr_assert_not(port->by_place);
    cr_assert_str_eq(view_text(port, "a", "n1"), "10.0.0.1:1@a | 10.0.0.2:1@b");
}

Test(near, off_knows_no_local)
{
    struct policy fields = with_mode(LOCALITY_NONE, 1);
    const struct policy *policy = policy_new(&fields);
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .local = true, .policy = policy),
                     SLICE_TEXT("s", "x=1", "10.0.0.1%n1 10.0.0.2%n2"));
    struct place nowhere = {0};

    policy_unref(policy);
    cr_assert_str_eq(view_text(port_of(service, 80), NULL, "n1"), "10.0.0.1:1,10.0.0.2:1");
    cr_assert_not(view_is_blind(port_of(service, 80), &nowhere));
    service_unref(service);
}

/* ---- zones first ---- */

Test(near, a_preferred_zone_comes_first)
{
    struct policy policy = with_mode(LOCALITY_PREFER_ZONE, 1);
    const struct service_port *port = next(&policy, "10.0.0.1@a 10.0.0.2@b 10.0.0.3@c 10.0.0.4@b");

    cr_assert(port->by_place);
    cr_assert_str_eq(view_text(port, "b", NULL),
                     "10.0.0.2:1,10.0.0.4:1@b | 10.0.0.1:1@a!1 | 10.0.0.3:1@c!1");
    cr_assert_str_eq(view_text(port, "c", "n1"),
                     "10.0.0.3:1@c | 10.0.0.1:1@a!1 | 10.0.0.2:1,10.0.0.4:1@b!1");
}

Test(near, a_client_of_unknown_or_empty_zone_gets_the_plain_list)
{
    struct policy policy = with_mode(LOCALITY_PREFER_ZONE, 1);
    const struct service_port *port = next(&policy, "10.0.0.1@a 10.0.0.2@b 10.0.0.3");
    static const char plain[] = "10.0.0.3:1 | 10.0.0.1:1@a | 10.0.0.2:1@b";

    cr_assert_str_eq(view_text(port, NULL, NULL), plain);
    cr_assert_str_eq(view_text(port, "z", NULL), plain);
    cr_assert_str_eq(view_text(port, NULL, "n1"), plain);
}

Test(near, a_zone_with_too_few_does_not_come_first)
{
    struct policy policy = with_mode(LOCALITY_PREFER_ZONE, 2);
    const struct service_port *port = next(&policy, "10.0.0.1@a 10.0.0.2@b 10.0.0.3@b 10.0.0.4@a/n");

    cr_assert_str_eq(view_text(port, "a", NULL), "10.0.0.1:1@a | 10.0.0.2:1,10.0.0.3:1@b");
    cr_assert_str_eq(view_text(port, "b", NULL), "10.0.0.2:1,10.0.0.3:1@b | 10.0.0.1:1@a!1");
}

Test(near, nobody_is_near_when_none_is_ready)
{
    struct policy policy = with_mode(LOCALITY_PREFER_ZONE, 1);
    const struct service_port *port = next(&policy, "10.0.0.1@a/d 10.0.0.2@b/d");

    cr_assert_not(port->by_place);
    cr_assert_str_eq(view_text(port, "b", NULL), "10.0.0.1:1@a | 10.0.0.2:1@b");
}

Test(near, a_zone_that_has_all_has_no_second_priority)
{
    struct policy policy = with_mode(LOCALITY_PREFER_ZONE, 1);

    cr_assert_str_eq(view_text(next(&policy, "10.0.0.1@a 10.0.0.2@a"), "a", NULL),
                     "10.0.0.1:1,10.0.0.2:1@a");
}

Test(near, of_a_pod_with_two_addresses_one_counts)
{
    struct policy fields = with_mode(LOCALITY_PREFER_ZONE, 2);
    const struct policy *policy = policy_new(&fields);
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .policy = policy),
                     SLICE_TEXT("4", "x=1", "10.0.0.1@a#u1 10.0.0.2@b#u2"),
                     SLICE_TEXT("6", "x=1", "fd00::1@a#u1", .family = FAMILY_IPV6));

    policy_unref(policy);
    cr_assert_str_eq(view_text(port_of(service, 80), "a", NULL),
                     "10.0.0.1:1+[fd00::1]:1@a | 10.0.0.2:1@b", "one pod, of two that it needs");
    service_unref(service);
}

/* ---- nodes first ---- */

static const char of_nodes[] =
    "10.0.0.1@a%n1 10.0.0.2@a%n2 10.0.0.3@b%n3 10.0.0.4@a%n1 10.0.0.5@c%n4";

Test(near, a_node_comes_first_then_its_zone)
{
    struct policy policy = with_mode(LOCALITY_PREFER_NODE, 1);
    const struct service_port *port = next(&policy, of_nodes);

    cr_assert_str_eq(view_text(port, "a", "n1"),
                     "10.0.0.1:1,10.0.0.4:1@a%n1 | 10.0.0.2:1@a!1 | 10.0.0.3:1@b!2 | 10.0.0.5:1@c!2");
    cr_assert_str_eq(view_text(port, "b", "n3"),
                     "10.0.0.3:1@b%n3 | 10.0.0.1:1,10.0.0.2:1,10.0.0.4:1@a!1 | 10.0.0.5:1@c!1",
                     "no gap where the zone has no more");
}

Test(near, a_node_without_ready_endpoints_has_its_zone_first)
{
    struct policy policy = with_mode(LOCALITY_PREFER_NODE, 100); /* the minimum is 1 here */
    const struct service_port *port = next(&policy, "10.0.0.1@a%n1/n 10.0.0.2@a%n2 10.0.0.3@b%n3");

    cr_assert_str_eq(view_text(port, "a", "n1"), "10.0.0.2:1@a | 10.0.0.3:1@b!1");
    cr_assert_str_eq(view_text(port, "a", "n9"), "10.0.0.2:1@a | 10.0.0.3:1@b!1");
    cr_assert_str_eq(view_text(port, "c", "n9"), "10.0.0.2:1@a | 10.0.0.3:1@b");
}

Test(near, an_endpoint_of_the_node_keeps_its_locality_when_none_is_ready)
{
    struct policy policy = with_mode(LOCALITY_PREFER_NODE, 1);

    cr_assert_str_eq(view_text(next(&policy, "10.0.0.1@a%n1/d 10.0.0.2@a%n2/d 10.0.0.3@b%n3/d"), "a", "n1"),
                     "10.0.0.2:1@a | 10.0.0.1:1@a%n1 | 10.0.0.3:1@b");
}

Test(near, a_client_that_only_tells_its_node_has_no_zone)
{
    struct policy policy = with_mode(LOCALITY_PREFER_NODE, 1);

    cr_assert_str_eq(view_text(next(&policy, "10.0.0.1@a%n1 10.0.0.2@a%n2 10.0.0.3@b%n3"), NULL, "n1"),
                     "10.0.0.1:1@a%n1 | 10.0.0.2:1@a!1 | 10.0.0.3:1@b!1");
}

/* ---- a ring ---- */

Test(near, a_ring_has_one_locality_and_no_priorities)
{
    struct policy policy = with_mode(LOCALITY_PREFER_NODE, 1);
    const struct service_port *port;

    policy.lb = LB_RING_HASH;
    policy.subset_size = 1;
    port = next(&policy, "10.0.0.1@b%n1 10.0.0.2@a%n2 10.0.0.3");
    cr_assert_str_eq(list_text(port), "10.0.0.1:1,10.0.0.2:1,10.0.0.3:1");
    cr_assert_str_eq(place_text(port, &(struct place){STR("b"), STR("n1"), 1}),
                     "10.0.0.1:1,10.0.0.2:1,10.0.0.3:1");
    cr_assert_not(port->by_place);
    cr_assert_str_eq(place_text(port, &(struct place){STR("b"), STR("n1"), 1}),
                     "10.0.0.1:1,10.0.0.2:1,10.0.0.3:1");
    for (size_t i = 0; i < port->list.len; i++)
        cr_assert_eq(port->list.items[i].zone.len, i < 2 ? 1 : 0, "native clients still see zones");
}

Test(near, a_ring_follows_hints)
{
    struct policy policy = *policy_default();

    policy.lb = LB_RING_HASH;
    cr_assert_str_eq(view_text(next(&policy, "10.0.0.1@b~b 10.0.0.2@a~a 10.0.0.3@c~b"), "b", NULL),
                     "10.0.0.1:1,10.0.0.3:1");
}

/* ---- a zone that fell short ---- */

#define SECOND (1000 * 1000)

static const char *zone_a_at(unsigned second, const char *endpoints)
{
    struct policy policy = with_mode(LOCALITY_PREFER_ZONE, 2);

    text_now_us = (uint64_t)(1000 + second) * SECOND;
    return view_text(next(&policy, endpoints), "a", NULL);
}

static const char two[] = "10.0.0.1@a 10.0.0.2@a 10.0.0.3@b";
static const char one[] = "10.0.0.1@a 10.0.0.2@a/n 10.0.0.3@b";
static const char near_list[] = "10.0.0.1:1,10.0.0.2:1@a | 10.0.0.3:1@b!1";
static const char plain_list[] = "10.0.0.1:1,10.0.0.2:1@a | 10.0.0.3:1@b";

Test(near, a_zone_that_fell_short_waits)
{
    cr_assert_str_eq(zone_a_at(0, two), near_list, "at once: nothing is known of it");
    cr_assert_str_eq(zone_a_at(1, one), "10.0.0.1:1@a | 10.0.0.3:1@b");
    cr_assert_eq(made->due_us, 0, "nothing happens by itself");
    cr_assert_str_eq(zone_a_at(200, two), plain_list, "it has had enough for no time yet");
    cr_assert_eq(made->due_us, (uint64_t)1230 * SECOND);
    cr_assert_str_eq(zone_a_at(229, two), plain_list);
    cr_assert_eq(made->due_us, (uint64_t)1230 * SECOND, "it is not begun anew");
    cr_assert_str_eq(zone_a_at(230, two), near_list);
    cr_assert_eq(made->due_us, 0);
}

Test(near, a_zone_that_falls_short_again_waits_anew)
{
    (void)zone_a_at(0, two);
    (void)zone_a_at(1, one);
    (void)zone_a_at(2, two);
    cr_assert_str_eq(zone_a_at(20, one), "10.0.0.1:1@a | 10.0.0.3:1@b");
    cr_assert_str_eq(zone_a_at(21, two), plain_list);
    cr_assert_str_eq(zone_a_at(33, two), plain_list);
    cr_assert_str_eq(zone_a_at(51, two), near_list);
}

Test(near, a_zone_that_was_gone_waits)
{
    (void)zone_a_at(0, two);
    cr_assert_str_eq(zone_a_at(1, "10.0.0.3@b"), "10.0.0.3:1@b");
    cr_assert_str_eq(zone_a_at(2, two), plain_list);
    cr_assert_str_eq(zone_a_at(32, two), near_list);
}

Test(near, a_zone_that_never_had_enough_does_not_wait)
{
    (void)zone_a_at(0, one);
    cr_assert_str_eq(zone_a_at(1, two), near_list);
}

/* So that replicas agree in the end, whatever each has seen. */
Test(near, all_agree_after_the_wait)
{
    const struct service *old, *fresh;

    (void)zone_a_at(0, two);
    (void)zone_a_at(1, one);
    (void)zone_a_at(2, two);
    cr_assert_str_eq(zone_a_at(32, two), near_list);
    old = service_ref(made);
    clear();
    (void)zone_a_at(0, two);
    fresh = service_ref(made);
    cr_assert(service_equal(old, fresh));
    service_unref(old);
    service_unref(fresh);
}

Test(near, versions_differ_while_a_zone_waits)
{
    const struct service *waiting, *begun;

    (void)zone_a_at(0, two);
    begun = service_ref(made);
    (void)zone_a_at(1, one);
    (void)zone_a_at(2, two);
    waiting = service_ref(made);
    cr_assert_not(service_equal(begun, waiting));
    (void)zone_a_at(3, two);
    cr_assert(service_equal(made, waiting));
    service_unref(waiting);
    service_unref(begun);
}

Test(near, waits_no_longer_than_the_mode)
{
    struct policy plain = *policy_default();

    (void)zone_a_at(0, two);
    (void)zone_a_at(1, one);
    (void)next(&plain, two);
    cr_assert_eq(port_of(made, 80)->waits_len, 0);
    cr_assert_str_eq(zone_a_at(2, two), near_list);
}

Test(near, a_zone_goes_on_waiting_in_a_list_that_is_kept)
{
    static const struct service_keep keep[] = {{.stays = true}};
    const struct service *before, *carried;

    (void)zone_a_at(0, two);
    (void)zone_a_at(1, one);
    (void)zone_a_at(2, two);
    before = service_ref(made);
    (void)zone_a_at(3, "10.0.0.1@a");
    carried = service_carry(before, made, keep, (uint64_t)1003 * SECOND);
    cr_assert_str_eq(view_text(port_of(carried, 80), "a", NULL), plain_list);
    cr_assert_eq(carried->due_us, (uint64_t)1032 * SECOND);
    service_unref(before);
    before = carried;
    carried = service_carry(before, made, keep, (uint64_t)1032 * SECOND);
    cr_assert_str_eq(view_text(port_of(carried, 80), "a", NULL), near_list);
    cr_assert_eq(carried->due_us, 0, "it does not come due again and again");
    service_unref(before);
    service_unref(carried);
}

Test(near, a_kept_list_follows_the_new_policy)
{
    static const struct service_keep keep[] = {{.stays = true}};
    struct policy plain = *policy_default();
    const struct service *before, *carried;

    (void)zone_a_at(0, two);
    before = service_ref(made);
    (void)next(&plain, "10.0.0.1@a");
    carried = service_carry(before, made, keep, text_now_us);
    cr_assert_str_eq(view_text(port_of(carried, 80), "a", NULL), plain_list);
    service_unref(before);
    service_unref(carried);
}

Test(near, no_more_zones_wait_than_may)
{
    struct policy policy = with_mode(LOCALITY_PREFER_ZONE, 1);
    struct buf text = BUFFER_INIT(1 << 16);

    for (unsigned i = 0; i < ZONE_WAITS_MAX + 9; i++)
        buf_printf(&text, "10.0.0.%u@z%u ", i + 1, i);
    (void)next(&policy, buf_cstr(&text));
    (void)next(&policy, "10.0.1.1@a");
    cr_assert_eq(port_of(made, 80)->waits_len, ZONE_WAITS_MAX);
    buf_done(&text);
}
