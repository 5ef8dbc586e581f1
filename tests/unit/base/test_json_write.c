#include <criterion/criterion.h>

#include "base/json.h"

static struct buf out;

static void init(void)
{
    buf_init(&out, 1000);
}

static void done(void)
{
    buf_done(&out);
}

TestSuite(json_write, .init = init, .fini = done);

Test(json_write, writes_doubles_as_they_are_read)
{
    struct json_writer w = json_writer(&out);

    json_open_array(&w, NULL);
    json_put_double(&w, NULL, 0.1);
    json_put_double(&w, NULL, -1e300);
    json_put_double(&w, NULL, 1200);
    json_close_array(&w);
    cr_assert_str_eq(buf_cstr(&out), "[0.1,-1e+300,1200]");
}

Test(json_write, places_commas)
{
    struct json_writer w = json_writer(&out);

    json_open_object(&w, NULL);
    json_put_u64(&w, "n", UINT64_MAX);
    json_put_i64(&w, "i", INT64_MIN);
    json_open_array(&w, "a");
    json_put_bool(&w, NULL, true);
    json_put_bool(&w, NULL, false);
    json_open_object(&w, NULL);
    json_close_object(&w);
    json_open_array(&w, NULL);
    json_close_array(&w);
    json_close_array(&w);
    json_put_null(&w, "z");
    json_put_str(&w, "s", STR("t"));
    json_close_object(&w);
    cr_assert_str_eq(buf_cstr(&out), "{\"n\":18446744073709551615,\"i\":-9223372036854775808,"
                                     "\"a\":[true,false,{},[]],\"z\":null,\"s\":\"t\"}");
}

Test(json_write, writes_what_its_reader_reads)
{
    struct json_writer w = json_writer(&out);
    struct json *json = NULL;
    struct err err = {0};

    json_open_object(&w, NULL);
    json_put_str(&w, "k\"\n", STR("\x01\x7f\\\"\xC3\xA4\xE2\x80\xAE"));
    json_close_object(&w);
    cr_assert_eq(json_parse(buf_str(&out), &json, &err), CODE_OK, "%s", err.msg);
    cr_assert(str_eq(json_text(json_get(json, "k\"\n")), STR("\x01\x7f\\\"\xC3\xA4\xE2\x80\xAE")));
    json_free(json);
}

Test(json_write, replaces_bytes_that_are_not_utf8)
{
    struct json_writer w = json_writer(&out);

    json_put_str(&w, NULL, STR("a\xFFz"));
    cr_assert_str_eq(buf_cstr(&out), "\"a\\ufffdz\"");
}

Test(json_write, tells_by_the_buffer_when_it_was_too_much)
{
    struct json_writer w;

    out.max = 10;
    w = json_writer(&out);
    json_open_array(&w, NULL);
    for (int i = 0; i < 10; i++)
        json_put_u64(&w, NULL, 1);
    json_close_array(&w);
    cr_assert(buf_failed(&out));
    cr_assert_leq(out.len, 10);
}

Test(json_write, copies_a_tree)
{
    static const char text[] = "{\"a\":[1,2.5,-3e+20,[],{}],\"b\\n\":{\"c\":null,\"d\":true},"
                               "\"e\":\"\\u0001\",\"f\":false}";
    struct buf buf = BUFFER_INIT(4096);
    struct json_writer writer = json_writer(&buf);
    struct json *tree = NULL;

    cr_assert_eq(json_parse(str_of(text), &tree, NULL), CODE_OK);
    json_open_object(&writer, NULL);
    json_put_json(&writer, "tree", tree);
    json_put_json(&writer, "none", NULL);
    json_close_object(&writer);
    cr_assert_str_eq(buf_cstr(&buf),
                     "{\"tree\":{\"a\":[1,2.5,-3e+20,[],{}],\"b\\n\":{\"c\":null,\"d\":true},"
                     "\"e\":\"\\u0001\",\"f\":false},\"none\":null}");
    json_free(tree);
    buf_done(&buf);
}
