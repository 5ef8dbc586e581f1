#include <criterion/criterion.h>

#include "base/counts.h"

Test(counts, are_summed_by_name)
{
    CLEANUP(counts_freep) struct counts *counts = counts_new();

    counts_add(counts, STR("shop/greeter"), 2);
    counts_add(counts, STR("shop/other"), 1);
    counts_add(counts, STR("shop/greeter"), 3);
    cr_assert_eq(counts_get(counts, STR("shop/greeter")), 5);
    cr_assert_eq(counts_get(counts, STR("shop/other")), 1);
    cr_assert_eq(counts_get(counts, STR("shop")), 0);
}

Test(counts, go_to_json_and_back)
{
    CLEANUP(counts_freep) struct counts *counts = counts_new();
    CLEANUP(json_freep) struct json *json = NULL;
    struct buf text = BUFFER_INIT(1000);
    struct json_writer writer = json_writer(&text);

    counts_add(counts, STR("shop/greeter"), 7);
    json_open_object(&writer, NULL);
    counts_write(counts, &writer, "services");
    json_close_object(&writer);
    cr_assert_str_eq(buf_cstr(&text), "{\"services\":{\"shop/greeter\":7}}");
    cr_assert_eq(json_parse(buf_str(&text), &json, NULL), CODE_OK);
    counts_add_json(counts, json_get(json, "services"));
    cr_assert_eq(counts_get(counts, STR("shop/greeter")), 14);
    buf_done(&text);
}

Test(counts, of_others_are_bounded)
{
    CLEANUP(counts_freep) struct counts *counts = counts_new();
    CLEANUP(json_freep) struct json *json = NULL;

    cr_assert_eq(json_parse(STR("{\"a\":-1,\"b\":1e300,\"c\":\"7\",\"\":3,\"d\":4}"), &json, NULL),
                 CODE_OK);
    counts_add_json(counts, json);
    counts_add_json(counts, NULL);
    cr_assert_eq(counts_get(counts, STR("a")) + counts_get(counts, STR("b")) +
                     counts_get(counts, STR("c")) + counts_get(counts, STR("")),
                 0);
    cr_assert_eq(counts_get(counts, STR("d")), 4);
    counts_add(counts, STR("d"), UINT64_MAX);
    counts_add(counts, STR("d"), UINT64_MAX);
    cr_assert_eq(counts_get(counts, STR("d")), COUNTS_VALUE_MAX);
}
