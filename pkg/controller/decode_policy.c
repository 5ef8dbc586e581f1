#include "controller/decode_policy_internal.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/hash.h"
#include "model/name.h"

#define LEAF_MAX 32

const char policy_host_message[] =
    "must be a DNS name in lower case with two labels or more and no "
    "dot at its end, such as greeter.example.com";
const char policy_namespace_message[] = "must be the name of a namespace";
const char policy_account_message[] =
    "must be a service account as NAMESPACE/NAME, such as web/frontend";
const char policy_service_message[] =
    "must be the name of a Service of the same namespace, without the namespace";
const char policy_header_message[] = "must be the name of a header in lower case that does not end "
                                     "with -bin, such as x-user-id";
const char policy_port_message[] =
    "must be the name of a port, such as grpc, or a number from 1 to 65535";

void policy_report(struct policy_reader *reader, const char *path, const char *fmt, ...)
{
    char text[FAIL_MESSAGE_MAX];
    int len = snprintf(text, sizeof(text), "%s%s", path, *path ? ": " : "");
    uint64_t hash;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text + len, sizeof(text) - (size_t)len, fmt, args);
    va_end(args);
    hash = hash_content(text, strlen(text));
    if (hash == reader->last)
        return;
    reader->last = hash;
    reader->faults++;
    reader->fault(reader->ctx, text);
}

static bool expect(struct policy_reader *reader, const char *path, const struct json *json,
                   enum json_type type)
{
    if (json_type(json) == type)
        return true;
    policy_report(reader, path, "expected %s, found %s", json_type_name(type),
                  json_type_name(json_type(json)));
    return false;
}

/* ---- values ---- */

/* Of a wrong type: what it should be, and not only of which type. */
static void report_number(struct policy_reader *reader, const char *path,
                          const struct policy_field *field, const struct json *json)
{
    char found[32];

    snprintf(found, sizeof(found), "%.15g", json_number(json));
    policy_report(reader, path, "expected a whole number from %llu to %llu, found %s",
                  (unsigned long long)field->min, (unsigned long long)field->max,
                  json_type(json) == JSON_NUMBER ? found : json_type_name(json_type(json)));
}

static bool read_number(struct policy_reader *reader, const char *path,
                        const struct policy_field *field, const struct json *json,
                        uint64_t *ret_number)
{
    double number = json_number(json);

    if (json_type(json) == JSON_NUMBER && number >= (double)field->min &&
        number <= (double)field->max && number == (double)(uint64_t)number) {
        *ret_number = (uint64_t)number;
        return true;
    }
    report_number(reader, path, field, json);
    return false;
}

/* As the schema has it: whole numbers of at most six digits, each with h, m, s or ms. */
static bool is_duration(struct str text)
{
    bool good = text.len > 0 && text.len <= POLICY_DURATION_LEN_MAX;

    for (size_t at = 0; good && at < text.len;) {
        size_t digits = 0;

        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9') {
            digits++;
            at++;
        }
        good = digits >= 1 && digits <= 6 && at < text.len && strchr("hms", text.ptr[at]);
        at += good && str_starts_with(str_slice(text, at, text.len), STR("ms")) ? 2 : 1;
    }
    return good;
}

static void report_duration(struct policy_reader *reader, const char *path,
                            const struct policy_field *field)
{
    char min[DURATION_TEXT_MAX], max[DURATION_TEXT_MAX];

    duration_format(field->min, min);
    duration_format(field->max, max);
    policy_report(reader, path, "must be a duration from %s to %s, such as 1m30s", min, max);
}

static void read_duration(struct policy_reader *reader, const char *path,
                          const struct policy_field *field, struct str text, uint64_t *ret_us)
{
    uint64_t ms = 0;

    if (is_duration(text) && duration_parse(text, field->max, &ms, NULL) == CODE_OK &&
        ms >= field->min)
        *ret_us = ms * 1000;
    else
        report_duration(reader, path, field);
}

/* Words as in a sentence: "a, b, c". */
static void add_words(const char *words, char out[KNOWN_TEXT_MAX])
{
    size_t len = 0;

    for (; *words && len + 2 < KNOWN_TEXT_MAX; words++) {
        out[len++] = *words == ' ' ? ',' : *words;
        if (*words == ' ')
            out[len++] = ' ';
    }
    out[len] = '\0';
}

static bool read_word(struct policy_reader *reader, const char *path,
                      const struct policy_field *field, struct str text, unsigned *ret_index)
{
    char known[KNOWN_TEXT_MAX];
    struct str shown = str_slice(text, 0, SHOWN_MAX), word;

    for (unsigned i = 0; (word = policy_word(field->words, i)).len > 0; i++) {
        if (!str_eq(word, text))
            continue;
        *ret_index = i;
        return true;
    }
    add_words(field->words, known);
    policy_report(reader, path, "'%" STR_FMT "' is none of %s", STR_ARG(shown), known);
    return false;
}

#define PORT_DIGITS_MAX 5

/* A number between quotes is one, too: templates make those. */
static void read_port(struct policy_reader *reader, const char *path,
                      const struct policy_field *field, const struct json *json,
                      struct port_ref *ret_port)
{
    struct str text = json_text(json);
    uint64_t number = 0;

    if (json_type(json) == JSON_NUMBER) {
        if (read_number(reader, path, field, json, &number))
            *ret_port = (struct port_ref){.kind = PORT_NUMBER, .number = (uint16_t)number};
    } else if (text.len <= PORT_DIGITS_MAX && str_to_u64(text, field->max, &number) &&
               number >= field->min) {
        *ret_port = (struct port_ref){.kind = PORT_NUMBER, .number = (uint16_t)number};
    } else if (name_is_label(text) && !str_is_digits(text)) {
        *ret_port = (struct port_ref){.kind = PORT_NAME, .name = text};
    } else {
        policy_report(reader, path, "%s", policy_port_message);
    }
}

static bool is_host(struct str text)
{
    size_t dot = str_find_last(text, '.');

    return text.len <= OBJECT_NAME_MAX && name_count_labels(text) >= 2 && text.ptr[dot + 1] >= 'a';
}

/* "namespace/name". */
static bool is_account(struct str text)
{
    struct str name = text;

    return name_is_label(str_cut(&name, '/')) && name.len <= OBJECT_NAME_MAX &&
           name_count_labels(name) >= 1;
}

static bool is_header(struct str text)
{
    if (text.len == 0 || text.len > 64 || str_ends_with(text, STR("-bin")))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];

        if (!(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9') &&
            (i == 0 || (ch != '-' && ch != '_' && ch != '.')))
            return false;
    }
    return true;
}

/* ---- lists ---- */

static bool expect_list(struct policy_reader *reader, const char *path,
                        const struct policy_field *field, const struct json *json)
{
    size_t len = json_len(json);

    if (!expect(reader, path, json, JSON_ARRAY))
        return false;
    if (len >= field->min && len <= field->max)
        return true;
    policy_report(reader, path, "expected %llu to %llu items, found %zu",
                  (unsigned long long)field->min, (unsigned long long)field->max, len);
    return false;
}

void policy_item_path(char out[PATH_TEXT_MAX], const char *path, size_t index)
{
    snprintf(out, PATH_TEXT_MAX, "%.100s[%zu]", path, index);
}

static void read_statuses(struct policy_reader *reader, const char *path,
                          const struct policy_field *field, const struct json *json,
                          unsigned *ret_bits)
{
    char at[PATH_TEXT_MAX];
    size_t index = 0;
    unsigned word;

    if (!expect_list(reader, path, field, json))
        return;
    *ret_bits = 0;
    for (const struct json *item = json_first(json); item; item = json_next(item)) {
        policy_item_path(at, path, index++);
        if (!expect(reader, at, item, JSON_STRING) ||
            !read_word(reader, at, field, json_text(item), &word))
            continue;
        if (*ret_bits & 1u << word)
            policy_report(reader, at, "'%" STR_FMT "' is given twice", STR_ARG(json_text(item)));
        *ret_bits |= 1u << word;
    }
}

static int cmp_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Texts that are each given once, sorted; `out` has room for field->max of them. How many; 0 also if it is no list. */
static size_t read_texts(struct policy_reader *reader, const char *path,
                         const struct policy_field *field, const struct json *json,
                         bool (*is_good)(struct str text), const char *message, struct str *out)
{
    size_t len = 0, index = 0;
    char at[PATH_TEXT_MAX];

    if (!expect_list(reader, path, field, json))
        return 0;
    for (const struct json *item = json_first(json); item; item = json_next(item)) {
        struct str text = json_text(item);

        policy_item_path(at, path, index++);
        if (!expect(reader, at, item, JSON_STRING))
            continue;
        if (!is_good(text))
            policy_report(reader, at, "%s", message);
        for (size_t i = 0; i < len; i++) {
            if (str_eq(out[i], text))
                policy_report(reader, at, "'%" STR_FMT "' is given twice",
                              STR_ARG(str_slice(text, 0, SHOWN_MAX)));
        }
        out[len++] = text;
    }
    qsort(out, len, sizeof(*out), cmp_text);
    return len;
}

static void read_hosts(struct policy_reader *reader, const char *path,
                       const struct policy_field *field, const struct json *json)
{
    reader->fields.hosts_len =
        read_texts(reader, path, field, json, is_host, policy_host_message, reader->hosts);
    reader->fields.hosts = reader->hosts;
}

static void read_callers(struct policy_reader *reader, const char *path,
                         const struct policy_field *field, const struct json *json,
                         struct policy_texts *ret_texts)
{
    bool accounts = field->kind == POLICY_ACCOUNTS;
    struct str *texts = accounts ? reader->accounts : reader->namespaces;

    ret_texts->len =
        read_texts(reader, path, field, json, accounts ? is_account : name_is_label,
                   accounts ? policy_account_message : policy_namespace_message, texts);
    ret_texts->items = texts;
}

static void read_fields(struct policy_reader *reader, const struct policy_field *fields, size_t len,
                        const struct json *object, const char *prefix, void *base);

static void read_backends(struct policy_reader *reader, const char *path,
                          const struct policy_field *field, const struct json *json)
{
    size_t len = 0;
    char at[PATH_TEXT_MAX];

    if (!expect_list(reader, path, field, json))
        return;
    for (const struct json *item = json_first(json); item; item = json_next(item)) {
        struct policy_backend *backend = &reader->backends[len];

        policy_item_path(at, path, len++);
        if (!expect(reader, at, item, JSON_OBJECT))
            continue;
        read_fields(reader, policy_backend_fields, POLICY_BACKEND_FIELDS, item, at, backend);
        for (const struct policy_backend *other = reader->backends; other < backend; other++) {
            if (str_eq(other->service, backend->service))
                policy_report(reader, at,
                              "'%" STR_FMT "' has an entry already: one for each Service",
                              STR_ARG(backend->service));
        }
    }
    reader->fields.backends = reader->backends;
    reader->fields.backends_len = len;
}

/* ---- fields ---- */

static void read_text(struct policy_reader *reader, const char *path,
                      const struct policy_field *field, struct str text, void *at)
{
    unsigned word;

    if (field->kind == POLICY_DURATION)
        read_duration(reader, path, field, text, at);
    else if (field->kind == POLICY_CHOICE && read_word(reader, path, field, text, &word))
        *(unsigned *)at = word;
    else if (field->kind == POLICY_FLAG && read_word(reader, path, field, text, &word))
        *(bool *)at = word > 0;
    if (field->kind == POLICY_SERVICE && !name_is_label(text))
        policy_report(reader, path, "%s", policy_service_message);
    else if (field->kind == POLICY_HEADER && !is_header(text))
        policy_report(reader, path, "%s", policy_header_message);
    else if (field->kind == POLICY_SERVICE || field->kind == POLICY_HEADER)
        *(struct str *)at = text;
}

/* What should be a text and is none. */
static void report_text(struct policy_reader *reader, const char *path,
                        const struct policy_field *field, const struct json *json)
{
    const char *type = json_type_name(json_type(json));
    char known[KNOWN_TEXT_MAX];

    if (field->kind == POLICY_DURATION) {
        report_duration(reader, path, field);
    } else if (field->words) {
        add_words(field->words, known);
        policy_report(reader, path, "expected one of %s, found %s", known, type);
    } else {
        policy_report(reader, path, "expected a string, found %s", type);
    }
}

static void read_value(struct policy_reader *reader, const char *path,
                       const struct policy_field *field, const struct json *json, void *at)
{
    uint64_t number;

    switch (field->kind) {
    case POLICY_COUNT:
        if (read_number(reader, path, field, json, &number))
            *(uint32_t *)at = (uint32_t)number;
        return;
    case POLICY_GIVEN:
        *(bool *)at = expect(reader, path, json, JSON_OBJECT);
        return;
    case POLICY_PORT:
        read_port(reader, path, field, json, at);
        return;
    case POLICY_STATUSES:
        read_statuses(reader, path, field, json, at);
        return;
    case POLICY_HOSTS:
        read_hosts(reader, path, field, json);
        return;
    case POLICY_BACKENDS:
        read_backends(reader, path, field, json);
        return;
    case POLICY_NAMESPACES:
    case POLICY_ACCOUNTS:
        read_callers(reader, path, field, json, at);
        return;
    default:
        if (json_type(json) == JSON_STRING)
            read_text(reader, path, field, json_text(json), at);
        else
            report_text(reader, path, field, json);
    }
}

static void put_default(struct policy_reader *reader, const char *path,
                        const struct policy_field *field, void *at)
{
    struct str text = str_of(field->def);
    uint64_t number = 0;
    unsigned word = 0;

    if (field->kind == POLICY_COUNT && str_to_u64(text, field->max, &number))
        *(uint32_t *)at = (uint32_t)number;
    else if (field->kind == POLICY_STATUSES && read_word(reader, path, field, text, &word))
        *(unsigned *)at = 1u << word;
    else
        read_text(reader, path, field, text, at);
}

/* The object that the last word of field->path is a member of, NULL where it is not given; false where it is none. `path` gets the
 * whole way. */
static bool find_parent(struct policy_reader *reader, const struct policy_field *field,
                        const struct json *object, const char *prefix, char path[PATH_TEXT_MAX],
                        const struct json **ret_parent, char leaf[LEAF_MAX])
{
    struct str rest = str_of(field->path), word;

    snprintf(path, PATH_TEXT_MAX, "%.60s", prefix);
    for (;;) {
        size_t len = strlen(path);

        word = str_cut(&rest, '.');
        snprintf(leaf, LEAF_MAX, "%" STR_FMT, STR_ARG(word));
        snprintf(path + len, PATH_TEXT_MAX - len, ".%" STR_FMT, STR_ARG(word));
        if (!rest.ptr)
            break;
        object = json_get(object, leaf);
        if (object && !expect(reader, path, object, JSON_OBJECT))
            return false;
    }
    *ret_parent = object;
    return true;
}

static void read_fields(struct policy_reader *reader, const struct policy_field *fields, size_t len,
                        const struct json *object, const char *prefix, void *base)
{
    char path[PATH_TEXT_MAX], leaf[LEAF_MAX];

    for (size_t i = 0; i < len; i++) {
        const struct policy_field *field = &fields[i];
        void *at = (char *)base + field->offset;
        const struct json *parent = NULL, *json;

        if (!find_parent(reader, field, object, prefix, path, &parent, leaf) || !parent)
            continue;
        json = json_get(parent, leaf);
        if (json)
            read_value(reader, path, field, json, at);
        else if (field->required)
            policy_report(reader, path, "missing");
        else if (field->def)
            put_default(reader, path, field, at);
    }
}

/* Bounds that follow the value that they bound. */
static void derive(struct policy_reader *reader)
{
    const struct json *backoff = json_get(json_get(reader->spec, "retry"), "backoff");
    struct policy *policy = &reader->fields;

    if (!json_get(backoff, "max"))
        policy->retry_max_us = 10 * policy->retry_base_us;
    if (!json_get(json_get(reader->spec, "outlierDetection"), "maxEjection"))
        policy->max_ejection_us = max_u64(policy->max_ejection_us, policy->base_ejection_us);
}

/* ---- the object ---- */

static void read_identity(struct policy_reader *reader, const struct json *object,
                          const struct object_meta *meta)
{
    const struct json *metadata = json_get(object, "metadata");
    struct err err = {0};

    reader->fields = *policy_default();
    reader->fields.namespace_name = meta->namespace_name;
    reader->fields.name = meta->name;
    reader->fields.uid = meta->uid;
    if (json_read_u64(metadata, "metadata", "generation", UINT64_MAX, 0, &reader->fields.generation,
                      &err) != CODE_OK)
        policy_report(reader, "", "%s", err.msg);
}

static void read_policy(struct policy_reader *reader, const struct json *object,
                        const struct object_meta *meta)
{
    reader->spec = json_get(object, "spec");
    read_identity(reader, object, meta);
    if (reader->spec && !expect(reader, "spec", reader->spec, JSON_OBJECT))
        return;
    read_fields(reader, policy_fields, POLICY_FIELDS, reader->spec, "spec", &reader->fields);
    derive(reader);
    if (reader->faults == 0)
        policy_check_rules(reader);
}

/* The first one. */
static void keep_first(void *ctx, const char *text)
{
    struct err *err = ctx;

    if (err->code == CODE_OK)
        fail(err, CODE_INVALID_ARGUMENT, "%s", text);
}

static enum code fail_with(struct err *err, const struct object_meta *meta, const struct err *fault)
{
    return fail(err, CODE_INVALID_ARGUMENT, "%" STR_FMT "/%" STR_FMT ": %s",
                STR_ARG(meta->namespace_name), STR_ARG(meta->name), fault->msg);
}

enum code decode_policy(const struct json *object, const struct object_meta *meta,
                        const struct policy **ret_policy, uint64_t *ret_created_us, struct err *err)
{
    struct err fault = {0};
    struct policy_reader reader = {.fault = keep_first, .ctx = &fault};
    struct str created = json_text(json_get(json_get(object, "metadata"), "creationTimestamp"));

    read_policy(&reader, object, meta);
    if (reader.faults > 0)
        return fail_with(err, meta, &fault);
    *ret_policy = policy_new(&reader.fields);
    *ret_created_us = 0;
    (void)!clock_parse_wall(created, ret_created_us);
    policy_find_unknown(&reader, object);
    if (reader.faults > 0)
        (void)fail_with(err, meta, &fault);
    return CODE_OK;
}

/* Of fields.access_given: what follows it in the table is about nothing else. */
static void read_access(struct policy_reader *reader)
{
    size_t first = 0, len = 0;

    while (!str_eq(str_of(policy_fields[first].path), STR("access")))
        first++;
    while (first + len < POLICY_FIELDS &&
           str_starts_with(str_of(policy_fields[first + len].path), STR("access")))
        len++;
    read_fields(reader, &policy_fields[first], len, reader->spec, "spec", &reader->fields);
}

const struct policy *decode_policy_access(const struct json *object, const struct object_meta *meta)
{
    struct err fault = {0};
    struct policy_reader reader = {.fault = keep_first, .ctx = &fault};

    reader.spec = json_get(object, "spec");
    if (!json_get(reader.spec, "access"))
        return NULL;
    read_identity(&reader, object, meta);
    reader.faults = 0;
    read_access(&reader);
    reader.fields.access_fault = reader.faults > 0;
    if (reader.fields.access_fault)
        reader.fields.access_namespaces.len = reader.fields.access_accounts.len = 0;
    reader.fields.access_given = reader.fields.partial = true;
    return policy_new(&reader.fields);
}

void policy_check(const struct json *object, const struct object_meta *meta,
                  void (*fault)(void *ctx, const char *text), void *ctx)
{
    struct policy_reader reader = {.fault = fault, .ctx = ctx};

    read_policy(&reader, object, meta);
    policy_find_unknown(&reader, object);
}
