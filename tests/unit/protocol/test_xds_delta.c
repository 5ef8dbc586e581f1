/* Delta streams: what is added and taken away, and what a client has from before. */
#include <criterion/criterion.h>

#include "fake_host.h"
#include "protocol/name_set.h"

static struct fake_host f;

static void start(void)
{
    fake_open_variant(&f, "envoy", &(struct xds_variant){.delta = true});
    fake_put(&f, XDS_CLUSTER, "a", 1);
    fake_put(&f, XDS_CLUSTER, "b", 2);
    fake_put(&f, XDS_ENDPOINT, "a", 1);
    fake_put(&f, XDS_ENDPOINT, "b", 2);
}

static void stop(void)
{
    fake_close(&f);
}

TestSuite(xds_delta, .init = start, .fini = stop);

#define EXPECT(text) cr_expect_str_eq(fake_next(&f), text)
#define ASK(type, names, text) cr_expect_str_eq(fake_ask(&f, type, names, ""), text)

/* ---- names ---- */

Test(xds_delta, names_are_added_and_taken_away)
{
    ASK(XDS_ENDPOINT, "a", "ClusterLoadAssignment a");
    EXPECT("");
    ASK(XDS_ENDPOINT, "b", "ClusterLoadAssignment b");
    fake_put(&f, XDS_ENDPOINT, "a", 10);
    fake_put(&f, XDS_ENDPOINT, "b", 20);
    EXPECT("ClusterLoadAssignment a b");
    ASK(XDS_ENDPOINT, "-a", "");
    fake_put(&f, XDS_ENDPOINT, "a", 11);
    EXPECT("");
    fake_put(&f, XDS_ENDPOINT, "b", 21);
    EXPECT("ClusterLoadAssignment b");
    cr_expect_eq(f.unsubscribed, 1);
}

Test(xds_delta, only_what_changed_is_sent_of_every_type)
{
    ASK(XDS_CLUSTER, "a b", "Cluster a b");
    fake_put(&f, XDS_CLUSTER, "b", 3);
    EXPECT("Cluster b");
    fake_touch(&f, XDS_CLUSTER, "a");
    EXPECT("");
}

Test(xds_delta, a_name_that_is_asked_for_again_is_answered_again)
{
    ASK(XDS_CLUSTER, "a", "Cluster a");
    ASK(XDS_CLUSTER, "a", "Cluster a");
    ASK(XDS_CLUSTER, "-a", "");
    ASK(XDS_CLUSTER, "a", "Cluster a");
}

Test(xds_delta, what_is_not_there_is_told)
{
    ASK(XDS_CLUSTER, "a ghost", "Cluster a -ghost");
    fake_touch(&f, XDS_CLUSTER, "ghost");
    EXPECT("");
    fake_put(&f, XDS_CLUSTER, "ghost", 5);
    EXPECT("Cluster ghost");
    fake_remove(&f, XDS_CLUSTER, "ghost");
    EXPECT("Cluster -ghost");
    fake_put(&f, XDS_CLUSTER, "ghost", 5);
    EXPECT("Cluster ghost");
    ASK(XDS_CLUSTER, "none", "Cluster -none");
    ASK(XDS_CLUSTER, "none", "Cluster -none");
}

Test(xds_delta, what_is_taken_away_need_not_be_there)
{
    ASK(XDS_CLUSTER, "-ghost", "");
    cr_expect_not(xds_session_has_wildcard(f.session, XDS_CLUSTER), "it named something");
    ASK(XDS_CLUSTER, "", "");
}

/* ---- acknowledging ---- */

Test(xds_delta, what_was_refused_alone_is_not_sent_again)
{
    ASK(XDS_CLUSTER, "a", "Cluster a");
    fake_nack(&f, XDS_CLUSTER, "", "a: bad");
    cr_expect_str_eq(f.suspected, "a: a: bad; ");
    EXPECT("");
    fake_put(&f, XDS_CLUSTER, "a", 7);
    EXPECT("Cluster a");
    fake_ack(&f, XDS_CLUSTER, "");
    cr_expect_eq(xds_session_stats(f.session)->acks, 1);
    cr_expect_eq(xds_session_stats(f.session)->nacks, 1);
    fake_put(&f, XDS_CLUSTER, "a", 1);
    EXPECT("Cluster a");
}

/* Also when another one was refused since then, or is on its way. */
Test(xds_delta, what_was_refused_is_not_owed_again)
{
    ASK(XDS_CLUSTER, "a", "Cluster a");
    fake_nack(&f, XDS_CLUSTER, "", "a: bad");
    fake_put(&f, XDS_CLUSTER, "a", 7);
    EXPECT("Cluster a");
    fake_put(&f, XDS_CLUSTER, "a", 1);
    EXPECT("");
    fake_nack(&f, XDS_CLUSTER, "", "a: bad, too");
    EXPECT("");
}

Test(xds_delta, a_wildcards_refusal_means_what_was_in_the_response)
{
    ASK(XDS_CLUSTER, "", "Cluster a b");
    fake_ack(&f, XDS_CLUSTER, "");
    fake_put(&f, XDS_CLUSTER, "b", 3);
    EXPECT("Cluster b");
    fake_nack(&f, XDS_CLUSTER, "", "no good");
    cr_expect_str_eq(f.suspected, "*b: no good; ");
    EXPECT("");
}

Test(xds_delta, a_nonce_of_another_stream_means_nothing)
{
    ASK(XDS_CLUSTER, "a", "Cluster a");
    cr_expect_str_eq(fake_ask(&f, XDS_CLUSTER, "b", "c77"), "Cluster b");
    cr_expect_eq(xds_session_stats(f.session)->stale, 1);
}

/* ---- wildcards ---- */

Test(xds_delta, an_empty_first_request_means_everything)
{
    ASK(XDS_CLUSTER, "", "Cluster a b");
    fake_ack(&f, XDS_CLUSTER, "");
    EXPECT("");
    fake_put(&f, XDS_CLUSTER, "c", 3);
    EXPECT("Cluster c");
    fake_remove(&f, XDS_CLUSTER, "a");
    EXPECT("Cluster -a");
    fake_touch(&f, XDS_CLUSTER, "b");
    EXPECT("");
}

Test(xds_delta, everything_can_be_nothing_and_is_said_once)
{
    ASK(XDS_LISTENER, "*", "Listener");
    fake_ack(&f, XDS_LISTENER, "");
    EXPECT("");
    ASK(XDS_ENDPOINT, "*", "");
}

Test(xds_delta, a_star_begins_and_ends_a_wildcard)
{
    ASK(XDS_CLUSTER, "a", "Cluster a");
    ASK(XDS_CLUSTER, "*", "Cluster b");
    fake_put(&f, XDS_CLUSTER, "b", 3);
    EXPECT("Cluster b");
    ASK(XDS_CLUSTER, "-*", "");
    fake_put(&f, XDS_CLUSTER, "b", 4);
    EXPECT("");
    fake_put(&f, XDS_CLUSTER, "a", 4);
    EXPECT("Cluster a");
    ASK(XDS_CLUSTER, "*", "Cluster b");
    ASK(XDS_CLUSTER, "*", "Cluster b");
}

Test(xds_delta, what_is_named_no_longer_is_a_part_of_everything)
{
    ASK(XDS_CLUSTER, "*", "Cluster a b");
    ASK(XDS_CLUSTER, "a ghost", "Cluster a -ghost");
    fake_put(&f, XDS_CLUSTER, "a", 5);
    EXPECT("Cluster a");
    ASK(XDS_CLUSTER, "-a", "Cluster a");
    fake_put(&f, XDS_CLUSTER, "a", 6);
    EXPECT("Cluster a");
    fake_remove(&f, XDS_CLUSTER, "a");
    EXPECT("Cluster -a");
}

/* What a request makes part of everything may be no more before that is told. */
Test(xds_delta, what_goes_before_everything_is_told_again_is_told)
{
    ASK(XDS_CLUSTER, "*", "Cluster a b");
    fake_remove(&f, XDS_CLUSTER, "a");
    ASK(XDS_CLUSTER, "*", "Cluster b -a");
    ASK(XDS_CLUSTER, "b", "Cluster b");
    fake_remove(&f, XDS_CLUSTER, "b");
    ASK(XDS_CLUSTER, "-b", "Cluster -b");
    ASK(XDS_CLUSTER, "ghost", "Cluster -ghost");
    ASK(XDS_CLUSTER, "-ghost", "");
}

/* Asked for by its name, and no longer, before that was answered. */
Test(xds_delta, what_was_named_in_passing_is_still_a_part_of_everything)
{
    ASK(XDS_CLUSTER, "*", "Cluster a b");
    cr_assert_eq(fake_request(&f, XDS_CLUSTER, "a", ""), CODE_OK);
    cr_assert_eq(fake_request(&f, XDS_CLUSTER, "-a", ""), CODE_OK);
    fake_remove(&f, XDS_CLUSTER, "a");
    EXPECT("Cluster -a");
}

/* A look that finds nothing to say says nothing of the next one. */
Test(xds_delta, what_goes_after_a_quiet_look_is_told)
{
    ASK(XDS_CLUSTER, "*", "Cluster a b");
    fake_touch(&f, XDS_CLUSTER, "a");
    EXPECT("");
    fake_remove(&f, XDS_CLUSTER, "a");
    EXPECT("Cluster -a");
}

Test(xds_delta, what_a_wildcard_brought_is_counted)
{
    ASK(XDS_CLUSTER, "*", "Cluster a b");
    cr_expect_eq(f.brought, 2);
    ASK(XDS_CLUSTER, "a", "Cluster a");
    cr_expect_eq(f.brought, 1);
    fake_remove(&f, XDS_CLUSTER, "b");
    EXPECT("Cluster -b");
    cr_expect_eq(f.brought, 0);
    fake_put(&f, XDS_CLUSTER, "b", 5);
    EXPECT("Cluster b");
    ASK(XDS_CLUSTER, "-*", "");
    cr_expect_eq(f.brought, 0);
}

/* ---- from an earlier stream ---- */

Test(xds_delta, what_a_client_has_is_not_sent_again)
{
    f.known = "a=0000000000000001 b=0000000000000001";
    ASK(XDS_ENDPOINT, "a b", "ClusterLoadAssignment b");
    fake_put(&f, XDS_ENDPOINT, "a", 3);
    EXPECT("ClusterLoadAssignment a");
    f.known = "a=0000000000000001";
    cr_expect_str_eq(fake_ask(&f, XDS_ENDPOINT, "-b", ""), "", "only the first request tells");
    fake_touch(&f, XDS_ENDPOINT, "a");
    EXPECT("");
}

Test(xds_delta, a_reconnect_with_everything_as_it_is_gets_nothing)
{
    f.known = "a=0000000000000001 b=0000000000000002";
    ASK(XDS_CLUSTER, "", "");
    fake_put(&f, XDS_CLUSTER, "b", 3);
    EXPECT("Cluster b");
}

Test(xds_delta, what_is_gone_meanwhile_is_told)
{
    f.known = "a=0000000000000001 b=7 gone=0000000000000009 odd=v1";
    ASK(XDS_CLUSTER, "*", "Cluster b -gone -odd");
    EXPECT("");
}

Test(xds_delta, what_is_named_and_gone_is_told)
{
    f.known = "gone=0000000000000009";
    ASK(XDS_CLUSTER, "gone", "Cluster -gone");
}

/* ---- sizes, order, single services ---- */

Test(xds_delta, what_does_not_fit_comes_with_the_next_response)
{
    fake_put_sized(&f, XDS_CLUSTER, "a", 3, 3 * 1024 * 1024);
    fake_put_sized(&f, XDS_CLUSTER, "b", 3, 3 * 1024 * 1024);
    fake_put_sized(&f, XDS_CLUSTER, "c", 3, XDS_RESPONSE_MAX);
    f.known = "gone=0000000000000009";
    ASK(XDS_CLUSTER, "*", "Cluster a");
    EXPECT("Cluster b -gone");
    EXPECT("");
    ASK(XDS_CLUSTER, "a b c", "Cluster a");
    EXPECT("Cluster b");
    EXPECT("");
    cr_expect_str_neq(f.refused, "");
}

Test(xds_delta, a_list_that_empties_comes_after_the_routes_that_leave_it)
{
    fake_put(&f, XDS_LISTENER, "l", 1);
    ASK(XDS_LISTENER, "l", "Listener l");
    ASK(XDS_ENDPOINT, "a", "ClusterLoadAssignment a");
    fake_put_empty(&f, "a", 9);
    fake_put(&f, XDS_LISTENER, "l", 2);
    EXPECT("Listener l");
    EXPECT("ClusterLoadAssignment a");
}

Test(xds_delta, names_have_a_limit_over_all_requests)
{
    CLEANUP(buf_done) struct buf names = BUFFER_INIT(1024 * 1024);

    for (int i = 0; i < XDS_NAMES_MAX; i++)
        buf_printf(&names, "%sn%d", i ? " " : "", i);
    fake_request(&f, XDS_CLUSTER, "a", "");
    cr_expect_eq(fake_request(&f, XDS_CLUSTER, buf_cstr(&names), ""), CODE_RESOURCE_EXHAUSTED);
    cr_expect_str_eq(f.err.msg,
                     "more than 10000 names on one stream: ask for the others on another");
}

static void add_numbers(struct buf *names, const char *sign, int from, int to)
{
    for (int i = from; i < to; i++)
        buf_printf(names, "%s%sn%d", names->len ? " " : "", sign, i);
}

/* To nobody: only the session counts. */
static enum code request_numbers(struct xds_session *session, int from, int to, int gone_to)
{
    CLEANUP(buf_done) struct buf names = BUFFER_INIT(1024 * 1024), gone = BUFFER_INIT(1024 * 1024);
    CLEANUP(xds_request_done) struct xds_request request = {.type_url = str_of(xds_type_url(XDS_ENDPOINT))};
    struct xds_names *lists[] = {&request.names, &request.gone};
    struct str rests[2];

    add_numbers(&names, "", from, to);
    add_numbers(&gone, "", 0, gone_to);
    rests[0] = buf_str(&names);
    rests[1] = buf_str(&gone);
    for (size_t k = 0; k < 2; k++) {
        struct xds_names *list = lists[k];

        while (rests[k].len > 0) {
            list->items = xgrow(list->items, &list->cap, list->len, sizeof(*list->items));
            list->items[list->len++] = str_cut(&rests[k], ' ');
        }
        list->len = names_sort(list->items, list->len);
    }
    return xds_session_request(session, &request, &f.err);
}

static void on_nobody(void *ctx unused_arg, struct xds_subscription *subscription unused_arg)
{
}

static void on_no_wake(void *ctx unused_arg, bool answer unused_arg)
{
}

Test(xds_delta, names_that_are_known_or_go_do_not_count_twice)
{
    static const struct xds_host host = {.subscribe = on_nobody, .unsubscribe = on_nobody, .wake = on_no_wake};
    struct xds_session *session = xds_session_new(&host, &(struct xds_variant){.delta = true}, NULL);

    cr_expect_eq(request_numbers(session, 0, 6000, 0), CODE_OK);
    cr_expect_eq(request_numbers(session, 0, 5000, 0), CODE_OK, "asked again");
    cr_expect_eq(request_numbers(session, 6000, 10000, 0), CODE_OK);
    cr_expect_eq(request_numbers(session, 10000, 12000, 2000), CODE_OK, "exchanged");
    cr_expect_eq(request_numbers(session, 12000, 12001, 0), CODE_RESOURCE_EXHAUSTED);
    xds_session_free(session);
}

Test(xds_delta, names_that_go_and_come_in_one_request_count)
{
    static const struct xds_host host = {.subscribe = on_nobody, .unsubscribe = on_nobody, .wake = on_no_wake};
    struct xds_session *session = xds_session_new(&host, &(struct xds_variant){.delta = true}, NULL);

    cr_expect_eq(request_numbers(session, 0, 4000, 0), CODE_OK);
    cr_expect_eq(request_numbers(session, 10000, 16000, 0), CODE_OK);
    cr_expect_eq(request_numbers(session, 2000, 6001, 4000), CODE_RESOURCE_EXHAUSTED);
    cr_expect_eq(request_numbers(session, 2000, 6000, 4000), CODE_OK);
    cr_expect_eq(xds_session_names(session), 10000);
    xds_session_free(session);
}

Test(xds_delta, what_the_host_has_no_room_for_is_not_subscribed)
{
    f.room = 2;
    cr_expect_eq(fake_request(&f, XDS_ENDPOINT, "a b", ""), CODE_OK);
    cr_expect_eq(fake_request(&f, XDS_ENDPOINT, "c", ""), CODE_RESOURCE_EXHAUSTED);
    cr_expect_eq(f.subscribed, 2);
    cr_expect_eq(fake_request(&f, XDS_ENDPOINT, "b c -a", ""), CODE_OK);
    cr_expect_eq(f.subscriptions_len, 2);
}

static void start_single(void)
{
    fake_open_variant(&f, "envoy",
                      &(struct xds_variant){.delta = true, .single = true, .type = XDS_CLUSTER});
    fake_put(&f, XDS_CLUSTER, "a", 1);
}

TestSuite(xds_single, .init = start_single, .fini = stop);

Test(xds_single, needs_no_type)
{
    ASK(XDS_CLUSTER, "a", "Cluster a");
}

Test(xds_single, refuses_another_type)
{
    struct xds_request request = {.type_url = str_of(xds_type_url(XDS_ENDPOINT))};
    struct err err = {0};

    cr_expect_eq(xds_session_request(f.session, &request, &err), CODE_INVALID_ARGUMENT);
    cr_expect_str_eq(
        err.msg,
        "this stream is for type_url 'type.googleapis.com/envoy.config.cluster.v3.Cluster' only");
    request.type_url = STR("x");
    cr_expect_eq(xds_session_request(f.session, &request, &err), CODE_INVALID_ARGUMENT);
}
