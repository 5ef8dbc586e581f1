/* Make before break, both ways: what a route leads to goes before it, what it leaves goes after it. */
#include <criterion/criterion.h>

#include "fake_host.h"

static struct fake_host f;

/* A route to two backends, of which one has no endpoints. */
static void set_up(void)
{
    fake_open(&f, "gRPC Go");
    fake_put(&f, XDS_LISTENER, "route", 1);
    fake_put(&f, XDS_CLUSTER, "a", 1);
    fake_put(&f, XDS_CLUSTER, "b", 1);
    fake_put(&f, XDS_ENDPOINT, "a", 1);
    fake_put(&f, XDS_ENDPOINT, "b", 1);
    fake_ask(&f, XDS_LISTENER, "route", "");
    fake_ask(&f, XDS_CLUSTER, "a b", "");
    fake_ask(&f, XDS_ENDPOINT, "a b", "");
}

static void tear_down(void)
{
    fake_close(&f);
}

TestSuite(xds_order, .init = set_up, .fini = tear_down);

static void expect(const char *what)
{
    cr_expect_str_eq(fake_next(&f), what);
}

Test(xds_order, a_list_that_empties_goes_after_the_route)
{
    fake_put_empty(&f, "b", 2);
    fake_put(&f, XDS_LISTENER, "route", 2);
    expect("Listener route");
    expect("ClusterLoadAssignment b");
    expect("");
}

/* Nobody has told the stream so far: the Service's list was the first to be refreshed. */
Test(xds_order, a_list_that_empties_goes_after_the_route_that_is_told_later)
{
    fake_put_quietly(&f, XDS_LISTENER, "route", 2);
    fake_put_empty(&f, "b", 2);
    expect("Listener route");
    expect("ClusterLoadAssignment b");
    expect("");
    fake_touch(&f, XDS_LISTENER, "route");
    expect("");
}

Test(xds_order, a_list_that_comes_goes_before_the_route_also_when_it_is_told_later)
{
    fake_put_quietly(&f, XDS_CLUSTER, "b", 2);
    fake_put_quietly(&f, XDS_ENDPOINT, "b", 2);
    fake_put(&f, XDS_LISTENER, "route", 2);
    expect("Cluster a b");
    expect("ClusterLoadAssignment b");
    expect("Listener route");
    expect("");
}

Test(xds_order, one_backend_comes_and_the_other_one_goes)
{
    fake_put_empty(&f, "a", 2);
    fake_put_quietly(&f, XDS_ENDPOINT, "b", 2);
    fake_put_quietly(&f, XDS_LISTENER, "route", 2);
    expect("ClusterLoadAssignment b");
    expect("Listener route");
    expect("ClusterLoadAssignment a");
    expect("");
}

/* What becomes of the route while the client is slow. */
Test(xds_order, an_empty_list_waits_for_the_newest_route)
{
    fake_put_empty(&f, "a", 2);
    fake_put(&f, XDS_ENDPOINT, "b", 2);
    fake_put(&f, XDS_LISTENER, "route", 2);
    expect("ClusterLoadAssignment b");
    fake_put(&f, XDS_LISTENER, "route", 3);
    fake_put(&f, XDS_ENDPOINT, "b", 3);
    expect("ClusterLoadAssignment b");
    expect("Listener route");
    expect("ClusterLoadAssignment a");
    expect("");
}

Test(xds_order, an_empty_list_that_no_route_leaves_goes_with_the_others)
{
    fake_put_empty(&f, "a", 2);
    fake_put(&f, XDS_ENDPOINT, "b", 2);
    expect("ClusterLoadAssignment a b");
    expect("");
}

Test(xds_order, an_empty_list_does_not_wait_for_a_route_that_stays)
{
    fake_put_empty(&f, "a", 2);
    fake_touch(&f, XDS_LISTENER, "route");
    expect("ClusterLoadAssignment a");
    expect("");
}

Test(xds_order, an_empty_list_does_not_wait_for_a_route_that_cannot_be_sent)
{
    fake_put_sized(&f, XDS_LISTENER, "route", 2, 4 * 1024 * 1024);
    fake_put_empty(&f, "a", 2);
    expect("ClusterLoadAssignment a");
    expect("");
}

Test(xds_order, an_empty_list_does_not_wait_for_a_route_that_was_refused)
{
    fake_put(&f, XDS_LISTENER, "route", 2);
    expect("Listener route");
    fake_nack(&f, XDS_LISTENER, "route", "no");
    fake_put_empty(&f, "a", 2);
    expect("ClusterLoadAssignment a");
    expect("");
}
