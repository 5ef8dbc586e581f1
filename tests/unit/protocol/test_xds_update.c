/* What changes, refusals and sizes lead to. */
#include <criterion/criterion.h>

#include "fake_host.h"

#define MIB ((size_t)1024 * 1024)

static struct fake_host f;

static void grpc_client(void)
{
    fake_open(&f, "gRPC Go");
    fake_put(&f, XDS_CLUSTER, "a", 1);
    fake_put(&f, XDS_CLUSTER, "b", 2);
    fake_put(&f, XDS_CLUSTER, "c", 3);
    fake_put(&f, XDS_ENDPOINT, "a", 1);
    fake_put(&f, XDS_ENDPOINT, "b", 2);
    fake_put(&f, XDS_ENDPOINT, "c", 3);
    fake_ask(&f, XDS_CLUSTER, "a b c", "");
    fake_ack(&f, XDS_CLUSTER, "a b c");
    fake_ask(&f, XDS_ENDPOINT, "a b c", "");
    fake_ack(&f, XDS_ENDPOINT, "a b c");
}

static void done(void)
{
    fake_close(&f);
}

TestSuite(xds_update, .init = grpc_client, .fini = done);

Test(xds_update, changed_endpoints_are_sent_alone)
{
    size_t encoded = f.encoded;

    fake_put(&f, XDS_ENDPOINT, "b", 20);
    cr_assert_eq(f.updates, 1);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment b");
    cr_assert_str_eq(fake_next(&f), "");
    cr_assert_eq(f.encoded, encoded + 1);
}

Test(xds_update, a_changed_cluster_brings_the_full_state)
{
    fake_put(&f, XDS_CLUSTER, "b", 20);
    cr_assert_str_eq(fake_next(&f), "Cluster a b c");
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_update, a_touch_without_a_change_is_told_to_nobody)
{
    size_t encoded = f.encoded;

    fake_touch(&f, XDS_ENDPOINT, "b");
    fake_touch(&f, XDS_CLUSTER, "b");
    cr_assert_str_eq(fake_next(&f), "");
    cr_assert_eq(f.encoded, encoded, "lists are made to be sent");
}

Test(xds_update, changes_that_were_not_sent_yet_are_one)
{
    fake_put(&f, XDS_ENDPOINT, "b", 20);
    fake_put(&f, XDS_ENDPOINT, "b", 21);
    fake_put(&f, XDS_ENDPOINT, "b", 22);
    cr_assert_eq(f.updates, 1);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment b");
    cr_assert_str_eq(fake_next(&f), "");
}

static void listen(void)
{
    fake_put(&f, XDS_LISTENER, "l", 1);
    fake_ask(&f, XDS_LISTENER, "l", "");
    fake_ack(&f, XDS_LISTENER, "l");
}

Test(xds_update, a_list_that_became_empty_is_told_after_the_route_that_left_it)
{
    listen();
    fake_put_empty(&f, "b", 20);
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_put(&f, XDS_LISTENER, "l", 2);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a");
    cr_assert_str_eq(fake_next(&f), "Listener l");
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment b");
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_update, a_list_that_became_empty_waits_for_no_listener_that_is_as_it_was)
{
    listen();
    fake_put_empty(&f, "b", 20);
    fake_touch(&f, XDS_LISTENER, "l");
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment b");
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_update, a_change_that_was_taken_back_before_it_was_sent_is_none)
{
    fake_put(&f, XDS_ENDPOINT, "b", 20);
    fake_put(&f, XDS_ENDPOINT, "b", 2);
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_update, nothing_waits_for_an_acknowledgement)
{
    for (uint64_t version = 100; version < 120; version++) {
        fake_put(&f, XDS_ENDPOINT, "a", version);
        cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a");
    }
}

Test(xds_update, endpoints_that_vanish_are_not_mentioned)
{
    fake_remove(&f, XDS_ENDPOINT, "a");
    cr_assert_str_eq(fake_next(&f), "");
    fake_put(&f, XDS_ENDPOINT, "a", 1);
    cr_assert_str_eq(fake_next(&f), "", "the client still has it");
}

Test(xds_update, a_cluster_that_the_host_withdraws_is_missing_in_the_full_state)
{
    fake_remove(&f, XDS_CLUSTER, "b");
    cr_assert_str_eq(fake_next(&f), "Cluster a c");
    fake_put(&f, XDS_CLUSTER, "b", 2);
    cr_assert_str_eq(fake_next(&f), "Cluster a b c");
}

Test(xds_update, withdrawing_the_last_cluster_is_an_empty_response)
{
    fake_ack(&f, XDS_CLUSTER, "a");
    fake_remove(&f, XDS_CLUSTER, "a");
    cr_assert_str_eq(fake_next(&f), "Cluster");
    cr_assert_str_eq(fake_next(&f), "");
}

/* ---- NACK ---- */

Test(xds_update, a_refusal_is_recorded_and_answered_by_nothing)
{
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b c", "no such thing");
    cr_assert_str_eq(fake_next(&f), "");
    cr_assert_str_eq(f.suspected, "a: no such thing; ");
    cr_assert_eq(xds_session_stats(f.session)->nacks, 1);
    cr_assert_eq(xds_session_stats(f.session)->acks, 2);
}

Test(xds_update, a_refused_version_is_not_sent_again_by_a_touch)
{
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b c", "bad");
    fake_touch(&f, XDS_ENDPOINT, "a");
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_update, a_refused_version_is_not_sent_when_it_comes_back)
{
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b c", "bad");
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a");
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    cr_assert_str_eq(fake_next(&f), "");
    fake_put(&f, XDS_ENDPOINT, "a", 12);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a");
}

/* The client applied the good ones of such a response: to hold one back later would leave it
 * with a wrong list. */
Test(xds_update, of_several_refused_together_each_may_come_back)
{
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_put(&f, XDS_ENDPOINT, "b", 20);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a b");
    fake_nack(&f, XDS_ENDPOINT, "a b c", "b is bad");
    cr_assert_str_eq(fake_next(&f), "");
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    fake_next(&f);
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a");
}

Test(xds_update, what_was_sent_alone_before_is_not_held_back_for_a_refusal_of_several)
{
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    fake_ack(&f, XDS_ENDPOINT, "a b c");
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    fake_put(&f, XDS_ENDPOINT, "b", 20);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b c", "b is bad");
    fake_put(&f, XDS_ENDPOINT, "a", 12);
    fake_next(&f);
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a");
}

Test(xds_update, a_late_refusal_counts_for_what_it_refuses)
{
    char nonce[32];

    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    snprintf(nonce, sizeof(nonce), "%s", f.nonce[XDS_ENDPOINT]);
    for (uint64_t version = 20; version < 40; version++) {
        fake_put(&f, XDS_ENDPOINT, "b", version);
        fake_next(&f);
    }
    fake_nack_nonce(&f, XDS_ENDPOINT, "a b c", nonce, "a is bad");
    cr_assert_eq(xds_session_stats(f.session)->nacks, 1);
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    fake_next(&f);
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    cr_assert_str_eq(fake_next(&f), "");
    fake_touch(&f, XDS_ENDPOINT, "b");
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_update, a_late_refusal_of_what_was_replaced_holds_nothing_back)
{
    char nonce[32];

    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    snprintf(nonce, sizeof(nonce), "%s", f.nonce[XDS_ENDPOINT]);
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    fake_next(&f);
    fake_nack_nonce(&f, XDS_ENDPOINT, "a b c", nonce, "bad");
    fake_put(&f, XDS_ENDPOINT, "a", 12);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a");
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a");
}

/* grpc-node says it with every request until a response is good again. */
Test(xds_update, a_repeated_refusal_is_one)
{
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b c", "bad");
    fake_nack(&f, XDS_ENDPOINT, "a b", "bad");
    cr_assert_str_eq(fake_next(&f), "");
    fake_nack(&f, XDS_ENDPOINT, "a b c", "bad");
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment c");
    cr_assert_eq(xds_session_stats(f.session)->nacks, 1);
}

/* C-core says it once; the nonce stays. */
Test(xds_update, a_refused_nonce_without_the_error_is_no_acknowledgement)
{
    uint64_t acks = xds_session_stats(f.session)->acks;

    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b c", "bad");
    fake_ack(&f, XDS_ENDPOINT, "a b");
    cr_assert_eq(xds_session_stats(f.session)->acks, acks);
}

Test(xds_update, a_refused_resource_is_sent_to_one_who_names_it_anew)
{
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b c", "bad");
    fake_ack(&f, XDS_ENDPOINT, "b c");
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "a b c", f.nonce[XDS_ENDPOINT]),
                     "ClusterLoadAssignment a");
}

Test(xds_update, a_refused_resource_is_sent_to_one_who_forgot_everything)
{
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b c", "bad");
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "a b c", ""), "ClusterLoadAssignment a b c");
}

Test(xds_update, forgetting_ends_a_refusal)
{
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b c", "bad");
    fake_ask(&f, XDS_ENDPOINT, "a b c", "");
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    fake_next(&f);
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a");
}

Test(xds_update, a_refused_cluster_rides_along_in_the_full_state)
{
    fake_put(&f, XDS_CLUSTER, "a", 10);
    fake_next(&f);
    fake_nack(&f, XDS_CLUSTER, "a b c", "bad");
    fake_touch(&f, XDS_CLUSTER, "a");
    cr_assert_str_eq(fake_next(&f), "");
    fake_put(&f, XDS_CLUSTER, "b", 20);
    cr_assert_str_eq(fake_next(&f), "Cluster a b c");
}

Test(xds_update, the_text_of_a_refusal_is_cut)
{
    char text[XDS_NACK_TEXT_MAX + 100];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b c", text);
    cr_assert_eq(strlen(f.suspected), strlen("a: ; ") + XDS_NACK_TEXT_MAX);
}

/* ---- sizes ---- */

Test(xds_update, endpoints_are_split_over_responses)
{
    fake_put_sized(&f, XDS_ENDPOINT, "a", 10, 2 * MIB);
    fake_put_sized(&f, XDS_ENDPOINT, "b", 20, 3 * MIB / 2);
    fake_put_sized(&f, XDS_ENDPOINT, "c", 30, 3 * MIB);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a b");
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment c");
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_update, endpoints_that_fit_no_response_are_refused_by_name_and_the_last_good_stay)
{
    fake_put_sized(&f, XDS_ENDPOINT, "a", 10, 4 * MIB);
    fake_put(&f, XDS_ENDPOINT, "b", 20);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment b");
    cr_assert_eq(strncmp(f.refused, "a ", 2), 0);
    cr_assert_eq(xds_session_stats(f.session)->refused, 1);
    fake_put(&f, XDS_ENDPOINT, "a", 1);
    cr_assert_str_eq(fake_next(&f), "", "what the client has");
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a");
}

Test(xds_update, what_is_too_big_is_said_once_until_it_fits)
{
    fake_put_sized(&f, XDS_ENDPOINT, "a", 10, 4 * MIB);
    fake_next(&f);
    fake_put_sized(&f, XDS_ENDPOINT, "a", 11, 4 * MIB);
    fake_next(&f);
    cr_assert_eq(xds_session_stats(f.session)->refused, 1);
    fake_put(&f, XDS_ENDPOINT, "a", 12);
    fake_next(&f);
    fake_put_sized(&f, XDS_ENDPOINT, "a", 13, 4 * MIB);
    fake_next(&f);
    cr_assert_eq(xds_session_stats(f.session)->refused, 2);
}

Test(xds_update, a_full_state_that_does_not_fit_is_not_sent)
{
    fake_put_sized(&f, XDS_CLUSTER, "a", 10, 2 * MIB);
    cr_assert_str_eq(fake_next(&f), "Cluster a b c");
    fake_put_sized(&f, XDS_CLUSTER, "b", 20, 2 * MIB);
    cr_assert_str_eq(fake_next(&f), "");
    cr_assert_eq(strncmp(f.refused, "b ", 2), 0);
    fake_put(&f, XDS_CLUSTER, "b", 21);
    cr_assert_str_eq(fake_next(&f), "Cluster a b c");
}

Test(xds_update, a_new_name_that_does_not_fit_costs_nobody_else_anything)
{
    fake_put_sized(&f, XDS_CLUSTER, "d", 4, 4 * MIB);
    fake_put(&f, XDS_CLUSTER, "e", 5);
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "a b c d e", f.nonce[XDS_CLUSTER]),
                     "Cluster a b c e");
    cr_assert_eq(strncmp(f.refused, "d ", 2), 0);
}

/* ---- versions and nonces ---- */

Test(xds_update, nonces_never_repeat_on_a_stream)
{
    char seen[40][32];

    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        enum xds_type type = i % 3 == 0 ? XDS_CLUSTER : XDS_ENDPOINT;

        fake_put(&f, type, "a", 100 + i);
        fake_next(&f);
        snprintf(seen[i], sizeof(seen[i]), "%s", f.nonce[type]);
        for (size_t j = 0; j < i; j++)
            cr_assert_str_neq(seen[i], seen[j]);
    }
}

Test(xds_update, a_change_changes_the_version_and_taking_it_back_takes_the_version_back)
{
    char before[32];

    snprintf(before, sizeof(before), "%s", f.version[XDS_ENDPOINT]);
    fake_put(&f, XDS_ENDPOINT, "b", 20);
    fake_next(&f);
    cr_assert_str_neq(f.version[XDS_ENDPOINT], before);
    fake_put(&f, XDS_ENDPOINT, "b", 2);
    fake_next(&f);
    cr_assert_str_eq(f.version[XDS_ENDPOINT], before);
}

Test(xds_update, versions_are_equal_after_a_reconnect)
{
    char clusters[32];
    char endpoints[32];

    snprintf(clusters, sizeof(clusters), "%s", f.version[XDS_CLUSTER]);
    snprintf(endpoints, sizeof(endpoints), "%s", f.version[XDS_ENDPOINT]);
    fake_reconnect(&f);
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "c b a", ""), "ClusterLoadAssignment a b c");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "c b a", ""), "Cluster a b c");
    cr_assert_str_eq(f.version[XDS_CLUSTER], clusters);
    cr_assert_str_eq(f.version[XDS_ENDPOINT], endpoints);
}

/* Two replicas that came to the same state by different ways. */
Test(xds_update, versions_are_equal_for_equal_subscriptions_whatever_came_before)
{
    struct fake_host other;

    fake_open(&other, "gRPC Java");
    fake_put(&other, XDS_ENDPOINT, "c", 7);
    fake_put(&other, XDS_ENDPOINT, "x", 8);
    fake_ask(&other, XDS_ENDPOINT, "c x", "");
    fake_put(&other, XDS_ENDPOINT, "a", 1);
    fake_put(&other, XDS_ENDPOINT, "c", 3);
    fake_ask(&other, XDS_ENDPOINT, "a c", other.nonce[XDS_ENDPOINT]);
    fake_put(&other, XDS_ENDPOINT, "b", 2);
    fake_ask(&other, XDS_ENDPOINT, "a b c", other.nonce[XDS_ENDPOINT]);
    cr_assert_str_eq(other.version[XDS_ENDPOINT], f.version[XDS_ENDPOINT]);
    fake_close(&other);
}

Test(xds_update, swapping_two_versions_gives_another_one)
{
    char before[32];

    snprintf(before, sizeof(before), "%s", f.version[XDS_ENDPOINT]);
    fake_put(&f, XDS_ENDPOINT, "a", 2);
    fake_put(&f, XDS_ENDPOINT, "b", 1);
    fake_next(&f);
    cr_assert_str_neq(f.version[XDS_ENDPOINT], before);
}

/* ---- dump ---- */

Test(xds_update, the_dump_forgets_a_refusal_when_something_newer_was_sent)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(64 * 1024);

    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b c", "bad");
    cr_assert_not_null(strstr(fake_dump(&f, &out).ptr, "\"rejected\""));
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    fake_next(&f);
    buf_reset(&out);
    cr_assert_null(strstr(fake_dump(&f, &out).ptr, "\"rejected\""));
}

Test(xds_update, the_dump_tells_what_was_asked_sent_and_acknowledged)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(64 * 1024);
    struct str text;

    fake_put(&f, XDS_ENDPOINT, "b", 0x20);
    fake_next(&f);
    fake_nack(&f, XDS_ENDPOINT, "a b d", "bad \x1b text");
    fake_put(&f, XDS_CLUSTER, "a", 10);
    fake_next(&f);
    text = fake_dump(&f, &out);
    cr_assert_not_null(strstr(text.ptr, "\"id\":\"client-1\""), "%s", text.ptr);
    cr_assert_not_null(
        strstr(text.ptr,
               "{\"name\":\"a\",\"state\":\"acknowledged\",\"version\":\"0000000000000001\"}"),
        "%s", text.ptr);
    cr_assert_not_null(
        strstr(text.ptr,
               "{\"name\":\"b\",\"state\":\"rejected\",\"version\":\"0000000000000020\"}"),
        "%s", text.ptr);
    cr_assert_not_null(strstr(text.ptr, "{\"name\":\"d\",\"state\":\"unanswered\"}"), "%s",
                       text.ptr);
    cr_assert_not_null(
        strstr(text.ptr, "{\"name\":\"a\",\"state\":\"sent\",\"version\":\"000000000000000a\"}"),
        "%s", text.ptr);
    cr_assert_not_null(strstr(text.ptr, "\"message\":\"bad \\u001b text\""), "%s", text.ptr);
    cr_assert_not_null(strstr(text.ptr, "\"nacks\":1"), "%s", text.ptr);
}

static bool is_named(void *ctx, const struct xds_subscription *subscription)
{
    return str_eq(subscription->name, str_of(ctx));
}

Test(xds_update, the_dump_of_some_names_leaves_out_the_others_and_their_types)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(64 * 1024);
    struct json_writer writer = json_writer(&out);

    fake_ack(&f, XDS_ENDPOINT, "a b d");
    cr_assert(xds_session_has(f.session, is_named, "d"));
    cr_assert_not(xds_session_has(f.session, is_named, "nobody"));
    json_open_object(&writer, NULL);
    xds_session_dump(f.session, &writer, is_named, "d");
    json_close_object(&writer);
    cr_assert_not_null(strstr(buf_cstr(&out), "\"names\":[{\"name\":\"d\",\"state\":\"unanswered\"}]"),
                       "%s", buf_cstr(&out));
    cr_assert_null(strstr(buf_cstr(&out), "\"type\":\"Cluster\""));
}
