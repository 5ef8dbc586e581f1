#include "controller/manifest.h"

#include <assert.h>

#include "base/yaml.h"
#include "controller/decode_policy.h"

#define KEY_MAX 600 /* two names of 253, and a kind */

static const struct kind {
    enum object_kind kind;
    const char *api, *word, *list;
} kinds[] = {
    {OBJECT_SERVICE, "v1", "Service", "ServiceList"},
    {OBJECT_SLICE, "discovery.k8s.io/v1", "EndpointSlice", "EndpointSliceList"},
    {OBJECT_NODE, "v1", "Node", "NodeList"},
    {OBJECT_POLICY, POLICY_API, POLICY_KIND, POLICY_KIND "List"},
};

const enum object_kind manifest_kinds[] = {OBJECT_SERVICE, OBJECT_SLICE, OBJECT_NODE,
                                           OBJECT_POLICY};

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

static enum code add_object(struct reader *reader, const struct kind *kind, const struct json *json,
                            const char *path)
{
    struct manifest *manifest = reader->manifest;
    struct object_meta meta;
    struct err inner = {0};
    char key[KEY_MAX];

    if (decode_meta(json, &meta, &inner) != CODE_OK)
        return reader_fail(reader, path, inner.msg);
    if (manifest->len == MANIFEST_OBJECTS_MAX)
        return reader_fail(reader, "", "more objects than one file may have");
    snprintf(key, sizeof(key), "%s %" STR_FMT "/%" STR_FMT, kind->word,
             STR_ARG(meta.namespace_name), STR_ARG(meta.name));
    manifest->objects =
        xgrow(manifest->objects, &manifest->cap, manifest->len, sizeof(*manifest->objects));
    manifest->objects[manifest->len++] =
        (struct manifest_object){kind->kind, xstrdup(key), json, reader->line};
    return CODE_OK;
}

/* NULL: none of ours. */
static const struct kind *kind_of(struct str api, struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq(api, str_of(kinds[i].api)) && str_eq(word, str_of(kinds[i].word)))
            return &kinds[i];
    }
    return NULL;
}

/* The kind of a list's items where they do not say; false if it is no list of ours. */
static bool is_list(struct str api, struct str word, struct str *ret_implied)
{
    *ret_implied = STR("");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!str_eq(api, str_of(kinds[i].api)) || !str_eq(word, str_of(kinds[i].list)))
            continue;
        *ret_implied = str_of(kinds[i].word);
        return true;
    }
    return str_eq(api, STR("v1")) && str_eq(word, STR("List"));
}

static enum code add_document(struct reader *reader, const struct json *json, const char *path,
                              struct str implied_api, struct str implied);

/* `implied`: as is_list() says. */
static enum code add_list(struct reader *reader, const struct json *json, const char *path,
                          struct str api, struct str implied)
{
    const struct json *items = NULL;
    struct err inner = {0};
    size_t index = 0;
    char where[128];

    if (json_read_array(json, path, "items", &items, &inner) != CODE_OK)
        return reader_fail(reader, "", inner.msg);
    for (const struct json *item = json_first(items); item; item = json_next(item)) {
        snprintf(where, sizeof(where), "%.64s%sitems[%zu]", path, *path ? "." : "", index++);
        if (add_document(reader, item, where, implied.len > 0 ? api : STR(""), implied) != CODE_OK)
            return reader->code;
    }
    return CODE_OK;
}

/* Recursion (a List in a List) ends with the depth that the JSON reader allows. */
static enum code add_document(struct reader *reader, const struct json *json, const char *path,
                              struct str implied_api, struct str implied)
{
    struct err inner = {0};
    struct str api, word, list_of;
    const struct kind *kind;

    if (json_type(json) != JSON_OBJECT)
        return reader_not_object(reader, json, path);
    if (json_read_str(json, path, "apiVersion", implied_api, &api, &inner) != CODE_OK ||
        json_read_str(json, path, "kind", implied, &word, &inner) != CODE_OK)
        return reader_fail(reader, "", inner.msg);
    if (api.len == 0 || word.len == 0)
        return reader_fail(reader, path, api.len == 0 ? "apiVersion: missing" : "kind: missing");
    if (is_list(api, word, &list_of))
        return add_list(reader, json, path, api, list_of);
    kind = kind_of(api, word);
    if (kind)
        return add_object(reader, kind, json, path);
    note_ignored(reader->manifest, api, word);
    return CODE_OK;
}

/* The manifest owns it from now on. */
static void keep_document(struct manifest *manifest, struct json *document)
{
    manifest->documents = xgrow(manifest->documents, &manifest->documents_cap,
                                manifest->documents_len, sizeof(*manifest->documents));
    manifest->documents[manifest->documents_len++] = document;
}

static void on_document(void *ctx, struct json *document, size_t line)
{
    struct reader *reader = ctx;
    struct manifest *manifest = reader->manifest;
    size_t before = manifest->len;

    reader->line = line;
    if (reader->code == CODE_OK)
        (void)add_document(reader, document, "", STR(""), STR(""));
    if (manifest->len == before) { /* nobody refers to it */
        json_free(document);
        return;
    }
    keep_document(manifest, document);
}

/* ---- keys that stand twice: the YAML reader refuses them, with their line ---- */

static int cmp_key(const void *a, const void *b)
{
    struct str left = json_key(*(const struct json *const *)a);
    struct str right = json_key(*(const struct json *const *)b);

    return str_cmp(left, right);
}

/* A member whose name stands twice; NULL: there is none. Sorts, because an object of a million keys
 * must not cost their square. */
static const struct json *twin_of(const struct json *object)
{
    size_t len = json_len(object), at = 0;
    CLEANUP(freep) const struct json **members = xcalloc(len + 1, sizeof(struct json *));

    for (const struct json *item = json_first(object); item; item = json_next(item))
        members[at++] = item;
    qsort(members, len, sizeof(struct json *), cmp_key);
    for (at = 1; at < len; at++) {
        if (cmp_key(&members[at - 1], &members[at]) == 0)
            return members[at];
    }
    return NULL;
}

/* Recursion ends with the depth that the JSON reader allows. */
static enum code refuse_twins(const struct json *json, struct err *err)
{
    const struct json *twin = json_type(json) == JSON_OBJECT ? twin_of(json) : NULL;
    enum code code = CODE_OK;

    if (twin)
        return fail(err, CODE_INVALID_ARGUMENT, "line 1: duplicate key '%.64s'",
                    json_key(twin).ptr);
    for (const struct json *item = json_first(json); item && code == CODE_OK;
         item = json_next(item))
        code = refuse_twins(item, err);
    return code;
}

static enum code parse_json(struct reader *reader, struct str text, struct err *err)
{
    struct json *document = NULL;
    enum code code = json_parse(text, &document, err);

    if (code == CODE_OK)
        code = refuse_twins(document, err);
    if (code == CODE_OK)
        on_document(reader, document, 1);
    else
        json_free(document);
    return code;
}

enum code manifest_parse(struct str text, bool is_json, struct manifest *manifest, struct err *err)
{
    struct err inner = {0};
    struct reader reader = {.manifest = manifest, .err = err, .code = CODE_OK};
    enum code code;

    if (is_json && str_trim(text).len == 0)
        return CODE_OK;
    code = is_json ? parse_json(&reader, text, &inner)
                   : yaml_parse(text, on_document, &reader, &inner);
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

/* ---- namespaces ---- */

/* A copy of the object whose metadata begins with that namespace: of two, the first counts. */
static struct json *with_namespace(const struct json *object, struct str namespace_name)
{
    struct buf text = BUFFER_INIT((size_t)8 * MANIFEST_BYTES_MAX); /* escaped, as it may be */
    struct json_writer writer = json_writer(&text);
    struct json *copy = NULL;

    json_open_object(&writer, NULL);
    for (const struct json *item = json_first(object); item; item = json_next(item)) {
        if (!str_eq(json_key(item), STR("metadata"))) {
            json_put_json(&writer, json_key(item).ptr, item);
            continue;
        }
        json_open_object(&writer, "metadata");
        json_put_str(&writer, "namespace", namespace_name);
        for (const struct json *part = json_first(item); part; part = json_next(part))
            json_put_json(&writer, json_key(part).ptr, part);
        json_close_object(&writer);
    }
    json_close_object(&writer);
    if (buf_failed(&text) || json_parse(buf_str(&text), &copy, NULL) != CODE_OK)
        copy = NULL;
    buf_done(&text);
    return copy;
}

void manifest_set_namespace(struct manifest *manifest, struct str namespace_name)
{
    for (size_t i = 0; i < manifest->len; i++) {
        struct manifest_object *object = &manifest->objects[i];
        const struct json *metadata = json_get(object->json, "metadata");
        struct str name = str_of(object->key);
        struct str kind = str_cut(&name, ' ');
        struct json *copy;
        char key[KEY_MAX];

        if (object->kind == OBJECT_NODE || json_text(json_get(metadata, "namespace")).len > 0)
            continue;
        copy = with_namespace(object->json, namespace_name);
        if (!copy)
            continue;
        keep_document(manifest, copy);
        str_cut(&name, '/');
        snprintf(key, sizeof(key), "%" STR_FMT " %" STR_FMT "/%" STR_FMT, STR_ARG(kind),
                 STR_ARG(namespace_name), STR_ARG(name));
        free(object->key);
        object->key = xstrdup(key);
        object->json = copy;
    }
}

/* ---- keys ---- */

enum object_kind manifest_key_kind(const char *key)
{
    struct str rest = str_of(key);
    struct str word = str_cut(&rest, ' ');

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq(word, str_of(kinds[i].word)))
            return kinds[i].kind;
    }
    return OBJECT_KINDS;
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

static const struct kind *entry_of(enum object_kind kind)
{
    size_t at = 0;

    while (kinds[at].kind != kind)
        at++;
    return &kinds[at];
}

const char *manifest_api(enum object_kind kind)
{
    return entry_of(kind)->api;
}

const char *manifest_kind_name(enum object_kind kind)
{
    return entry_of(kind)->word;
}
