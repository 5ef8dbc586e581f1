#include "base/json.h"

#include "base/utf8.h"

static void before_value(struct json_writer *writer, const char *key)
{
    if (writer->comma)
        buf_add_char(writer->out, ',');
    writer->comma = true;
    if (key) {
        utf8_add_quoted(writer->out, str_of(key));
        buf_add_char(writer->out, ':');
    }
}

static void open_with(struct json_writer *writer, const char *key, char bracket)
{
    before_value(writer, key);
    buf_add_char(writer->out, bracket);
    writer->comma = false;
}

static void close_with(struct json_writer *writer, char bracket)
{
    buf_add_char(writer->out, bracket);
    writer->comma = true;
}

void json_open_object(struct json_writer *writer, const char *key)
{
    open_with(writer, key, '{');
}

void json_close_object(struct json_writer *writer)
{
    close_with(writer, '}');
}

void json_open_array(struct json_writer *writer, const char *key)
{
    open_with(writer, key, '[');
}

void json_close_array(struct json_writer *writer)
{
    close_with(writer, ']');
}

void json_put_str(struct json_writer *writer, const char *key, struct str value)
{
    before_value(writer, key);
    utf8_add_quoted(writer->out, value);
}

void json_put_u64(struct json_writer *writer, const char *key, uint64_t value)
{
    before_value(writer, key);
    buf_printf(writer->out, "%llu", (unsigned long long)value);
}

void json_put_i64(struct json_writer *writer, const char *key, int64_t value)
{
    before_value(writer, key);
    buf_printf(writer->out, "%lld", (long long)value);
}

void json_put_double(struct json_writer *writer, const char *key, double value)
{
    before_value(writer, key);
    buf_printf(writer->out, "%.15g", value);
}

void json_put_bool(struct json_writer *writer, const char *key, bool value)
{
    before_value(writer, key);
    buf_add_str(writer->out, value ? STR("true") : STR("false"));
}

void json_put_null(struct json_writer *writer, const char *key)
{
    before_value(writer, key);
    buf_add_str(writer->out, STR("null"));
}

static void put_key(struct json_writer *writer, struct str key)
{
    if (writer->comma)
        buf_add_char(writer->out, ',');
    utf8_add_quoted(writer->out, key);
    buf_add_char(writer->out, ':');
    writer->comma = false;
}

/* No deeper than JSON_DEPTH_MAX, as the tree is not. */
static void put_members(struct json_writer *writer, const struct json *json)
{
    bool object = json_type(json) == JSON_OBJECT;

    for (const struct json *item = json_first(json); item; item = json_next(item)) {
        if (object)
            put_key(writer, json_key(item));
        json_put_json(writer, NULL, item);
    }
}

void json_put_json(struct json_writer *writer, const char *key, const struct json *json)
{
    before_value(writer, key);
    writer->comma = false;
    switch (json_type(json)) {
    case JSON_NULL:
        json_put_null(writer, NULL);
        break;
    case JSON_BOOL:
        json_put_bool(writer, NULL, json_bool(json));
        break;
    case JSON_NUMBER:
        buf_printf(writer->out, "%.17g", json_number(json));
        break;
    case JSON_STRING:
        json_put_str(writer, NULL, json_text(json));
        break;
    case JSON_ARRAY:
        json_open_array(writer, NULL);
        put_members(writer, json);
        json_close_array(writer);
        break;
    case JSON_OBJECT:
        json_open_object(writer, NULL);
        put_members(writer, json);
        json_close_object(writer);
        break;
    }
    writer->comma = true;
}
