#include "base/json.h"

#include <cjson/cJSON.h>

#include "base/json_memory.h"
#include "base/json_scan.h"
#include "base/utf8.h"

static const cJSON *node_of(const struct json *json)
{
    return (const cJSON *)(const void *)json;
}

static const struct json *json_of(const cJSON *node)
{
    return (const struct json *)(const void *)node;
}

static enum code refuse(struct err *err, struct str text, size_t offset, const char *what)
{
    size_t line;
    size_t column;

    utf8_position(text, offset, &line, &column);
    return fail(err, CODE_INVALID_ARGUMENT, "line %zu, column %zu: %s", line, column, what);
}

static size_t skip_space(struct str text, size_t at)
{
    while (at < text.len && memchr(" \t\n\r", text.ptr[at], 4))
        at++;
    return at;
}

/* A copy in which every \u0000 is \ufffd: of the same length. */
static char *without_nul(struct str text)
{
    char *copy = str_dup(text);

    for (size_t at = 0; at + 1 < text.len; at += copy[at] == '\\' ? 2 : 1) {
        if (at + 6 <= text.len && memcmp(copy + at, "\\u0000", 6) == 0)
            memcpy(copy + at + 2, "fffd", 4);
    }
    return copy;
}

/* NULL, and *ret_end is where it is wrong, if it is no JSON. */
static struct json *read_tree(struct str text, size_t values, const char **ret_end)
{
    cJSON *root;

    *ret_end = text.ptr;
    if (text.len == 0)
        return NULL;
    json_memory_begin(values, text.len);
    /* Not cJSON_GetErrorPtr(): that is a global of all threads. */
    root = cJSON_ParseWithLengthOpts(text.ptr, text.len, ret_end, false);
    return (struct json *)(void *)json_memory_end(root);
}

enum code json_parse(struct str text, struct json **ret_json, struct err *err)
{
    CLEANUP(freep) char *copy = NULL;
    CLEANUP(json_freep) struct json *json = NULL;
    struct json_found found;
    const char *wrong = json_scan(text, &found);
    const char *end;
    size_t offset;

    if (wrong)
        return refuse(err, text, found.offset, wrong);
    if (found.nul)
        text.ptr = copy = without_nul(text);
    json = read_tree(text, found.values, &end);
    offset = (size_t)(end - text.ptr);
    if (!json)
        return refuse(err, text, offset,
                      skip_space(text, 0) < text.len ? "unexpected character"
                                                     : "the text is empty");
    offset = skip_space(text, offset);
    if (offset < text.len)
        return refuse(err, text, offset, "garbage behind the end");
    *ret_json = TAKE(json);
    return CODE_OK;
}

void json_free(struct json *json)
{
    cJSON *root = (cJSON *)(void *)json;

    if (!json_memory_free(root))
        cJSON_Delete(root);
}

enum json_type json_type(const struct json *json)
{
    switch (json ? node_of(json)->type & 0xFF : cJSON_NULL) {
    case cJSON_False:
    case cJSON_True:
        return JSON_BOOL;
    case cJSON_Number:
        return JSON_NUMBER;
    case cJSON_String:
        return JSON_STRING;
    case cJSON_Array:
        return JSON_ARRAY;
    case cJSON_Object:
        return JSON_OBJECT;
    }
    return JSON_NULL;
}

const char *json_type_name(enum json_type type)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string", [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
    };

    return names[type];
}

static bool is_container(const cJSON *node)
{
    return cJSON_IsObject(node) || cJSON_IsArray(node);
}

const struct json *json_get(const struct json *json, const char *key)
{
    if (!cJSON_IsObject(node_of(json)))
        return NULL;
    for (const cJSON *item = node_of(json)->child; item; item = item->next) {
        if (strcmp(item->string, key) == 0)
            return cJSON_IsNull(item) ? NULL : json_of(item);
    }
    return NULL;
}

const struct json *json_first(const struct json *json)
{
    return is_container(node_of(json)) ? json_of(node_of(json)->child) : NULL;
}

const struct json *json_next(const struct json *item)
{
    return item ? json_of(node_of(item)->next) : NULL;
}

size_t json_len(const struct json *json)
{
    size_t len = 0;

    for (const struct json *item = json_first(json); item; item = json_next(item))
        len++;
    return len;
}

struct str json_key(const struct json *item)
{
    const char *key = item ? node_of(item)->string : NULL;

    return key ? str_of(key) : STR("");
}

struct str json_text(const struct json *json)
{
    return cJSON_IsString(node_of(json)) ? str_of(node_of(json)->valuestring) : STR("");
}

double json_number(const struct json *json)
{
    return cJSON_IsNumber(node_of(json)) ? node_of(json)->valuedouble : 0;
}

bool json_bool(const struct json *json)
{
    return cJSON_IsTrue(node_of(json));
}
