#include "base/json.h"

/* From 2^53 on a double no longer tells neighbours apart. */
#define EXACT_MAX ((UINT64_C(1) << 53) - 1)

static enum code wrong_type(struct err *err, const char *path, const char *key,
                            const char *expected, const struct json *found)
{
    path = path ? path : "";
    return fail(err, CODE_INVALID_ARGUMENT, "%s%s%s: expected %s, found %s", path, *path ? "." : "",
                key, expected, json_type_name(json_type(found)));
}

static enum code read_member(const struct json *json, const char *path, const char *key,
                             enum json_type type, const struct json **ret_item, struct err *err)
{
    const struct json *item = json_get(json, key);

    if (item && json_type(item) != type)
        return wrong_type(err, path, key, json_type_name(type), item);
    *ret_item = item;
    return CODE_OK;
}

enum code json_read_str(const struct json *json, const char *path, const char *key, struct str def,
                        struct str *ret_value, struct err *err)
{
    const struct json *item = NULL;
    enum code code = read_member(json, path, key, JSON_STRING, &item, err);

    if (code == CODE_OK)
        *ret_value = item ? json_text(item) : def;
    return code;
}

enum code json_read_u64(const struct json *json, const char *path, const char *key, uint64_t max,
                        uint64_t def, uint64_t *ret_value, struct err *err)
{
    const struct json *item = NULL;
    enum code code = read_member(json, path, key, JSON_NUMBER, &item, err);
    double number;

    if (code != CODE_OK)
        return code;
    if (!item) {
        *ret_value = def;
        return CODE_OK;
    }
    number = json_number(item);
    max = min_u64(max, EXACT_MAX);
    path = path ? path : "";
    if (!(number >= 0 && number <= (double)max) || number != (double)(uint64_t)number)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "%s%s%s: expected a whole number from 0 to %llu, found %.17g", path,
                    *path ? "." : "", key, (unsigned long long)max, number);
    *ret_value = (uint64_t)number;
    return CODE_OK;
}

enum code json_read_bool(const struct json *json, const char *path, const char *key, bool def,
                         bool *ret_value, struct err *err)
{
    const struct json *item = NULL;
    enum code code = read_member(json, path, key, JSON_BOOL, &item, err);

    if (code == CODE_OK)
        *ret_value = item ? json_bool(item) : def;
    return code;
}

enum code json_read_array(const struct json *json, const char *path, const char *key,
                          const struct json **ret_item, struct err *err)
{
    return read_member(json, path, key, JSON_ARRAY, ret_item, err);
}

enum code json_read_object(const struct json *json, const char *path, const char *key,
                           const struct json **ret_item, struct err *err)
{
    return read_member(json, path, key, JSON_OBJECT, ret_item, err);
}
