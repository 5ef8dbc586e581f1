#include <criterion/criterion.h>

#include "protocol/name_set.h"

/* Items are C strings; every call is written down. */
static char calls[256];

static void note(const char *what, struct str name)
{
    size_t len = strlen(calls);

    snprintf(calls + len, sizeof(calls) - len, "%s%" STR_FMT " ", what, STR_ARG(name));
}

static struct str name_of(const void *item)
{
    return str_of(item);
}

static void *add(unused_arg void *ctx, struct str name)
{
    note("+", name);
    return str_dup(name);
}

static void drop(unused_arg void *ctx, void *item)
{
    note("-", str_of(item));
    free(item);
}

static const struct name_set_ops ops = {name_of, add, drop};

static size_t replace(struct name_set *set, const char *text)
{
    struct str names[16];
    struct str rest = str_of(text);
    size_t len = 0;

    while (rest.len > 0)
        names[len++] = str_cut(&rest, ' ');
    len = names_sort(names, len);
    calls[0] = '\0';
    return name_set_replace(set, names, len, &ops, NULL);
}

Test(name_set, sorts_names_and_drops_repetitions)
{
    struct str names[] = {STR("b"), STR("a"), STR("b"), STR(""), STR("ab"), STR("a")};

    cr_assert_eq(names_sort(names, ARRAY_LEN(names)), 4);
    cr_assert(str_eq(names[0], STR("")) && str_eq(names[1], STR("a")) &&
              str_eq(names[2], STR("ab")) && str_eq(names[3], STR("b")));
    cr_assert_eq(names_sort(NULL, 0), 0);
}

Test(name_set, adds_what_is_new_before_it_removes_what_is_gone)
{
    struct name_set set = {0};

    cr_assert_eq(replace(&set, "b d"), 2);
    cr_assert_str_eq(calls, "+b +d ");
    cr_assert_eq(replace(&set, "e a d"), 2);
    cr_assert_str_eq(calls, "+a +e -b ");
    name_set_clear(&set, &ops, NULL);
}

Test(name_set, keeps_its_array_when_nothing_changes)
{
    struct name_set set = {0};
    void **items;

    replace(&set, "a b");
    items = set.items;
    cr_assert_eq(replace(&set, "b a"), 0);
    cr_assert_str_eq(calls, "");
    cr_assert_eq(set.items, items);
    name_set_clear(&set, &ops, NULL);
}

Test(name_set, keeps_items_that_stay)
{
    struct name_set set = {0};
    void *b;

    replace(&set, "a b c");
    b = set.items[1];
    replace(&set, "b");
    cr_assert_eq(set.items[0], b);
    name_set_clear(&set, &ops, NULL);
}

Test(name_set, finds_by_name)
{
    struct name_set set = {0};

    cr_assert_null(name_set_find(&set, STR("a"), &ops));
    replace(&set, "a b c d e");
    cr_assert_eq(name_set_find(&set, STR("a"), &ops), set.items[0]);
    cr_assert_eq(name_set_find(&set, STR("e"), &ops), set.items[4]);
    cr_assert_null(name_set_find(&set, STR("bb"), &ops));
    name_set_clear(&set, &ops, NULL);
}

Test(name_set, is_empty_after_clearing)
{
    struct name_set set = {0};

    replace(&set, "a b");
    calls[0] = '\0';
    name_set_clear(&set, &ops, NULL);
    cr_assert_str_eq(calls, "-a -b ");
    cr_assert_eq(set.len, 0);
    cr_assert_null(set.items);
}
