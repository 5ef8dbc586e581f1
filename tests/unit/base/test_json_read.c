#include <criterion/criterion.h>

#include "base/json.h"

static struct json *tree;
static struct err err;

static void init(void)
{
    cr_assert_eq(
        json_parse(STR("{\"s\":\"x\",\"n\":8001,\"b\":true,\"a\":[1],\"o\":{\"k\":1},\"z\":null,"
                       "\"half\":0.5,\"less\":-1,\"big\":9007199254740993,\"huge\":1e300}"),
                   &tree, NULL),
        CODE_OK);
}

static void done(void)
{
    json_free(tree);
}

TestSuite(json_read, .init = init, .fini = done);

Test(json_read, gives_values_of_the_type)
{
    struct str text;
    uint64_t number;
    bool flag;
    const struct json *item;

    cr_assert_eq(json_read_str(tree, "", "s", STR(""), &text, &err), CODE_OK);
    cr_assert(str_eq(text, STR("x")));
    cr_assert_eq(json_read_u64(tree, "", "n", 65535, 0, &number, &err), CODE_OK);
    cr_assert_eq(number, 8001);
    cr_assert_eq(json_read_bool(tree, "", "b", false, &flag, &err), CODE_OK);
    cr_assert(flag);
    cr_assert_eq(json_read_array(tree, "", "a", &item, &err), CODE_OK);
    cr_assert_eq(json_len(item), 1);
    cr_assert_eq(json_read_object(tree, "", "o", &item, &err), CODE_OK);
    cr_assert_not_null(json_get(item, "k"));
}

Test(json_read, gives_the_default_when_absent)
{
    static const char *const absent[] = {"missing", "z"};

    for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
        struct str text;
        uint64_t number;
        bool flag;
        const struct json *item = tree;

        cr_assert_eq(json_read_str(tree, "", absent[i], STR("d"), &text, &err), CODE_OK);
        cr_assert(str_eq(text, STR("d")));
        cr_assert_eq(json_read_u64(tree, "", absent[i], 10, 7, &number, &err), CODE_OK);
        cr_assert_eq(number, 7);
        cr_assert_eq(json_read_bool(tree, "", absent[i], true, &flag, &err), CODE_OK);
        cr_assert(flag);
        cr_assert_eq(json_read_array(tree, "", absent[i], &item, &err), CODE_OK);
        cr_assert_null(item);
        item = tree;
        cr_assert_eq(json_read_object(tree, "", absent[i], &item, &err), CODE_OK);
        cr_assert_null(item);
    }
}

Test(json_read, gives_defaults_without_a_tree)
{
    uint64_t number;

    cr_assert_eq(json_read_u64(NULL, "", "n", 10, 7, &number, &err), CODE_OK);
    cr_assert_eq(number, 7);
}

Test(json_read, names_the_path_of_a_wrong_type)
{
    struct str text = STR("untouched");
    const struct json *item = tree;
    uint64_t number = 77;
    bool flag = true;

    cr_assert_eq(json_read_u64(tree, "spec.ports[0]", "s", 10, 0, &number, &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "spec.ports[0].s: expected a number, found a string");
    cr_assert_eq(json_read_str(tree, "", "n", STR(""), &text, &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "n: expected a string, found a number");
    cr_assert_eq(json_read_bool(tree, NULL, "s", false, &flag, &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "s: expected a boolean, found a string");
    cr_assert_eq(json_read_array(tree, "x", "o", &item, &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "x.o: expected an array, found an object");
    cr_assert_eq(json_read_object(tree, "x", "a", &item, &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "x.a: expected an object, found an array");
    cr_assert_eq(number, 77);
    cr_assert(flag);
    cr_assert_eq(item, tree);
    cr_assert(str_eq(text, STR("untouched")));
}

Test(json_read, takes_only_whole_numbers_within_the_limit)
{
    static const char *const wrong[] = {"half", "less", "n", "huge"};
    uint64_t number = 77;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        cr_assert_eq(json_read_u64(tree, "p", wrong[i], 8000, 0, &number, &err),
                     CODE_INVALID_ARGUMENT);
    cr_assert_eq(json_read_u64(tree, "p", "half", 8000, 0, &number, &err), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "p.half: expected a whole number from 0 to 8000, found 0.5");
    cr_assert_eq(json_read_u64(tree, "p", "huge", UINT64_MAX, 0, &number, &err),
                 CODE_INVALID_ARGUMENT);
    cr_assert_eq(json_read_u64(tree, "p", "big", UINT64_MAX, 0, &number, &err),
                 CODE_INVALID_ARGUMENT, "a double has rounded it");
    cr_assert_eq(number, 77);
    cr_assert_eq(json_read_u64(tree, "p", "n", 8001, 0, &number, &err), CODE_OK);
}
