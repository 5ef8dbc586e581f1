#include "fixture.h"

#include <unistd.h>

#include "controller/decode.h"
#include "controller/manifest.h"

/* "Service shop/greeter@1 EndpointSlice ...": key and line of every object. */
static const char *keys(const struct manifest *manifest)
{
    static struct buf text = BUFFER_INIT(1 << 16);

    buf_reset(&text);
    for (size_t i = 0; i < manifest->len; i++)
        buf_printf(&text, "%s%s@%zu", i > 0 ? ", " : "", manifest->objects[i].key,
                   manifest->objects[i].line);
    return buf_cstr(&text);
}

static void expect(const char *text, bool is_json, const char *wanted)
{
    struct manifest manifest = {0};
    struct err err = {0};

    cr_assert_eq(manifest_parse(str_of(text), is_json, &manifest, &err), CODE_OK, "%s", err.msg);
    cr_assert_str_eq(keys(&manifest), wanted);
    manifest_done(&manifest);
}

#define SERVICE "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\n"
#define SLICE "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: b}\n"

Test(manifest, reads_several_documents)
{
    expect(SERVICE "---\n" SLICE "---\n---\n# nothing\n", false,
           "Service shop/a@1, EndpointSlice default/b@5");
}

Test(manifest, reads_json_in_both_ways)
{
    const char *text =
        "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"}}\n";

    expect(text, true, "Service default/a@1");
    expect(text, false, "Service default/a@1");
    expect(" \n", true, "");
}

Test(manifest, reads_lists)
{
    expect("apiVersion: v1\nkind: List\nitems:\n"
           "- {apiVersion: v1, kind: Service, metadata: {name: a}}\n"
           "- {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: b}}\n"
           "- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Service, metadata: "
           "{name: c}}]}\n",
           false, "Service default/a@1, EndpointSlice default/b@1, Service default/c@1");
    expect("apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: a}}]\n", false,
           "Service default/a@1");
    expect("apiVersion: discovery.k8s.io/v1\nkind: EndpointSliceList\nitems: [{metadata: {name: "
           "b}}]\n",
           false, "EndpointSlice default/b@1");
    expect("apiVersion: v1\nkind: List\nitems: null\n", false, "");
}

Test(manifest, reads_nodes)
{
    expect("apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n", false, "Node default/n1@1");
    expect("apiVersion: v1\nkind: NodeList\nitems: [{metadata: {name: n1}}]\n", false,
           "Node default/n1@1");
    cr_assert_eq(manifest_key_kind("Node default/n1"), OBJECT_NODE);
}

Test(manifest, counts_other_kinds_and_names_each_once)
{
    struct manifest manifest = {0};
    const char *text =
        "apiVersion: apps/v1\nkind: Deployment\n---\napiVersion: apps/v1\nkind: Deployment\n---\n"
        "apiVersion: v1\nkind: Endpoints\n---\napiVersion: discovery.k8s.io/v1beta1\n"
        "kind: EndpointSlice\n";

    cr_assert_eq(manifest_parse(str_of(text), false, &manifest, NULL), CODE_OK);
    cr_assert_eq(manifest.len, 0);
    cr_assert_eq(manifest.ignored_objects, 4);
    cr_assert_eq(manifest.ignored_len, 3);
    cr_assert_str_eq(manifest.ignored[0], "apps/v1 Deployment");
    cr_assert_str_eq(manifest.ignored[1], "v1 Endpoints");
    cr_assert_str_eq(manifest.ignored[2], "discovery.k8s.io/v1beta1 EndpointSlice");
    manifest_done(&manifest);
}

Test(manifest, refuses_by_line_and_cause)
{
    static const struct {
        const char *text;
        bool is_json;
        const char *message;
    } cases[] = {
        {SERVICE "---\n- a\n- b\n", false, "line 5: expected an object, found an array"},
        {"greeter", false, "line 1: expected an object, found a string"},
        {"metadata: {name: a}\n", false, "line 1: apiVersion: missing"},
        {"apiVersion: v1\nmetadata: {name: a}\n", false, "line 1: kind: missing"},
        {"apiVersion: v1\nkind: [Service]\n", false,
         "line 1: kind: expected a string, found an array"},
        {SERVICE "---\napiVersion: v1\nkind: Service\n", false, "line 5: metadata.name: missing"},
        {"apiVersion: v1\nkind: List\nitems: {}\n", false,
         "line 1: items: expected an array, found an object"},
        {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: "
         "a}}\n- 7\n",
         false, "line 1: items[1]: expected an object, found a number"},
        {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service}\n", false,
         "line 1: items[0].metadata.name: missing"},
        {"apiVersion: v1\nkind: List\nitems:\n- {kind: Service}\n", false,
         "line 1: items[0].apiVersion: missing"},
        {SERVICE "---\n" SLICE "kind: EndpointSlice\n", false,
         "line 8, column 1: duplicate key 'kind', first on line 6"},
        {"{\"kind\":\"Service\",\"metadata\":{\"name\":\"a\",\"name\":\"b\"}}", true,
         "line 1: duplicate key 'name'"},
        {"[{\"a\":[{\"b\":1,\"c\":2,\"b\":null}]}]", true, "line 1: duplicate key 'b'"},
        {SERVICE "---\nkind:\tService\n\tname: a\n", false,
         "line 6, column 1: found a tab character that violates indentation"},
        {SERVICE "---\nkind: \xff\n", false, "line 5, column 7: invalid leading UTF-8 octet"},
        {"{\"kind\":\"\xc3(\"}", true, "line 1, column 10: not UTF-8"},
        {"{\"kind\":\"Service\"} {}", true, "line 1, column 20: garbage behind the end"},
        {SERVICE "---\n--- {\n", false, "line 6, column 1: did not find expected node content"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct manifest manifest = {0};
        struct err err = {0};

        cr_assert_neq(manifest_parse(str_of(cases[i].text), cases[i].is_json, &manifest, &err),
                      CODE_OK, "%s", cases[i].text);
        cr_assert_str_eq(err.msg, cases[i].message);
        manifest_done(&manifest);
    }
}

Test(manifest, reads_any_end_of_line)
{
    expect("apiVersion: v1\r\nkind: Service\r\nmetadata:\r\n  name: a\r\n---\r\n" SLICE, false,
           "Service default/a@1, EndpointSlice default/b@6");
    expect("\xef\xbb\xbf" SERVICE, false, "Service shop/a@1");
}

static void refuse_text(const char *ptr, size_t len, const char *part)
{
    struct manifest manifest = {0};
    struct err err = {0};

    cr_assert_neq(manifest_parse(str_make(ptr, len), false, &manifest, &err), CODE_OK);
    cr_assert(strstr(err.msg, part), "%s", err.msg);
    cr_assert_eq(manifest.len, 0);
    manifest_done(&manifest);
}

Test(manifest, refuses_nul_bytes)
{
    static const char text[] = "kind: Service\napiVersion: \0v1\n";

    refuse_text(text, sizeof(text) - 1, "line 2, column 13");
}

/* Ten to the ninth times a word, in half a kilobyte. */
Test(manifest, refuses_a_bomb_of_aliases)
{
    struct buf text = BUFFER_INIT(4096);

    buf_printf(&text, "a: &a [lol,lol,lol,lol,lol,lol,lol,lol,lol,lol]\n");
    for (char name = 'b'; name < 'k'; name++)
        buf_printf(&text, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", name, name,
                   name - 1, name - 1, name - 1, name - 1, name - 1, name - 1, name - 1, name - 1,
                   name - 1, name - 1);
    refuse_text(text.ptr, text.len, "too many values, aliases expanded");
    buf_done(&text);
}

Test(manifest, reads_anchors)
{
    expect("apiVersion: v1\nkind: List\nitems:\n"
           "- &one {apiVersion: v1, kind: Service, metadata: &m {name: a}}\n- *one\n"
           "- {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: *m}\n",
           false, "Service default/a@1, Service default/a@1, EndpointSlice default/a@1");
}

Test(manifest, refuses_nesting_without_end)
{
    struct buf text = BUFFER_INIT(1 << 20);

    for (int i = 0; i < 100000; i++)
        buf_printf(&text, "[");
    refuse_text(text.ptr, text.len, "nested too deeply");
    buf_done(&text);
}

/* Of a file with a thousand documents of other kinds, none stays in memory. */
Test(manifest, keeps_only_documents_with_objects_of_ours)
{
    struct manifest manifest = {0};
    const char *text = "apiVersion: apps/v1\nkind: Deployment\n---\n" SERVICE
                       "---\napiVersion: v1\nkind: List\nitems: []\n";

    cr_assert_eq(manifest_parse(str_of(text), false, &manifest, NULL), CODE_OK);
    cr_assert_eq(manifest.documents_len, 1);
    cr_assert_eq(manifest.len, 1);
    manifest_done(&manifest);
}

Test(manifest, passes_the_readers_place_on)
{
    struct manifest manifest = {0};
    struct err err = {0};

    cr_assert_neq(manifest_parse(STR(SERVICE "---\nkind: [unclosed\n"), false, &manifest, &err),
                  CODE_OK);
    cr_assert(strncmp(err.msg, "line ", 5) == 0, "%s", err.msg);
    manifest_done(&manifest);
    cr_assert_neq(manifest_parse(STR("{\"kind\":\n  nonsense}"), true, &manifest, &err), CODE_OK);
    cr_assert(strncmp(err.msg, "line 2, column 3: ", 18) == 0, "%s", err.msg);
    manifest_done(&manifest);
}

Test(manifest, makes_tombstones_of_keys)
{
    struct json *json = manifest_tombstone("EndpointSlice shop/greeter-abc");
    const struct json *metadata = json_get(json, "metadata");

    cr_assert(str_eq(json_text(json_get(metadata, "namespace")), STR("shop")));
    cr_assert(str_eq(json_text(json_get(metadata, "name")), STR("greeter-abc")));
    cr_assert_eq(manifest_key_kind("EndpointSlice shop/greeter-abc"), OBJECT_SLICE);
    cr_assert_eq(manifest_key_kind("Service shop/greeter"), OBJECT_SERVICE);
    json_free(json);
}

static void expect_in_namespace(const char *text, const char *wanted, const char *namespace_name)
{
    struct manifest manifest = {0};
    struct object_meta meta;

    cr_assert_eq(manifest_parse(str_of(text), false, &manifest, NULL), CODE_OK);
    manifest_set_namespace(&manifest, STR("web"));
    cr_assert_str_eq(keys(&manifest), wanted);
    cr_assert_eq(decode_meta(manifest.objects[0].json, &meta, NULL), CODE_OK);
    cr_assert(str_eq(meta.namespace_name, str_of(namespace_name)));
    manifest_done(&manifest);
}

Test(manifest, gives_a_namespace_to_what_has_none)
{
    expect_in_namespace(SLICE "spec: {a: [1, {b: \"x\"}]}\n", "EndpointSlice web/b@1", "web");
    expect_in_namespace("apiVersion: v1\nkind: Service\nmetadata: {namespace: '', name: a}\n",
                        "Service web/a@1", "web");
    expect_in_namespace(SERVICE, "Service shop/a@1", "shop");
    expect_in_namespace("apiVersion: v1\nkind: Node\nmetadata: {name: a}\n", "Node default/a@1",
                        "default");
}

Test(manifest, keeps_all_else_of_what_gets_a_namespace)
{
    struct manifest manifest = {0};
    const struct json *spec;

    cr_assert_eq(manifest_parse(STR(SLICE "spec: {a: [1, {b: \"x\"}]}\n"), false, &manifest, NULL),
                 CODE_OK);
    manifest_set_namespace(&manifest, STR("web"));
    spec = json_get(manifest.objects[0].json, "spec");
    cr_assert_eq(json_len(json_get(spec, "a")), 2);
    cr_assert(
        str_eq(json_text(json_get(json_next(json_first(json_get(spec, "a"))), "b")), STR("x")));
    manifest_done(&manifest);
}

/* A pipe has no name that says what it brings. */
Test(manifest, reads_streams_of_both_kinds)
{
    static const char *const texts[] = {
        "\n {\"apiVersion\":\"v1\",\n\t\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"}}\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct manifest manifest = {0};
        struct err err = {0};
        int fds[2];

        cr_assert_eq(pipe(fds), 0);
        cr_assert_eq(write(fds[1], texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
        close(fds[1]);
        cr_assert_eq(manifest_read_stream(fds[0], "standard input", &manifest, &err), CODE_OK, "%s",
                     err.msg);
        cr_assert_str_eq(keys(&manifest), "Service default/a@1");
        close(fds[0]);
        manifest_done(&manifest);
    }
}
