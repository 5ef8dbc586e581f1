/* Any JSON as a Node: what is accepted has a name and perhaps a zone; what is refused has a
 * message. */
#include "controller/decode.h"
#include "must_hold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *json = NULL;
    struct object_meta meta;
    struct node_object *node = NULL;
    struct err err = {0};

    if (json_parse(str_make(data, size), &json, NULL) != CODE_OK)
        return 0;
    if (decode_meta(json, &meta, &err) != CODE_OK ||
        decode_node(json, &meta, &node, &err) != CODE_OK)
        must_hold(err.code == CODE_INVALID_ARGUMENT && err.msg[0] && !node);
    else
        must_hold(str_eq(node->name, meta.name) && node->zone.len <= 63 &&
                  node_object_equal(node, node));
    free(node);
    json_free(json);
    return 0;
}
