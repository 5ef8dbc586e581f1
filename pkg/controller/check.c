#include "controller/check.h"

#include "controller/decode_policy.h"
#include "controller/resource.h"
#include "controller/value.h"

#define MESSAGE_MAX 1024

struct check_file {
    const char *name;
    const struct manifest *manifest;
    bool services_only;
};

/* A LookasideService, to be found by its key. */
struct checked {
    const struct check_file *file;
    const struct manifest_object *object;
};

struct check {
    struct check_options options;
    struct check_file *files;
    size_t len, cap;
    struct checked *resources; /* sorted by key, then as they were added */
    size_t resources_len, resources_cap;
    struct loop *loop;
    struct controller *controller;
    struct controller_scope *scopes[OBJECT_KINDS]; /* of what is looked at */
    void (*visit)(void *ctx, const struct check_finding *finding);
    void *ctx;
};

struct check *check_new(const struct check_options *options)
{
    struct check *check = xcalloc(1, sizeof(*check));

    check->options = *options;
    return check;
}

void check_free(struct check *check)
{
    if (!check)
        return;
    for (enum object_kind kind = 0; kind < OBJECT_KINDS; kind++)
        controller_scope_free(check->scopes[kind]);
    controller_free(check->controller);
    loop_free(check->loop);
    free(check->resources);
    free(check->files);
    free(check);
}

void check_add(struct check *check, const char *file, const struct manifest *manifest,
               bool services_only)
{
    check->files = xgrow(check->files, &check->cap, check->len, sizeof(*check->files));
    check->files[check->len++] = (struct check_file){file, manifest, services_only};
}

/* ---- the controller that looks at them ---- */

static enum code start(struct check *check, struct err *err)
{
    struct controller_options options = {
        .host_suffixes = check->options.host_suffixes,
    };
    enum code code = loop_new(&check->loop, err);

    if (code != CODE_OK)
        return code;
    options.loop = check->loop;
    check->controller = controller_new(&options);
    check->scopes[OBJECT_SERVICE] =
        controller_scope_new(check->controller, OBJECT_SERVICE, "files");
    check->scopes[OBJECT_POLICY] = controller_scope_new(check->controller, OBJECT_POLICY, "files");
    return CODE_OK;
}

static void keep_resource(struct check *check, const struct check_file *file,
                          const struct manifest_object *object)
{
    check->resources = xgrow(check->resources, &check->resources_cap, check->resources_len,
                             sizeof(*check->resources));
    check->resources[check->resources_len++] = (struct checked){file, object};
}

/* Of an object that stands several times, the last counts, as if they were applied one by one. */
static void load(struct check *check)
{
    for (size_t i = 0; i < check->len; i++) {
        const struct check_file *file = &check->files[i];

        for (size_t k = 0; k < file->manifest->len; k++) {
            const struct manifest_object *object = &file->manifest->objects[k];

            if (!check->scopes[object->kind] ||
                (object->kind == OBJECT_POLICY && file->services_only))
                continue;
            controller_sink()->upsert(check->scopes[object->kind], object->json);
            if (object->kind == OBJECT_POLICY)
                keep_resource(check, file, object);
        }
    }
    controller_set_synced(check->controller);
}

static int cmp_checked(const void *a, const void *b)
{
    const struct checked *left = a, *right = b;
    int order = strcmp(left->object->key, right->object->key);

    if (order != 0)
        return order;
    if (left->file != right->file)
        return left->file < right->file ? -1 : 1;
    return left->object < right->object ? -1 : left->object > right->object;
}

/* ---- what is said of one object ---- */

struct saying {
    const struct check *check;
    const struct check_file *file;
    const struct manifest_object *object; /* NULL: of the whole file */
};

static void say(const struct saying *saying, bool fault, const char *message)
{
    const struct check_finding finding = {
        .file = saying->file->name,
        .line = saying->object ? saying->object->line : 0,
        .object = saying->object ? saying->object->key : "",
        .message = message,
        .fault = fault,
    };

    saying->check->visit(saying->check->ctx, &finding);
}

static void say_field(void *ctx, const char *text)
{
    say(ctx, true, text);
}

static void say_condition(void *ctx, const struct resource_fault *fault)
{
    const struct saying *saying = ctx;
    const struct check_options *options = &saying->check->options;
    char text[MESSAGE_MAX];

    if (strcmp(fault->condition->reason, "HostNotAllowed") == 0 && !options->host_suffixes)
        return;
    if (fault->missing.len == 0 || options->complete) {
        say(saying, true, fault->condition->message);
        return;
    }
    snprintf(text, sizeof(text), "not checked against Service '%" STR_FMT "', which is not given",
             STR_ARG(fault->missing));
    say(saying, false, text);
}

/* The first of those with one name says where the next is. */
static void say_twins(struct saying *saying)
{
    const struct check *check = saying->check;
    const struct checked self = {saying->file, saying->object};
    const struct checked *found = bsearch(&self, check->resources, check->resources_len,
                                          sizeof(*check->resources), cmp_checked);
    char text[MESSAGE_MAX];

    if (found == check->resources || strcmp(found[-1].object->key, self.object->key) != 0)
        return;
    snprintf(text, sizeof(text), "stands in %s, line %zu, too: keep one", found[-1].file->name,
             found[-1].object->line);
    say(saying, true, text);
}

static void check_resource(struct saying *saying)
{
    struct object_meta meta;

    if (decode_meta(saying->object->json, &meta, NULL) != CODE_OK)
        return; /* the manifest has none */
    policy_check(saying->object->json, &meta, say_field, saying);
    say_twins(saying);
    controller_resource_faults(saying->check->controller, meta.namespace_name, meta.name,
                               say_condition, saying);
}

static void check_service(const struct saying *saying)
{
    struct object_meta meta;
    struct value value = {0};
    struct err err = {0};
    struct str message;

    if (decode_meta(saying->object->json, &meta, &err) == CODE_OK &&
        value_decode(OBJECT_SERVICE, saying->object->json, &meta, &value, &err) == CODE_OK) {
        value_done(&value);
        return;
    }
    message = str_of(err.msg); /* "shop/greeter: spec: missing" */
    str_cut(&message, ' ');
    say(saying, true, message.ptr);
}

/* An apiVersion or kind that is nearly ours would be skipped, and nobody would know. */
static void check_ignored(const struct saying *saying)
{
    const struct manifest *manifest = saying->file->manifest;
    char text[MESSAGE_MAX];

    for (size_t i = 0; i < manifest->ignored_len; i++) {
        struct str kind = str_of(manifest->ignored[i]);
        struct str api = str_cut(&kind, ' ');

        if (!str_starts_with(api, STR("lookaside.dev/")) && !str_eq_nocase(kind, STR(POLICY_KIND)))
            continue;
        snprintf(text, sizeof(text),
                 "'%s' is unknown: expected apiVersion " POLICY_API ", kind " POLICY_KIND,
                 manifest->ignored[i]);
        say(saying, true, text);
    }
}

static void check_file(struct check *check, const struct check_file *file)
{
    struct saying saying = {check, file, NULL};

    if (!file->services_only)
        check_ignored(&saying);
    for (size_t i = 0; i < file->manifest->len; i++) {
        saying.object = &file->manifest->objects[i];
        if (saying.object->kind == OBJECT_POLICY && !file->services_only)
            check_resource(&saying);
        else if (saying.object->kind == OBJECT_SERVICE)
            check_service(&saying);
    }
}

enum code check_run(struct check *check,
                    void (*visit)(void *ctx, const struct check_finding *finding), void *ctx,
                    struct err *err)
{
    enum code code = start(check, err);

    if (code != CODE_OK)
        return code;
    check->visit = visit;
    check->ctx = ctx;
    load(check);
    if (check->resources_len > 1)
        qsort(check->resources, check->resources_len, sizeof(*check->resources), cmp_checked);
    for (size_t i = 0; i < check->len; i++)
        check_file(check, &check->files[i]);
    return CODE_OK;
}
