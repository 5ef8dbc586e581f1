#include "fixture.h"

static const struct service *new_service(const char *name)
{
    return make_service(SERVICE_TEXT(.name = name, .ports = "=80"), NULL, 0);
}

/* Consumes `base`. */
static const struct catalog *with(const struct catalog *base, const char *name)
{
    struct catalog_edit *edit = catalog_edit_new(base);
    const struct catalog *next;

    catalog_put(edit, new_service(name));
    next = catalog_edit_finish(edit);
    catalog_unref(base);
    return next;
}

static const struct catalog *many(size_t len)
{
    struct catalog_edit *edit;
    const struct catalog *empty = catalog_new_empty();
    const struct catalog *full;

    edit = catalog_edit_new(empty);
    for (size_t i = 0; i < len; i++) {
        char name[32];

        snprintf(name, sizeof(name), "service-%zu", i);
        catalog_put(edit, new_service(name));
    }
    full = catalog_edit_finish(edit);
    catalog_unref(empty);
    return full;
}

static const struct service *find(const struct catalog *catalog, const char *name)
{
    return catalog_find(catalog, STR("shop"), str_of(name));
}

struct seen {
    size_t added, removed, changed;
    const struct service *last;
};

static void on_diff(void *ctx, const struct service *before, const struct service *after)
{
    struct seen *seen = ctx;

    cr_assert(before || after);
    cr_assert_neq(before, after);
    cr_assert(!before || !after || str_eq(before->name, after->name));
    seen->added += !before;
    seen->removed += !after;
    seen->changed += before && after;
    seen->last = after ? after : before;
}

static struct seen diff(const struct catalog *before, const struct catalog *after)
{
    struct seen seen = {0};

    catalog_diff(before, after, on_diff, &seen);
    return seen;
}

static void count(void *ctx, const struct service *service)
{
    struct seen *seen = ctx;

    seen->added++;
    seen->last = service;
}

Test(catalog, starts_empty_with_generation_1)
{
    const struct catalog *catalog = catalog_new_empty();

    cr_assert_eq(catalog_generation(catalog), 1);
    cr_assert_eq(catalog_len(catalog), 0);
    cr_assert_null(find(catalog, "greeter"));
    catalog_unref(catalog);
    catalog_unref(NULL);
}

Test(catalog, finds_what_was_put_and_only_that)
{
    const struct catalog *catalog = many(2000);

    cr_assert_eq(catalog_len(catalog), 2000);
    for (size_t i = 0; i < 2000; i++) {
        char name[32];

        snprintf(name, sizeof(name), "service-%zu", i);
        cr_assert(str_eq(find(catalog, name)->name, str_of(name)));
        cr_assert_null(catalog_find(catalog, STR("other"), str_of(name)));
    }
    cr_assert_null(find(catalog, "service-2000"));
    cr_assert_null(find(catalog, ""));
    catalog_unref(catalog);
}

Test(catalog, visits_every_service_once)
{
    const struct catalog *catalog = many(1000);
    struct seen seen = {0};

    catalog_each(catalog, count, &seen);
    cr_assert_eq(seen.added, 1000);
    catalog_unref(catalog);
}

Test(catalog, shares_all_but_what_was_touched)
{
    const struct catalog *before = many(1000);
    struct catalog_edit *edit = catalog_edit_new(before);
    const struct service *replacement = new_service("service-7");
    const struct catalog *after;
    struct seen seen;

    catalog_put(edit, replacement);
    after = catalog_edit_finish(edit);
    cr_assert_eq(catalog_generation(after), catalog_generation(before) + 1);
    cr_assert_eq(catalog_len(after), 1000);
    for (size_t i = 0; i < 1000; i++) {
        char name[32];

        snprintf(name, sizeof(name), "service-%zu", i);
        cr_assert_eq(find(before, name) == find(after, name), i != 7, "%s", name);
    }
    cr_assert_eq(find(after, "service-7"), replacement);
    seen = diff(before, after);
    cr_assert_eq(seen.changed, 1);
    cr_assert_eq(seen.added + seen.removed, 0);
    cr_assert_eq(seen.last, replacement);
    catalog_unref(before);
    catalog_unref(after);
}

Test(catalog, leaves_its_base_as_it_was)
{
    const struct catalog *before = many(100);
    struct catalog_edit *edit = catalog_edit_new(before);
    const struct catalog *after;

    for (size_t i = 0; i < 100; i++) {
        char name[32];

        snprintf(name, sizeof(name), "service-%zu", i);
        catalog_remove(edit, STR("shop"), str_of(name));
    }
    after = catalog_edit_finish(edit);
    cr_assert_eq(catalog_len(after), 0);
    cr_assert_eq(catalog_len(before), 100);
    cr_assert_not_null(find(before, "service-99"));
    cr_assert_eq(diff(before, after).removed, 100);
    cr_assert_eq(diff(after, before).added, 100);
    catalog_unref(before);
    cr_assert_null(find(after, "service-99"));
    catalog_unref(after);
}

Test(catalog, is_its_base_when_nothing_changed)
{
    const struct catalog *before = many(50);
    struct catalog_edit *edit = catalog_edit_new(before);
    const struct catalog *after;

    catalog_put(edit, service_ref(find(before, "service-3"))); /* the same again */
    catalog_remove(edit, STR("shop"), STR("unknown"));
    catalog_put(edit, new_service("passing"));
    catalog_remove(edit, STR("shop"), STR("passing"));
    after = catalog_edit_finish(edit);
    cr_assert_eq(after, before);
    catalog_unref(after);
    catalog_unref(before);
}

Test(catalog, diff_tells_new_changed_and_gone)
{
    const struct catalog *before =
        with(with(with(catalog_new_empty(), "stays"), "changes"), "goes");
    struct catalog_edit *edit = catalog_edit_new(before);
    const struct catalog *after;
    struct seen seen;

    catalog_put(edit, new_service("changes"));
    catalog_remove(edit, STR("shop"), STR("goes"));
    catalog_put(edit, new_service("comes"));
    after = catalog_edit_finish(edit);
    seen = diff(before, after);
    cr_assert_eq(seen.added, 1);
    cr_assert_eq(seen.changed, 1);
    cr_assert_eq(seen.removed, 1);
    catalog_unref(before);
    catalog_unref(after);
}

Test(catalog, diff_takes_null_for_empty)
{
    const struct catalog *catalog = many(300);

    cr_assert_eq(diff(NULL, catalog).added, 300);
    cr_assert_eq(diff(catalog, NULL).removed, 300);
    cr_assert_eq(diff(NULL, NULL).added, 0);
    cr_assert_eq(diff(catalog, catalog).changed, 0);
    catalog_unref(catalog);
}

/* An edit against a plain model of a set, many times. */
Test(catalog, agrees_with_a_plain_set_over_random_edits)
{
    const struct catalog *catalog = catalog_new_empty();
    const struct service *model[64] = {NULL};
    unsigned state = 1;

    for (size_t round = 0; round < 300; round++) {
        struct catalog_edit *edit = catalog_edit_new(catalog);
        const struct catalog *next;

        for (size_t i = 0; i < round % 7; i++) {
            char name[32];
            size_t index;

            state = state * 1103515245 + 12345;
            index = state >> 16 & 63;
            snprintf(name, sizeof(name), "service-%zu", index);
            if (state >> 28 & 1) {
                model[index] = new_service(name);
                catalog_put(edit, model[index]);
            } else {
                model[index] = NULL;
                catalog_remove(edit, STR("shop"), str_of(name));
            }
        }
        next = catalog_edit_finish(edit);
        catalog_unref(catalog);
        catalog = next;
        for (size_t i = 0; i < ARRAY_LEN(model); i++) {
            char name[32];

            snprintf(name, sizeof(name), "service-%zu", i);
            cr_assert_eq(find(catalog, name), model[i]);
        }
    }
    catalog_unref(catalog);
}
