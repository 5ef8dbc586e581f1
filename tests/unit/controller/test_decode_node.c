#include "fixture.h"

#include "controller/decode.h"

static enum code decode(const char *text, struct node_object **ret_node, struct err *err)
{
    struct json *json = parse(text);
    struct object_meta meta;
    enum code code = decode_meta(json, &meta, err);

    if (code == CODE_OK)
        code = decode_node(json, &meta, ret_node, err);
    json_free(json);
    return code;
}

static struct node_object *good(const char *text)
{
    struct node_object *node = NULL;
    struct err err = {0};

    cr_assert_eq(decode(text, &node, &err), CODE_OK, "%s", err.msg);
    return node;
}

Test(decode_node, reads_name_and_zone)
{
    struct node_object *node = good(
        "{'metadata':{'name':'n1','labels':{'topology.kubernetes.io/zone':'z1','other':'x'}}}");
    struct node_object *same =
        good("{'metadata':{'name':'n1','labels':{'topology.kubernetes.io/zone':'z1'}}}");
    struct node_object *bare = good("{'metadata':{'name':'n1'}}");

    cr_assert(str_eq(node->name, STR("n1")));
    cr_assert(str_eq(node->zone, STR("z1")));
    cr_assert_eq(bare->zone.len, 0);
    cr_assert(node_object_equal(node, same));
    cr_assert_not(node_object_equal(node, bare));
    free(node);
    free(same);
    free(bare);
}

Test(decode_node, names_what_is_wrong)
{
#define LABELS(text) "{'metadata':{'name':'n1','labels':" text "}}"
#define Z64 "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
    static const struct {
        const char *text, *error;
    } cases[] = {
        {LABELS("[]"), "n1: metadata.labels: expected an object, found an array"},
        {LABELS("{'topology.kubernetes.io/zone':7}"),
         "n1: metadata.labels.topology.kubernetes.io/zone: expected a string, found a number"},
        {LABELS("{'topology.kubernetes.io/zone':'" Z64 "'}"),
         "n1: metadata.labels.topology.kubernetes.io/zone: longer than 63"},
        {"{'metadata':{'name':'N1'}}", "metadata.name: 'N1' is no valid name"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct node_object *node = NULL;
        struct err err = {0};

        cr_assert_eq(decode(cases[i].text, &node, &err), CODE_INVALID_ARGUMENT);
        cr_assert_str_eq(err.msg, cases[i].error);
        cr_assert_null(node);
    }
}
