/* What the LookasideService of the Service asks for beyond the defaults, and what is not in order. */
#include <stdio.h>

#include "explain.h"

#define TEXT_MAX 20000

static void add_setting(struct table *table, const struct json *setting)
{
    struct buf text = BUFFER_INIT(TEXT_MAX);

    table_add(table, member(setting, "field"));
    text_show(&text, member(setting, "value").len ? member(setting, "value") : STR("none"));
    if (member(setting, "default").len) {
        buf_add_str(&text, STR(" (default "));
        text_show(&text, member(setting, "default"));
        buf_add_str(&text, STR(")"));
    }
    table_add(table, buf_str(&text));
    buf_done(&text);
}

static void print_settings(const struct json *resource)
{
    static const char *const head[] = {"FIELD", "VALUE"};
    struct table table = TABLE_INIT(head);
    const struct json *setting = json_first(json_get(resource, "settings"));

    table.indent = "  ";
    table_head(&table, head);
    for (; setting; setting = json_next(setting))
        add_setting(&table, setting);
    if (table.len > table.columns)
        table_print(&table);
    table_done(&table);
}

/* Who dials the name is sent on to these. */
static void print_backends(const struct json *explain)
{
    static const char *const head[] = {"SERVICE", "XDS CLUSTER", "WEIGHT", "IN FORCE", "WHY"};
    const struct json *backend = json_first(json_get(explain, "backends"));
    struct table table = TABLE_INIT(head);

    if (!backend)
        return;
    printf("  Calls go to the backends of spec.backends; the endpoints below are the Service's own\n");
    table.drop_empty = true;
    table.indent = "  ";
    table_head(&table, head);
    for (; backend; backend = json_next(backend)) {
        table_add(&table, member(backend, "service"));
        table_add(&table, member(backend, "cluster"));
        table_addf(&table, "%lu", member_count(backend, "written"));
        table_addf(&table, "%lu", member_count(backend, "weight"));
        table_add(&table, member(backend, "problem"));
    }
    table_print(&table);
    table_done(&table);
}

void explain_print_policy(const struct json *explain)
{
    const struct json *resource = json_get(explain, "resource");
    unsigned long generation = member_count(resource, "generationInForce");

    if (!resource)
        return;
    printf("\nPolicy\n  LookasideService %" STR_FMT "/%" STR_FMT,
           STR_ARG(member(resource, "namespace")), STR_ARG(member(resource, "name")));
    if (generation > 0)
        printf(", generation %lu", generation);
    if (!json_bool(json_get(resource, "accepted")))
        printf(": no version was ever accepted");
    else if (!json_bool(json_get(resource, "in_force")))
        printf(": not in force at this port (spec.port)");
    else if (json_len(json_get(resource, "settings")) == 0)
        printf(": asks for nothing beyond the defaults");
    printf("\n");
    print_settings(resource);
    print_backends(explain);
    print_conditions(resource, "  ", true);
}
