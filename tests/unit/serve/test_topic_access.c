/* Who may not see a Service gets, of every kind, what is said of one that does not exist; and when that changes, live. */
#include <criterion/criterion.h>

#include "fixture.h"

static const struct fixture_endpoint endpoints[] = {{.address = "10.0.0.1", .zone = "a"}};
static const struct fixture_endpoint canary_endpoints[] = {{.address = "10.0.0.9", .zone = "a"}};
static const struct caller nobody, web = {STR_INIT("web"), STR_INIT("frontend")},
                                   batch = {STR_INIT("batch"), STR_INIT("job")};

static struct topic_table *table, *without; /* `without` knows no Service */
static struct topic_table_stats stats;
static const struct catalog *catalog;

static struct topic_table *make(enum unknown_names unknown, enum default_access access,
                                struct topic_table_stats *of)
{
    static const char *const suffixes[] = {"example.com", NULL};

    return topic_table_new(&(struct topic_table_options){.cluster_domain = "cluster.local",
                                                         .unknown_names = unknown,
                                                         .stats = of,
                                                         .host_suffixes = suffixes,
                                                         .default_access = access});
}

static void begin(enum unknown_names unknown, enum default_access access)
{
    table = make(unknown, access, &stats);
    without = make(unknown, access, NULL);
}

static void tear_down(void)
{
    cr_assert_eq(counter_get(&stats.views), 0, "contents go with their subscribers");
    topic_table_free(table);
    topic_table_free(without);
    if (catalog)
        catalog_unref(catalog);
}

TestSuite(topic_access, .fini = tear_down);

/* ---- the Service ---- */

static const struct str web_namespace = STR_INIT("web"), web_account = STR_INIT("web/frontend");

static struct policy fields_of(const char *name)
{
    struct policy fields = *policy_default();

    fields.namespace_name = STR("shop");
    fields.name = str_of(name);
    return fields;
}

static void put(const char *name, const struct fixture_endpoint *of, const struct policy *fields)
{
    const struct policy *policy = fields ? policy_new(fields) : NULL;

    catalog = catalog_with(catalog, &(struct fixture_service){
                                        .name = name, .endpoints = of, .len = 1, .policy = policy});
    publish(table, catalog);
    policy_unref(policy);
}

/* As its access says. */
static void put_for(bool given, const struct str *namespace_name, const struct str *account)
{
    struct policy fields = fields_of("greeter");

    fields.access_given = given;
    fields.access_namespaces = (struct policy_texts){namespace_name != NULL, namespace_name};
    fields.access_accounts = (struct policy_texts){account != NULL, account};
    put("greeter", endpoints, &fields);
}

/* ---- who listens ---- */

struct who {
    struct listener_fixture listener;
    int refused;
};

static void on_refused(struct subscriber *subscriber)
{
    container_of(subscriber, struct who, listener.subscriber)->refused++;
}

static void join_at(struct topic_table *at, enum topic_kind kind, const char *name,
                    const struct caller *caller, struct who *who)
{
    const struct topic_client client = {
        .default_namespace = STR("shop"), .place = {.zone = STR("a")}, .caller = *caller};
    struct err err = {0};

    *who = (struct who){0};
    list_init(&who->listener.subscriber.link);
    who->listener.subscriber.changed = listener_on_changed;
    who->listener.subscriber.refused = on_refused;
    cr_assert(topic_subscribe(at, kind, str_of(name), &client, &who->listener.subscriber, &err),
              "%s", err.msg);
}

static void join(enum topic_kind kind, const char *name, const struct caller *caller,
                 struct who *who)
{
    join_at(table, kind, name, caller, who);
}

static void leave(struct who *who)
{
    topic_unsubscribe(&who->listener.subscriber);
}

static bool has(struct who *who, const char *text)
{
    return listener_has(&who->listener, text);
}

/* The same as where there is no such Service: version, problem and bytes. */
static void expect_unknown(struct who *who, const char *name)
{
    struct subscriber *subscriber = &who->listener.subscriber;
    const struct topic_content *content = topic_content(subscriber), *other;
    struct blob *bytes = topic_bytes(subscriber), *wanted;
    struct who stranger;

    join_at(without, subscriber->topic->kind, name, &nobody, &stranger);
    other = topic_content(&stranger.listener.subscriber);
    wanted = topic_bytes(&stranger.listener.subscriber);
    cr_assert_eq(content->version, other->version, "%s", name);
    cr_assert_eq(!content->problem, !other->problem);
    cr_assert(!content->problem || strcmp(content->problem, other->problem) == 0);
    cr_assert_eq(content->policy, other->policy);
    cr_assert_eq(!bytes, !wanted);
    if (bytes) {
        cr_assert_eq(bytes->len, wanted->len);
        cr_assert_arr_eq(bytes->bytes, wanted->bytes, bytes->len);
    }
    leave(&stranger);
}

static const struct {
    enum topic_kind kind;
    const char *name;
} asked[] = {
    {TOPIC_LISTENER, "greeter.shop:8001"},
    {TOPIC_LISTENER, "greeter.shop:grpc"},
    {TOPIC_LISTENER, "greeter.shop"},
    {TOPIC_LISTENER, "greeter"},
    {TOPIC_LISTENER, "xdstp://a/envoy.config.listener.v3.Listener/greeter.shop:8001"},
    {TOPIC_ROUTE, "greeter.shop:8001"},
    {TOPIC_CLUSTER, "shop/greeter:8001"},
    {TOPIC_CLUSTER, "shop/greeter:grpc"},
    {TOPIC_ASSIGNMENT, "shop/greeter:8001"},
    {TOPIC_NATIVE, "greeter.shop:8001"},
    {TOPIC_NATIVE, "greeter.shop:grpc"},
    {TOPIC_GRPCLB, "greeter.shop:8001"},
};

static void hidden_of_every_kind(enum unknown_names unknown)
{
    begin(unknown, ACCESS_ALL);
    put_for(true, NULL, &web_account);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct who may, may_not, not_either;

        join(asked[i].kind, asked[i].name, &web, &may);
        join(asked[i].kind, asked[i].name, &batch, &may_not);
        join(asked[i].kind, asked[i].name, &nobody, &not_either);
        expect_unknown(&may_not, asked[i].name);
        expect_unknown(&not_either, asked[i].name);
        cr_assert_eq(may_not.listener.subscriber.content, not_either.listener.subscriber.content);
        cr_assert_eq(may.refused, 0);
        cr_assert_eq(may_not.refused, 1);
        cr_assert_neq(topic_content(&may.listener.subscriber)->version, 0);
        if (asked[i].kind >= TOPIC_ASSIGNMENT)
            cr_assert(has(&may, asked[i].kind == TOPIC_GRPCLB ? "\x0a\x00\x00\x01" : "10.0.0.1") ||
                      asked[i].kind == TOPIC_GRPCLB);
        leave(&may);
        leave(&may_not);
        leave(&not_either);
    }
}

Test(topic_access, hidden_of_every_kind)
{
    hidden_of_every_kind(UNKNOWN_NAMES_EMPTY);
}

Test(topic_access, hidden_of_every_kind_where_unknown_names_are_absent)
{
    hidden_of_every_kind(UNKNOWN_NAMES_ABSENT);
}

static bool sees(const struct caller *caller)
{
    struct who who;
    bool seen;

    join(TOPIC_ASSIGNMENT, "shop/greeter:8001", caller, &who);
    seen = has(&who, "10.0.0.1");
    leave(&who);
    return seen;
}

Test(topic_access, by_account_and_by_namespace)
{
    const struct caller shop = {STR("shop"), STR("a")}, sibling = {STR("web"), STR("frontend2")},
                        twisted = {STR("we"), STR("b/frontend")};

    begin(UNKNOWN_NAMES_EMPTY, ACCESS_ALL);
    put_for(false, NULL, NULL);
    cr_assert(sees(&nobody) && sees(&web) && sees(&shop));
    put_for(true, NULL, NULL);
    cr_assert(!sees(&nobody) && !sees(&web) && !sees(&shop));
    put_for(true, NULL, &web_account);
    cr_assert(!sees(&nobody) && sees(&web) && !sees(&sibling) && !sees(&shop) && !sees(&twisted));
    put_for(true, &web_namespace, NULL);
    cr_assert(!sees(&nobody) && sees(&web) && sees(&sibling) && !sees(&shop));
}

Test(topic_access, by_default_of_the_namespace)
{
    const struct caller shop = {STR("shop"), STR("a")};

    begin(UNKNOWN_NAMES_EMPTY, ACCESS_NAMESPACE);
    put("greeter", endpoints, NULL);
    cr_assert(!sees(&nobody) && !sees(&web) && sees(&shop));
    put_for(true, &web_namespace, NULL);
    cr_assert(!sees(&nobody) && sees(&web) && !sees(&shop));
}

Test(topic_access, by_default_nobody)
{
    const struct caller shop = {STR("shop"), STR("a")};

    begin(UNKNOWN_NAMES_EMPTY, ACCESS_NONE);
    put("greeter", endpoints, NULL);
    cr_assert(!sees(&nobody) && !sees(&web) && !sees(&shop));
}

Test(topic_access, a_change_moves_those_who_listen)
{
    begin(UNKNOWN_NAMES_EMPTY, ACCESS_ALL);
    put_for(false, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        struct who may, may_not;
        int told;

        put_for(false, NULL, NULL);
        join(asked[i].kind, asked[i].name, &web, &may);
        join(asked[i].kind, asked[i].name, &batch, &may_not);
        cr_assert_eq(may.listener.subscriber.content, may_not.listener.subscriber.content);
        put_for(true, &web_namespace, NULL);
        expect_unknown(&may_not, asked[i].name);
        cr_assert_eq(may_not.refused, 1);
        told = may_not.listener.changes;
        put_for(false, NULL, NULL);
        cr_assert_eq(may.listener.subscriber.content->version,
                     may_not.listener.subscriber.content->version);
        cr_assert_eq(may_not.listener.changes, 2 * told, "back as it came");
        cr_assert_eq(may.listener.changes, 0);
        cr_assert_eq(may.refused, 0);
        put_for(true, NULL, NULL);
        cr_assert_eq(may_not.refused, 2);
        expect_unknown(&may, asked[i].name);
        leave(&may);
        leave(&may_not);
    }
}

Test(topic_access, an_answer_is_not_withdrawn)
{
    struct who before, after;

    begin(UNKNOWN_NAMES_ABSENT, ACCESS_ALL);
    put_for(false, NULL, NULL);
    join(TOPIC_ASSIGNMENT, "shop/greeter:8001", &batch, &before);
    put_for(true, &web_namespace, NULL);
    join(TOPIC_ASSIGNMENT, "shop/greeter:8001", &batch, &after);
    cr_assert_neq(topic_content(&before.listener.subscriber)->version, 0);
    cr_assert(!has(&before, "10.0.0.1"));
    cr_assert_eq(topic_content(&after.listener.subscriber)->version, 0);
    cr_assert_eq(before.listener.changes, 1);
    put_for(true, NULL, NULL); /* a further round changes nothing */
    cr_assert_neq(topic_content(&before.listener.subscriber)->version, 0);
    cr_assert_eq(topic_content(&after.listener.subscriber)->version, 0);
    leave(&before);
    leave(&after);
}

/* ---- backends of a split ---- */

static void put_split(void)
{
    const struct policy_backend backends[] = {{.service = STR("greeter"), .weight = 1},
                                              {.service = STR("canary"), .weight = 1}};
    struct policy fields = fields_of("greeter"), closed = fields_of("canary");

    fields.backends = backends;
    fields.backends_len = 2;
    closed.access_given = true;
    closed.access_namespaces = (struct policy_texts){1, &web_namespace};
    put("canary", canary_endpoints, &closed);
    put("greeter", endpoints, &fields);
}

static bool has_address(struct who *who, unsigned char last)
{
    const char address[] = {10, 0, 0, (char)last};
    struct blob *bytes = topic_bytes(&who->listener.subscriber);

    return bytes && memmem(bytes->bytes, bytes->len, address, sizeof(address));
}

Test(topic_access, a_hidden_backend_is_in_no_list)
{
    struct who may, may_not, list;

    begin(UNKNOWN_NAMES_EMPTY, ACCESS_ALL);
    put_split();
    join(TOPIC_GRPCLB, "greeter.shop:8001", &web, &may);
    join(TOPIC_GRPCLB, "greeter.shop:8001", &batch, &may_not);
    cr_assert(has_address(&may, 1) && has_address(&may, 9));
    cr_assert(has_address(&may_not, 1) && !has_address(&may_not, 9));
    cr_assert_eq(may_not.refused, 1);
    leave(&may);
    leave(&may_not);
    join(TOPIC_ASSIGNMENT, "shop/canary:8001", &batch, &list);
    expect_unknown(&list, "shop/canary:8001");
    leave(&list);
}

/* Its share falls to the others, as that of one that does not exist. */
Test(topic_access, a_hidden_backend_gets_no_calls)
{
    struct who may, may_not;

    begin(UNKNOWN_NAMES_EMPTY, ACCESS_ALL);
    put_split();
    join(TOPIC_LISTENER, "greeter.shop:8001", &web, &may);
    join(TOPIC_LISTENER, "greeter.shop:8001", &batch, &may_not);
    cr_assert(has(&may, "shop/canary:8001"));
    cr_assert_neq(may.listener.subscriber.content->version,
                  may_not.listener.subscriber.content->version);
    leave(&may);
    leave(&may_not);
}

/* ---- wildcard ---- */

static void count(void *ctx, struct str name unused_arg, uint64_t version unused_arg,
                  struct blob *cluster unused_arg)
{
    ++*(int *)ctx;
}

static int clusters_of(const struct caller *caller)
{
    int clusters = 0;

    topic_each_cluster(
        table, &(struct topic_clusters){.visit = count, .ctx = &clusters, .caller = *caller});
    return clusters;
}

Test(topic_access, wildcards_leave_out_what_is_hidden)
{
    uint64_t version;

    begin(UNKNOWN_NAMES_EMPTY, ACCESS_ALL);
    put_for(false, NULL, NULL);
    version = topic_table_clusters_version(table);
    cr_assert(clusters_of(&nobody) == 1 && clusters_of(&web) == 1);
    put_for(true, &web_namespace, NULL);
    cr_assert(clusters_of(&nobody) == 0 && clusters_of(&web) == 1 && clusters_of(&batch) == 0);
    cr_assert_neq(topic_table_clusters_version(table), version, "wildcards are told");
    cr_assert_null(topic_cluster_policy(table, STR("shop/greeter:8001"), &batch));
}
