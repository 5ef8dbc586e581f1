#include "kube/object.h"

struct object_meta object_meta_read(const struct json *object)
{
    const struct json *metadata = json_get(object, "metadata");

    return (struct object_meta){
        .namespace_name = json_text(json_get(metadata, "namespace")),
        .name = json_text(json_get(metadata, "name")),
        .version = json_text(json_get(metadata, "resourceVersion")),
    };
}

uint64_t status_retry_after_ms(const struct json *status)
{
    const struct json *seconds = json_get(json_get(status, "details"), "retryAfterSeconds");
    double value = json_type(seconds) == JSON_NUMBER ? json_number(seconds) : 0;

    if (value >= RETRY_AFTER_MAX_MS / 1000)
        return RETRY_AFTER_MAX_MS;
    return value > 0 ? (uint64_t)(value * 1000) : 0;
}

/* Unlike json_get(), tells null from absent: a list without `items` is not an empty one. */
static bool member_exists(const struct json *object, const char *key)
{
    for (const struct json *item = json_first(object); item; item = json_next(item))
        if (str_eq(json_key(item), str_of(key)))
            return true;
    return false;
}

static enum code page_read(const struct json *tree, struct list_page *page, struct err *err)
{
    const struct json *metadata = json_get(tree, "metadata");
    struct str kind;
    enum code code;

    if (json_type(tree) != JSON_OBJECT)
        return fail(err, CODE_DATA_LOSS, "expected an object, found a %s",
                    json_type_name(json_type(tree)));
    code = json_read_str(tree, "", "kind", STR(""), &kind, err);
    if (code == CODE_OK)
        code = json_read_str(metadata, "metadata", "resourceVersion", STR(""), &page->version, err);
    if (code == CODE_OK)
        code = json_read_str(metadata, "metadata", "continue", STR(""), &page->next, err);
    if (code == CODE_OK)
        code = json_read_array(tree, "", "items", &page->items, err);
    if (code != CODE_OK)
        return code;
    if (!str_ends_with(kind, STR("List")))
        return fail(err, CODE_DATA_LOSS, "kind: expected a list, found '%.*s'",
                    (int)min_size(kind.len, 64), kind.ptr ? kind.ptr : "");
    if (page->version.len == 0)
        return fail(err, CODE_DATA_LOSS, "metadata.resourceVersion: is missing");
    if (page->version.len > RESOURCE_VERSION_MAX || page->next.len > CONTINUE_TOKEN_MAX)
        return fail(err, CODE_DATA_LOSS, "metadata: resourceVersion or continue is too long");
    if (!member_exists(tree, "items"))
        return fail(err, CODE_DATA_LOSS, "items: is missing");
    return CODE_OK;
}

enum code list_page_parse(struct str text, struct json **ret_tree, struct list_page *ret_page,
                          struct err *err)
{
    CLEANUP(json_freep) struct json *tree = NULL;
    struct list_page page = {0};
    enum code code = json_parse(text, &tree, err);

    if (code == CODE_OK)
        code = page_read(tree, &page, err);
    if (code != CODE_OK)
        return code;
    *ret_page = page;
    *ret_tree = TAKE(tree);
    return CODE_OK;
}

static bool event_type_parse(struct str name, enum watch_event_type *ret_type)
{
    static const struct str names[] = {
        [WATCH_ADDED] = STR_INIT("ADDED"),     [WATCH_MODIFIED] = STR_INIT("MODIFIED"),
        [WATCH_DELETED] = STR_INIT("DELETED"), [WATCH_BOOKMARK] = STR_INIT("BOOKMARK"),
        [WATCH_ERROR] = STR_INIT("ERROR"),
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(name, names[i])) {
            *ret_type = (enum watch_event_type)i;
            return true;
        }
    return false;
}

static enum code version_check(struct str version, struct err *err)
{
    if (version.len > 0 && version.len <= RESOURCE_VERSION_MAX)
        return CODE_OK;
    return fail(err, CODE_DATA_LOSS, "object.metadata.resourceVersion: is %s",
                version.len ? "too long" : "missing");
}

static bool is_initial_end(const struct json *bookmark)
{
    const struct json *annotations = json_get(json_get(bookmark, "metadata"), "annotations");

    return str_eq(json_text(json_get(annotations, "k8s.io/initial-events-end")), STR("true"));
}

static enum code event_read(const struct json *tree, struct watch_event *event, struct err *err)
{
    struct str type;
    enum code code;

    if (json_type(tree) != JSON_OBJECT)
        return fail(err, CODE_DATA_LOSS, "expected an object, found a %s",
                    json_type_name(json_type(tree)));
    code = json_read_str(tree, "", "type", STR(""), &type, err);
    if (code == CODE_OK)
        code = json_read_object(tree, "", "object", &event->object, err);
    if (code != CODE_OK)
        return code;
    if (!event_type_parse(type, &event->type))
        return fail(err, CODE_DATA_LOSS, "type: unknown event '%.*s'", (int)min_size(type.len, 64),
                    type.ptr ? type.ptr : "");
    if (!event->object)
        return fail(err, CODE_DATA_LOSS, "object: is missing");
    event->meta = object_meta_read(event->object);
    event->initial_end = event->type == WATCH_BOOKMARK && is_initial_end(event->object);
    if (event->type != WATCH_ERROR)
        return version_check(event->meta.version, err);
    event->retry_after_ms = status_retry_after_ms(event->object);
    event->error_message = json_text(json_get(event->object, "message"));
    return json_read_u64(event->object, "object", "code", 999, 0, &event->error_code, err);
}

enum code watch_event_parse(struct str line, struct json **ret_tree, struct watch_event *ret_event,
                            struct err *err)
{
    CLEANUP(json_freep) struct json *tree = NULL;
    struct watch_event event = {0};
    enum code code = json_parse(line, &tree, err);

    if (code == CODE_OK)
        code = event_read(tree, &event, err);
    if (code != CODE_OK)
        return code;
    *ret_event = event;
    *ret_tree = TAKE(tree);
    return CODE_OK;
}
