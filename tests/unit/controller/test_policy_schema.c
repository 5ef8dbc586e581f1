/* The table of fields, the schema in crds/ and the README say the same. */
#include "fixture.h"

#include "base/clock.h"
#include "base/yaml.h"
#include "controller/decode_policy.h"
#include "controller/policy_field.h"

#define FILE_MAX (1 << 20)
#define VALIDATIONS "x-kubernetes-validations"

static struct json *schema; /* the file */
static const struct json *root;
static struct buf readme = BUFFER_INIT(FILE_MAX);

static void read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "re");
    char chunk[4096];
    size_t len;

    cr_assert_not_null(file, "%s", path);
    while ((len = fread(chunk, 1, sizeof(chunk), file)) > 0)
        cr_assert_eq(buf_append(out, chunk, len), CODE_OK);
    fclose(file);
}

static void on_document(void *ctx unused_arg, struct json *document, size_t line unused_arg)
{
    cr_assert_null(schema);
    schema = document;
}

static const struct json *at(const struct json *json, const char *path)
{
    char word[128];

    for (struct str rest = str_of(path); rest.ptr && json;) {
        struct str part = str_cut(&rest, '/');

        snprintf(word, sizeof(word), "%" STR_FMT, STR_ARG(part));
        json = json_type(json) == JSON_ARRAY ? json_first(json) : json_get(json, word);
    }
    return json;
}

static void open_files(void)
{
    struct buf text = BUFFER_INIT(FILE_MAX);
    struct err err = {0};

    read_file("crds/lookaside.dev_lookasideservices.yaml", &text);
    cr_assert_eq(yaml_parse(buf_str(&text), on_document, NULL, &err), CODE_OK, "%s", err.msg);
    buf_done(&text);
    root = at(schema, "spec/versions/0/schema/openAPIV3Schema");
    cr_assert_not_null(root);
    read_file("README.md", &readme);
}

static void close_files(void)
{
    json_free(schema);
    schema = NULL;
    buf_done(&readme);
}

TestSuite(policy_schema, .init = open_files, .fini = close_files);

/* ---- the schema ---- */

/* The node of "spec.retry.attempts"; *ret_parent: the object's around it. */
static const struct json *node_of(const char *path, const struct json **ret_parent)
{
    struct str rest = str_of(path);
    const struct json *node = root;
    char word[128];

    while (rest.ptr) {
        struct str name = str_cut(&rest, '.');
        bool item = str_ends_with(name, STR("[]"));

        snprintf(word, sizeof(word), "%" STR_FMT, STR_ARG(str_slice(name, 0, name.len - 2 * item)));
        *ret_parent = node;
        node = json_get(json_get(node, "properties"), word);
        cr_assert_not_null(node, "%s: not in the schema", path);
        if (item)
            node = json_get(node, "items");
    }
    return node;
}

static bool has_text(const struct json *array, struct str text)
{
    for (const struct json *item = json_first(array); item; item = json_next(item)) {
        if (str_eq(json_text(item), text))
            return true;
    }
    return false;
}

static void expect_words(const struct json *node, const char *words, const char *path)
{
    const struct json *item = json_first(json_get(node, "enum"));
    size_t index = 0;

    for (; item; item = json_next(item))
        cr_assert(str_eq(json_text(item), policy_word(words, index++)), "%s", path);
    cr_assert_eq(policy_word(words, index).len, 0, "%s", path);
}

static void expect_bounds(const struct json *node, const char *min, const char *max,
                          const struct policy_field *field, const char *path)
{
    cr_assert_eq(json_number(json_get(node, min)), (double)field->min, "%s: %s", path, min);
    cr_assert_eq(json_number(json_get(node, max)), (double)field->max, "%s: %s", path, max);
}

static void expect_message(const struct json *node, const char *message, const char *path)
{
    struct str text = json_text(at(node, VALIDATIONS "/0/message"));

    cr_assert(str_eq(text, str_of(message)), "%s: '%" STR_FMT "', and not '%s'", path,
              STR_ARG(text), message);
}

static void expect_duration(const struct json *node, const struct policy_field *field,
                            const char *path)
{
    char min[DURATION_TEXT_MAX], max[DURATION_TEXT_MAX], text[256];
    struct str rule = json_text(at(node, VALIDATIONS "/0/rule"));

    duration_format(field->min, min);
    duration_format(field->max, max);
    snprintf(text, sizeof(text), "must be a duration from %s to %s, such as 1m30s", min, max);
    expect_message(node, text, path);
    snprintf(text, sizeof(text),
             "self.matches('^([0-9]{1,6}(h|m|s|ms))+$') && duration(self) >= duration('%s') && "
             "duration(self) <= duration('%s')",
             min, max);
    cr_assert(str_eq(rule, str_of(text)), "%s: '%" STR_FMT "'", path, STR_ARG(rule));
    cr_assert_eq(json_number(json_get(node, "maxLength")), POLICY_DURATION_LEN_MAX, "%s", path);
}

/* A name or a number, and of what is a number between quotes the same as of one without. */
static void expect_port(const struct json *node, const struct policy_field *field, const char *path)
{
    char text[512];
    struct str rule = json_text(at(node, VALIDATIONS "/0/rule"));

    cr_assert(json_bool(json_get(node, "x-kubernetes-int-or-string")), "%s", path);
    cr_assert_eq(json_number(json_get(node, "maxLength")), 63, "%s", path);
    expect_message(node, policy_port_message, path);
    snprintf(text, sizeof(text),
             "type(self) == int || (self.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$') && "
             "(!self.matches('^[0-9]+$') || (self.size() <= 5 && int(self) >= %llu && "
             "int(self) <= %llu)))",
             (unsigned long long)field->min, (unsigned long long)field->max);
    cr_assert(str_eq(rule, str_of(text)), "%s: '%" STR_FMT "'", path, STR_ARG(rule));
}

static void expect_kind(const struct json *node, const struct policy_field *field, const char *path)
{
    static const char *const types[] = {
        [POLICY_COUNT] = "integer",  [POLICY_DURATION] = "string", [POLICY_CHOICE] = "string",
        [POLICY_FLAG] = "string",    [POLICY_GIVEN] = "object",    [POLICY_PORT] = "",
        [POLICY_SERVICE] = "string", [POLICY_HEADER] = "string",   [POLICY_STATUSES] = "array",
        [POLICY_HOSTS] = "array",    [POLICY_BACKENDS] = "array",  [POLICY_NAMESPACES] = "array",
        [POLICY_ACCOUNTS] = "array",
    };
    struct str type = json_text(json_get(node, "type"));

    cr_assert(str_eq(type, str_of(types[field->kind])), "%s: %" STR_FMT, path, STR_ARG(type));
    if (field->kind == POLICY_COUNT || field->kind == POLICY_PORT)
        expect_bounds(node, "minimum", "maximum", field, path);
    if (field->kind == POLICY_STATUSES || field->kind == POLICY_HOSTS ||
        field->kind == POLICY_BACKENDS || field->kind == POLICY_NAMESPACES ||
        field->kind == POLICY_ACCOUNTS)
        expect_bounds(node, "minItems", "maxItems", field, path);
    if (field->kind == POLICY_SERVICE || field->kind == POLICY_HEADER)
        expect_bounds(node, "minLength", "maxLength", field, path);
    if (field->kind == POLICY_CHOICE || field->kind == POLICY_FLAG)
        expect_words(node, field->words, path);
    if (field->kind == POLICY_STATUSES)
        expect_words(json_get(node, "items"), field->words, path);
    if (field->kind == POLICY_DURATION)
        expect_duration(node, field, path);
    if (field->kind == POLICY_PORT)
        expect_port(node, field, path);
}

static void expect_default(const struct json *node, const struct policy_field *field,
                           const char *path)
{
    const struct json *def = json_get(node, "default");
    char text[64] = "";

    if (json_type(def) == JSON_ARRAY)
        def = json_first(def);
    if (json_type(def) == JSON_NUMBER)
        snprintf(text, sizeof(text), "%.0f", json_number(def));
    else if (def)
        snprintf(text, sizeof(text), "%" STR_FMT, STR_ARG(json_text(def)));
    cr_assert_str_eq(text, field->def ? field->def : "", "%s", path);
}

static void expect_field(const struct policy_field *field, const char *prefix)
{
    const struct json *parent = NULL, *node;
    char path[256];
    struct str rest, leaf;

    snprintf(path, sizeof(path), "%s.%s", prefix, field->path);
    node = node_of(path, &parent);
    rest = str_of(field->path);
    leaf = str_find_last(rest, '.') == rest.len
               ? rest
               : str_slice(rest, str_find_last(rest, '.') + 1, rest.len);
    expect_kind(node, field, path);
    expect_default(node, field, path);
    cr_assert_eq(has_text(json_get(parent, "required"), leaf), field->required, "%s", path);
}

Test(policy_schema, has_every_field_of_the_table)
{
    for (size_t i = 0; i < POLICY_FIELDS; i++)
        expect_field(&policy_fields[i], "spec");
    for (size_t i = 0; i < POLICY_BACKEND_FIELDS; i++)
        expect_field(&policy_backend_fields[i], "spec.backends[]");
    expect_message(at(root, "properties/spec/properties/hosts/items"), policy_host_message, "host");
    expect_message(at(root, "properties/spec/properties/backends/items/properties/service"),
                   policy_service_message, "service");
    expect_message(at(root, "properties/spec/properties/access/properties/namespaces/items"),
                   policy_namespace_message, "namespace");
    expect_message(at(root, "properties/spec/properties/access/properties/serviceAccounts/items"),
                   policy_account_message, "account");
    expect_message(
        at(root, "properties/spec/properties/loadBalancing/properties/ringHash/properties/header"),
        policy_header_message, "header");
}

/* Properties that have none of their own, and those that are a way of ejecting. */
static size_t count_leaves(const struct json *node)
{
    const struct json *properties = json_get(node, "properties");
    const struct json *items = json_get(node, "items");
    size_t len = 0;

    cr_assert_gt(json_text(json_get(node, "description")).len, 10, "no description");
    for (const struct json *item = json_first(properties); item; item = json_next(item)) {
        len += count_leaves(item);
        len += str_eq(json_key(item), STR("failurePercentage")) ||
               str_eq(json_key(item), STR("successRate")) || str_eq(json_key(item), STR("access"));
    }
    if (json_get(items, "properties")) {
        for (const struct json *item = json_first(json_get(items, "properties")); item;
             item = json_next(item))
            len += count_leaves(item);
    }
    return len + !properties;
}

Test(policy_schema, has_no_field_that_the_table_lacks)
{
    cr_assert_eq(count_leaves(at(root, "properties/spec")), POLICY_FIELDS + POLICY_BACKEND_FIELDS);
}

static size_t count_rules(const struct json *node, const char *path)
{
    size_t len = 0;
    char below[256];

    if (json_type(json_get(node, "properties")) != JSON_OBJECT && !json_get(node, "minItems"))
        return 0; /* of one field: expect_field() */
    for (const struct json *rule = json_first(json_get(node, VALIDATIONS)); rule;
         rule = json_next(rule)) {
        struct str message = json_text(json_get(rule, "message"));
        bool found = false;

        for (size_t i = 0; i < POLICY_RULES; i++)
            found = found || (strcmp(policy_rules[i].path, path) == 0 &&
                              str_eq(message, str_of(policy_rules[i].message)));
        cr_assert(found, "%s: '%" STR_FMT "' is no rule of the decoder", path, STR_ARG(message));
        len++;
    }
    for (const struct json *item = json_first(json_get(node, "properties")); item;
         item = json_next(item)) {
        snprintf(below, sizeof(below), "%s%s%" STR_FMT, path, *path ? "." : "",
                 STR_ARG(json_key(item)));
        len += count_rules(item, below);
    }
    return len;
}

Test(policy_schema, has_the_rules_between_fields)
{
    cr_assert_eq(count_rules(root, ""), POLICY_RULES);
}

/* ---- the README ---- */

/* What its table says of the values. */
static void values_of(const struct policy_field *field, char out[256])
{
    char min[DURATION_TEXT_MAX], max[DURATION_TEXT_MAX];
    struct str word;
    size_t len = 0;

    if (field->kind == POLICY_DURATION) {
        duration_format(field->min, min);
        duration_format(field->max, max);
        snprintf(out, 256, "%s to %s", min, max);
    } else if (field->words) {
        for (size_t i = 0; (word = policy_word(field->words, i)).len > 0; i++)
            len += (size_t)snprintf(out + len, 256 - len, "%s`%" STR_FMT "`", i > 0 ? " " : "",
                                    STR_ARG(word));
    } else if (field->kind == POLICY_GIVEN || field->kind == POLICY_SERVICE ||
               field->kind == POLICY_HEADER) {
        snprintf(out, 256, "%s",
                 field->kind == POLICY_GIVEN    ? "an object"
                 : field->kind == POLICY_HEADER ? "a header in lower case"
                                                : "a name");
    } else if (field->kind == POLICY_HOSTS || field->kind == POLICY_NAMESPACES ||
               field->kind == POLICY_ACCOUNTS) {
        snprintf(out, 256, "at most %llu%s", (unsigned long long)field->max,
                 field->kind == POLICY_ACCOUNTS ? " `NAMESPACE/NAME`" : "");
    } else {
        snprintf(out, 256, "%s%llu to %llu", field->kind == POLICY_PORT ? "a name, or " : "",
                 (unsigned long long)field->min, (unsigned long long)field->max);
    }
}

static void expect_row(const struct policy_field *field, const char *prefix)
{
    char values[256], row[512];

    values_of(field, values);
    snprintf(row, sizeof(row), "\n| `%s%s` | %s | %s%s%s", prefix, field->path, values,
             field->def ? "`" : "",
             field->required ? "required"
             : field->def    ? field->def
                             : "",
             field->def        ? "` |"
             : field->required ? " |"
                               : "");
    cr_assert_not_null(strstr(buf_cstr(&readme), row), "the README lacks the row: %s", row);
}

Test(policy_schema, stands_in_the_readme)
{
    const char *end, *line = strstr(buf_cstr(&readme), "| field | values | default | |\n");
    size_t rows = 0;

    for (size_t i = 0; i < POLICY_FIELDS; i++)
        expect_row(&policy_fields[i], "");
    for (size_t i = 0; i < POLICY_BACKEND_FIELDS; i++)
        expect_row(&policy_backend_fields[i], "backends[].");
    cr_assert_not_null(line);
    end = strstr(line, "\n\n");
    for (line = strstr(line, "\n| `"); line && line < end; line = strstr(line + 1, "\n| `"))
        rows++;
    cr_assert_eq(rows, POLICY_FIELDS + POLICY_BACKEND_FIELDS);
}

/* ---- the model ---- */

/* The model's name of what the field's word number `index` stands for; NULL: it is no such field. */
static const char *model_word(const char *path, unsigned index)
{
    if (strcmp(path, "loadBalancing.policy") == 0)
        return lb_policy_name(index);
    if (strcmp(path, "locality.mode") == 0)
        return locality_mode_name(index);
    return strcmp(path, "whenNoneReady") == 0 ? none_ready_name(index) : NULL;
}

Test(policy_schema, has_the_words_of_the_model)
{
    size_t compared = 0;

    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        const struct policy_field *field = &policy_fields[i];

        for (unsigned k = 0; field->words && policy_word(field->words, k).len > 0; k++) {
            const char *word = model_word(field->path, k);

            cr_assert(!word || str_eq(policy_word(field->words, k), str_of(word)));
            compared += word != NULL;
        }
    }
    cr_assert_eq(compared, LB_POLICIES + LOCALITY_MODES + NONE_READY_KINDS);
}
