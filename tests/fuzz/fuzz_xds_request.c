/*
 * Any bytes as a DiscoveryRequest: what is accepted obeys the limits, is sorted and does not depend
 * on the request that was read before; what is refused says why.
 */
#include "protocol/request.h"
#include "must_hold.h"
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct str text)
{
    must_hold(text.len <= XDS_NAME_MAX && wire_is_utf8(text));
}

static void check_node(const struct xds_node *node)
{
    check_text(node->id);
    check_text(node->cluster);
    check_text(node->user_agent);
    check_text(node->user_agent_version);
    check_text(node->region);
    check_text(node->zone);
    check_text(node->sub_zone);
    check_text(node->namespace_name);
    check_text(node->node);
}

static void check_names(const struct xds_request *request)
{
    must_hold(request->names.len <= XDS_NAMES_MAX);
    for (size_t i = 0; i < request->names.len; i++) {
        check_text(request->names.items[i]);
        must_hold(!str_eq(request->names.items[i], STR("*")));
        must_hold(i == 0 || str_cmp(request->names.items[i - 1], request->names.items[i]) < 0);
    }
}

static void check_equal(const struct xds_request *a, const struct xds_request *b)
{
    must_hold(str_eq(a->type_url, b->type_url) && str_eq(a->nonce, b->nonce));
    must_hold(a->names.len == b->names.len && a->names.has_wildcard == b->names.has_wildcard);
    must_hold(a->has_error == b->has_error && a->error_code == b->error_code);
    must_hold(a->has_node == b->has_node && str_eq(a->node.id, b->node.id));
    must_hold(str_eq(a->node.zone, b->node.zone) && str_eq(a->node.node, b->node.node));
    for (size_t i = 0; i < a->names.len; i++)
        must_hold(str_eq(a->names.items[i], b->names.items[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xds_request used; /* by all inputs, as a serving loop does */
    struct xds_request fresh = {0};
    struct str message = str_make(data, size);
    struct err err = {0};
    enum code code = xds_request_parse(message, &fresh, &err);

    must_hold(xds_request_parse(message, &used, NULL) == code);
    if (code == CODE_OK) {
        check_text(fresh.type_url);
        check_text(fresh.nonce);
        check_node(&fresh.node);
        check_names(&fresh);
        check_equal(&fresh, &used);
    } else {
        must_hold(code == CODE_INVALID_ARGUMENT || code == CODE_RESOURCE_EXHAUSTED);
        must_hold(err.code == code && err.msg[0] != '\0');
    }
    xds_request_done(&fresh);
    return 0;
}
