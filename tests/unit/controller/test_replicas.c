#include <criterion/criterion.h>

#include "../kube/fake_server.h"
#include "base/clock.h"
#include "controller/replicas.h"

#define EVERY_MS 1500
#define TIMEOUT_MS 1000
#define REPLICA_SERVERS 3

/* An API server, and replicas at other ports of the same address. */
static struct world {
    struct loop *loop;
    struct fake_server api, replicas[REPLICA_SERVERS];
    struct kube_config config;
    struct kube_client *client;
    struct replicas *collector;
    char url[64];
    char path[512];                       /* of the last list */
    int list_status;                      /* 0: 200 */
    const char *answers[REPLICA_SERVERS]; /* NULL: none */
    const char *conditions[REPLICA_SERVERS];
    size_t pods[REPLICA_SERVERS]; /* the numbers in their names */
    const char *port_name;
    size_t counted, own;
} w;

static void serve_api(void *ctx unused_arg, struct fake_conn *conn, const char *path,
                      const char *head unused_arg)
{
    struct buf list = BUFFER_INIT(8192);

    snprintf(w.path, sizeof(w.path), "%s", path);
    buf_printf(&list, "{\"kind\":\"EndpointSliceList\",\"items\":[");
    for (size_t i = 0; i < REPLICA_SERVERS; i++)
        buf_printf(&list,
                   "%s{\"metadata\":{\"name\":\"s%zu\"},\"addressType\":\"IPv4\",\"ports\":["
                   "{\"name\":\"xds\",\"port\":1},{\"name\":\"%s\",\"port\":%u}],\"endpoints\":["
                   "{\"addresses\":[\"127.0.0.1\"],\"conditions\":{%s},"
                   "\"targetRef\":{\"kind\":\"Pod\",\"name\":\"pod-%zu\"}}]}",
                   i ? "," : "", i, w.port_name, w.replicas[i].port,
                   w.conditions[i] ? w.conditions[i] : "", w.pods[i]);
    buf_printf(&list, "]}");
    fake_answer(conn, w.list_status ? w.list_status : 200, "", buf_cstr(&list));
    buf_done(&list);
}

static void serve_replica(void *ctx, struct fake_conn *conn, const char *path, const char *head)
{
    const struct fake_server *server = ctx;
    const char *answer = w.answers[server - w.replicas];

    cr_assert_str_eq(path, "/counts");
    cr_assert_null(strstr(head, "Authorization"), "credentials are the API server's alone");
    if (answer)
        fake_answer(conn, 200, "", answer);
}

static void count_own(void *ctx unused_arg, void (*on_done)(void *done_ctx, struct buf *json),
                      void *done_ctx)
{
    struct buf json = BUFFER_INIT(100);

    buf_printf(&json, "{\"services\":{\"shop/greeter\":4}}");
    w.own++;
    on_done(done_ctx, &json);
    buf_done(&json);
}

static void on_counted(void *ctx unused_arg)
{
    w.counted++;
}

static void wait_for(const size_t *count, size_t at_least)
{
    uint64_t deadline = clock_monotonic_us() + 10000000;

    while (*count < at_least && clock_monotonic_us() < deadline)
        loop_turn(w.loop, 100);
    cr_assert_geq(*count, at_least, "gave up waiting: %zu of %zu", *count, at_least);
}

static void collect(const char *service)
{
    w.collector = replicas_new(&(struct replicas_options){.loop = w.loop,
                                                          .client = w.client,
                                                          .namespace_name = "lookaside",
                                                          .service = service,
                                                          .count_own = count_own,
                                                          .on_counted = on_counted,
                                                          .every_ms = EVERY_MS,
                                                          .timeout_ms = TIMEOUT_MS});
    replicas_set_active(w.collector, true);
}

static uint64_t clients(const char *name)
{
    return replicas_clients(w.collector, STR("shop"), str_of(name));
}

static void world_make(void)
{
    memset(&w, 0, sizeof(w));
    w.port_name = "admin";
    cr_assert_eq(loop_new(&w.loop, NULL), CODE_OK);
    w.api.on_request = serve_api;
    fake_server_start(&w.api, w.loop, 0);
    for (size_t i = 0; i < REPLICA_SERVERS; i++) {
        w.replicas[i].on_request = serve_replica;
        w.replicas[i].ctx = &w.replicas[i];
        fake_server_start(&w.replicas[i], w.loop, 0);
        w.pods[i] = i;
        w.answers[i] = "{\"services\":{\"shop/greeter\":2}}";
    }
    snprintf(w.url, sizeof(w.url), "http://127.0.0.1:%u", w.api.port);
    w.config.server = w.url;
    w.config.token = (char[]){"secret"};
    cr_assert_eq(kube_client_new(w.loop, &w.config, &w.client, NULL), CODE_OK);
}

static void world_free(void)
{
    replicas_free(w.collector);
    kube_client_free(w.client);
    fake_server_stop(&w.api);
    for (size_t i = 0; i < REPLICA_SERVERS; i++)
        fake_server_stop(&w.replicas[i]);
    loop_free(w.loop);
}

TestSuite(replicas, .init = world_make, .fini = world_free);

Test(replicas, are_asked_and_summed_up)
{
    w.answers[1] = "{\"services\":{\"shop/greeter\":5,\"shop/other\":1}}";
    collect("lookaside-admin");
    wait_for(&w.counted, 1);
    cr_assert_str_eq(w.path, "/apis/discovery.k8s.io/v1/namespaces/lookaside/endpointslices"
                             "?labelSelector=kubernetes.io%2Fservice-name%3Dlookaside-admin");
    cr_assert_eq(clients("greeter"), 9);
    cr_assert_eq(clients("other"), 1);
    cr_assert_eq(clients("nobody"), 0);
    cr_assert_str_eq(replicas_uncounted(w.collector), "");
    cr_assert_eq(counter_get(&replicas_stats(w.collector)->asked), 3);
}

/* One of them is older, and tells none. */
Test(replicas, tell_what_clients_call)
{
    double calls, failed;

    w.answers[0] =
        "{\"services\":{},\"calls\":{\"shop/greeter\":1500},\"failed\":{\"shop/greeter\":0}}";
    w.answers[2] =
        "{\"services\":{},\"calls\":{\"shop/greeter\":2000},\"failed\":{\"shop/greeter\":50}}";
    collect("lookaside-admin");
    wait_for(&w.counted, 1);
    replicas_load(w.collector, STR("shop"), STR("greeter"), &calls, &failed);
    cr_assert_float_eq(calls, 3.5, 1e-9);
    cr_assert_float_eq(failed, 0.05, 1e-9);
    replicas_load(w.collector, STR("shop"), STR("nobody"), &calls, &failed);
    cr_assert(calls == 0 && failed == 0);
    cr_assert_eq(clients("greeter"), 2);
}

Test(replicas, are_asked_again_and_again)
{
    collect("lookaside-admin");
    wait_for(&w.counted, 1);
    w.answers[0] = w.answers[1] = w.answers[2] = "{\"services\":{\"shop/greeter\":1}}";
    wait_for(&w.counted, 2);
    cr_assert_eq(clients("greeter"), 3);
}

Test(replicas, that_do_not_answer_are_named)
{
    uint64_t begin_us = clock_monotonic_us();

    w.answers[0] = NULL;
    w.answers[2] = "nonsense";
    collect("lookaside-admin");
    wait_for(&w.counted, 1);
    cr_assert_lt(clock_monotonic_us() - begin_us, 20 * TIMEOUT_MS * 1000);
    cr_assert_eq(clients("greeter"), 2);
    cr_assert_str_eq(replicas_uncounted(w.collector), "pod-0, pod-2");
    cr_assert_eq(counter_get(&replicas_stats(w.collector)->unanswered), 2);
    w.answers[0] = w.answers[2] = w.answers[1];
    wait_for(&w.counted, 2);
    cr_assert_str_eq(replicas_uncounted(w.collector), "");
}

Test(replicas, that_are_gone_are_named)
{
    fake_server_stop(&w.replicas[1]);
    collect("lookaside-admin");
    wait_for(&w.counted, 1);
    cr_assert_str_eq(replicas_uncounted(w.collector), "pod-1");
}

Test(replicas, that_begin_are_not_asked_and_those_that_end_are)
{
    w.conditions[0] = "\"ready\":false";
    w.conditions[1] = "\"ready\":false,\"serving\":true,\"terminating\":true";
    collect("lookaside-admin");
    wait_for(&w.counted, 1);
    cr_assert_eq(counter_get(&replicas_stats(w.collector)->asked), 2);
    cr_assert_eq(w.replicas[0].requests, 0);
}

/* One of each address family. */
Test(replicas, with_two_addresses_are_asked_once)
{
    w.pods[1] = 0;
    collect("lookaside-admin");
    wait_for(&w.counted, 1);
    cr_assert_eq(counter_get(&replicas_stats(w.collector)->asked), 2);
    cr_assert_eq(clients("greeter"), 4);
}

static bool on_some_answer(void *ctx unused_arg, const struct json *answer)
{
    return json_get(answer, "services") != NULL;
}

static void on_round_done(void *ctx unused_arg, const struct replica_round_result *result)
{
    cr_assert_null(result->problem);
    cr_assert_eq(result->asked, 2, "%zu", result->asked);
    cr_assert_eq(result->unanswered, 1, "an answer to something else is none");
    cr_assert_str_eq(result->silent, "pod-2");
    w.counted++;
}

Test(replicas, that_get_no_new_clients_need_not_be_asked)
{
    /* The last two as publishNotReadyAddresses has them. */
    static const char *const conditions[] = {
        "\"ready\":false,\"serving\":true,\"terminating\":true",
        "\"ready\":true,\"serving\":true,\"terminating\":true",
        "\"ready\":true,\"serving\":false,\"terminating\":false",
    };
    struct replica_round *round = replica_round_new(&(struct replica_round_options){
        .loop = w.loop,
        .client = w.client,
        .namespace_name = "lookaside",
        .service = "lookaside-admin",
        .path = "/counts",
        .answer_max = 100,
        .only_ready = true,
        .on_answer = on_some_answer,
        .on_done = on_round_done,
    });

    w.answers[2] = "{}";
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        w.conditions[1] = conditions[i];
        replica_round_start(round);
        cr_assert(replica_round_under_way(round));
        wait_for(&w.counted, i + 1);
        cr_assert_not(replica_round_under_way(round));
    }
    cr_assert_eq(w.replicas[1].requests, 0);
    replica_round_free(round);
}

Test(replicas, keep_their_last_counts_while_they_cannot_be_listed)
{
    collect("lookaside-admin");
    wait_for(&w.counted, 1);
    w.list_status = 403;
    wait_for(&w.api.requests, 3);
    cr_assert_eq(clients("greeter"), 6);
    cr_assert_geq(counter_get(&replicas_stats(w.collector)->failures), 1);
    w.list_status = 0;
    wait_for(&w.counted, 2);
}

Test(replicas, are_not_asked_by_who_does_not_write)
{
    size_t requests;

    collect("lookaside-admin");
    wait_for(&w.replicas[0].requests, 1); /* in the middle of a round */
    replicas_set_active(w.collector, false);
    requests = w.api.requests;
    cr_assert_eq(clients("greeter"), 0);
    for (uint64_t end_us = clock_monotonic_us() + 2 * EVERY_MS * 1000;
         clock_monotonic_us() < end_us;)
        loop_turn(w.loop, 20);
    cr_assert_eq(w.api.requests, requests);
    replicas_set_active(w.collector, true);
    wait_for(&w.counted, 1);
    cr_assert_eq(clients("greeter"), 6);
}

Test(replicas, are_this_process_alone_without_a_service)
{
    collect(NULL);
    wait_for(&w.counted, 2);
    cr_assert_eq(clients("greeter"), 4);
    cr_assert_eq(w.api.requests, 0);
    cr_assert_eq(w.own, 2);
}
