/* lookasidectl diff: what applying files would change in what a running Lookaside publishes. */
#include <stdio.h>

#include "files.h"
#include "kube/fetch.h"

#define TEXT_MAX 8192
#define BODY_MAX (64u * 1024 * 1024) /* the server has a smaller bound, and says so */

#define DIFF_NONE 0
#define DIFF_SOME 1
#define DIFF_FAILED 2

/* ---- the question ---- */

/* Items of a ServiceList and the like need not say what they are; those of a List must. */
static void add_object(struct json_writer *writer, const struct manifest_object *object)
{
    json_open_object(writer, NULL);
    json_put_str(writer, "apiVersion", str_of(manifest_api(object->kind)));
    json_put_str(writer, "kind", str_of(manifest_kind_name(object->kind)));
    for (const struct json *item = json_first(object->json); item; item = json_next(item)) {
        struct str key = json_key(item);

        if (!str_eq(key, STR("apiVersion")) && !str_eq(key, STR("kind")))
            json_put_json(writer, key.ptr, item);
    }
    json_close_object(writer);
}

/* A malformed file would be half a question. */
static enum code write_question(const struct files *files, struct buf *out, struct err *err)
{
    struct json_writer writer = json_writer(out);

    json_open_object(&writer, NULL);
    json_put_str(&writer, "apiVersion", STR("v1"));
    json_put_str(&writer, "kind", STR("List"));
    json_open_array(&writer, "items");
    for (size_t i = 0; i < files->len; i++) {
        const struct file *file = &files->items[i];

        if (file->fault.code != CODE_OK)
            return fail(err, CODE_INVALID_ARGUMENT, "%s: %s", file->name, file->fault.msg);
        for (size_t k = 0; k < file->manifest.len; k++)
            add_object(&writer, &file->manifest.objects[k]);
    }
    json_close_array(&writer);
    json_close_object(&writer);
    if (buf_failed(out))
        return fail(err, CODE_RESOURCE_EXHAUSTED, "the files are too large");
    return CODE_OK;
}

static enum code ask(const char *admin, const struct files *files, struct buf *answer,
                     struct json **ret_page, struct err *err)
{
    struct buf question = BUFFER_INIT(BODY_MAX);
    enum code code = write_question(files, &question, err);

    if (code == CODE_OK)
        code = admin_error(fetch_post(admin, "/debug/diff", buf_str(&question), answer, err), err);
    if (code == CODE_OK && json_parse(buf_str(answer), ret_page, err) != CODE_OK)
        code = fail_in(err, "'%s/debug/diff' did not answer with JSON", admin);
    buf_done(&question);
    return code;
}

/* ---- the answer ---- */

static void add_change(struct table *table, const struct json *change, const char *what)
{
    static const char *const sides[] = {"now", "then"};

    table_add(table, member(change, what));
    for (size_t i = 0; i < ARRAY_LEN(sides); i++)
        table_add(table, member(change, sides[i]).len ? member(change, sides[i]) : STR("none"));
}

static void print_port(const struct json *service, const struct json *port)
{
    static const char *const head[] = {"WHAT", "NOW", "THEN"};
    struct table table = TABLE_INIT(head);
    const struct json *change = json_first(json_get(port, "changes"));

    printf("%" STR_FMT "/%" STR_FMT, STR_ARG(member(service, "namespace")),
           STR_ARG(member(service, "name")));
    if (json_get(port, "number"))
        printf(":%lu", member_count(port, "number"));
    if (member(port, "name").len)
        printf(" (%" STR_FMT ")", STR_ARG(member(port, "name")));
    printf("\n");
    table.indent = "  ";
    table_head(&table, head);
    for (; change; change = json_next(change))
        add_change(&table, change, "what");
    table_print(&table);
    table_done(&table);
    printf("\n");
}

static void print_hosts(const struct json *page)
{
    static const char *const head[] = {"HOST", "NOW", "THEN"};
    struct table table = TABLE_INIT(head);
    const struct json *host = json_first(json_get(page, "hosts"));

    table_head(&table, head);
    for (; host; host = json_next(host))
        add_change(&table, host, "host");
    if (table.len > table.columns) {
        table_print(&table);
        printf("\n");
    }
    table_done(&table);
}

/* Also what is to be known of one that is in order. */
static void print_condition(const struct json *resource, const struct json *condition)
{
    struct buf text = BUFFER_INIT(TEXT_MAX);

    if (member(condition, "message").len) {
        text_show(&text, member(condition, "message"));
        printf("%" STR_FMT "/%" STR_FMT ": ", STR_ARG(member(resource, "namespace")),
               STR_ARG(member(resource, "name")));
        if (!json_bool(json_get(condition, "status")))
            printf("%" STR_FMT " would be False (%" STR_FMT "): ",
                   STR_ARG(member(condition, "type")), STR_ARG(member(condition, "reason")));
        printf("%s\n", buf_cstr(&text));
    }
    buf_done(&text);
}

static void print_page(const struct json *page)
{
    const struct json *service = json_first(json_get(page, "services")), *port;
    const struct json *resource = json_first(json_get(page, "resources")), *condition;

    for (; service; service = json_next(service))
        for (port = json_first(json_get(service, "ports")); port; port = json_next(port))
            print_port(service, port);
    print_hosts(page);
    if (member_count(page, "changes") == 0)
        printf("nothing would change\n");
    for (; resource; resource = json_next(resource)) {
        condition = json_first(json_get(resource, "conditions"));
        for (; condition; condition = json_next(condition))
            print_condition(resource, condition);
    }
}

/* A condition would be False. */
static bool has_problem(const struct json *page)
{
    const struct json *resource = json_first(json_get(page, "resources")), *condition;

    for (; resource; resource = json_next(resource)) {
        condition = json_first(json_get(resource, "conditions"));
        for (; condition; condition = json_next(condition))
            if (!json_bool(json_get(condition, "status")))
                return true;
    }
    return false;
}

/* ---- the command ---- */

static int diff(const char *admin, const struct flag_list *paths, const char *namespace_name,
                bool as_json)
{
    struct buf answer = BUFFER_INIT(PAGE_MAX);
    CLEANUP(json_freep) struct json *page = NULL;
    struct files files = {0};
    struct err err = {0};
    enum code code = files_read(&files, paths, str_of(namespace_name), &err);
    int exit_code = DIFF_FAILED;

    if (code == CODE_OK)
        code = ask(admin, &files, &answer, &page, &err);
    if (code != CODE_OK) {
        (void)failure(&err);
    } else {
        exit_code = member_count(page, "changes") > 0 || has_problem(page) ? DIFF_SOME : DIFF_NONE;
        if (as_json)
            fwrite(answer.ptr, 1, answer.len, stdout);
        else
            print_page(page);
    }
    files_done(&files);
    buf_done(&answer);
    return exit_code;
}

static int run(int argc, char **argv)
{
    const char *admin = ADMIN_DEFAULT, *output = "table", *namespace_name = "";
    struct flag_list files = {.len = 0};
    const struct flag flags[] = {
        FILE_FLAG(&files),
        NAMESPACE_FLAG(&namespace_name),
        ADMIN_FLAG(&admin),
        OUTPUT_FLAG(&output),
    };
    bool as_json;
    int exit_code;

    if (!flags_parse(&diff_command, argc, argv, flags, ARRAY_LEN(flags), NULL, 0, 0, &exit_code))
        return exit_code;
    if (files.len == 0)
        return usage_error(&diff_command, "-f FILE is missing");
    if (!namespace_is_valid(&diff_command, namespace_name) || !output_is_json(output, &as_json))
        return DIFF_FAILED;
    return diff(admin, &files, namespace_name, as_json);
}

const struct command diff_command = {
    "diff",
    "diff -f FILE... [-n NAMESPACE] [--admin HOST:PORT] [-o table|json]",
    "show what applying files would change in what is published",
    run,
};
