/* Lists for those who prefer what is near, over many small Services: they are what choosing and ranking anew gives, and are told apart without
 * being made. */
#include "fixture.h"

#include "base/buf.h"
#include "base/hash.h"
#include "model/list.h"
#include "model/view_near.h"

#define SERVICES 400
#define LISTS_MAX (SERVICES * 12)

static const char *const zones[] = {"", "a", "b"};
static const char *const nodes[] = {"", "n1", "n2", "n3"};
static uint64_t state;

static unsigned choose(unsigned len)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(state >> 33) % len;
}

/* ---- a Service by chance ---- */

static void put_endpoints(struct buf *out, const char *format, unsigned len, bool ready)
{
    static const char *const states[] = {"", "", "/n", "/d"};

    for (unsigned i = 1; i <= len; i++) {
        const char *zone = zones[choose(3)], *node = nodes[choose(4)];

        buf_printf(out, format, i);
        buf_printf(out, "%s%s%s%s#pod-%u%s ", *zone ? "@" : "", zone, *node ? "%" : "", node, choose(4),
                   ready ? states[choose(4)] : "/d");
    }
}

static const struct service *make(void)
{
    CLEANUP(buf_done) struct buf ipv4 = BUFFER_INIT(4096), ipv6 = BUFFER_INIT(4096);
    struct policy fields = *policy_default();
    bool ready = choose(4) > 0;
    const struct policy *policy;
    const struct service *service;

    fields.locality = choose(3) ? LOCALITY_PREFER_NODE : LOCALITY_PREFER_ZONE;
    policy = policy_new(&fields);
    put_endpoints(&ipv4, "10.0.0.%u", choose(5), ready);
    put_endpoints(&ipv6, "fd00::%u", choose(3), ready);
    service = MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .policy = policy),
                           SLICE_TEXT("s", "x=1", buf_cstr(&ipv4)),
                           SLICE_TEXT("t", "x=1", buf_cstr(&ipv6), .family = FAMILY_IPV6));
    policy_unref(policy);
    return service;
}

/* Of every place. */
static void each_list(const struct service *service,
                      void (*visit)(const struct service_port *port, const struct view *view))
{
    const struct service_port *port = port_of(service, 80);

    for (size_t zone = 0; zone < ARRAY_LEN(zones); zone++) {
        for (size_t node = 0; node < ARRAY_LEN(nodes); node++) {
            struct place place = {.zone = str_of(zones[zone]), .node = str_of(nodes[node])};
            struct view view = view_of(port, &place);

            visit(port, &view);
        }
    }
}

static void each_service(void (*visit)(const struct service_port *port, const struct view *view))
{
    state = 20261129;
    for (unsigned i = 0; i < SERVICES; i++) {
        const struct service *service = make();

        each_list(service, visit);
        service_unref(service);
    }
}

/* ---- as the rules say ---- */

static unsigned rank(const void *ctx, const struct listed *listed)
{
    const struct view *view = ctx;

    if (view->ipv4 == VIEW_NEAR_NODE && str_eq(listed->backend->endpoint->node, view->node))
        return 0;
    return view->zone.len > 0 && str_eq(listed->zone, view->zone) ? 1 : 2;
}

static void compare(const struct service_port *port, const struct view *view)
{
    struct list_rules rules = {.ctx = view, .rank = rank, .sub_zone = view->node};
    struct backend_list list, expected;
    struct arena arena = {0};
    char text[1024];

    view_list(port, view, &arena, &list);
    list_make(port, view_is_all(view) ? NULL : &rules, &arena, &expected);
    snprintf(text, sizeof(text), "%s", backends_text(&expected));
    cr_assert_str_eq(backends_text(&list), text);
    arena_done(&arena);
}

Test(view_near, lists_are_those_of_ranking_anew)
{
    each_service(compare);
}

/* ---- told apart ---- */

static struct told {
    char text[256];
    uint64_t version;
} told[LISTS_MAX];
static size_t told_len;

static void tell(const struct service_port *port, const struct view *view)
{
    struct told *one = &told[told_len];
    const char *text = list_text(port);
    struct arena arena = {0};
    struct backend_list list;

    if (!view_is_of_node(view))
        return;
    one->version = hash_mix(hash_content(text, strlen(text)), view_near_hash(port, view));
    view_list(port, view, &arena, &list);
    snprintf(one->text, sizeof(one->text), "%s", backends_text(&list));
    arena_done(&arena);
    told_len++;
}

Test(view_near, a_node_s_lists_are_told_apart_without_being_made)
{
    size_t same = 0;

    each_service(tell);
    for (size_t i = 0; i < told_len; i++) {
        for (size_t k = 0; k < i; k++) {
            bool is_same = strcmp(told[i].text, told[k].text) == 0;

            same += is_same;
            if (is_same != (told[i].version == told[k].version))
                cr_assert_fail("%s\n%s", told[i].text, told[k].text);
        }
    }
    cr_assert_gt(same, 100, "%zu of %zu lists", same, told_len);
}

/* Clients may tell what they like: it makes no view of its own. */
Test(view_near, a_zone_that_nobody_is_in_is_no_zone)
{
    struct policy fields = *policy_default();
    const struct place real = {.zone = STR("a"), .node = STR("n1")};
    const struct place fake = {.zone = STR("fake"), .node = STR("n1")}, none = {.node = STR("n1")};
    const struct policy *policy;
    const struct service *service;
    struct view views[3];

    fields.locality = LOCALITY_PREFER_NODE;
    policy = policy_new(&fields);
    service = MAKE_SERVICE(SERVICE_TEXT(.ports = "x=80", .policy = policy),
                           SLICE_TEXT("s", "x=1", "10.0.0.1@a%n1 10.0.0.2@a%n2 10.0.0.3@b%n3"));
    views[0] = view_of(&service->ports[0], &real);
    views[1] = view_of(&service->ports[0], &fake);
    views[2] = view_of(&service->ports[0], &none);
    cr_expect(str_eq(views[0].zone, STR("a")));
    cr_expect(view_equal(&views[1], &views[2]));
    cr_expect_not(view_equal(&views[0], &views[1]));
    service_unref(service);
    policy_unref(policy);
}
