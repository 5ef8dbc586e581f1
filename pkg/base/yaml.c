#include "base/yaml.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <yaml.h>

#include "base/utf8.h"
#include "base/yaml_scalar.h"

#define ANCHORS_MAX 256
#define CORE_TAG "tag:yaml.org,2002:"

struct anchor {
    char *name;
    const cJSON *node; /* borrowed from the tree; NULL until the node is complete */
};

/* One document's budget is in `nodes`, `alias_nodes` and `alias_bytes`; anchors live as long as the document. */
struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    struct str text;
    struct err *err;
    struct anchor anchors[ANCHORS_MAX];
    size_t anchors_len;
    size_t nodes;
    size_t alias_nodes;
    size_t alias_bytes;
};

/* A key of an open mapping, to find duplicates when it closes. */
struct key {
    const char *name; /* borrowed from the tree */
    size_t line;
    size_t column;
};

DEFINE_CLEANUP(cJSON, cJSON_Delete)

static enum code read_node(struct reader *reader, unsigned depth, cJSON **ret_node);

/* ---- errors */

static enum code refuse_at(struct reader *reader, size_t line, size_t column, const char *what)
{
    return fail(reader->err, CODE_INVALID_ARGUMENT, "line %zu, column %zu: %s", line, column, what);
}

/* At the current event. */
static enum code refuse(struct reader *reader, const char *what)
{
    return refuse_at(reader, reader->event.start_mark.line + 1, reader->event.start_mark.column + 1,
                     what);
}

static enum code out_of_memory(struct reader *reader)
{
    return fail(reader->err, CODE_RESOURCE_EXHAUSTED, "out of memory");
}

static enum code refuse_syntax(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *what = parser->problem ? parser->problem : "not YAML";
    size_t line = parser->problem_mark.line + 1;
    size_t column = parser->problem_mark.column + 1;

    if (parser->error == YAML_MEMORY_ERROR)
        return out_of_memory(reader);
    if (parser->error == YAML_READER_ERROR)
        utf8_position(reader->text, parser->problem_offset, &line, &column);
    return refuse_at(reader, line, column, what);
}

/* ---- events and budgets */

static enum code next_event(struct reader *reader)
{
    yaml_event_delete(&reader->event);
    if (!yaml_parser_parse(&reader->parser, &reader->event))
        return refuse_syntax(reader);
    return CODE_OK;
}

/* `depth` is the number of collections around the node. */
static enum code count_node(struct reader *reader, unsigned depth, bool is_collection)
{
    if (is_collection && depth >= JSON_DEPTH_MAX)
        return refuse(reader, "nested too deeply");
    if (++reader->nodes > YAML_NODES_MAX)
        return refuse(reader, "too many values");
    return CODE_OK;
}

/* ---- anchors */

static struct anchor *find_anchor(struct reader *reader, const char *name)
{
    for (size_t i = 0; i < reader->anchors_len; i++) {
        if (strcmp(reader->anchors[i].name, name) == 0)
            return &reader->anchors[i];
    }
    return NULL;
}

/* The latest of a name counts, so a name that comes again takes its old place. */
static enum code open_anchor(struct reader *reader, const yaml_char_t *name,
                             struct anchor **ret_anchor)
{
    struct anchor *anchor = name ? find_anchor(reader, (const char *)name) : NULL;

    if (name && !anchor) {
        if (reader->anchors_len == ANCHORS_MAX)
            return refuse(reader, "too many anchors");
        anchor = &reader->anchors[reader->anchors_len++];
        anchor->name = xstrdup((const char *)name);
    }
    if (anchor)
        anchor->node = NULL;
    *ret_anchor = anchor;
    return CODE_OK;
}

static void forget_anchors(struct reader *reader)
{
    for (size_t i = 0; i < reader->anchors_len; i++)
        free(reader->anchors[i].name);
    reader->anchors_len = 0;
}

static enum code find_aliased(struct reader *reader, const cJSON **ret_node)
{
    struct anchor *anchor = find_anchor(reader, (const char *)reader->event.data.alias.anchor);

    if (!anchor)
        return refuse(reader, "an alias without its anchor");
    if (!anchor->node)
        return refuse(reader, "an alias inside its own anchor");
    *ret_node = anchor->node;
    return CODE_OK;
}

/* Not cJSON_Duplicate(): the copy is paid from the document's budget as it grows. */
static enum code copy_node(struct reader *reader, const cJSON *from, unsigned depth,
                           cJSON **ret_node)
{
    CLEANUP(cJSON_Deletep) cJSON *copy = NULL;
    enum code code = count_node(reader, depth, from->child != NULL);

    if (code != CODE_OK)
        return code;
    if (++reader->alias_nodes > YAML_ALIAS_NODES_MAX)
        return refuse(reader, "too many values, aliases expanded");
    reader->alias_bytes += (from->valuestring ? strlen(from->valuestring) : 0) +
                           (from->string ? strlen(from->string) : 0);
    if (reader->alias_bytes > YAML_ALIAS_BYTES_MAX)
        return refuse(reader, "too much text, aliases expanded");
    copy = cJSON_IsString(from) ? cJSON_CreateString(from->valuestring) : cJSON_CreateNull();
    if (!copy)
        return out_of_memory(reader);
    copy->type = from->type;
    copy->valueint = from->valueint;
    copy->valuedouble = from->valuedouble;
    for (const cJSON *item = from->child; item; item = item->next) {
        CLEANUP(cJSON_Deletep) cJSON *child = NULL;

        code = copy_node(reader, item, depth + 1, &child);
        if (code != CODE_OK)
            return code;
        if (item->string && !(child->string = strdup(item->string)))
            return out_of_memory(reader);
        cJSON_AddItemToArray(copy, TAKE(child));
    }
    *ret_node = TAKE(copy);
    return CODE_OK;
}

/* ---- scalars */

/* What follows CORE_TAG in the tag; the bare "!" says string; NULL for a foreign tag. */
static const char *core_tag(const yaml_char_t *tag)
{
    if (strcmp((const char *)tag, "!") == 0)
        return "str";
    if (strncmp((const char *)tag, CORE_TAG, strlen(CORE_TAG)) != 0)
        return NULL;
    return (const char *)tag + strlen(CORE_TAG);
}

static bool tag_allows(const char *tag, const struct yaml_scalar *scalar)
{
    switch (scalar->type) {
    case JSON_NULL:
        return strcmp(tag, "null") == 0;
    case JSON_BOOL:
        return strcmp(tag, "bool") == 0;
    case JSON_NUMBER:
        return strcmp(tag, "float") == 0 ||
               (strcmp(tag, "int") == 0 && scalar->number == floor(scalar->number));
    default:
        return false;
    }
}

static enum code resolve_scalar(struct reader *reader, struct yaml_scalar *ret_scalar)
{
    const yaml_event_t *event = &reader->event;
    struct str text = str_make(event->data.scalar.value, event->data.scalar.length);
    const char *tag = event->data.scalar.tag ? core_tag(event->data.scalar.tag) : NULL;

    if (event->data.scalar.tag && !tag)
        return refuse(reader, "a tag outside the core schema");
    if (strlen(text.ptr) != text.len)
        return refuse(reader, "a NUL character in a string");
    *ret_scalar = (struct yaml_scalar){.type = JSON_STRING};
    if (tag ? strcmp(tag, "str") == 0 : !event->data.scalar.plain_implicit)
        return CODE_OK;
    *ret_scalar = yaml_scalar_resolve(text);
    if (tag && !tag_allows(tag, ret_scalar))
        return refuse(reader, "the value does not fit its tag");
    if (ret_scalar->type == JSON_NUMBER && !isfinite(ret_scalar->number))
        return refuse(reader, "a number outside a double's range");
    return CODE_OK;
}

static enum code read_scalar(struct reader *reader, cJSON **ret_node)
{
    struct yaml_scalar scalar;
    enum code code = resolve_scalar(reader, &scalar);
    cJSON *node = NULL;

    if (code != CODE_OK)
        return code;
    switch (scalar.type) {
    case JSON_BOOL:
        node = cJSON_CreateBool(scalar.truth);
        break;
    case JSON_NUMBER:
        node = cJSON_CreateNumber(scalar.number);
        break;
    case JSON_STRING:
        node = cJSON_CreateString((const char *)reader->event.data.scalar.value);
        break;
    default:
        node = cJSON_CreateNull();
    }
    if (!node)
        return out_of_memory(reader);
    *ret_node = node;
    return CODE_OK;
}

/* ---- collections; the current event is their start, and their end on return */

static enum code check_tag(struct reader *reader, const yaml_char_t *tag, const char *wanted)
{
    const char *core = tag ? core_tag(tag) : wanted;

    if (!core || (strcmp(core, wanted) != 0 && strcmp((const char *)tag, "!") != 0))
        return refuse(reader, "a tag outside the core schema");
    return CODE_OK;
}

static enum code read_sequence(struct reader *reader, unsigned depth, cJSON **ret_node)
{
    CLEANUP(cJSON_Deletep) cJSON *array = NULL;
    enum code code = check_tag(reader, reader->event.data.sequence_start.tag, "seq");

    if (code != CODE_OK)
        return code;
    array = cJSON_CreateArray();
    if (!array)
        return out_of_memory(reader);
    for (;;) {
        cJSON *item = NULL;

        code = next_event(reader);
        if (code == CODE_OK && reader->event.type == YAML_SEQUENCE_END_EVENT)
            break;
        if (code == CODE_OK)
            code = read_node(reader, depth + 1, &item);
        if (code != CODE_OK)
            return code;
        cJSON_AddItemToArray(array, item);
    }
    *ret_node = TAKE(array);
    return CODE_OK;
}

/* The current event as the name of a member, to be freed. */
static enum code read_key(struct reader *reader, char **ret_name)
{
    const yaml_event_t *event = &reader->event;
    struct yaml_scalar scalar = {.type = JSON_OBJECT};
    const cJSON *aliased = NULL;
    const char *name = NULL;
    enum code code = CODE_OK;

    if (event->type == YAML_SCALAR_EVENT) {
        code = resolve_scalar(reader, &scalar);
        name = scalar.type == JSON_STRING ? (const char *)event->data.scalar.value : NULL;
    } else if (event->type == YAML_ALIAS_EVENT) {
        code = find_aliased(reader, &aliased);
        name = cJSON_IsString(aliased) ? aliased->valuestring : NULL;
    }
    if (code != CODE_OK)
        return code;
    if (!name)
        return refuse(reader, "a key that is not a string");
    if (scalar.type == JSON_STRING && event->data.scalar.plain_implicit && strcmp(name, "<<") == 0)
        return refuse(reader, "merge keys are not supported");
    *ret_name = xstrdup(name);
    return CODE_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const struct key *left = a;
    const struct key *right = b;
    int order = strcmp(left->name, right->name);

    if (order == 0)
        order = (left->line > right->line) - (left->line < right->line);
    return order ? order : (left->column > right->column) - (left->column < right->column);
}

/* Sorting, because a mapping of a million keys must not cost their square. */
static enum code refuse_duplicates(struct reader *reader, struct key *keys, size_t len)
{
    if (len > 0)
        qsort(keys, len, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < len; i++) {
        if (strcmp(keys[i - 1].name, keys[i].name) == 0)
            return fail(reader->err, CODE_INVALID_ARGUMENT,
                        "line %zu, column %zu: duplicate key '%.64s', first on line %zu",
                        keys[i].line, keys[i].column, keys[i].name, keys[i - 1].line);
    }
    return CODE_OK;
}

/* One key and its value. */
static enum code read_member(struct reader *reader, unsigned depth, cJSON *object,
                             struct key *ret_key)
{
    CLEANUP(freep) char *name = NULL;
    cJSON *item = NULL;
    enum code code = read_key(reader, &name);

    if (code != CODE_OK)
        return code;
    ret_key->line = reader->event.start_mark.line + 1;
    ret_key->column = reader->event.start_mark.column + 1;
    code = next_event(reader);
    if (code == CODE_OK)
        code = read_node(reader, depth + 1, &item);
    if (code != CODE_OK)
        return code;
    ret_key->name = name;
    item->string = TAKE(name);
    /* The variant for arrays, because it keeps `string`. */
    cJSON_AddItemToArray(object, item);
    return CODE_OK;
}

static enum code read_mapping(struct reader *reader, unsigned depth, cJSON **ret_node)
{
    CLEANUP(cJSON_Deletep) cJSON *object = NULL;
    CLEANUP(freep) struct key *keys = NULL;
    size_t keys_len = 0;
    size_t keys_cap = 0;
    enum code code = check_tag(reader, reader->event.data.mapping_start.tag, "map");

    if (code != CODE_OK)
        return code;
    object = cJSON_CreateObject();
    if (!object)
        return out_of_memory(reader);
    for (;;) {
        code = next_event(reader);
        if (code == CODE_OK && reader->event.type == YAML_MAPPING_END_EVENT)
            code = refuse_duplicates(reader, keys, keys_len);
        if (code != CODE_OK)
            return code;
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            break;
        keys = xgrow(keys, &keys_cap, keys_len, sizeof(*keys));
        code = read_member(reader, depth, object, &keys[keys_len]);
        if (code != CODE_OK)
            return code;
        keys_len++;
    }
    *ret_node = TAKE(object);
    return CODE_OK;
}

/* ---- nodes and documents */

static enum code read_plain_node(struct reader *reader, unsigned depth,
                                 const yaml_char_t *anchor_name, cJSON **ret_node)
{
    struct anchor *anchor = NULL;
    enum code code = count_node(reader, depth, reader->event.type != YAML_SCALAR_EVENT);

    if (code == CODE_OK)
        code = open_anchor(reader, anchor_name, &anchor);
    if (code != CODE_OK)
        return code;
    if (reader->event.type == YAML_MAPPING_START_EVENT)
        code = read_mapping(reader, depth, ret_node);
    else if (reader->event.type == YAML_SEQUENCE_START_EVENT)
        code = read_sequence(reader, depth, ret_node);
    else
        code = read_scalar(reader, ret_node);
    if (code == CODE_OK && anchor)
        anchor->node = *ret_node;
    return code;
}

/* The current event is the node's first, and its last on return. */
static enum code read_node(struct reader *reader, unsigned depth, cJSON **ret_node)
{
    const cJSON *aliased = NULL;
    enum code code;

    switch (reader->event.type) {
    case YAML_MAPPING_START_EVENT:
        return read_plain_node(reader, depth, reader->event.data.mapping_start.anchor, ret_node);
    case YAML_SEQUENCE_START_EVENT:
        return read_plain_node(reader, depth, reader->event.data.sequence_start.anchor, ret_node);
    case YAML_SCALAR_EVENT:
        return read_plain_node(reader, depth, reader->event.data.scalar.anchor, ret_node);
    case YAML_ALIAS_EVENT:
        code = find_aliased(reader, &aliased);
        return code == CODE_OK ? copy_node(reader, aliased, depth, ret_node) : code;
    default:
        return refuse(reader, "not YAML");
    }
}

static enum code read_document(struct reader *reader, yaml_document_fn *on_document, void *ctx)
{
    CLEANUP(cJSON_Deletep) cJSON *root = NULL;
    size_t line;
    enum code code = next_event(reader);

    if (code != CODE_OK)
        return code;
    reader->nodes = 0;
    reader->alias_nodes = 0;
    reader->alias_bytes = 0;
    line = reader->event.start_mark.line + 1;
    code = read_node(reader, 0, &root);
    forget_anchors(reader);
    if (code == CODE_OK)
        code =
            next_event(reader); /* the document's end: what is wrong behind the root shows here */
    if (code == CODE_OK && !cJSON_IsNull(root))
        on_document(ctx, (struct json *)(void *)TAKE(root), line);
    return code;
}

static enum code read_stream(struct reader *reader, yaml_document_fn *on_document, void *ctx)
{
    enum code code;

    do {
        code = next_event(reader);
        if (code == CODE_OK && reader->event.type == YAML_DOCUMENT_START_EVENT)
            code = read_document(reader, on_document, ctx);
    } while (code == CODE_OK && reader->event.type != YAML_STREAM_END_EVENT);
    return code;
}

enum code yaml_parse(struct str text, yaml_document_fn *on_document, void *ctx, struct err *err)
{
    struct reader reader = {.err = err};
    enum code code;

    if (str_starts_with(text,
                        STR("\xEF\xBB\xBF"))) /* libyaml would make it a part of the first key */
        text = str_slice(text, 3, text.len);
    reader.text = text;
    if (!yaml_parser_initialize(&reader.parser))
        return out_of_memory(&reader);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(text.len ? text.ptr : ""),
                                 text.len);
    code = read_stream(&reader, on_document, ctx);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return code;
}
