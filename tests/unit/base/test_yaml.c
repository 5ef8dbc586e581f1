#include <criterion/criterion.h>

#include "base/yaml.h"

#define DOCUMENTS_MAX 8

static struct json *documents[DOCUMENTS_MAX];
static size_t lines[DOCUMENTS_MAX];
static size_t documents_len;
static struct err err;

static void on_document(void *ctx, struct json *document, size_t line)
{
    cr_assert_eq(ctx, documents);
    cr_assert_lt(documents_len, DOCUMENTS_MAX);
    documents[documents_len] = document;
    lines[documents_len++] = line;
}

static void done(void)
{
    while (documents_len > 0)
        json_free(documents[--documents_len]);
}

TestSuite(yaml, .fini = done);

static enum code parse(struct str text)
{
    done();
    err = (struct err){0};
    return yaml_parse(text, on_document, documents, &err);
}

static const struct json *parse_one(const char *text)
{
    cr_assert_eq(parse(str_of(text)), CODE_OK, "%s: %s", text, err.msg);
    cr_assert_eq(documents_len, 1);
    return documents[0];
}

static void refuse(const char *text, const char *message)
{
    cr_assert_eq(parse(str_of(text)), CODE_INVALID_ARGUMENT, "accepted: %s", text);
    cr_assert_str_eq(err.msg, message, "%s: %s", text, err.msg);
    cr_assert_eq(documents_len, 0);
}

static void assert_text(const struct json *json, const char *wanted)
{
    cr_assert_eq(json_type(json), JSON_STRING, "%s", json_type_name(json_type(json)));
    cr_assert_str_eq(json_text(json).ptr, wanted);
}

Test(yaml, reads_a_manifest)
{
    const struct json *json = parse_one("# greeter\n"
                                        "apiVersion: v1\n"
                                        "kind: Service\n"
                                        "metadata: {name: greeter, namespace: shop}\n"
                                        "spec:\n"
                                        "  clusterIP: None\n"
                                        "  ports:\n"
                                        "  - name: grpc\n"
                                        "    port: 8001\n"
                                        "  - {name: \"8002\", port: 8002}\n");
    const struct json *port = json_first(json_get(json_get(json, "spec"), "ports"));

    assert_text(json_get(json, "kind"), "Service");
    assert_text(json_get(json_get(json, "metadata"), "namespace"), "shop");
    cr_assert_eq(json_number(json_get(port, "port")), 8001);
    assert_text(json_get(json_next(port), "name"), "8002");
    cr_assert_eq(lines[0], 2);
}

Test(yaml, reads_json)
{
    const struct json *json =
        parse_one("{\n\t\"a\": [1, true, null, \"x\\n\\u00e4\\/\"],\n\t\"b\":{\"c\":{}}\n}\n");

    cr_assert_eq(json_len(json_get(json, "a")), 4);
    assert_text(json_next(json_next(json_next(json_first(json_get(json, "a"))))), "x\n\xC3\xA4/");
    cr_assert_eq(json_type(json_get(json_get(json, "b"), "c")), JSON_OBJECT);
}

Test(yaml, takes_quoted_and_block_scalars_as_strings)
{
    const struct json *json = parse_one("[\"1\", 'true', \"\", !!str 1, ! 2, \"~\"]\n");

    for (const struct json *item = json_first(json); item; item = json_next(item))
        cr_assert_eq(json_type(item), JSON_STRING);
    assert_text(json_get(parse_one("a: |\n  1\n  2\n"), "a"), "1\n2\n");
    assert_text(json_get(parse_one("a: >-\n  1\n"), "a"), "1");
}

Test(yaml, delivers_every_document_with_its_line)
{
    cr_assert_eq(parse(STR("a: 1\n---\n# nothing\n---\n\nb: 2\n...\n---\nnull\n---\n[c]\n")),
                 CODE_OK, "%s", err.msg);
    cr_assert_eq(documents_len, 3);
    cr_assert_eq(lines[0], 1);
    cr_assert_eq(lines[1], 6);
    cr_assert_eq(lines[2], 11);
    cr_assert_not_null(json_get(documents[1], "b"));
    cr_assert_eq(json_type(documents[2]), JSON_ARRAY);
}

Test(yaml, delivers_nothing_for_an_empty_text)
{
    static const char *const cases[] = {"",      "\n\n",       "# only a comment\n",
                                        "---\n", "---\n---\n", "~\n"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cr_assert_eq(parse(str_of(cases[i])), CODE_OK, "%s", err.msg);
        cr_assert_eq(documents_len, 0, "'%s'", cases[i]);
    }
    cr_assert_eq(parse((struct str){NULL, 0}), CODE_OK);
}

Test(yaml, delivers_what_stands_before_an_error)
{
    cr_assert_eq(parse(STR("a: 1\n---\nb: [\n---\nc: 3\n")), CODE_INVALID_ARGUMENT);
    cr_assert_eq(documents_len, 1);
    cr_assert_not_null(json_get(documents[0], "a"));
}

Test(yaml, refuses_documents_without_a_line_between)
{
    cr_assert_eq(parse(STR("{} {}\n")), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "line 1, column 4: did not find expected <document start>");
    cr_assert_eq(documents_len, 1);
}

Test(yaml, says_where_it_is_wrong)
{
    refuse("a: 1\nb: [1, 2\nc: 3\n", "line 3, column 2: did not find expected ',' or ']'");
    refuse("a: b: c\n", "line 1, column 5: mapping values are not allowed in this context");
    refuse("a:\n\tb: 1\n", "line 2, column 1: found character that cannot start any token");
    refuse("a: \"\\u0000\"\n", "line 1, column 4: a NUL character in a string");
    refuse("a: \"x\\0y\"\n", "line 1, column 4: a NUL character in a string");
    refuse("a: *x\n", "line 1, column 4: an alias without its anchor");
    refuse("a: .inf\n", "line 1, column 4: a number outside a double's range");
    refuse("a: -1e999\n", "line 1, column 4: a number outside a double's range");
}

Test(yaml, refuses_what_is_not_utf8)
{
    refuse("a: 1\nb: \"x\xFFy\"\n", "line 2, column 6: invalid leading UTF-8 octet");
    refuse("a: \x01\n", "line 1, column 4: control characters are not allowed");
    cr_assert_eq(parse(STR("a: \0\n")), CODE_INVALID_ARGUMENT);
    cr_assert_eq(parse(STR("\xFF\xFE"
                           "a\0:\0")),
                 CODE_INVALID_ARGUMENT, "UTF-16");
}

Test(yaml, skips_a_byte_order_mark)
{
    cr_assert_not_null(json_get(parse_one("\xEF\xBB\xBF"
                                          "a: 1\n"),
                                "a"));
}

Test(yaml, refuses_duplicate_keys)
{
    refuse("a: 1\nb: 2\nc: 3\na: 4\n", "line 4, column 1: duplicate key 'a', first on line 1");
    refuse("x: {a: 1, \"a\": 2}\n", "line 1, column 11: duplicate key 'a', first on line 1");
    refuse("- b: 1\n  a: {b: 1}\n  b: 2\n", "line 3, column 3: duplicate key 'b', first on line 1");
    parse_one("- {a: 1}\n- {a: 2, b: {a: 3}}\n");
}

Test(yaml, refuses_keys_that_are_no_strings)
{
    static const char *const cases[] = {"1: a\n",       "true: a\n",   "null: a\n",
                                        "? [a]\n: b\n", "{a: 1}: b\n", "1.5: a\n"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cr_assert_eq(parse(str_of(cases[i])), CODE_INVALID_ARGUMENT, "took %s", cases[i]);
        cr_assert_not_null(strstr(err.msg, ": a key that is not a string"), "%s", err.msg);
    }
}

Test(yaml, takes_quoted_and_boolean_looking_keys)
{
    const struct json *json = parse_one("on: 1\nyes: 2\n\"1\": 3\n'true': 4\n!!str 5: 5\n");

    cr_assert_eq(json_len(json), 5);
    cr_assert_eq(json_number(json_get(json, "on")), 1);
    cr_assert_eq(json_number(json_get(json, "1")), 3);
    cr_assert_eq(json_number(json_get(json, "5")), 5);
}

Test(yaml, keeps_the_tags_of_the_core_schema)
{
    const struct json *json =
        parse_one("[!!int 1, !!float 1.5, !!bool true, !!null ~, !!int \"7\", "
                  "!!map {}, !!seq []]\n");
    static const enum json_type types[] = {JSON_NUMBER, JSON_NUMBER, JSON_BOOL, JSON_NULL,
                                           JSON_NUMBER, JSON_OBJECT, JSON_ARRAY};
    size_t i = 0;

    for (const struct json *item = json_first(json); item; item = json_next(item))
        cr_assert_eq(json_type(item), types[i++]);
    cr_assert_eq(i, ARRAY_LEN(types));
}

Test(yaml, refuses_other_tags)
{
    static const char *const foreign[] = {
        "!secret x\n", "!!binary aGk=\n", "!!timestamp 2026-01-02\n",
        "!local {}\n", "!!set {a}\n",     "!!omap []\n",
        "!!map []\n",  "!!seq {}\n",      "!<tag:x> 1\n",
        "!!str []\n"};
    static const char *const unfit[] = {"!!int x\n", "!!int 1.5\n", "!!bool 1\n", "!!null x\n",
                                        "!!float true\n"};

    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        cr_assert_eq(parse(str_of(foreign[i])), CODE_INVALID_ARGUMENT, "took %s", foreign[i]);
        cr_assert_not_null(strstr(err.msg, "tag"), "%s", err.msg);
    }
    for (size_t i = 0; i < ARRAY_LEN(unfit); i++)
        refuse(unfit[i], "line 1, column 1: the value does not fit its tag");
}

Test(yaml, expands_aliases)
{
    const struct json *json = parse_one("base: &b {x: [1, \"t\", true, null], y: 1.5}\n"
                                        "copy: *b\n"
                                        "name: &n key\n"
                                        "*n : value\n"
                                        "again: &b 7\n"
                                        "last: *b\n");
    const struct json *copy = json_get(json, "copy");
    const struct json *item = json_first(json_get(copy, "x"));

    cr_assert_eq(json_len(copy), 2);
    cr_assert_eq(json_number(item), 1);
    assert_text(json_next(item), "t");
    cr_assert(json_bool(json_next(json_next(item))));
    cr_assert_eq(json_type(json_next(json_next(json_next(item)))), JSON_NULL);
    cr_assert_eq(json_number(json_get(copy, "y")), 1.5);
    assert_text(json_get(json, "key"), "value");
    cr_assert_eq(json_number(json_get(json, "last")), 7);
}

Test(yaml, forgets_anchors_with_their_document)
{
    cr_assert_eq(parse(STR("a: &x 1\n---\nb: *x\n")), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "line 3, column 4: an alias without its anchor");
}

Test(yaml, refuses_an_alias_inside_its_anchor)
{
    refuse("&x [*x]\n", "line 1, column 5: an alias inside its own anchor");
    refuse("a: &x 1\nb: &x {c: *x}\n", "line 2, column 11: an alias inside its own anchor");
}

Test(yaml, refuses_merge_keys)
{
    refuse("a: &x {b: 1}\nc:\n  <<: *x\n", "line 3, column 3: merge keys are not supported");
    cr_assert_not_null(json_get(parse_one("\"<<\": 1\n"), "<<"));
}

/* Ten lists of ten of the list before: 10^9 values from 500 bytes. */
Test(yaml, bounds_the_values_behind_aliases)
{
    struct buf buf = BUFFER_INIT(10000);

    buf_add_str(&buf, STR("l0: &l0 [x,x,x,x,x,x,x,x,x,x]\n"));
    for (int i = 1; i < 9; i++) {
        buf_printf(&buf, "l%d: &l%d [", i, i);
        for (int j = 0; j < 10; j++)
            buf_printf(&buf, "*l%d,", i - 1);
        buf_add_str(&buf, STR("]\n"));
    }
    cr_assert_eq(parse(buf_str(&buf)), CODE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.msg, "too many values, aliases expanded"), "%s", err.msg);
    buf_done(&buf);
}

Test(yaml, bounds_the_text_behind_aliases)
{
    struct buf buf = BUFFER_INIT(1 << 20);

    buf_printf(&buf, "- &a x%0100000d\n", 1);
    for (int i = 0; i < 1000; i++)
        buf_add_str(&buf, STR("- *a\n"));
    cr_assert_eq(parse(buf_str(&buf)), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "line 169, column 3: too much text, aliases expanded");
    buf_done(&buf);
}

Test(yaml, bounds_the_anchors)
{
    struct buf buf = BUFFER_INIT(100000);

    for (int i = 0; i < 257; i++)
        buf_printf(&buf, "- &a%d 1\n", i);
    cr_assert_eq(parse(buf_str(&buf)), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "line 257, column 3: too many anchors");
    buf_done(&buf);
}

/* "[0,0,...]" of `count` zeros, appended. */
static void add_zeros(struct buf *buf, size_t count)
{
    buf_add_char(buf, '[');
    for (size_t i = 0; i < count; i++)
        buf_add_str(buf, STR("0,"));
    buf_add_str(buf, STR("]\n"));
}

Test(yaml, bounds_the_values_of_a_document)
{
    struct buf buf = BUFFER_INIT(8 << 20);

    add_zeros(&buf, YAML_NODES_MAX - 1);
    buf_add_str(&buf, STR("---\n"));
    add_zeros(&buf, YAML_NODES_MAX - 1);
    cr_assert_eq(parse(buf_str(&buf)), CODE_OK, "each counts for itself: %s", err.msg);
    buf_reset(&buf);
    add_zeros(&buf, YAML_NODES_MAX);
    cr_assert_eq(parse(buf_str(&buf)), CODE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.msg, "too many values"), "%s", err.msg);
    buf_done(&buf);
}

static enum code parse_nested(size_t depth, const char *inner)
{
    struct buf buf = BUFFER_INIT(10000);
    enum code code;

    for (size_t i = 0; i < depth; i++)
        buf_add_str(&buf, i % 2 ? STR("{a: ") : STR("["));
    buf_add_str(&buf, str_of(inner));
    for (size_t i = depth; i > 0; i--)
        buf_add_char(&buf, i % 2 ? ']' : '}');
    code = parse(buf_str(&buf));
    buf_done(&buf);
    return code;
}

Test(yaml, bounds_the_depth_as_json_does)
{
    cr_assert_eq(parse_nested(JSON_DEPTH_MAX, "1"), CODE_OK, "%s", err.msg);
    cr_assert_eq(parse_nested(JSON_DEPTH_MAX, "[]"), CODE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.msg, "nested too deeply"), "%s", err.msg);
}

Test(yaml, bounds_the_depth_behind_aliases)
{
    struct buf buf = BUFFER_INIT(10000);

    buf_add_str(&buf, STR("- &a0 [x]\n"));
    for (int i = 1; i < 100; i++)
        buf_printf(&buf, "- &a%d [*a%d]\n", i, i - 1);
    cr_assert_eq(parse(buf_str(&buf)), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "line 64, column 9: nested too deeply");
    buf_done(&buf);
}

/* A hundred thousand keys take no more than their sorting. */
Test(yaml, finds_a_duplicate_among_many_keys, .timeout = 20)
{
    struct buf buf = BUFFER_INIT(4 << 20);

    for (int i = 0; i < 100000; i++)
        buf_printf(&buf, "key%d: 1\n", i);
    cr_assert_eq(parse(buf_str(&buf)), CODE_OK, "%s", err.msg);
    buf_add_str(&buf, STR("key500: 2\n"));
    cr_assert_eq(parse(buf_str(&buf)), CODE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.msg, "line 100001, column 1: duplicate key 'key500', first on line 501");
    buf_done(&buf);
}

Test(yaml, takes_an_error_that_nobody_reads)
{
    cr_assert_eq(yaml_parse(STR("a: [\n"), on_document, documents, NULL), CODE_INVALID_ARGUMENT);
    cr_assert_eq(yaml_parse(STR("a: 1\na: 1\n"), on_document, documents, NULL),
                 CODE_INVALID_ARGUMENT);
}
