#include "controller/manifest.h"

#include <assert.h>

#include "base/yaml.h"
#include "controller/decode.h"

static const char *const kind_words[] = {
    [OBJECT_SERVICE] = "Service",
    [OBJECT_SLICE] = "EndpointSlice",
};

struct reader {
    struct manifest *manifest;
    size_t line;
    struct err *err;
    enum code code; /* of the first fault; later documents are only freed */
};

/* `field`: "kind: missing", with its path from the object at `path`, which may be "". */
static enum code reader_fail(struct reader *reader, const char *path, const char *field)
{
    reader->code = fail(reader->err, CODE_INVALID_ARGUMENT, "line %zu: %s%s%s", reader->line, path,
                        *path ? "." : "", field);
    return reader->code;
}

static enum code reader_not_object(struct reader *reader, const struct json *json, const char *path)
{
    reader->code =
        fail(reader->err, CODE_INVALID_ARGUMENT, "line %zu: %s%sexpected an object, found %s",
             reader->line, path, *path ? ": " : "", json_type_name(json_type(json)));
    return reader->code;
}

/* ---- objects of other kinds ---- */

static void note_ignored(struct manifest *manifest, struct str api, struct str kind)
{
    char text[256];

    snprintf(text, sizeof(text), "%" STR_FMT " %" STR_FMT, STR_ARG(api), STR_ARG(kind));
    manifest->ignored_objects++;
    for (size_t i = 0; i < manifest->ignored_len; i++) {
        if (strcmp(manifest->ignored[i], text) == 0)
            return;
    }
    if (manifest->ignored_len == MANIFEST_IGNORED_MAX)
        return;
    manifest->ignored = xgrow(manifest->ignored, &manifest->ignored_cap, manifest->ignored_len,
                              sizeof(*manifest->ignored));
    manifest->ignored[manifest->ignored_len++] = xstrdup(text);
}

/* ---- objects of ours ---- */

static enum code add_object(struct reader *reader, enum object_kind kind, const struct json *json,
                            const char *path)
{
    struct manifest *manifest = reader->manifest;
    struct object_meta meta;
    struct err inner = {0};
    char key[600]; /* two names of 253, and a kind */

    if (decode_meta(json, &meta, &inner) != CODE_OK)
        return reader_fail(reader, path, inner.msg);
    if (manifest->len == MANIFEST_OBJECTS_MAX)
        return reader_fail(reader, "", "more objects than one file may have");
    snprintf(key, sizeof(key), "%s %" STR_FMT "/%" STR_FMT, kind_words[kind],
             STR_ARG(meta.namespace_name), STR_ARG(meta.name));
    manifest->objects =
        xgrow(manifest->objects, &manifest->cap, manifest->len, sizeof(*manifest->objects));
    manifest->objects[manifest->len++] =
        (struct manifest_object){kind, xstrdup(key), json, reader->line};
    return CODE_OK;
}

/* The kind that one item of a list has when it does not say. */
static struct str implied_kind(struct str list_kind)
{
    return str_slice(list_kind, 0, list_kind.len - strlen("List"));
}

static bool is_list(struct str api, struct str kind)
{
    if (str_eq(api, STR("v1")))
        return str_eq(kind, STR("List")) || str_eq(kind, STR("ServiceList"));
    return str_eq(api, STR("discovery.k8s.io/v1")) && str_eq(kind, STR("EndpointSliceList"));
}

static enum code add_document(struct reader *reader, const struct json *json, const char *path,
                              struct str implied_api, struct str implied);

static enum code add_list(struct reader *reader, const struct json *json, const char *path,
                          struct str api, struct str kind)
{
    const struct json *items = NULL;
    struct err inner = {0};
    size_t index = 0;
    char where[128];

    if (json_read_array(json, path, "items", &items, &inner) != CODE_OK)
        return reader_fail(reader, "", inner.msg);
    for (const struct json *item = json_first(items); item; item = json_next(item)) {
        bool plain = str_eq(kind, STR("List"));

        snprintf(where, sizeof(where), "%.64s%sitems[%zu]", path, *path ? "." : "", index++);
        if (add_document(reader, item, where, plain ? STR("") : api,
                         plain ? STR("") : implied_kind(kind)) != CODE_OK)
            return reader->code;
    }
    return CODE_OK;
}

/* Recursion (a List in a List) ends with the depth that the JSON reader allows. */
static enum code add_document(struct reader *reader, const struct json *json, const char *path,
                              struct str implied_api, struct str implied)
{
    struct err inner = {0};
    struct str api, kind;

    if (json_type(json) != JSON_OBJECT)
        return reader_not_object(reader, json, path);
    if (json_read_str(json, path, "apiVersion", implied_api, &api, &inner) != CODE_OK ||
        json_read_str(json, path, "kind", implied, &kind, &inner) != CODE_OK)
        return reader_fail(reader, "", inner.msg);
    if (api.len == 0 || kind.len == 0)
        return reader_fail(reader, path, api.len == 0 ? "apiVersion: missing" : "kind: missing");
    if (is_list(api, kind))
        return add_list(reader, json, path, api, kind);
    if (str_eq(api, STR("v1")) && str_eq(kind, STR("Service")))
        return add_object(reader, OBJECT_SERVICE, json, path);
    if (str_eq(api, STR("discovery.k8s.io/v1")) && str_eq(kind, STR("EndpointSlice")))
        return add_object(reader, OBJECT_SLICE, json, path);
    note_ignored(reader->manifest, api, kind);
    return CODE_OK;
}

static void on_document(void *ctx, struct json *document, size_t line)
{
    struct reader *reader = ctx;
    struct manifest *manifest = reader->manifest;

    manifest->documents = xgrow(manifest->documents, &manifest->documents_cap,
                                manifest->documents_len, sizeof(*manifest->documents));
    manifest->documents[manifest->documents_len++] = document;
    reader->line = line;
    if (reader->code == CODE_OK)
        (void)add_document(reader, document, "", STR(""), STR(""));
}

enum code manifest_parse(struct str text, bool is_json, struct manifest *manifest, struct err *err)
{
    struct err inner = {0};
    struct reader reader = {.manifest = manifest, .err = err, .code = CODE_OK};
    struct json *document;
    enum code code;

    if (is_json && str_trim(text).len == 0)
        return CODE_OK;
    if (is_json) {
        code = json_parse(text, &document, &inner);
        if (code == CODE_OK)
            on_document(&reader, document, 1);
    } else {
        code = yaml_parse(text, on_document, &reader, &inner);
    }
    if (reader.code != CODE_OK)
        return reader.code;
    return code == CODE_OK ? CODE_OK : fail(err, code, "%s", inner.msg);
}

void manifest_done(struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->len; i++)
        free(manifest->objects[i].key);
    for (size_t i = 0; i < manifest->documents_len; i++)
        json_free(manifest->documents[i]);
    for (size_t i = 0; i < manifest->ignored_len; i++)
        free(manifest->ignored[i]);
    free(manifest->objects);
    free(manifest->documents);
    free(manifest->ignored);
    *manifest = (struct manifest){0};
}

/* ---- keys ---- */

enum object_kind manifest_key_kind(const char *key)
{
    return str_starts_with(str_of(key), STR("Service ")) ? OBJECT_SERVICE : OBJECT_SLICE;
}

struct json *manifest_tombstone(const char *key)
{
    struct str name = str_of(key);
    struct str namespace_name;
    struct buf text = BUFFER_INIT(4096);
    struct json_writer writer = json_writer(&text);
    struct json *json = NULL;
    enum code code;

    str_cut(&name, ' ');
    namespace_name = str_cut(&name, '/');
    json_open_object(&writer, NULL);
    json_open_object(&writer, "metadata");
    json_put_str(&writer, "namespace", namespace_name);
    json_put_str(&writer, "name", name);
    json_close_object(&writer);
    json_close_object(&writer);
    code = json_parse(buf_str(&text), &json, NULL);
    assert(code == CODE_OK);
    (void)code;
    buf_done(&text);
    return json;
}
