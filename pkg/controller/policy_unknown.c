/* Fields of a LookasideService that nobody knows. */
#include "controller/decode_policy_internal.h"

/* Where `path` is a field's, or leads to one: what follows it there. */
static bool leads_to(const struct policy_field *field, const char *path, struct str *ret_next)
{
    struct str rest = str_of(field->path);
    size_t len = strlen(path);

    if (len > 0 && (strncmp(field->path, path, len) != 0 || field->path[len] != '.'))
        return false;
    rest = str_slice(rest, len + (len > 0), rest.len);
    *ret_next = str_cut(&rest, '.');
    return true;
}

struct level {
    const struct policy_field *fields;
    size_t len;
    const char *prefix; /* "spec", "spec.backends[0]" */
    const char *path;   /* below that; "" */
};

/* Which field has that member's way, or begins with it. */
static const struct policy_field *find_member(const struct level *level, struct str key)
{
    struct str next;

    for (size_t i = 0; i < level->len; i++) {
        if (leads_to(&level->fields[i], level->path, &next) && str_eq(next, key))
            return &level->fields[i];
    }
    return NULL;
}

static void list_members(const struct level *level, char out[KNOWN_TEXT_MAX])
{
    struct str last = STR(""), next;
    size_t len = 0;

    *out = '\0';
    for (size_t i = 0; i < level->len && len < KNOWN_TEXT_MAX - 1; i++) {
        if (!leads_to(&level->fields[i], level->path, &next) || str_eq(next, last))
            continue;
        len += (size_t)snprintf(out + len, KNOWN_TEXT_MAX - len, "%s%" STR_FMT, len > 0 ? ", " : "",
                                STR_ARG(next));
        last = next;
    }
}

static void find_unknown(struct policy_reader *reader, const struct json *object,
                         struct level level);

static void find_unknown_in_backends(struct policy_reader *reader, const struct json *backends)
{
    char at[PATH_TEXT_MAX];
    size_t index = 0;

    for (const struct json *item = json_first(backends); item; item = json_next(item)) {
        policy_item_path(at, "spec.backends", index++);
        find_unknown(reader, item,
                     (struct level){policy_backend_fields, POLICY_BACKEND_FIELDS, at, ""});
    }
}

/* Recursion ends with the deepest path of the table. */
static void find_unknown(struct policy_reader *reader, const struct json *object,
                         struct level level)
{
    char path[PATH_TEXT_MAX], full[2 * PATH_TEXT_MAX], known[KNOWN_TEXT_MAX];

    if (json_type(object) != JSON_OBJECT)
        return;
    for (const struct json *item = json_first(object); item; item = json_next(item)) {
        struct str key = str_slice(json_key(item), 0, SHOWN_MAX);
        const struct policy_field *field = find_member(&level, key);

        snprintf(path, sizeof(path), "%.60s%s%" STR_FMT, level.path, *level.path ? "." : "",
                 STR_ARG(key));
        if (field && strcmp(field->path, path) == 0 && field->kind == POLICY_BACKENDS)
            find_unknown_in_backends(reader, item);
        else if (field)
            find_unknown(reader, item, (struct level){level.fields, level.len, level.prefix, path});
        if (field)
            continue;
        list_members(&level, known);
        snprintf(full, sizeof(full), "%s.%s", level.prefix, path);
        policy_report(reader, full, "no such field; there are: %s", known);
    }
}

void policy_find_unknown(struct policy_reader *reader, const struct json *object)
{
    static const char *const known[] = {"apiVersion", "kind", "metadata", "spec", "status"};

    for (const struct json *item = json_first(object); item; item = json_next(item)) {
        char key[SHOWN_MAX + 1];
        bool found = false;

        snprintf(key, sizeof(key), "%" STR_FMT, STR_ARG(json_key(item)));
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            found = found || strcmp(known[i], key) == 0;
        if (!found)
            policy_report(reader, key, "no such field; what is asked for stands in spec");
    }
    find_unknown(reader, reader->spec, (struct level){policy_fields, POLICY_FIELDS, "spec", ""});
}
