/*
 * Any bytes as a DiscoveryRequest, and as a DeltaDiscoveryRequest: what is accepted obeys the limits, is sorted and does not depend
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

static void check_names(const struct xds_names *names)
{
    must_hold(names->len <= XDS_NAMES_MAX);
    for (size_t i = 0; i < names->len; i++) {
        check_text(names->items[i]);
        must_hold(!str_eq(names->items[i], STR("*")));
        must_hold(i == 0 || str_cmp(names->items[i - 1], names->items[i]) < 0);
    }
}

static void check_known(const struct xds_request *request)
{
    must_hold(request->known_len <= XDS_KNOWN_MAX);
    for (size_t i = 0; i < request->known_len; i++) {
        check_text(request->known[i].name);
        check_text(request->known[i].version);
    }
}

static void check_same_names(const struct xds_names *a, const struct xds_names *b)
{
    must_hold(a->len == b->len && a->has_wildcard == b->has_wildcard);
    for (size_t i = 0; i < a->len; i++)
        must_hold(str_eq(a->items[i], b->items[i]));
}

static void check_equal(const struct xds_request *a, const struct xds_request *b)
{
    must_hold(str_eq(a->type_url, b->type_url) && str_eq(a->nonce, b->nonce));
    must_hold(a->has_error == b->has_error && a->error_code == b->error_code);
    must_hold(a->has_node == b->has_node && str_eq(a->node.id, b->node.id));
    must_hold(str_eq(a->node.zone, b->node.zone) && str_eq(a->node.node, b->node.node));
    check_same_names(&a->names, &b->names);
    check_same_names(&a->gone, &b->gone);
    must_hold(a->known_len == b->known_len);
    for (size_t i = 0; i < a->known_len; i++)
        must_hold(str_eq(a->known[i].name, b->known[i].name) && str_eq(a->known[i].version, b->known[i].version));
}

typedef enum code parse_fn(struct str message, struct xds_request *request, struct err *err);

static void check(struct str message, parse_fn *parse)
{
    static struct xds_request used; /* by all inputs, as a serving loop does */
    struct xds_request fresh = {0};
    struct err err = {0};
    enum code code = parse(message, &fresh, &err);

    must_hold(parse(message, &used, NULL) == code);
    if (code == CODE_OK) {
        check_text(fresh.type_url);
        check_text(fresh.nonce);
        check_node(&fresh.node);
        check_names(&fresh.names);
        check_names(&fresh.gone);
        check_known(&fresh);
        check_equal(&fresh, &used);
    } else {
        must_hold(code == CODE_INVALID_ARGUMENT || code == CODE_RESOURCE_EXHAUSTED);
        must_hold(err.code == code && err.msg[0] != '\0');
    }
    xds_request_done(&fresh);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(str_make(data, size), xds_request_parse);
    check(str_make(data, size), xds_delta_request_parse);
    return 0;
}
