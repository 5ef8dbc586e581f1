/* An endpoint's zone stays what it was when the endpoint was seen first. */
#include "fixture.h"

/* The version after `before`, whose reference it takes. */
static const struct service *next(const struct service *before, const struct slice *slice)
{
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .before = before), slice);

    service_unref(before);
    return service;
}

static const struct service *of_slice(const char *endpoints)
{
    return next(NULL, SLICE_TEXT("s", "x=1", endpoints));
}

static void expect(const struct service *service, const char *list)
{
    cr_assert_str_eq(list_text(port_of(service, 80)), list);
    service_unref(service);
}

Test(service_zone, stays_with_an_endpoint_that_lives_on)
{
    const struct service *service = of_slice("10.0.0.1@a#u1 10.0.0.2@a#u2 10.0.0.3@b");

    service = next(service, SLICE_TEXT("s", "x=1", "10.0.0.1@b#u1 10.0.0.2@a#u2 10.0.0.3@c"));
    cr_assert_str_eq(list_text(port_of(service, 80)), "10.0.0.1:1,10.0.0.2:1@a | 10.0.0.3:1@b");
    /* And on: through a slice of another name, and through a time of not being ready. */
    service = next(service, SLICE_TEXT("t", "x=1", "10.0.0.1@c#u1/n 10.0.0.2@c#u2"));
    cr_assert_str_eq(list_text(port_of(service, 80)), "10.0.0.2:1@a");
    expect(next(service, SLICE_TEXT("t", "x=1", "10.0.0.1@d#u1")), "10.0.0.1:1@a");
}

Test(service_zone, is_the_new_one_of_another_pod_or_port_at_that_address)
{
    expect(next(of_slice("10.0.0.1@a#u1"), SLICE_TEXT("s", "x=1", "10.0.0.1@b#u2")),
           "10.0.0.1:1@b");
    expect(next(of_slice("10.0.0.1@a#u1"), SLICE_TEXT("s", "x=1", "10.0.0.1@b")), "10.0.0.1:1@b");
    expect(next(of_slice("10.0.0.1@a#u1"), SLICE_TEXT("s", "x=2", "10.0.0.1@b#u1")),
           "10.0.0.1:2@b");
}

Test(service_zone, is_forgotten_with_the_endpoint)
{
    const struct service *service = of_slice("10.0.0.1@a#u1 10.0.0.2@a");

    service = next(service, SLICE_TEXT("s", "x=1", "10.0.0.2@a"));
    expect(next(service, SLICE_TEXT("s", "x=1", "10.0.0.1@b#u1 10.0.0.2@b")),
           "10.0.0.2:1@a | 10.0.0.1:1@b");
}

/* The kubelet labels its node late: not to know a zone is to be in none. */
Test(service_zone, that_was_not_known_stays_unknown)
{
    expect(next(of_slice("10.0.0.1#u1"), SLICE_TEXT("s", "x=1", "10.0.0.1@b#u1 10.0.0.2@b")),
           "10.0.0.1:1 | 10.0.0.2:1@b");
}

Test(service_zone, stays_while_the_port_has_another_name)
{
    const struct service *before = of_slice("10.0.0.1@a");
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "y=80 x=81", .before = before),
                     SLICE_TEXT("s", "y=1 x=1", "10.0.0.1@b"));

    cr_assert_str_eq(list_text(port_of(service, 80)), "10.0.0.1:1@a", "the same Cluster");
    cr_assert_str_eq(list_text(port_of(service, 81)), "10.0.0.1:1@b", "another one");
    service_unref(before);
    service_unref(service);
}

Test(service_zone, is_what_views_go_by_too)
{
    const struct service *service = of_slice("10.0.0.1@a~a 10.0.0.2@b~b");

    service = next(service, SLICE_TEXT("s", "x=1", "10.0.0.1@c~a 10.0.0.2@b~b"));
    cr_assert_str_eq(view_text(port_of(service, 80), "a", NULL), "10.0.0.1:1@a");
    service_unref(service);
}

Test(service_zone, makes_a_difference)
{
    const struct service *kept =
        next(of_slice("10.0.0.1@a#u1"), SLICE_TEXT("s", "x=1", "10.0.0.1@b#u1"));
    const struct service *fresh = of_slice("10.0.0.1@b#u1");
    const struct service *again = next(service_ref(kept), SLICE_TEXT("s", "x=1", "10.0.0.1@b#u1"));

    cr_assert_not(service_equal(kept, fresh));
    cr_assert(service_equal(kept, again));
    service_unref(kept);
    service_unref(fresh);
    service_unref(again);
}

Test(service_zone, of_every_family_is_its_own)
{
    const struct service *before =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "=80"), SLICE_TEXT("4", "=80", "10.0.0.1@a 10.0.0.3@a"),
                     SLICE_TEXT("6", "=80", "fd00::1@b fd00::3@b", .family = FAMILY_IPV6));
    const struct service *after = MAKE_SERVICE(
        SERVICE_TEXT(.ports = "=80", .before = before),
        SLICE_TEXT("4", "=80", "10.0.0.2@z 10.0.0.3@z"),
        SLICE_TEXT("6", "=80", "fd00::1@z fd00::2@z fd00::4@z", .family = FAMILY_IPV6));

    service_unref(before);
    expect(after, "10.0.0.3:80@a | [fd00::1]:80@b | 10.0.0.2:80,[fd00::2]:80,[fd00::4]:80@z");
}

/* A number that nobody named, which now some pod has: it is the same list, and the same Cluster. */
Test(service_zone, stays_when_a_number_is_named_that_was_taken_as_given)
{
    static const struct port_ref ref = {.kind = PORT_NUMBER, .number = 9001};
    const struct service *before =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .type = SERVICE_HEADLESS),
                     SLICE_TEXT("s", "", "10.0.0.1@a"));
    const struct service *service =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .type = SERVICE_HEADLESS, .before = before),
                     SLICE_TEXT("s", "", "10.0.0.1@b"), SLICE_TEXT("t", "x=9001", "10.0.0.2@b"));
    const struct service *named =
        MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .type = SERVICE_HEADLESS, .before = service),
                     SLICE_TEXT("s", "x=9001", "10.0.0.1@c 10.0.0.2@c"));
    const char *reason;

    service_unref(before);
    cr_assert_str_eq(list_text(service_find_port(service, &ref, &reason)),
                     "10.0.0.1:0@a | 10.0.0.2:9001@b");
    cr_assert_str_eq(list_text(service_find_port(named, &ref, &reason)),
                     "10.0.0.1:9001@a | 10.0.0.2:9001@b");
    service_unref(service);
    service_unref(named);
}
