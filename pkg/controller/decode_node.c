#include "controller/decode.h"

/* A label's value has 63 bytes at most, by the API server's own validation. */
#define ZONE_MAX 63

enum code decode_node(const struct json *object, const struct object_meta *meta,
                      struct node_object **ret_node, struct err *err)
{
    const struct json *metadata = NULL, *labels = NULL;
    struct err inner = {0};
    struct str zone = STR("");
    struct node_object *node;

    if (json_read_object(object, "", "metadata", &metadata, &inner) != CODE_OK ||
        json_read_object(metadata, "metadata", "labels", &labels, &inner) != CODE_OK ||
        json_read_str(labels, "metadata.labels", "topology.kubernetes.io/zone", STR(""), &zone,
                      &inner) != CODE_OK)
        return fail(err, inner.code, "%" STR_FMT ": %s", STR_ARG(meta->name), inner.msg);
    if (zone.len > ZONE_MAX)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "%" STR_FMT ": metadata.labels.topology.kubernetes.io/zone: longer than %d",
                    STR_ARG(meta->name), ZONE_MAX);
    node = xcalloc(1, sizeof(*node) + meta->name.len + zone.len + 2);
    memcpy(node->text, meta->name.ptr, meta->name.len);
    if (zone.len > 0)
        memcpy(node->text + meta->name.len + 1, zone.ptr, zone.len);
    node->name = str_make(node->text, meta->name.len);
    node->zone = str_make(node->text + meta->name.len + 1, zone.len);
    *ret_node = node;
    return CODE_OK;
}

bool node_object_equal(const struct node_object *a, const struct node_object *b)
{
    return str_eq(a->name, b->name) && str_eq(a->zone, b->zone);
}
