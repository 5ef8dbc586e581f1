/* Pods as watches and lists tell of them, and what is published of them. */
#include <malloc.h>
#include <stdarg.h>

#include "fixture.h"

#include "base/log.h"
#include "controller/pods.h"

static struct pods *pods;
static struct pods_scope *scope, *other;
static const struct pod_table *newest;
static size_t publications;

static void on_publish(void *ctx unused_arg, const struct pod_table *table)
{
    pod_table_unref(newest);
    newest = table;
    publications++;
}

static void set_up(void)
{
    world_start();
    pods = pods_new(&(struct pods_options){.loop = world.loop, .publish = on_publish});
    scope = pods_scope_new(pods, "pods");
    other = pods_scope_new(pods, "pods");
}

static void tear_down(void)
{
    pods_scope_free(scope);
    pods_scope_free(other);
    pods_free(pods);
    pod_table_unref(newest);
    world_stop();
}

TestSuite(pods, .init = set_up, .fini = tear_down, .timeout = 60);

/* ---- what a source says ---- */

static struct json *pod_json(const char *name, const char *account, const char *address,
                             const char *phase)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "{'metadata':{'namespace':'shop','name':'%s'},'spec':{'serviceAccountName':'%s'},"
             "'status':{'phase':'%s','podIPs':[{'ip':'%s'}]}}",
             name, account, phase, address);
    return parse(text);
}

static void tell(void (*fn)(void *ctx, const struct json *object), struct pods_scope *to,
                 struct json *json)
{
    fn(to, json);
    json_free(json);
}

static void put(const char *name, const char *account, const char *address)
{
    tell(pods_sink()->upsert, scope, pod_json(name, account, address, "Running"));
}

static void take(const char *name)
{
    tell(pods_sink()->remove, scope, pod_json(name, "a", "10.9.9.9", "Running"));
}

static void listed(const char *name, const char *account, const char *address)
{
    tell(pods_sink()->list_object, scope, pod_json(name, account, address, "Running"));
}

static void begin(void)
{
    pods_sink()->list_begin(scope);
}

static bool end(void)
{
    return pods_sink()->list_end(scope);
}

/* Turns, and says whose that address is: "" nobody's, "?" several pods'. */
static const char *owner(const char *text)
{
    static char out[128];
    struct pod_address address;
    struct str account = STR("");
    enum pod_owner found;

    turn();
    cr_assert(pod_address_parse(str_of(text), &address));
    cr_assert_not_null(newest);
    found = pod_table_find(newest, &address, &account);
    snprintf(out, sizeof(out), "%.*s", found == POD_OWNER_SEVERAL ? 1 : (int)account.len,
             found == POD_OWNER_SEVERAL ? "?" : account.ptr);
    return out;
}

/* A first list of three. */
static void start(void)
{
    begin();
    listed("a", "web", "10.0.0.1");
    listed("b", "web", "10.0.0.2");
    listed("c", "job", "10.0.0.3");
    cr_assert(end());
}

/* ---- watches ---- */

Test(pods, nothing_is_published_before_a_list_and_an_empty_one_is)
{
    begin();
    turn();
    cr_assert_eq(publications, 0);
    cr_assert(end());
    cr_assert_str_eq(owner("10.0.0.1"), "");
    cr_assert_eq(publications, 1);
}

Test(pods, a_watch_counts_at_the_end_of_the_turn)
{
    start();
    cr_assert_str_eq(owner("10.0.0.1"), "shop/web");
    cr_assert_str_eq(owner("10.0.0.3"), "shop/job");
    cr_assert_eq(publications, 1);
    put("a", "web", "10.0.0.9");
    put("d", "job", "10.0.0.1");
    cr_assert_str_eq(owner("10.0.0.9"), "shop/web");
    cr_assert_str_eq(owner("10.0.0.1"), "shop/job");
    cr_assert_eq(publications, 2, "one of both");
    take("d");
    cr_assert_str_eq(owner("10.0.0.1"), "");
    take("d");
    take("never-heard-of");
    turn();
    cr_assert_eq(publications, 3);
}

Test(pods, what_identifies_the_same_is_no_news)
{
    start();
    turn();
    put("a", "web", "10.0.0.1");
    begin();
    listed("c", "job", "10.0.0.3");
    listed("a", "web", "10.0.0.1");
    listed("b", "web", "10.0.0.2");
    cr_assert(end());
    cr_assert_str_eq(owner("10.0.0.1"), "shop/web");
    put("b", "web", "10.0.0.2");
    turn();
    cr_assert_eq(publications, 2, "the list's");
}

Test(pods, one_that_ended_identifies_nobody)
{
    start();
    tell(pods_sink()->upsert, scope, pod_json("a", "web", "10.0.0.1", "Succeeded"));
    put("d", "job", "10.0.0.1");
    cr_assert_str_eq(owner("10.0.0.1"), "shop/job");
    tell(pods_sink()->upsert, scope, pod_json("d", "job", "10.0.0.1", "Failed"));
    cr_assert_str_eq(owner("10.0.0.1"), "");
}

Test(pods, one_that_cannot_be_read_identifies_nobody)
{
    start();
    put("a", "web", "nonsense");
    cr_assert_str_eq(owner("10.0.0.1"), "");
    begin();
    listed("a", "web", "10.0.0.1");
    listed("b", "Web", "10.0.0.2");
    listed("c", "job", "10.0.0.3");
    cr_assert(end(), "what is listed is not lacking, as bad as it may be");
    cr_assert_str_eq(owner("10.0.0.1"), "shop/web");
    cr_assert_str_eq(owner("10.0.0.2"), "");
}

Test(pods, two_with_one_address_identify_nobody)
{
    start();
    put("d", "web", "10.0.0.1");
    cr_assert_str_eq(owner("10.0.0.1"), "?");
    take("a");
    cr_assert_str_eq(owner("10.0.0.1"), "shop/web");
    /* In scopes that know nothing of each other. */
    tell(pods_sink()->upsert, other, pod_json("e", "job", "10.0.0.1", "Running"));
    cr_assert_str_eq(owner("10.0.0.1"), "?");
}

/* ---- lists ---- */

Test(pods, a_list_counts_whole_or_not_at_all)
{
    start();
    begin();
    listed("a", "job", "10.0.0.1");
    listed("d", "job", "10.0.0.4");
    cr_assert_str_eq(owner("10.0.0.1"), "shop/web");
    cr_assert_str_eq(owner("10.0.0.4"), "");
    pods_sink()->list_abort(scope);
    cr_assert_str_eq(owner("10.0.0.1"), "shop/web");
    begin();
    listed("a", "job", "10.0.0.1");
    listed("b", "web", "10.0.0.2");
    cr_assert(end());
    cr_assert_str_eq(owner("10.0.0.1"), "shop/job");
    cr_assert_str_eq(owner("10.0.0.3"), "");
}

Test(pods, an_address_that_a_list_moves_is_never_of_both)
{
    start();
    turn();
    begin();
    listed("a", "web", "10.0.0.3");
    listed("b", "web", "10.0.0.2");
    listed("c", "job", "10.0.0.1");
    cr_assert(end());
    cr_assert_str_eq(owner("10.0.0.1"), "shop/job");
    cr_assert_str_eq(owner("10.0.0.3"), "shop/web");
    cr_assert_eq(publications, 2);
    cr_assert_eq(pod_table_clashes(newest), 0);
}

Test(pods, of_one_that_a_list_names_twice_the_last_counts)
{
    begin();
    listed("a", "web", "10.0.0.1");
    listed("b", "web", "10.0.0.2");
    listed("a", "job", "10.0.0.4");
    take("b");
    cr_assert(end());
    cr_assert_str_eq(owner("10.0.0.1"), "");
    cr_assert_str_eq(owner("10.0.0.2"), "", "it went while it was listed");
    cr_assert_str_eq(owner("10.0.0.4"), "shop/job");
}

Test(pods, a_list_that_lacks_most_is_doubted)
{
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    start();
    begin();
    listed("a", "web", "10.0.0.1");
    cr_assert_not(end(), "two of three");
    cr_assert_str_eq(owner("10.0.0.2"), "shop/web");
    begin();
    listed("a", "web", "10.0.0.1");
    cr_assert_not(end(), "so soon after");
    cr_assert_str_eq(owner("10.0.0.2"), "shop/web");
    take("b");
    cr_assert_str_eq(owner("10.0.0.2"), "", "a watch is believed");
    turn_for_ms(KUBE_SINK_DOUBT_MS);
    begin();
    cr_assert(end());
    cr_assert_str_eq(owner("10.0.0.1"), "");
    cr_assert_str_eq(owner("10.0.0.3"), "");
}

Test(pods, a_further_list_may_have_them_again)
{
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    start();
    begin();
    cr_assert_not(end());
    begin();
    listed("a", "web", "10.0.0.1");
    listed("b", "web", "10.0.0.2");
    cr_assert(end());
    cr_assert_str_eq(owner("10.0.0.2"), "shop/web");
    cr_assert_str_eq(owner("10.0.0.3"), "");
    begin();
    cr_assert_not(end(), "doubted anew");
}

Test(pods, what_ended_or_went_meanwhile_is_not_lacking)
{
    start();
    begin();
    tell(pods_sink()->list_object, scope, pod_json("a", "web", "10.0.0.1", "Failed"));
    tell(pods_sink()->list_object, scope, pod_json("b", "web", "10.0.0.2", "Succeeded"));
    take("c");
    cr_assert(end());
    cr_assert_str_eq(owner("10.0.0.1"), "");
    cr_assert_str_eq(owner("10.0.0.3"), "");
}

/* ---- many ---- */

#define MANY 50000

static void list_many(void)
{
    char name[64], address[32];

    begin();
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "greeter-6d9f7c5b8d-%05u", i);
        snprintf(address, sizeof(address), "10.%u.%u.%u", 1 + i / 62500, i / 250 % 250,
                 1 + i % 250);
        listed(name, i % 3 ? "web" : "job", address);
    }
    cr_assert(end());
    turn();
}

#define NAME_LEN 24 /* of "greeter-6d9f7c5b8d-00000" */

Test(pods, fifty_thousand_cost_less_than_a_hundred_bytes_each_and_their_names)
{
    struct mallinfo2 before = mallinfo2(), after;
    size_t each;

    list_many();
    after = mallinfo2();
    each = (after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / MANY;
    cr_assert_lt(each, 100 + NAME_LEN, "%zu bytes each", each);
    cr_assert_str_eq(owner("10.1.0.1"), "shop/job");
    cr_assert_str_eq(owner("10.1.199.250"), "shop/web");
    list_many();
    take("greeter-6d9f7c5b8d-00000");
    cr_assert_str_eq(owner("10.1.0.1"), "");
    cr_assert_str_eq(owner("10.1.0.2"), "shop/web");
}
