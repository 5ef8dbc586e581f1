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
