/* A host that gives versions texts of its own. */
#include <criterion/criterion.h>

#include "fake_host.h"

static struct fake_host f;

static void start(const struct xds_variant *variant)
{
    fake_open_texts(&f, "envoy", variant);
    fake_put(&f, XDS_CLUSTER, "a", 1);
    fake_put(&f, XDS_CLUSTER, "b", 2);
    fake_put(&f, XDS_ENDPOINT, "a", 3);
}

#define ASK(type, names, text) cr_expect_str_eq(fake_ask(&f, type, names, ""), text)

Test(xds_texts, a_response_has_the_version_of_its_type)
{
    start(&(struct xds_variant){0});
    ASK(XDS_CLUSTER, "a", "Cluster a");
    cr_expect_str_eq(f.version[XDS_CLUSTER], "all");
    fake_close(&f);
}

/* What is in them is looked at by the fake. */
Test(xds_texts, a_delta_response_has_those_of_its_resources)
{
    start(&(struct xds_variant){.delta = true});
    ASK(XDS_CLUSTER, "a b", "Cluster a b");
    cr_expect_str_eq(f.version[XDS_CLUSTER], "all");
    ASK(XDS_ENDPOINT, "a", "ClusterLoadAssignment a");
    fake_put(&f, XDS_ENDPOINT, "a", 1000000);
    cr_expect_str_eq(fake_next(&f), "ClusterLoadAssignment a");
    fake_close(&f);
}

Test(xds_texts, what_a_client_has_is_known_by_them)
{
    start(&(struct xds_variant){.delta = true});
    f.known = "a=v1 b=1";
    ASK(XDS_CLUSTER, "a b", "Cluster b");
    fake_close(&f);
}

Test(xds_texts, what_a_wildcard_brought_is_known_by_them)
{
    start(&(struct xds_variant){.delta = true});
    f.known = "a=v1 b=v1 c=v9";
    ASK(XDS_CLUSTER, "", "Cluster b -c");
    fake_close(&f);
}
