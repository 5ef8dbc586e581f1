/*
 * What must hold for every tree that a reader accepts, and the way of a tree through the writer.
 */
#ifndef FUZZ_TREE_H
#define FUZZ_TREE_H

#include <math.h>

#include "base/json.h"
#include "base/utf8.h"

#define must_hold(condition) ((condition) ? (void)0 : abort())

static inline void tree_check_text(struct str text)
{
    size_t len;

    for (size_t at = 0; at < text.len; at += len) {
        len = utf8_char_len(text, at);
        must_hold(len > 0);
    }
}

/* Aborts unless the tree is shallow enough, of UTF-8 and of finite numbers; returns its size. */
static inline size_t tree_check(const struct json *json, unsigned depth)
{
    size_t nodes = 1;

    if (json_type(json) == JSON_ARRAY || json_type(json) == JSON_OBJECT)
        must_hold(++depth <= JSON_DEPTH_MAX);
    tree_check_text(json_key(json));
    tree_check_text(json_text(json));
    must_hold(isfinite(json_number(json)));
    for (const struct json *item = json_first(json); item; item = json_next(item))
        nodes += tree_check(item, depth);
    return nodes;
}

/* Numbers are written only where the writer has a form for them; all others as null. */
static inline void tree_write_number(struct json_writer *writer, const char *key, double number)
{
    if (number == floor(number) && fabs(number) <= 9007199254740992.0)
        json_put_i64(writer, key, (int64_t)number);
    else
        json_put_null(writer, key);
}

static inline void tree_write(struct json_writer *writer, const char *key, const struct json *json)
{
    bool is_array = json_type(json) == JSON_ARRAY;

    switch (json_type(json)) {
    case JSON_NULL:
        json_put_null(writer, key);
        return;
    case JSON_BOOL:
        json_put_bool(writer, key, json_bool(json));
        return;
    case JSON_NUMBER:
        tree_write_number(writer, key, json_number(json));
        return;
    case JSON_STRING:
        json_put_str(writer, key, json_text(json));
        return;
    default:
        (is_array ? json_open_array : json_open_object)(writer, key);
        for (const struct json *item = json_first(json); item; item = json_next(item))
            tree_write(writer, is_array ? NULL : json_key(item).ptr, item);
        (is_array ? json_close_array : json_close_object)(writer);
    }
}

/* Writes the tree, reads it back, writes that: both texts must be the same. */
static inline void tree_check_round_trip(const struct json *json)
{
    struct buf first = BUFFER_INIT(64 << 20);
    struct buf second = BUFFER_INIT(64 << 20);
    struct json_writer writer = json_writer(&first);
    struct json *again = NULL;
    struct err err = {0};

    tree_write(&writer, NULL, json);
    must_hold(!buf_failed(&first));
    must_hold(json_parse(buf_str(&first), &again, &err) == CODE_OK);
    writer = json_writer(&second);
    tree_write(&writer, NULL, again);
    must_hold(str_eq(buf_str(&first), buf_str(&second)));
    json_free(again);
    buf_done(&first);
    buf_done(&second);
}

#endif
