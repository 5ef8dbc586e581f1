/* Endpoints with what became of them, and who gets which list. */
#include <stdio.h>

#include "explain.h"

#define LINE_MAX_BYTES 4096

/* ---- endpoints ---- */

static void add_address(struct table *table, const struct json *endpoint)
{
    struct str address = member(endpoint, "address");
    bool v6 = str_find(address, ':') < address.len;
    struct buf text = BUFFER_INIT(LINE_MAX_BYTES);

    buf_printf(&text, "%s%" STR_FMT "%s", v6 ? "[" : "", STR_ARG(address), v6 ? "]" : "");
    if (member_count(endpoint, "port"))
        buf_printf(&text, ":%lu", member_count(endpoint, "port"));
    table_add(table, buf_str(&text));
    buf_done(&text);
}

static void add_endpoint(struct table *table, const struct json *slice, const struct json *endpoint)
{
    table_add(table, json_bool(json_get(endpoint, "in"))                ? STR("in")
                     : str_eq(member(endpoint, "reason"), STR("duplicate")) ? STR("twice")
                                                                            : STR("out"));
    add_address(table, endpoint);
    table_add(table, member(endpoint, "pod"));
    table_add(table, member(endpoint, "node"));
    table_add(table, member(endpoint, "zone"));
    table_add(table, member(slice, "name"));
    table_add(table, member(endpoint, "why"));
}

/* Published, though no slice has it so. */
static void add_kept(struct table *table, const struct json *endpoint)
{
    table_add(table, STR("in"));
    add_address(table, endpoint);
    table_add(table, member(endpoint, "pod"));
    for (int i = 0; i < 3; i++)
        table_add(table, STR(""));
    table_add(table, member(endpoint, "why"));
}

/* What cannot be seen in the rows of its endpoints. */
static void print_slice(const struct json *slice)
{
    struct str refused = member(slice, "refused");
    bool doubted = json_bool(json_get(slice, "doubted"));
    struct buf text = BUFFER_INIT(LINE_MAX_BYTES);

    if (!refused.len && !doubted && json_len(json_get(slice, "endpoints")) > 0)
        return;
    buf_printf(&text, "  %" STR_FMT " ", STR_ARG(member(slice, "source")));
    text_show(&text, member(slice, "name"));
    if (refused.len)
        buf_add_str(&text, STR(" does not count: "));
    else if (doubted)
        buf_add_str(&text,
                    STR(" was not in the API server's last list, which is not believed yet"));
    else
        buf_add_str(&text, STR(" has no endpoints"));
    text_show(&text, refused);
    printf("%s\n", buf_cstr(&text));
    buf_done(&text);
}

void explain_print_endpoints(const struct json *explain)
{
    static const char *const head[] = {"LIST", "ADDRESS", "POD", "NODE", "ZONE", "SLICE", "WHY"};
    const struct json *slices = json_get(explain, "slices"), *slice, *endpoint;
    bool is_list = json_bool(json_get(explain, "found")) && !member(explain, "external_name").len;
    struct table table = TABLE_INIT(head);

    table.drop_empty = true;
    table.indent = "  ";
    table_head(&table, head);
    for (slice = json_first(slices); slice; slice = json_next(slice))
        for (endpoint = json_first(json_get(slice, "endpoints")); endpoint;
             endpoint = json_next(endpoint))
            add_endpoint(&table, slice, endpoint);
    for (endpoint = json_first(json_get(explain, "kept")); endpoint; endpoint = json_next(endpoint))
        add_kept(&table, endpoint);
    if (is_list || json_len(slices) > 0 || table.len > table.columns)
        printf("\nEndpoints\n");
    if (table.len > table.columns)
        table_print(&table);
    for (slice = json_first(slices); slice; slice = json_next(slice))
        print_slice(slice);
    if (is_list && !member(explain, "source_problem").len)
        printf("  A pod that is not here is in no EndpointSlice of the Service, as of %lu s ago: "
               "compare its labels with the Service's selector,\n"
               "  and see whether it has an address yet.\n",
               member_count(explain, "staleness_ms") / 1000);
    table_done(&table);
}

/* ---- lists by place ---- */

/* Whoever gets the list that neither a zone nor a node names. */
static const char *other_places(const struct json *explain, const struct json *view)
{
    if (str_eq(member(view, "ipv4"), STR("local")))
        return "a client on a node without endpoints";
    if (json_bool(json_get(json_get(explain, "port"), "local")))
        return "a client of unknown node";
    return "all others";
}

/* "5", or by priority: "2, then 3". */
static void add_counts(struct table *table, const struct json *view)
{
    const struct json *priority = json_first(json_get(view, "priorities"));
    struct buf text = BUFFER_INIT(LINE_MAX_BYTES);

    buf_printf(&text, "%.0f", json_number(priority ? priority : json_get(view, "endpoints")));
    while (priority && (priority = json_next(priority)))
        buf_printf(&text, ", then %.0f", json_number(priority));
    table_add(table, buf_str(&text));
    buf_done(&text);
}

static void add_view(struct table *table, const struct json *explain, const struct json *view)
{
    struct buf text = BUFFER_INIT(LINE_MAX_BYTES);

    if (member(view, "zone").len || member(view, "node").len)
        explain_place(&text, member(view, "zone"), member(view, "node"));
    else
        buf_add_str(&text, str_of(other_places(explain, view)));
    table_add(table, buf_str(&text));
    add_counts(table, view);
    buf_done(&text);
}

void explain_print_views(const struct json *explain)
{
    static const char *const head[] = {"FOR", "BACKENDS"};
    const struct json *views = json_get(explain, "views"), *place = json_get(explain, "place");
    struct table table = TABLE_INIT(head);

    if (json_len(views) < 2)
        return; /* said with the place */
    printf("\nLists\n");
    table.indent = "  ";
    table_head(&table, head);
    for (const struct json *view = json_first(views); view; view = json_next(view))
        add_view(&table, explain, view);
    table_print(&table);
    if (member_count(explain, "views_left_out"))
        printf("  and %lu more\n", member_count(explain, "views_left_out"));
    if (!member(place, "zone").len && !member(place, "node").len)
        printf("  To ask for one of them: --zone ZONE and --node NODE.\n");
    table_done(&table);
}
