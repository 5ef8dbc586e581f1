#include <criterion/criterion.h>

#include "protocol/request.h"
#include "wire/fields.h"
#include "wire/writer.h"

static struct buf out = BUFFER_INIT(8 * 1024 * 1024);
static struct xds_request request;
static struct err err;

static void done(void)
{
    buf_done(&out);
    xds_request_done(&request);
}

TestSuite(xds_request, .fini = done);

static enum code parse(void)
{
    err = (struct err){0};
    return xds_request_parse(buf_str(&out), &request, &err);
}

static void put_metadata(const char *key, const char *value)
{
    size_t metadata = wire_open(&out, NODE_METADATA);
    size_t entry = wire_open(&out, STRUCT_FIELDS);
    size_t inner;

    wire_put_bytes(&out, WIRE_MAP_KEY, str_of(key));
    inner = wire_open(&out, WIRE_MAP_VALUE);
    wire_put_bytes(&out, VALUE_STRING_VALUE, str_of(value));
    wire_close(&out, inner);
    wire_close(&out, entry);
    wire_close(&out, metadata);
}

static void put_locality(void)
{
    size_t locality = wire_open(&out, NODE_LOCALITY);

    wire_put_bytes(&out, LOCALITY_REGION, STR("eu"));
    wire_put_bytes(&out, LOCALITY_ZONE, STR("eu-1"));
    wire_put_bytes(&out, LOCALITY_SUB_ZONE, STR("rack"));
    wire_close(&out, locality);
}

Test(xds_request, an_empty_message_is_an_empty_request)
{
    cr_assert_eq(parse(), CODE_OK);
    cr_assert_eq(request.type_url.len + request.nonce.len + request.names.len, 0);
    cr_assert_not(request.has_node || request.has_error || request.names.has_wildcard);
}

Test(xds_request, reads_what_a_client_asks)
{
    wire_put_bytes(&out, DISCOVERY_REQUEST_VERSION_INFO, STR("any version, of any server"));
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("b"));
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("a"));
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("b"));
    wire_put_bytes(&out, DISCOVERY_REQUEST_TYPE_URL, STR("t"));
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESPONSE_NONCE, STR("n"));
    cr_assert_eq(parse(), CODE_OK);
    cr_assert(str_eq(request.type_url, STR("t")) && str_eq(request.nonce, STR("n")));
    cr_assert_eq(request.names.len, 2);
    cr_assert(str_eq(request.names.items[0], STR("a")) && str_eq(request.names.items[1], STR("b")));
}

Test(xds_request, reads_the_node)
{
    size_t node = wire_open(&out, DISCOVERY_REQUEST_NODE);

    wire_put_bytes(&out, NODE_ID, STR("id"));
    wire_put_bytes(&out, NODE_CLUSTER, STR("web"));
    put_metadata("namespace", "shop");
    put_metadata("node", "node-7");
    put_metadata("other", "thing");
    put_locality();
    wire_put_bytes(&out, NODE_USER_AGENT_NAME, STR("gRPC Go"));
    wire_put_bytes(&out, NODE_USER_AGENT_VERSION, STR("1.85"));
    wire_put_bytes(&out, NODE_CLIENT_FEATURES, STR("x"));
    wire_close(&out, node);
    cr_assert_eq(parse(), CODE_OK);
    cr_assert(request.has_node);
    cr_expect(str_eq(request.node.id, STR("id")));
    cr_expect(str_eq(request.node.cluster, STR("web")));
    cr_expect(str_eq(request.node.namespace_name, STR("shop")));
    cr_expect(str_eq(request.node.node, STR("node-7")));
    cr_expect(str_eq(request.node.region, STR("eu")));
    cr_expect(str_eq(request.node.zone, STR("eu-1")));
    cr_expect(str_eq(request.node.sub_zone, STR("rack")));
    cr_expect(str_eq(request.node.user_agent, STR("gRPC Go")));
    cr_expect(str_eq(request.node.user_agent_version, STR("1.85")));
}

Test(xds_request, reads_a_refusal)
{
    size_t error = wire_open(&out, DISCOVERY_REQUEST_ERROR_DETAIL);

    wire_put_varint(&out, STATUS_CODE, 3);
    wire_put_bytes(&out, STATUS_MESSAGE, STR("bad \xFF bytes"));
    wire_close(&out, error);
    cr_assert_eq(parse(), CODE_OK);
    cr_assert(request.has_error);
    cr_assert_eq(request.error_code, 3);
    cr_assert(str_eq(request.error_message, STR("bad \xFF bytes")));
}

Test(xds_request, an_empty_error_detail_is_a_refusal_too)
{
    wire_put_bytes(&out, DISCOVERY_REQUEST_ERROR_DETAIL, STR(""));
    cr_assert_eq(parse(), CODE_OK);
    cr_assert(request.has_error);
}

Test(xds_request, a_star_is_not_a_name)
{
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("a"));
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("*"));
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("!"));
    cr_assert_eq(parse(), CODE_OK);
    cr_assert(request.names.has_wildcard);
    cr_assert_eq(request.names.len, 2);
    cr_assert(str_eq(request.names.items[0], STR("!")) && str_eq(request.names.items[1], STR("a")));
}

Test(xds_request, skips_fields_that_it_does_not_know)
{
    wire_put_varint(&out, 900, 1);
    wire_put_bytes(&out, 7, STR("resource_locators"));
    wire_put_varint(&out, DISCOVERY_REQUEST_TYPE_URL, 1); /* of another kind than it should be */
    cr_assert_eq(parse(), CODE_OK);
    cr_assert_eq(request.type_url.len, 0);
}

Test(xds_request, merges_a_node_that_comes_in_two_parts)
{
    size_t node = wire_open(&out, DISCOVERY_REQUEST_NODE);

    wire_put_bytes(&out, NODE_ID, STR("id"));
    wire_close(&out, node);
    node = wire_open(&out, DISCOVERY_REQUEST_NODE);
    put_locality();
    wire_close(&out, node);
    cr_assert_eq(parse(), CODE_OK);
    cr_assert(str_eq(request.node.id, STR("id")) && str_eq(request.node.zone, STR("eu-1")));
}

Test(xds_request, leaves_nothing_of_the_request_before)
{
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("*"));
    wire_put_bytes(&out, DISCOVERY_REQUEST_ERROR_DETAIL, STR(""));
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("a"));
    cr_assert_eq(parse(), CODE_OK);
    buf_reset(&out);
    cr_assert_eq(parse(), CODE_OK);
    cr_assert_eq(request.names.len, 0);
    cr_assert_not(request.has_error || request.names.has_wildcard);
}

Test(xds_request, takes_as_many_names_as_allowed_and_no_more)
{
    for (int i = 0; i < XDS_NAMES_MAX; i++)
        wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("a"));
    cr_assert_eq(parse(), CODE_OK);
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("a"));
    cr_assert_eq(parse(), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "more than 10000 resource_names: share them out over more streams");
}

Test(xds_request, four_mebibytes_of_empty_names_cost_no_more_than_the_limit)
{
    for (int i = 0; i < 2 * 1024 * 1024; i++)
        wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR(""));
    cr_assert_eq(parse(), CODE_RESOURCE_EXHAUSTED);
    cr_assert_leq(request.names.cap, 2 * XDS_NAMES_MAX);
}

Test(xds_request, refuses_a_name_that_is_too_long)
{
    char name[XDS_NAME_MAX + 1];

    memset(name, 'n', sizeof(name));
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, str_make(name, XDS_NAME_MAX));
    cr_assert_eq(parse(), CODE_OK);
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, str_make(name, XDS_NAME_MAX + 1));
    cr_assert_eq(parse(), CODE_RESOURCE_EXHAUSTED);
    cr_assert_str_eq(err.msg, "a name in resource_names is longer than 1024 bytes");
}

Test(xds_request, refuses_text_that_is_not_utf8)
{
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESOURCE_NAMES, STR("a\xFF"));
    cr_assert_eq(parse(), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "a name in resource_names is not UTF-8");
}

Test(xds_request, refuses_what_is_no_protobuf_at_every_depth)
{
    static const uint32_t in_request[] = {DISCOVERY_REQUEST_NODE, DISCOVERY_REQUEST_ERROR_DETAIL};
    static const uint32_t in_node[] = {NODE_LOCALITY, NODE_METADATA};
    size_t node;

    for (size_t i = 0; i < ARRAY_LEN(in_request); i++) {
        buf_reset(&out);
        wire_put_bytes(&out, in_request[i], STR("\x0A\x05"));
        cr_expect_eq(parse(), CODE_INVALID_ARGUMENT);
    }
    for (size_t i = 0; i < ARRAY_LEN(in_node); i++) {
        buf_reset(&out);
        node = wire_open(&out, DISCOVERY_REQUEST_NODE);
        wire_put_bytes(&out, in_node[i], STR("\x0A\x05"));
        wire_close(&out, node);
        cr_expect_eq(parse(), CODE_INVALID_ARGUMENT);
    }
    buf_reset(&out);
    buf_add_char(&out, 0x0A);
    cr_expect_eq(parse(), CODE_INVALID_ARGUMENT);
    cr_expect_str_eq(err.msg, "malformed DiscoveryRequest");
}

/* A parser that follows the nesting runs out of stack here. */
Test(xds_request, thirty_two_kibibytes_of_nested_metadata_are_passed_over)
{
    CLEANUP(buf_done) struct buf nested = BUFFER_INIT(1024 * 1024);
    size_t node;
    size_t metadata;

    while (nested.len < 32 * 1024) {
        CLEANUP(buf_done) struct buf inner = nested;

        buf_init(&nested, 1024 * 1024);
        wire_put_head(&nested, LIST_VALUE_VALUES, wire_sized(VALUE_LIST_VALUE, inner.len));
        wire_put_bytes(&nested, VALUE_LIST_VALUE, buf_str(&inner));
    }
    node = wire_open(&out, DISCOVERY_REQUEST_NODE);
    wire_put_bytes(&out, NODE_ID, STR("deep"));
    metadata = wire_open(&out, NODE_METADATA);
    wire_put_head(&out, STRUCT_FIELDS,
                  wire_sized(WIRE_MAP_KEY, 9) + wire_sized(WIRE_MAP_VALUE, nested.len));
    wire_put_bytes(&out, WIRE_MAP_KEY, STR("namespace"));
    wire_put_bytes(&out, WIRE_MAP_VALUE, buf_str(&nested));
    wire_close(&out, metadata);
    wire_close(&out, node);
    cr_assert_eq(parse(), CODE_OK);
    cr_assert(str_eq(request.node.id, STR("deep")));
    cr_assert_eq(request.node.namespace_name.len, 0);
}
