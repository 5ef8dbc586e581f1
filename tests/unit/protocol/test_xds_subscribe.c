/* What a request is answered with, by type and by the state of the stream. */
#include <criterion/criterion.h>

#include "fake_host.h"

static struct fake_host f;

static void grpc_client(void)
{
    fake_open(&f, "gRPC Go");
    fake_put(&f, XDS_LISTENER, "a", 1);
    fake_put(&f, XDS_LISTENER, "b", 2);
    fake_put(&f, XDS_CLUSTER, "a", 1);
    fake_put(&f, XDS_CLUSTER, "b", 2);
    fake_put(&f, XDS_CLUSTER, "c", 3);
    fake_put(&f, XDS_ENDPOINT, "a", 1);
    fake_put(&f, XDS_ENDPOINT, "b", 2);
    fake_put(&f, XDS_ENDPOINT, "c", 3);
}

static void done(void)
{
    fake_close(&f);
}

TestSuite(xds_subscribe, .init = grpc_client, .fini = done);

Test(xds_subscribe, a_stream_that_asks_nothing_is_told_nothing)
{
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_subscribe, a_named_resource_is_sent)
{
    cr_assert_str_eq(fake_ask(&f, XDS_LISTENER, "a", ""), "Listener a");
    cr_assert_eq(f.answers, 1);
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_subscribe, types_are_answered_independently_and_in_any_order)
{
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "a", ""), "ClusterLoadAssignment a");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "a", ""), "Cluster a");
    cr_assert_str_eq(fake_ask(&f, XDS_LISTENER, "a", ""), "Listener a");
}

Test(xds_subscribe, clusters_go_before_endpoints_before_listeners)
{
    fake_request(&f, XDS_LISTENER, "a", "");
    fake_request(&f, XDS_ENDPOINT, "a", "");
    fake_request(&f, XDS_CLUSTER, "a", "");
    cr_assert_str_eq(fake_next(&f), "Cluster a");
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a");
    cr_assert_str_eq(fake_next(&f), "Listener a");
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_subscribe, an_acknowledgement_is_answered_by_nothing)
{
    fake_ask(&f, XDS_CLUSTER, "a b", "");
    fake_ack(&f, XDS_CLUSTER, "a b");
    cr_assert_str_eq(fake_next(&f), "");
    cr_assert_eq(f.answers, 1);
    cr_assert_eq(xds_session_stats(f.session)->acks, 1);
}

Test(xds_subscribe, a_new_cluster_name_is_answered_with_the_full_state)
{
    fake_ask(&f, XDS_CLUSTER, "a", "");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "a b", f.nonce[XDS_CLUSTER]), "Cluster a b");
}

Test(xds_subscribe, a_new_endpoint_name_is_answered_alone)
{
    fake_ask(&f, XDS_ENDPOINT, "a", "");
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "a b", f.nonce[XDS_ENDPOINT]),
                     "ClusterLoadAssignment b");
}

Test(xds_subscribe, a_new_name_with_a_stale_nonce_is_answered)
{
    char old[32];

    fake_ask(&f, XDS_ENDPOINT, "a", "");
    snprintf(old, sizeof(old), "%s", f.nonce[XDS_ENDPOINT]);
    fake_ack(&f, XDS_ENDPOINT, "a");
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    fake_next(&f);
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "a b", old), "ClusterLoadAssignment b");
    cr_assert_eq(xds_session_stats(f.session)->stale, 1);
    cr_assert_eq(xds_session_stats(f.session)->acks, 1);
}

Test(xds_subscribe, a_nonce_that_was_never_given_acknowledges_nothing)
{
    static const char *const nonces[] = {
        "e9", "c1", "1", "e", "e-1", "e0", "e99999999999999999999999"};

    fake_ask(&f, XDS_ENDPOINT, "a", "");
    for (size_t i = 0; i < ARRAY_LEN(nonces); i++)
        cr_expect_str_eq(fake_ask(&f, XDS_ENDPOINT, "a", nonces[i]), "", "%s", nonces[i]);
    cr_assert_eq(xds_session_stats(f.session)->stale, ARRAY_LEN(nonces));
    cr_assert_eq(xds_session_stats(f.session)->acks, 0);
}

Test(xds_subscribe, the_order_and_repetition_of_names_mean_nothing)
{
    fake_ask(&f, XDS_ENDPOINT, "b a b", "");
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "a b a", f.nonce[XDS_ENDPOINT]), "");
    cr_assert_eq(f.subscribed, 2);
}

Test(xds_subscribe, a_name_that_is_left_out_is_forgotten_without_an_answer)
{
    fake_ask(&f, XDS_CLUSTER, "a b", "");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "b", f.nonce[XDS_CLUSTER]), "");
    cr_assert_eq(f.unsubscribed, 1);
    fake_put(&f, XDS_CLUSTER, "a", 10);
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_subscribe, a_name_that_comes_back_is_sent_again_though_nothing_changed)
{
    fake_ask(&f, XDS_ENDPOINT, "a b", "");
    fake_ack(&f, XDS_ENDPOINT, "a b");
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "a", f.nonce[XDS_ENDPOINT]), "");
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "a b", f.nonce[XDS_ENDPOINT]),
                     "ClusterLoadAssignment b");
}

Test(xds_subscribe, no_names_after_some_means_nothing_not_everything)
{
    fake_ask(&f, XDS_CLUSTER, "a", "");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "", f.nonce[XDS_CLUSTER]), "");
    cr_assert_eq(f.unsubscribed, 1);
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "a", f.nonce[XDS_CLUSTER]), "Cluster a");
}

/* grpc-node drops a type without a word, and begins it anew with an empty nonce. */
Test(xds_subscribe, an_empty_nonce_in_mid_stream_has_everything_sent_again)
{
    fake_ask(&f, XDS_ENDPOINT, "a b", "");
    fake_ack(&f, XDS_ENDPOINT, "a b");
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "a b", ""), "ClusterLoadAssignment a b");
    fake_ask(&f, XDS_CLUSTER, "a", "");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "a", ""), "Cluster a");
}

Test(xds_subscribe, an_empty_nonce_before_anything_was_sent_is_an_ordinary_beginning)
{
    fake_request(&f, XDS_ENDPOINT, "a", "");
    fake_request(&f, XDS_ENDPOINT, "a b", "");
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment a b");
    cr_assert_str_eq(fake_next(&f), "");
}

/* grpc-java before 1.82 may begin a type like this. */
Test(xds_subscribe, an_empty_first_request_of_a_grpc_client_is_answered_by_nothing)
{
    cr_assert_str_eq(fake_ask(&f, XDS_LISTENER, "", ""), "");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "", ""), "");
    cr_assert_eq(f.answers, 0);
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "a", ""), "Cluster a");
}

Test(xds_subscribe, a_star_of_a_grpc_client_is_answered_by_nothing)
{
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "*", ""), "");
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "* a", ""), "Cluster a");
}

Test(xds_subscribe, a_name_without_a_resource_is_not_answered_but_remembered)
{
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "?", ""), "");
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "?", ""), "");
    fake_put(&f, XDS_CLUSTER, "?", 1);
    cr_assert_str_eq(fake_next(&f), "Cluster ?");
    fake_put(&f, XDS_ENDPOINT, "?", 1);
    cr_assert_str_eq(fake_next(&f), "ClusterLoadAssignment ?");
}

Test(xds_subscribe, names_without_resources_do_not_keep_others_from_their_answer)
{
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "? a", ""), "Cluster a");
    cr_assert_str_eq(fake_ask(&f, XDS_ENDPOINT, "? a", ""), "ClusterLoadAssignment a");
}

Test(xds_subscribe, the_empty_name_is_a_name_like_others)
{
    struct str empty = STR("");
    struct xds_request request = {.type_url = str_of(xds_type_url(XDS_ENDPOINT)),
                                  .names = {&empty, 1, 1, false}};

    cr_assert_eq(xds_session_request(f.session, &request, NULL), CODE_OK);
    cr_assert_eq(f.subscribed, 1);
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_subscribe, a_request_of_an_unknown_type_is_counted_and_ignored)
{
    struct xds_request request = {.type_url =
                                      STR("type.googleapis.com/envoy.config.core.v3.Secret")};

    cr_assert_eq(xds_session_request(f.session, &request, NULL), CODE_OK);
    cr_assert_eq(xds_session_stats(f.session)->unknown_types, 1);
    cr_assert_str_eq(fake_next(&f), "");
}

Test(xds_subscribe, a_route_is_answered_alone_and_last)
{
    fake_put(&f, XDS_ROUTE, "r", 1);
    fake_request(&f, XDS_ROUTE, "r", "");
    fake_request(&f, XDS_LISTENER, "a", "");
    cr_assert_str_eq(fake_next(&f), "Listener a");
    cr_assert_str_eq(fake_next(&f), "RouteConfiguration r");
}

Test(xds_subscribe, the_node_of_the_first_request_counts_for_the_whole_stream)
{
    fake_ask(&f, XDS_CLUSTER, "a", "");
    fake_ack(&f, XDS_CLUSTER, "a");
    cr_assert(str_eq(xds_session_node(f.session)->id, STR("client-1")));
    cr_assert(str_eq(xds_session_node(f.session)->user_agent, STR("gRPC Go")));
}

Test(xds_subscribe, a_stream_without_a_node_is_served_too)
{
    f.agent = NULL;
    cr_assert_str_eq(fake_ask(&f, XDS_CLUSTER, "a", ""), "Cluster a");
    cr_assert_eq(xds_session_node(f.session)->id.len, 0);
}

/* ---- limits ---- */

static void many_names(struct xds_request *request, enum xds_type type, size_t len)
{
    static char text[XDS_NAMES_MAX][24];

    request->type_url = str_of(xds_type_url(type));
    request->names.items = xrealloc(request->names.items, len * sizeof(*request->names.items));
    request->names.len = len;
    for (size_t i = 0; i < len; i++) {
        snprintf(text[i], sizeof(text[i]), "n%05zu", i);
        request->names.items[i] = str_of(text[i]);
    }
}

static void ignore_subscription(unused_arg void *ctx, unused_arg struct xds_subscription *sub)
{
}

static bool resolve_none(unused_arg void *ctx, unused_arg struct xds_subscription *sub,
                         unused_arg struct xds_resource *resource)
{
    return false;
}

static void ignore_wake(unused_arg void *ctx, unused_arg bool answer)
{
}

static const struct xds_host empty_host = {.subscribe = ignore_subscription,
                                           .unsubscribe = ignore_subscription,
                                           .resolve = resolve_none,
                                           .wake = ignore_wake};

Test(xds_subscribe, names_are_limited_over_all_types_of_a_stream)
{
    CLEANUP(xds_request_done) struct xds_request request = {0};
    struct xds_session *session = xds_session_new(&empty_host, &(struct xds_variant){0}, NULL);
    struct err err = {0};

    many_names(&request, XDS_CLUSTER, XDS_NAMES_MAX - 1);
    cr_assert_eq(xds_session_request(session, &request, &err), CODE_OK);
    many_names(&request, XDS_ENDPOINT, 1);
    cr_assert_eq(xds_session_request(session, &request, &err), CODE_OK);
    many_names(&request, XDS_ENDPOINT, 2);
    cr_assert_eq(xds_session_request(session, &request, &err), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "more than 10000 names on one stream: ask for the others on another");
    many_names(&request, XDS_CLUSTER, XDS_NAMES_MAX - 2);
    cr_assert_eq(xds_session_request(session, &request, &err), CODE_OK);
    many_names(&request, XDS_ENDPOINT, 2);
    cr_assert_eq(xds_session_request(session, &request, &err), CODE_OK);
    xds_session_free(session);
}

Test(xds_subscribe, what_the_host_has_no_room_for_is_not_subscribed)
{
    f.room = 3;
    cr_assert_eq(fake_request(&f, XDS_CLUSTER, "a b", ""), CODE_OK);
    cr_assert_eq(fake_request(&f, XDS_ENDPOINT, "a b", ""), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(f.err.msg, "4 are too many");
    cr_assert_eq(f.subscribed, 2);
    cr_assert_eq(fake_request(&f, XDS_CLUSTER, "b c d", ""), CODE_OK, "others instead");
    cr_assert_eq(f.subscriptions_len, 3);
}

Test(xds_subscribe, an_idle_stream_is_small)
{
    cr_assert_leq(sizeof(struct xds_subscription), 104);
}
