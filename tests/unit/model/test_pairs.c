/* Pairs of texts, by themselves and as what catalogs know of nodes and hosts. */
#include "base/buf.h"
#include "fixture.h"

#define NODE(node_name, zone_name)                                                                 \
    {                                                                                              \
        STR_INIT(node_name), STR_INIT(zone_name)                                                   \
    }
#define LIST(...)                                                                                  \
    (const struct pair[])                                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define COUNT(...) (sizeof((const struct pair[]){__VA_ARGS__}) / sizeof(struct pair))
#define NODES(...) pairs_new(LIST(__VA_ARGS__), COUNT(__VA_ARGS__))
#define ZONE_IS(nodes, node, zone) cr_assert(str_eq(pairs_find(nodes, STR(node)), STR(zone)))

Test(nodes, tells_the_zone_of_every_node_whatever_their_order)
{
    char node[] = "n3", zone[] = "a";
    struct pair items[] = {
        NODE("n2", "b"), {str_of(node), str_of(zone)}, NODE("n1", "a"), NODE("n10", "c")};
    struct pairs *nodes = pairs_new(items, ARRAY_LEN(items));

    memset(node, 'x', 2);
    memset(zone, 'x', 1);
    ZONE_IS(nodes, "n1", "a");
    ZONE_IS(nodes, "n2", "b");
    ZONE_IS(nodes, "n3", "a");
    ZONE_IS(nodes, "n10", "c");
    ZONE_IS(nodes, "n4", "");
    ZONE_IS(nodes, "", "");
    cr_assert_eq(pairs_ref(nodes), nodes);
    pairs_unref(nodes);
    ZONE_IS(nodes, "n2", "b");
    pairs_unref(nodes);
}

Test(nodes, that_say_nothing_are_none)
{
    cr_assert_null(pairs_new(NULL, 0));
    cr_assert_null(NODES(NODE("n1", ""), NODE("", "a")));
    ZONE_IS(NULL, "n1", "");
    cr_assert_null(pairs_ref(NULL));
    pairs_unref(NULL);
}

Test(nodes, are_equal_by_what_they_say)
{
    struct pairs *base = NODES(NODE("n1", "a"), NODE("n2", "b"));
    struct pairs *same[] = {NODES(NODE("n2", "b"), NODE("n1", "a")),
                            NODES(NODE("n2", "b"), NODE("n3", ""), NODE("n1", "a")),
                            NODES(NODE("n1", "c"), NODE("n2", "b"), NODE("n1", "a"))};
    struct pairs *others[] = {NODES(NODE("n1", "a")), NODES(NODE("n1", "a"), NODE("n2", "c")),
                              NODES(NODE("n1", "a"), NODE("n3", "b")), NULL};

    cr_assert(pairs_equal(NULL, NULL));
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        cr_assert(pairs_equal(base, same[i]), "case %zu", i);
        pairs_unref(same[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        cr_assert_not(pairs_equal(base, others[i]), "case %zu", i);
        cr_assert_not(pairs_equal(others[i], base), "case %zu", i);
        pairs_unref(others[i]);
    }
    pairs_unref(base);
}

/* ---- in catalogs ---- */

/* Consumes `base`. */
static const struct catalog *with_nodes(const struct catalog *base, const struct pair *items,
                                        size_t len)
{
    struct catalog_edit *edit = catalog_edit_new(base);

    catalog_set_nodes(edit, items, len);
    catalog_unref(base);
    return catalog_edit_finish(edit);
}

static const struct catalog *with_service(const struct catalog *base)
{
    struct catalog_edit *edit = catalog_edit_new(base);

    catalog_put(edit, make_service(SERVICE_TEXT(.ports = "=80"), NULL, 0));
    return catalog_edit_finish(edit);
}

static void must_not_differ(unused_arg void *ctx, unused_arg const struct service *before,
                            unused_arg const struct service *after)
{
    cr_assert_fail("no Service has changed");
}

Test(catalog_nodes, make_another_version_when_they_change)
{
    const struct catalog *base = catalog_new_empty();
    const struct catalog *first = with_nodes(catalog_ref(base), LIST(NODE("n1", "a")), 1);
    const struct catalog *second = with_nodes(catalog_ref(first), LIST(NODE("n1", "b")), 1);

    cr_assert_neq(first, base);
    cr_assert_eq(catalog_generation(first), 2);
    cr_assert_not(catalog_same_nodes(base, first));
    cr_assert_not(catalog_same_nodes(first, second));
    cr_assert_not(catalog_same_nodes(first, NULL));
    cr_assert(catalog_same_nodes(base, NULL));
    cr_assert(str_eq(catalog_node_zone(base, STR("n1")), STR("")));
    cr_assert(str_eq(catalog_node_zone(first, STR("n1")), STR("a")));
    cr_assert(str_eq(catalog_node_zone(second, STR("n1")), STR("b")));
    catalog_diff(first, second, must_not_differ, NULL);
    catalog_unref(base);
    catalog_unref(first);
    catalog_unref(second);
}

Test(catalog_nodes, that_say_the_same_change_nothing)
{
    const struct catalog *base =
        with_nodes(catalog_new_empty(), LIST(NODE("n1", "a"), NODE("n2", "b")), 2);
    const struct catalog *same =
        with_nodes(catalog_ref(base), LIST(NODE("n2", "b"), NODE("n1", "a")), 2);

    cr_assert_eq(same, base);
    catalog_unref(base);
    catalog_unref(same);
}

Test(catalog_nodes, outlive_the_version_that_brought_them)
{
    const struct catalog *base = with_nodes(catalog_new_empty(), LIST(NODE("n1", "a")), 1);
    const struct catalog *next = with_service(base);

    cr_assert(catalog_same_nodes(base, next));
    catalog_unref(base);
    cr_assert(str_eq(catalog_node_zone(next, STR("n1")), STR("a")));
    base = with_nodes(next, NULL, 0);
    cr_assert(str_eq(catalog_node_zone(base, STR("n1")), STR("")));
    cr_assert_eq(catalog_len(base), 1);
    catalog_unref(base);
}

/* The last call counts. */
Test(catalog_nodes, may_be_set_twice_in_an_edit)
{
    const struct catalog *base = catalog_new_empty();
    struct catalog_edit *edit = catalog_edit_new(base);
    const struct catalog *next;

    catalog_set_nodes(edit, LIST(NODE("n1", "a")), 1);
    catalog_set_nodes(edit, NULL, 0);
    next = catalog_edit_finish(edit);
    cr_assert_eq(next, base);
    catalog_unref(base);
    catalog_unref(next);
}

/* ---- hosts ---- */

static void append_key(void *ctx, struct str key)
{
    struct buf *out = ctx;

    buf_printf(out, "%" STR_FMT " ", STR_ARG(key));
}

Test(pairs, tell_the_keys_whose_values_differ)
{
    struct pairs *a = NODES(NODE("a", "1"), NODE("b", "1"), NODE("d", "1"));
    struct pairs *b = NODES(NODE("b", "2"), NODE("c", "1"), NODE("d", "1"));
    struct buf seen = BUFFER_INIT(64);

    pairs_diff(a, b, append_key, &seen);
    cr_assert_str_eq(buf_cstr(&seen), "a b c ");
    buf_reset(&seen);
    pairs_diff(NULL, b, append_key, &seen);
    cr_assert_str_eq(buf_cstr(&seen), "b c d ");
    buf_reset(&seen);
    pairs_diff(a, a, append_key, &seen);
    pairs_diff(NULL, NULL, append_key, &seen);
    cr_assert_str_eq(buf_cstr(&seen), "");
    buf_done(&seen);
    pairs_unref(a);
    pairs_unref(b);
}

Test(pairs, catalogs_tell_the_hosts_whose_owner_differs)
{
    const struct catalog *base = catalog_new_empty();
    struct catalog_edit *edit = catalog_edit_new(base);
    struct pair host = {STR_INIT("a.example.com"), STR_INIT("shop/a")};
    const struct catalog *next;
    struct buf seen = BUFFER_INIT(64);

    catalog_set_hosts(edit, &host, 1);
    next = catalog_edit_finish(edit);
    cr_assert(str_eq(catalog_host(next, STR("a.example.com")), STR("shop/a")));
    cr_assert(str_eq(catalog_host(base, STR("a.example.com")), STR("")));
    cr_assert_not(catalog_same_hosts(base, next));
    catalog_diff_hosts(base, next, append_key, &seen);
    cr_assert_str_eq(buf_cstr(&seen), "a.example.com ");
    buf_done(&seen);
    catalog_unref(base);
    catalog_unref(next);
}
