/* Real streams that ask for every Cluster: what a client gets that refuses one, or whose kind does. */
#include <criterion/criterion.h>

#include "stream_client.h"

static struct serve_fixture fixture;
static unsigned refusals; /* that the controller was told of */

static void on_refused(void *ctx unused_arg, const struct refusal *refusal)
{
    cr_assert(str_eq(refusal->policy->name, STR("greeter")));
    cr_assert(str_eq(refusal->peer, STR("127.0.0.1")));
    refusals++;
}

static void set_up(void)
{
    serve_fixture_start(&fixture, (struct serve_options){.threads = 1, .refused = on_refused});
}

static void tear_down(void)
{
    serve_fixture_stop(&fixture);
}

TestSuite(wildcard, .init = set_up, .fini = tear_down);

/* `kind` NULL: none refuses it. */
static const struct policy *policy_with(const char *name, enum lb_policy lb, const char *kind)
{
    const struct str kinds[] = {str_of(kind ? kind : "")};
    struct policy fields = *policy_default();

    fields.namespace_name = STR("shop");
    fields.name = str_of(name);
    fields.lb = lb;
    fields.refused_by = kinds;
    fields.refused_by_len = kind != NULL;
    return policy_new(&fields);
}

/* greeter has this policy, other one of its own. */
static void publish_two(enum lb_policy lb, const char *kind, enum lb_policy other_lb)
{
    const struct policy *greeter = policy_with("greeter", lb, kind);
    const struct policy *other = policy_with("other", other_lb, NULL);
    const struct catalog *catalog =
        catalog_with(NULL, &(struct fixture_service){.name = "greeter", .policy = greeter});

    serve_publish(fixture.serve, catalog_with(catalog, &(struct fixture_service){.name = "other", .policy = other}));
    policy_unref(greeter);
    policy_unref(other);
}

static void publish_policies(enum lb_policy lb, const char *kind)
{
    publish_two(lb, kind, LB_WEIGHTED_ROUND_ROBIN);
}

/* What the client says to the newest message; `why` NULL: it takes it. */
static void answer(struct stream_client *client, const char *why)
{
    struct buf request = BUFFER_INIT(4096);
    struct wire_reader reader = wire_reader(buf_str(&client->newest));
    struct wire_field field;

    wire_put_bytes(&request, DISCOVERY_REQUEST_TYPE_URL, str_of(xds_type_url(XDS_CLUSTER)));
    while (wire_next(&reader, &field))
        if (field.number == DISCOVERY_RESPONSE_NONCE)
            wire_put_bytes(&request, DISCOVERY_REQUEST_RESPONSE_NONCE, field.bytes);
    if (why) {
        size_t status = wire_open(&request, DISCOVERY_REQUEST_ERROR_DETAIL);

        wire_put_bytes(&request, STATUS_MESSAGE, str_of(why));
        wire_close(&request, status);
    }
    client_send(client, &request);
}

/* Opens it, as a client of that kind. */
static void begin(struct stream_client *client, const char *agent, const char *version)
{
    struct buf request = BUFFER_INIT(4096);
    size_t node = wire_open(&request, DISCOVERY_REQUEST_NODE);

    wire_put_bytes(&request, NODE_USER_AGENT_NAME, str_of(agent));
    wire_put_bytes(&request, NODE_USER_AGENT_VERSION, str_of(version));
    wire_close(&request, node);
    wire_put_bytes(&request, DISCOVERY_REQUEST_TYPE_URL, str_of(xds_type_url(XDS_CLUSTER)));
    client_open(client, &fixture, ADS);
    client_send(client, &request);
}

/* Waits for the next message: whose Clusters it has, by a word of each policy. */
static void expect_policies(struct stream_client *client, bool first, bool least, bool weighted)
{
    client_wait(client);
    cr_expect_eq(client_has(client, "PickFirst"), first);
    cr_expect_eq(client_has(client, "LeastRequest"), least);
    cr_expect_eq(client_has(client, "ClientSideWeighted"), weighted);
}

static bool has_refusals(const void *ctx)
{
    return refusals >= *(const unsigned *)ctx;
}

static void expect_refusals(unsigned len)
{
    serve_fixture_wait(&fixture, has_refusals, &len);
    cr_expect_eq(refusals, len);
}

/* That one goes plain, and for as long as the policy is the one that it refused. */
Test(wildcard, a_proxy_that_refuses_a_cluster_keeps_all_others)
{
    struct stream_client client;

    publish_policies(LB_PICK_FIRST, NULL);
    begin(&client, "", "");
    expect_policies(&client, true, false, true);
    answer(&client, "bad: shop/greeter:8001");
    expect_policies(&client, false, false, true);
    expect_refusals(1);
    answer(&client, NULL);
    publish_policies(LB_LEAST_REQUEST, NULL);
    expect_policies(&client, false, true, true);
    answer(&client, NULL);
    publish_policies(LB_PICK_FIRST, NULL);
    expect_policies(&client, false, false, true);
    expect_refusals(1);
    client_close(&client);
}

Test(wildcard, of_a_kind_that_refuses_a_cluster_begins_with_it_plain)
{
    struct stream_client client, newer;

    publish_policies(LB_PICK_FIRST, "envoy 1.36");
    begin(&client, "envoy", "1.36");
    expect_policies(&client, false, false, true);
    begin(&newer, "envoy", "1.37");
    expect_policies(&newer, true, false, true);
    answer(&client, NULL);
    publish_policies(LB_LEAST_REQUEST, NULL);
    expect_policies(&client, false, true, true);
    client_close(&client);
    client_close(&newer);
}

/* That others have refused it is no news for who has not. */
Test(wildcard, of_a_client_that_took_a_cluster_stays_when_its_kind_refuses)
{
    struct stream_client client;

    publish_policies(LB_PICK_FIRST, NULL);
    begin(&client, "envoy", "1.36");
    expect_policies(&client, true, false, true);
    answer(&client, NULL);
    publish_two(LB_PICK_FIRST, "envoy 1.36", LB_LEAST_REQUEST);
    expect_policies(&client, true, true, false);
    answer(&client, "bad: shop/greeter:8001");
    expect_policies(&client, false, true, false);
    expect_refusals(1);
    client_close(&client);
}
