#include <criterion/criterion.h>

#include "base/json.h"

static struct json *tree;

static void done(void)
{
    json_free(tree);
}

TestSuite(json, .fini = done);

static const struct json *parse(const char *text)
{
    struct err err = {0};

    json_free(TAKE(tree));
    cr_assert_eq(json_parse(str_of(text), &tree, &err), CODE_OK, "%s: %s", text, err.msg);
    return tree;
}

static void refuse(struct str text, const char *message)
{
    struct err err = {0};
    struct json *json = NULL;

    cr_assert_eq(json_parse(text, &json, &err), CODE_INVALID_ARGUMENT, "accepted: %" STR_FMT,
                 STR_ARG(text));
    cr_assert_null(json);
    cr_assert_str_eq(err.msg, message, "%" STR_FMT ": %s", STR_ARG(text), err.msg);
}

Test(json, reads_every_type)
{
    const struct json *json = parse(" {\"s\": \"text\", \"n\": -1.5e1, \"t\": true, \"f\": false,"
                                    " \"z\": null, \"a\": [1, [2]], \"o\": {}} \n");

    cr_assert_eq(json_type(json), JSON_OBJECT);
    cr_assert(str_eq(json_text(json_get(json, "s")), STR("text")));
    cr_assert_eq(json_number(json_get(json, "n")), -15);
    cr_assert_eq(json_type(json_get(json, "t")), JSON_BOOL);
    cr_assert(json_bool(json_get(json, "t")));
    cr_assert_eq(json_type(json_get(json, "f")), JSON_BOOL);
    cr_assert_not(json_bool(json_get(json, "f")));
    cr_assert_eq(json_type(json_get(json, "a")), JSON_ARRAY);
    cr_assert_eq(json_type(json_get(json, "o")), JSON_OBJECT);
    cr_assert_eq(json_len(json), 7);
}

Test(json, reads_bare_values)
{
    cr_assert_eq(json_number(parse("12")), 12);
    cr_assert_eq(json_number(parse("0")), 0);
    cr_assert_eq(json_number(parse("-0.5E+1")), -5);
    cr_assert_eq(json_type(parse("null")), JSON_NULL);
    cr_assert_eq(json_type(parse("true")), JSON_BOOL);
    cr_assert_eq(json_type(parse("\"\"")), JSON_STRING);
}

Test(json, treats_null_members_as_absent)
{
    const struct json *json = parse("{\"z\":null,\"a\":1}");

    cr_assert_null(json_get(json, "z"));
    cr_assert_null(json_get(json, "b"));
    cr_assert_null(json_get(json, "A"), "names have case");
    cr_assert_null(json_get(NULL, "a"));
    cr_assert_null(json_get(json_get(json, "a"), "x"));
    cr_assert_eq(json_type(NULL), JSON_NULL);
}

Test(json, walks_arrays_and_objects)
{
    const struct json *json = parse("{\"first\":[1,null,3],\"second\":2}");
    const struct json *item = json_first(json);
    double sum = 0;

    cr_assert(str_eq(json_key(item), STR("first")));
    for (const struct json *i = json_first(item); i; i = json_next(i)) {
        cr_assert_eq(json_key(i).len, 0);
        sum += json_number(i);
    }
    cr_assert_eq(sum, 4);
    cr_assert_eq(json_len(item), 3);
    item = json_next(item);
    cr_assert(str_eq(json_key(item), STR("second")));
    cr_assert_null(json_next(item));
    cr_assert_null(json_next(NULL));
    cr_assert_null(json_first(item));
    cr_assert_null(json_first(NULL));
    cr_assert_eq(json_len(NULL), 0);
}

Test(json, gives_nothing_for_the_wrong_type)
{
    const struct json *json = parse("[\"a\",1,true]");
    const struct json *text = json_first(json);

    cr_assert_eq(json_number(text), 0);
    cr_assert_not(json_bool(text));
    cr_assert_eq(json_text(json_next(text)).len, 0);
    cr_assert_eq(json_text(NULL).len, 0);
}

Test(json, unescapes_strings)
{
    const struct json *json = parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u20AC\\ud83d\\ude00\"");

    cr_assert_str_eq(json_text(json).ptr, "\"\\/\b\f\n\r\t\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
}

Test(json, keeps_utf8_of_any_length_at_any_place)
{
    char text[64];

    for (int pad = 0; pad < 20; pad++) {
        snprintf(text, sizeof(text), "\"%.*s\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"", pad,
                 "....................");
        cr_assert_eq(json_text(parse(text)).len, (size_t)pad + 9);
    }
}

Test(json, finds_the_first_of_equal_names)
{
    cr_assert_eq(json_number(json_get(parse("{\"a\":1,\"a\":2}"), "a")), 1);
}

Test(json, does_not_read_behind_its_length)
{
    struct json *json = NULL;

    cr_assert_eq(json_parse(str_make("123456", 3), &json, NULL), CODE_OK);
    cr_assert_eq(json_number(json), 123);
    json_free(json);
}

/* Every proper prefix of a document ends early; the copies have no byte to spare behind them. */
Test(json, refuses_every_prefix)
{
    static const char text[] =
        "{\"a\":[1,2.5e1,\"x\\n\\u00e4\xC3\xA4\",true,null,{}],\"b\":{\"c\":[]}}";

    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        char *copy = xmalloc(len ? len : 1);
        struct json *json = NULL;

        memcpy(copy, text, len);
        cr_assert_eq(json_parse(str_make(copy, len), &json, NULL), CODE_INVALID_ARGUMENT,
                     "took the first %zu bytes", len);
        cr_assert_null(json);
        free(copy);
    }
    parse(text);
}

/* An API server lets an annotation have it. C text would end there, and "a\0b" must not be "a". */
Test(json, reads_nul_as_the_replacement_character)
{
    static const char text[] = "{\"a\\u0000b\":[\"\\u0000\",\"\\\\u0000\",\"\\\\\\u0000\"]}";
    static const char *const wanted[] = {"\xEF\xBF\xBD", "\\u0000", "\\\xEF\xBF\xBD"};
    struct json *json = NULL;
    const struct json *item;
    struct err err = {0};
    size_t at = 0;

    cr_assert_eq(json_parse(STR(text), &json, &err), CODE_OK, "%s", err.msg);
    item = json_get(json, "a\xEF\xBF\xBD"
                          "b");
    cr_assert_eq(json_len(item), 3);
    for (item = json_first(item); item; item = json_next(item))
        cr_assert_str_eq(json_text(item).ptr, wanted[at++]);
    json_free(json);
}

Test(json, says_where_it_is_wrong)
{
    static const struct {
        struct str text;
        const char *message;
    } cases[] = {
        {STR_INIT(""), "line 1, column 1: the text is empty"},
        {STR_INIT(" \n "), "line 2, column 1: the text is empty"},
        {STR_INIT("{"), "line 1, column 2: the text ends early"},
        {STR_INIT("[1,"), "line 1, column 4: the text ends early"},
        {STR_INIT("[1"), "line 1, column 3: the text ends early"},
        {STR_INIT("\"abc"), "line 1, column 5: the text ends inside a string"},
        {STR_INIT("{}\n {}"), "line 2, column 2: garbage behind the end"},
        {STR_INIT("1 2"), "line 1, column 3: garbage behind the end"},
        {STR_INIT("{}\0"), "line 1, column 3: unexpected character"},
        {STR_INIT("\xEF\xBB\xBF{}"), "line 1, column 1: unexpected character"},
        {STR_INIT("{\n\"a\": x}"), "line 2, column 6: unexpected character"},
        {STR_INIT("[1,]"), "line 1, column 4: unexpected character"},
        {STR_INIT("[1\v]"), "line 1, column 3: unexpected character"},
        {STR_INIT("{\"a\" 1}"), "line 1, column 6: unexpected character"},
        {STR_INIT("{1:1}"), "line 1, column 3: unexpected character"},
        {STR_INIT("[1}"), "line 1, column 3: unexpected character"},
        {STR_INIT("]"), "line 1, column 1: unexpected character"},
        {STR_INIT("'a'"), "line 1, column 1: unexpected character"},
        {STR_INIT("NaN"), "line 1, column 1: unexpected character"},
        {STR_INIT("\xC3\xA4"), "line 1, column 1: unexpected character"},
        {STR_INIT("[\"\xC3\xA4\xFF\"]"), "line 1, column 4: not UTF-8"},
        {STR_INIT("[\"a\xC0\x80\"]"), "line 1, column 4: not UTF-8"},
        {STR_INIT("[\"a\nb\"]"), "line 1, column 4: a control character in a string"},
        {STR_INIT("[\"12345678\t\"]"), "line 1, column 11: a control character in a string"},
        {STR_INIT("[\"\\u00zz\"]"), "line 1, column 3: \\u without four hex digits"},
        {STR_INIT("[\"\\u00"), "line 1, column 3: \\u without four hex digits"},
        {STR_INIT("[\"\\ud83d\"]"), "line 1, column 3: half a surrogate pair"},
        {STR_INIT("[\"\\ud83d\\u0041\"]"), "line 1, column 3: half a surrogate pair"},
        {STR_INIT("[\"\\ude00\"]"), "line 1, column 3: half a surrogate pair"},
        {STR_INIT("[\"\\x41\"]"), "line 1, column 3: no such escape"},
        {STR_INIT("[\"\\"), "line 1, column 3: no such escape"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refuse(cases[i].text, cases[i].message);
}

/* Brackets open and closed, `depth` of them. */
static char *nested(size_t depth)
{
    char *text = xmalloc(2 * depth + 1);

    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
    return text;
}

/* The scanner looks at eight bytes at once: every byte must be seen in every place among them. */
Test(json, sees_every_byte_at_every_place)
{
    for (unsigned byte = 1; byte < 256; byte++) {
        for (size_t at = 1; at < 18; at++) {
            char string[] = "\"................X\"";
            bool good = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            struct json *json = NULL;
            enum code code;

            string[at] = (char)byte;
            code = json_parse(STR(string), &json, NULL);
            cr_assert_eq(code == CODE_OK, good, "byte %u at %zu", byte, at);
            json_free(json);
        }
    }
}

Test(json, remembers_the_depth_behind_a_closed_bracket)
{
    CLEANUP(freep) char *deep = nested(JSON_DEPTH_MAX - 1);
    struct buf buf = BUFFER_INIT(1000);

    buf_printf(&buf, "[[],%s]", deep);
    parse(buf_cstr(&buf));
    buf_reset(&buf);
    buf_printf(&buf, "[[],[%s]]", deep);
    refuse(buf_str(&buf), "line 1, column 68: nested too deeply");
    buf_done(&buf);
}

Test(json, refuses_what_is_no_number)
{
    static const char *const cases[] = {
        "01",   "-",   "-a",  "1.",    ".5",     "+1", "1e",  "1e+",      "1.e1",     "0x1",
        "1e5.", "1-2", "--1", "1e999", "-1e999", "00", "1_0", "Infinity", "-Infinity"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json *json = NULL;

        cr_assert_eq(json_parse(str_of(cases[i]), &json, NULL), CODE_INVALID_ARGUMENT, "took %s",
                     cases[i]);
    }
    refuse(STR("[1e400]"), "line 1, column 2: a number too large");
}

Test(json, bounds_the_length_of_a_number)
{
    char text[66];

    memset(text, '9', sizeof(text));
    text[63] = '\0';
    cr_assert_gt(json_number(parse(text)), 9e62);
    text[63] = '9';
    text[64] = '\0';
    refuse(str_of(text), "line 1, column 1: a number too long");
}

Test(json, bounds_the_depth)
{
    CLEANUP(freep) char *deep = nested(JSON_DEPTH_MAX);
    CLEANUP(freep) char *deeper = nested(JSON_DEPTH_MAX + 1);
    CLEANUP(freep) char *deepest = nested(1000000);

    parse(deep);
    refuse(str_of(deeper), "line 1, column 65: nested too deeply");
    refuse(str_of(deepest), "line 1, column 65: nested too deeply");
}

Test(json, counts_depth_not_brackets)
{
    struct buf buf = BUFFER_INIT(1000000);

    buf_add_char(&buf, '[');
    for (int i = 0; i < 1000; i++)
        buf_add_str(&buf, STR("[[]],{\"]\":[]},\"[[[[\","));
    buf_add_str(&buf, STR("1]"));
    cr_assert_eq(json_len(parse(buf_cstr(&buf))), 3001);
    buf_done(&buf);
}

Test(json, bounds_the_values)
{
    size_t len = 2 * JSON_VALUES_MAX + 3;
    char *text = xmalloc(len);

    for (size_t i = 0; i < len; i++)
        text[i] = i % 2 ? '0' : ',';
    text[0] = '[';
    text[len - 1] = ']';
    refuse(str_make(text, len), "line 1, column 16000001: too many values");
    free(text);
}

Test(json, names_types)
{
    cr_assert_str_eq(json_type_name(JSON_NULL), "null");
    cr_assert_str_eq(json_type_name(JSON_ARRAY), "an array");
}
