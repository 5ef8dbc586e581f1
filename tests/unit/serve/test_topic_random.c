/* Any order of publications, subscriptions, places and turns leaves every subscriber with the list that the rules give it, and told of
 * it; and whoever is asked in between has it then. */
#include <criterion/criterion.h>

#include "encode/grpclb.h"
#include "encode/xds.h"
#include "fixture.h"
#include "model/route.h"
#include "model/view.h"

#define STEPS 20000
#define WATCHERS 24
#define LIST "shop/greeter:8001"
#define NAME "greeter.shop:8001"

static const char *const zones[] = {"", "a", "b", "c"};
static const char *const nodes[] = {"", "n1", "n2", "n3"};

struct watcher {
    struct listener_fixture listener;
    struct place place;
    enum topic_kind kind;
    bool subscribed;
    uint64_t version; /* as it was told */
};

static struct watcher watchers[WATCHERS];
static struct topic_table *table;
static struct topic_table_stats stats;
static const struct catalog *catalog;
static uint64_t state;

static size_t choose(size_t len)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(state >> 33) % len;
}

/* Of those that say something about lists. */
static const struct policy *choose_policy(void)
{
    const struct policy_backend backends[] = {
        {.service = STR("greeter"), .weight = (uint32_t)choose(3)},
        {.service = STR("canary"), .weight = 1 + (uint32_t)choose(3), .fail_when_empty = choose(2)},
    };
    struct policy fields = *policy_default();

    fields.namespace_name = STR("shop");
    fields.name = STR("greeter");
    fields.backends = backends;
    fields.backends_len = choose(3) == 0 ? ARRAY_LEN(backends) : 0;
    fields.locality = (enum locality_mode)choose(LOCALITY_MODES);
    fields.none_ready = (enum none_ready)choose(NONE_READY_KINDS);
    fields.minimum_per_zone = 1 + (uint32_t)choose(2);
    fields.subset_size = (uint32_t)choose(4);
    fields.lb = choose(6) ? LB_ROUND_ROBIN : LB_RING_HASH;
    return choose(2) ? policy_ref(policy_default()) : policy_new(&fields);
}

static void change_service(void)
{
    static char addresses[6][32];
    struct fixture_endpoint endpoints[6] = {0};
    struct fixture_service service = {.name = "greeter", .endpoints = endpoints, .len = choose(7)};
    bool zone_hints = choose(2), node_hints = choose(3) == 0;

    for (size_t i = 0; i < service.len; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), "10.0.0.%zu", 1 + i);
        endpoints[i] = (struct fixture_endpoint){
            .address = addresses[i],
            .zone = zones[choose(4)],
            .node = nodes[choose(4)],
            .for_zone = zone_hints ? zones[choose(20) ? 1 + choose(3) : 0] : "",
            .for_node = node_hints ? nodes[choose(20) ? 1 + choose(3) : 0] : "",
            .unready = choose(8) == 0,
        };
    }
    service.local = choose(4) == 0;
    service.policy = choose_policy();
    service.external = choose(10) == 0 ? "db.example.com" : NULL;
    catalog = choose(10) == 0 ? catalog_without_greeter(catalog) : catalog_with(catalog, &service);
    policy_unref(service.policy);
    topic_table_publish(table, catalog, 1);
}

/* A backend of policies of greeter. */
static void change_canary(void)
{
    static const struct fixture_endpoint endpoints[] = {{.address = "10.0.1.1"}, {.address = "10.0.1.2"}};
    const struct fixture_service service = {
        .name = "canary",
        .endpoints = endpoints,
        .len = choose(3),
        .external = choose(6) == 0 ? "canary.example.com" : NULL,
    };

    catalog = catalog_with(catalog, &service);
    topic_table_publish(table, catalog, 1);
}

/* The backends of a policy, by their weights. NULL: none has addresses. */
static struct blob *naive_split(const struct route *route)
{
    struct grpclb_share shares[ROUTE_TARGETS_MAX] = {0};
    bool any = false;
    uint64_t version;

    for (size_t i = 0; i < route->len; i++) {
        const struct route_target *target = &route->targets[i];
        bool listed = target->weight > 0 && target->found && target->found->type != SERVICE_EXTERNAL_NAME;

        shares[i].weight = target->weight;
        shares[i].list = listed ? &target->found->ports[0].list : NULL;
        any = any || listed;
        if (target->problem)
            shares[i].drop_token =
                str_eq(target->service, STR("canary")) ? STR("empty:canary") : STR("empty:greeter");
    }
    return any ? encode_grpclb_list(shares, route->len, &version) : NULL;
}

static struct blob *naive_grpclb(const struct place *place)
{
    const struct name_context context = {STR(""), STR("cluster.local"), NULL};
    const struct service *service = catalog_find(catalog, STR("shop"), STR("greeter"));
    struct backend_list list;
    struct grpclb_share share = {.list = &list, .weight = 1};
    struct arena arena = {0};
    struct route route;
    struct blob *blob;
    struct name name;
    struct view view;
    uint64_t version;

    cr_assert_eq(name_parse(STR(NAME), &context, &name, NULL), CODE_OK);
    route_find(&(struct sight){.catalog = catalog}, &name, &route);
    for (size_t i = 0; i < route.len; i++)
        if (route.targets[i].weight > 0 && !str_eq(route.targets[i].service, STR("greeter")))
            return naive_split(&route);
    if (!service || service->type == SERVICE_EXTERNAL_NAME)
        return NULL;
    view = view_of(&service->ports[0], place);
    view_list(&service->ports[0], &view, &arena, &list);
    blob = encode_grpclb_list(&share, 1, &version);
    arena_done(&arena);
    return blob;
}

/* The rules, without anything shared or remembered. */
static struct blob *naive_assignment(const struct place *place)
{
    const struct service *service = catalog_find(catalog, STR("shop"), STR("greeter"));
    struct backend_list list = {0};
    struct arena arena = {0};
    struct blob *blob;

    if (service && service->type != SERVICE_EXTERNAL_NAME) {
        struct view view = view_of(&service->ports[0], place);

        view_list(&service->ports[0], &view, &arena, &list);
    }
    blob = encode_assignment(STR(LIST), &list, 8001, STR(""));
    arena_done(&arena);
    return blob;
}

static void check(struct watcher *watcher, size_t step)
{
    struct blob *expected = watcher->kind == TOPIC_GRPCLB ? naive_grpclb(&watcher->place)
                                                          : naive_assignment(&watcher->place);
    const struct topic_content *content = watcher->listener.subscriber.content;
    struct blob *bytes = topic_bytes(&watcher->listener.subscriber);

    cr_assert_eq(watcher->listener.subscriber.content, content, "step %zu: it was not up to date", step);
    cr_assert_eq(bytes == NULL, expected == NULL, "step %zu", step);
    cr_assert(!expected || str_eq(blob_str(bytes), blob_str(expected)), "step %zu", step);
    cr_assert_eq(content->version, watcher->version, "step %zu: it was not told", step);
    blob_unref(expected);
}

static void on_told(struct subscriber *subscriber)
{
    struct watcher *watcher = container_of(subscriber, struct watcher, listener.subscriber);

    cr_assert_neq(watcher->version, subscriber->content->version, "told of nothing else");
    watcher->version = subscriber->content->version;
}

static void change_watcher(struct watcher *watcher, size_t step)
{
    if (watcher->subscribed) {
        topic_unsubscribe(&watcher->listener.subscriber);
        watcher->subscribed = false;
        return;
    }
    watcher->place = (struct place){.zone = str_of(zones[choose(4)]),
                                    .node = str_of(nodes[choose(4)]),
                                    .group = choose(3) ? 1 + (unsigned)choose(PLACE_GROUPS) : 0};
    watcher->kind = choose(2) ? TOPIC_GRPCLB : TOPIC_ASSIGNMENT;
    listener_join(table, watcher->kind, watcher->kind == TOPIC_GRPCLB ? NAME : LIST, watcher->place,
                  &watcher->listener);
    watcher->subscribed = true;
    watcher->listener.subscriber.changed = on_told;
    watcher->version = watcher->listener.subscriber.content->version;
    check(watcher, step);
}

static void unsubscribe_all(void)
{
    for (size_t i = 0; i < WATCHERS; i++)
        if (watchers[i].subscribed)
            change_watcher(&watchers[i], 0);
}

static void ask(struct watcher *watcher, size_t step)
{
    if (!watcher->subscribed)
        return;
    topic_content(&watcher->listener.subscriber);
    check(watcher, step);
}

static void settle(size_t step)
{
    while (topic_table_work(table, 0))
        ;
    for (size_t i = 0; i < WATCHERS; i++)
        if (watchers[i].subscribed)
            check(&watchers[i], step);
}

Test(topic_random, subscribers_have_what_the_rules_give_them)
{
    struct topic_table_options options = {
        .cluster_domain = "cluster.local", .unknown_names = UNKNOWN_NAMES_EMPTY, .stats = &stats};

    state = 20260820;
    table = topic_table_new(&options);
    catalog = catalog_new_empty();
    for (size_t step = 0; step < STEPS; step++) {
        if (choose(100) == 0)
            unsubscribe_all();
        else if (choose(4) == 0)
            change_service();
        else if (choose(20) == 0)
            change_canary();
        else
            change_watcher(&watchers[choose(WATCHERS)], step);
        if (choose(4) == 0)
            ask(&watchers[choose(WATCHERS)], step);
        if (choose(2))
            (void)topic_table_work(table, 0);
        if (choose(3) == 0)
            settle(step);
    }
    unsubscribe_all();
    cr_assert_eq(counter_get(&stats.views), 0);
    catalog_unref(catalog);
    topic_table_free(table);
}
