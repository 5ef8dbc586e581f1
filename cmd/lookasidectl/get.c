/* lookasidectl get lks: the LookasideServices of a running Lookaside, and what is not in order. */
#include <stdio.h>

#include "base/clock.h"
#include "command.h"

#define TEXT_MAX 8192

static const char *const kinds[] = {"lks", "lookasideservices", "lookasideservice"};

/* ---- one resource in a row ---- */

static const struct json *condition_of(const struct json *resource, const char *type)
{
    const struct json *condition = json_first(json_get(resource, "conditions"));

    while (condition && !str_eq(member(condition, "type"), str_of(type)))
        condition = json_next(condition);
    return condition;
}

static const char *status_of(const struct json *resource, const char *type)
{
    return json_bool(json_get(condition_of(resource, type), "status")) ? "True" : "False";
}

/* The reason of the first condition that is False. */
static struct str problem_of(const struct json *resource)
{
    const struct json *condition = json_first(json_get(resource, "conditions"));

    while (condition && json_bool(json_get(condition, "status")))
        condition = json_next(condition);
    return condition ? member(condition, "reason") : STR("");
}

static void add_hosts(struct table *table, const struct json *resource)
{
    const struct json *host = json_first(json_get(resource, "hosts"));
    struct buf text = BUFFER_INIT(TEXT_MAX);

    for (; host; host = json_next(host))
        buf_printf(&text, "%s%" STR_FMT, text.len ? "," : "", STR_ARG(json_text(host)));
    table_add(table, buf_str(&text));
    buf_done(&text);
}

/* As kubectl has it: 45s, 5m, 3h, 12d. */
static void add_age(struct table *table, const struct json *resource)
{
    uint64_t created_us, now_us = clock_wall_us(), seconds;

    if (!clock_parse_wall(member(resource, "created"), &created_us)) {
        table_add(table, STR(""));
        return;
    }
    seconds = now_us > created_us ? (now_us - created_us) / 1000000 : 0;
    if (seconds < 120)
        table_addf(table, "%us", (unsigned)seconds);
    else if (seconds < 2 * 3600)
        table_addf(table, "%um", (unsigned)(seconds / 60));
    else if (seconds < 48 * 3600)
        table_addf(table, "%uh", (unsigned)(seconds / 3600));
    else
        table_addf(table, "%ud", (unsigned)(seconds / 86400));
}

static void add_row(struct table *table, const struct json *resource)
{
    table_add(table, member(resource, "namespace"));
    table_add(table, member(resource, "name"));
    add_hosts(table, resource);
    table_add(table, member(resource, "policy"));
    table_addf(table, "%lu/%lu", member_count(resource, "ready"), member_count(resource, "total"));
    table_addf(table, "%lu", member_count(resource, "clients"));
    table_add(table, str_of(status_of(resource, "Accepted")));
    table_add(table, str_of(status_of(resource, "Published")));
    table_add(table, problem_of(resource));
    add_age(table, resource);
}

/* ---- what is not in order ---- */

static void print_condition(const struct json *condition, const char *indent)
{
    struct buf text = BUFFER_INIT(TEXT_MAX);

    text_show(&text, member(condition, "message"));
    if (json_bool(json_get(condition, "status")))
        printf("%s%s\n", indent, buf_cstr(&text));
    else
        printf("%s%" STR_FMT " is False (%" STR_FMT "): %s\n", indent,
               STR_ARG(member(condition, "type")), STR_ARG(member(condition, "reason")),
               buf_cstr(&text));
    buf_done(&text);
}

/* Of an accepted one Accepted says what of it is ignored. */
void print_conditions(const struct json *resource, const char *indent, bool all)
{
    const struct json *condition = json_first(json_get(resource, "conditions"));

    for (; condition; condition = json_next(condition)) {
        bool said = member(condition, "message").len > 0;

        if (!json_bool(json_get(condition, "status")) ||
            (said && (all || str_eq(member(condition, "type"), STR("Accepted")))))
            print_condition(condition, indent);
    }
}

static void print_troubles(const struct json *resource)
{
    char indent[600];

    snprintf(indent, sizeof(indent), "%" STR_FMT "/%" STR_FMT ": ",
             STR_ARG(member(resource, "namespace")), STR_ARG(member(resource, "name")));
    print_conditions(resource, indent, false);
}

/* ---- the command ---- */

struct choice {
    const char *namespace_name, *name; /* "": any; NULL: any */
};

static bool is_chosen(const struct json *resource, const struct choice *choice)
{
    return (!*choice->namespace_name ||
            str_eq(member(resource, "namespace"), str_of(choice->namespace_name))) &&
           (!choice->name || str_eq(member(resource, "name"), str_of(choice->name)));
}

static size_t print_table(const struct json *page, const struct choice *choice)
{
    static const char *const head[] = {"NAMESPACE", "NAME",     "HOSTS",     "POLICY",  "READY",
                                       "CLIENTS",   "ACCEPTED", "PUBLISHED", "PROBLEM", "AGE"};
    struct table table = TABLE_INIT(head);
    const struct json *resource, *first = json_first(json_get(page, "resources"));
    size_t len = 0;

    table_head(&table, head);
    for (resource = first; resource; resource = json_next(resource)) {
        if (!is_chosen(resource, choice))
            continue;
        add_row(&table, resource);
        len++;
    }
    if (len > 0)
        table_print(&table);
    for (resource = first; resource; resource = json_next(resource))
        if (is_chosen(resource, choice))
            print_troubles(resource);
    table_done(&table);
    return len;
}

static size_t print_json(const struct json *page, const struct choice *choice)
{
    struct buf out = BUFFER_INIT(PAGE_MAX);
    struct json_writer writer = json_writer(&out);
    const struct json *resource = json_first(json_get(page, "resources"));
    size_t len = 0;

    json_open_object(&writer, NULL);
    json_open_array(&writer, "resources");
    for (; resource; resource = json_next(resource)) {
        if (!is_chosen(resource, choice))
            continue;
        json_put_json(&writer, NULL, resource);
        len++;
    }
    json_close_array(&writer);
    json_close_object(&writer);
    printf("%s\n", buf_cstr(&out));
    buf_done(&out);
    return len;
}

static int get(const char *admin, bool as_json, const struct choice *choice)
{
    struct buf text = BUFFER_INIT(PAGE_MAX);
    CLEANUP(json_freep) struct json *page = NULL;
    struct err err = {0};
    int exit_code =
        page_read(admin, "/debug/resources", &text, &page, &err) == CODE_OK ? 0 : failure(&err);
    size_t len;

    buf_done(&text);
    if (exit_code != 0)
        return exit_code;
    len = as_json ? print_json(page, choice) : print_table(page, choice);
    if (len == 0 && choice->name) {
        fail(&err, CODE_NOT_FOUND, "there is no LookasideService '%s'", choice->name);
        return failure(&err);
    }
    if (len == 0 && !as_json)
        fprintf(stderr, "no LookasideServices%s%s\n",
                *choice->namespace_name ? " in namespace " : "", choice->namespace_name);
    return 0;
}

static int run(int argc, char **argv)
{
    const char *admin = ADMIN_DEFAULT, *output = "table", *words[2] = {NULL, NULL};
    struct choice choice = {"", NULL};
    const struct flag flags[] = {
        {"namespace", "NAME", "only of this namespace; -n for short (default all)",
         .value = &choice.namespace_name},
        ADMIN_FLAG(&admin),
        OUTPUT_FLAG(&output),
    };
    bool as_json, known = false;
    int exit_code;

    if (!flags_parse(&get_command, argc, argv, flags, ARRAY_LEN(flags), words, 1, 2, &exit_code))
        return exit_code;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        known = known || strcmp(words[0], kinds[i]) == 0;
    if (!known)
        return usage_error(&get_command, "expected lks, that is LookasideServices");
    choice.name = words[1];
    return output_is_json(output, &as_json) ? get(admin, as_json, &choice) : 2;
}

const struct command get_command = {
    "get",
    "get lks [NAME] [-n NAMESPACE] [--admin HOST:PORT] [-o table|json]",
    "list the LookasideServices, and what is not in order with them",
    run,
};
