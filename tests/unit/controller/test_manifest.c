#include "fixture.h"

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
