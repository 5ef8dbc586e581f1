/*
 * JSON and YAML documents as one read-only tree, and a small JSON writer.
 *
 * Reading: the tree hides cJSON (and libyaml, base/yaml.h). Depth is at most JSON_DEPTH_MAX; text
 *          that ends early, carries garbage behind its end or is not UTF-8 is refused with line and
 *          column. \u0000, which an annotation may have and C text may not, is read as U+FFFD.
 *          Of members with the same name, json_get() finds the first.
 * Getters: a missing or null member is "absent" (false / NULL / the default); a member of the wrong type
 *          is an error that names the path: "spec.ports[0].port: expected a number, found a string".
 * Owns:    json_free() frees the whole tree; members are borrowed from it.
 * Threads: a tree belongs to one thread.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

#define JSON_DEPTH_MAX 64
#define JSON_VALUES_MAX 8000000 /* a page of 64 MiB has about 4 million, at 100 bytes each */

struct json;

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

enum code json_parse(struct str text, struct json **ret_json, struct err *err) must_check;
void json_free(struct json *json);
DEFINE_CLEANUP(struct json, json_free)

/* JSON_NULL when json is NULL. */
enum json_type json_type(const struct json *json);
/* With its article: "a string", "an object", "null". */
const char *json_type_name(enum json_type type);

/* NULL when json is NULL or no object, or the member is missing or null. Case-sensitive. */
const struct json *json_get(const struct json *json, const char *key);
/* Iteration over arrays and objects; json_next(NULL) is NULL. */
const struct json *json_first(const struct json *json);
const struct json *json_next(const struct json *item);
size_t json_len(const struct json *json);
/* The member's own name in its object; empty in arrays. */
struct str json_key(const struct json *item);

/* Value of the node itself; only valid for its type (else empty / 0 / false). */
struct str json_text(const struct json *json);
double json_number(const struct json *json);
bool json_bool(const struct json *json);

/* Typed members: CODE_OK and the default when absent; CODE_INVALID_ARGUMENT and a message with `path`
 * (the way to `json`, may be "") when the type is wrong. */
enum code json_read_str(const struct json *json, const char *path, const char *key, struct str def,
                        struct str *ret_value, struct err *err) must_check;
enum code json_read_u64(const struct json *json, const char *path, const char *key, uint64_t max,
                        uint64_t def, uint64_t *ret_value, struct err *err) must_check;
enum code json_read_bool(const struct json *json, const char *path, const char *key, bool def,
                         bool *ret_value, struct err *err) must_check;
/* *ret_item is NULL when absent. */
enum code json_read_array(const struct json *json, const char *path, const char *key,
                          const struct json **ret_item, struct err *err) must_check;
enum code json_read_object(const struct json *json, const char *path, const char *key,
                           const struct json **ret_item, struct err *err) must_check;

/* Writer: appends to a buf; commas are placed by it.
 *   struct json_writer w = json_writer(&buf); json_open_object(&w, NULL); json_put_u64(&w, "n", 1); ... */
struct json_writer {
    struct buf *out;
    bool comma;
};

static inline struct json_writer json_writer(struct buf *out)
{
    return (struct json_writer){out, false};
}

/* `key` is NULL inside arrays and at the top. */
void json_open_object(struct json_writer *writer, const char *key);
void json_close_object(struct json_writer *writer);
void json_open_array(struct json_writer *writer, const char *key);
void json_close_array(struct json_writer *writer);
void json_put_str(struct json_writer *writer, const char *key, struct str value);
void json_put_u64(struct json_writer *writer, const char *key, uint64_t value);
void json_put_i64(struct json_writer *writer, const char *key, int64_t value);
/* Neither infinite nor NaN. */
void json_put_double(struct json_writer *writer, const char *key, double value);
void json_put_bool(struct json_writer *writer, const char *key, bool value);
void json_put_null(struct json_writer *writer, const char *key);
/* The whole tree; NULL is null. */
void json_put_json(struct json_writer *writer, const char *key, const struct json *json);

#endif
