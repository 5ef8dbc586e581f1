/* Clients that are not gRPC may ask for everything. */
#include <criterion/criterion.h>

#include "fake_host.h"

static struct fake_host f;

static void envoy(void)
{
    fake_open(&f, "envoy");
    fake_put(&f, XDS_CLUSTER, "a", 1);
    fake_put(&f, XDS_CLUSTER, "b", 2);
    fake_put(&f, XDS_ENDPOINT, "a", 1);
}

static void done(void)
{
    fake_close(&f);
}

TestSuite(xds_wildcard, .init = envoy, .fini = done);

Test(xds_wildcard, an_empty_first_request_means_everything)
{
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "", ""), "Cluster a b");
    cr_assert(xds_session_has_wildcard(f.session, XDS_CLUSTER));
    fake_ack(&f, XDS_CLUSTER, "");
    cr_assert_str_eq(fake_next(&f), "");
    cr_assert(xds_session_has_wildcard(f.session, XDS_CLUSTER));
}

Test(xds_wildcard, a_star_means_everything)
{
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "*", ""), "Cluster a b");
}

Test(xds_wildcard, everything_can_be_nothing_and_is_said_once)
{
    cr_assert_str_eq(fake_ask(&f, XDS_LISTENER, "", ""), "Listener");
    fake_ack(&f, XDS_LISTENER, "");
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_wildcard, is_for_listeners_and_clusters_only)
{
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "", ""), "");
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "*", ""), "");
    cr_assert_not(xds_session_has_wildcard(f.session, XDS_ENDPOINT));
}

Test(xds_wildcard, what_changes_is_sent_with_everything)
{
    fake_ask(&f, XDS_CLUSTER, "", "");
    fake_put(&f, XDS_CLUSTER, "c", 3);
    cr_assert_str_eq(fake_next(&f), "Cluster a b c");
    fake_remove(&f, XDS_CLUSTER, "a");
    cr_assert_str_eq(fake_next(&f), "Cluster b c");
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_wildcard, a_touch_without_a_change_is_told_to_nobody)
{
    fake_ask(&f, XDS_CLUSTER, "", "");
    fake_touch(&f, XDS_CLUSTER, "a");
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_wildcard, changes_that_were_not_sent_yet_are_one)
{
    fake_ask(&f, XDS_CLUSTER, "", "");
    fake_put(&f, XDS_CLUSTER, "a", 10);
    fake_put(&f, XDS_CLUSTER, "b", 20);
    cr_assert_eq(f.updates, 1);
    cr_assert_str_eq(fake_next(&f), "Cluster a b");
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_wildcard, nothing_is_held_by_one_who_gave_up_everything)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(64 * 1024);

    fake_ask(&f, XDS_CLUSTER, "*", "");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "", f.nonce[XDS_CLUSTER]), "");
    cr_assert_not_null(strstr(fake_dump(&f, &out).ptr, "\"version\":\"0000000000000000\""));
}

/* What everything brought may be gone by the time that it is named. */
Test(xds_wildcard, is_answered_when_it_ends_though_what_is_named_is_gone)
{
    fake_ask(&f, XDS_CLUSTER, "", "");
    fake_request(&f, XDS_CLUSTER, "a", f.nonce[XDS_CLUSTER]);
    fake_remove(&f, XDS_CLUSTER, "a");
    cr_assert_str_eq(fake_next(&f), "Cluster");
    fake_put(&f, XDS_CLUSTER, "a", 1);
    cr_assert_str_eq(fake_next(&f), "Cluster a");
}

Test(xds_wildcard, is_answered_when_it_ends_with_an_empty_nonce_too)
{
    fake_ask(&f, XDS_CLUSTER, "", "");
    fake_request(&f, XDS_CLUSTER, "a", "");
    fake_remove(&f, XDS_CLUSTER, "a");
    cr_assert_str_eq(fake_next(&f), "Cluster");
}

Test(xds_wildcard, ends_when_names_are_given)
{
    fake_ask(&f, XDS_CLUSTER, "", "");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "a", f.nonce[XDS_CLUSTER]), "Cluster a");
    cr_assert_not(xds_session_has_wildcard(f.session, XDS_CLUSTER));
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "", f.nonce[XDS_CLUSTER]), "");
    cr_assert_not(xds_session_has_wildcard(f.session, XDS_CLUSTER));
}

Test(xds_wildcard, a_name_beside_the_star_is_not_sent_twice)
{
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "* b", ""), "Cluster b a");
    fake_put(&f, XDS_CLUSTER, "b", 20);
    cr_assert_str_eq(fake_next(&f), "Cluster b a");
}

Test(xds_wildcard, a_name_that_is_given_up_beside_the_star_is_part_of_everything_again)
{
    fake_ask(&f, XDS_CLUSTER, "* b", "");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "*", f.nonce[XDS_CLUSTER]), "Cluster a b");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "*", f.nonce[XDS_CLUSTER]), "");
}

Test(xds_wildcard, an_empty_nonce_in_mid_stream_has_everything_sent_again)
{
    fake_ask(&f, XDS_CLUSTER, "", "");
    fake_ack(&f, XDS_CLUSTER, "");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "", ""), "Cluster a b");
}

Test(xds_wildcard, everything_has_the_version_that_all_names_have)
{
    struct fake_host other;

    fake_ask(&f, XDS_CLUSTER, "", "");
    fake_open(&other, "gRPC Go");
    fake_put(&other, XDS_CLUSTER, "a", 1);
    fake_put(&other, XDS_CLUSTER, "b", 2);
    fake_ask(&other, XDS_CLUSTER, "a b", "");
    cr_assert_str_eq(f.version[XDS_CLUSTER], other.version[XDS_CLUSTER]);
    fake_close(&other);
}

/* ---- refusals ---- */

static void nack(const char *names, const char *why)
{
    f.suspected[0] = '\0';
    fake_nack(&f, XDS_CLUSTER, names, why);
}

Test(xds_wildcard, suspects_what_the_client_names_of_everything)
{
    fake_ask(&f, XDS_CLUSTER, "", "");
    nack("", "b is bad");
    cr_assert_str_eq(f.suspected, "*b: b is bad; ");
}

Test(xds_wildcard, suspects_everything_where_the_client_names_nothing)
{
    fake_ask(&f, XDS_CLUSTER, "", "");
    nack("", "no");
    cr_assert_str_eq(f.suspected, "*a: no; *b: no; ");
}

Test(xds_wildcard, tells_what_was_named_from_what_was_not)
{
    fake_ask(&f, XDS_CLUSTER, "* b", "");
    nack("* b", "no");
    cr_assert_str_eq(f.suspected, "b: no; *a: no; ");
    fake_put(&f, XDS_CLUSTER, "b", 20);
    fake_next(&f);
    nack("* b", "b is bad");
    cr_assert_str_eq(f.suspected, "b: b is bad; ");
    fake_put(&f, XDS_CLUSTER, "b", 21);
    fake_next(&f);
    nack("* b", "a is bad");
    cr_assert_str_eq(f.suspected, "*a: a is bad; ");
}

Test(xds_wildcard, suspects_nothing_of_what_has_changed_since)
{
    fake_ask(&f, XDS_CLUSTER, "", "");
    fake_put(&f, XDS_CLUSTER, "b", 20);
    nack("", "b is bad");
    cr_assert_str_eq(f.suspected, "");
    cr_assert_str_eq(fake_next(&f), "Cluster a b");
    nack("", "b is bad");
    cr_assert_str_eq(f.suspected, "*b: b is bad; ");
}
