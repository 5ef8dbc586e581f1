/* Who listens to a Service, and what became of what they were sent. */
#include <stdio.h>

#include "base/utf8.h"
#include "explain.h"
#include "stream.h"

#define TEXT_MAX 4096
#define NAMES_SHOWN 2
#define REFUSAL_MAX 1024 /* bytes shown */
#define FINE_SHOWN 10    /* of clients that have the newest list */

/* ---- one stream ---- */

/* What the client dialled: targets, Listeners, or what comes first. */
static const struct json *dialled(const struct json *stream)
{
    const struct json *targets = json_get(stream, "targets"), *type;

    for (type = json_first(json_get(stream, "types")); type && json_len(targets) == 0;
         type = json_next(type))
        targets = json_get(type, "names");
    return targets;
}

static void add_names(struct table *table, const struct json *names)
{
    struct buf text = BUFFER_INIT(NAMES_SHOWN * TEXT_MAX);
    size_t shown = 0;

    if (json_len(names) == 0)
        buf_add_str(&text, STR("* (every Cluster)")); /* a wildcard, as Envoy's */
    for (const struct json *name = json_first(names); name && shown < NAMES_SHOWN;
         name = json_next(name), shown++)
        buf_printf(&text, "%s%" STR_FMT, shown ? "," : "", STR_ARG(member(name, "name")));
    if (json_len(names) > shown)
        buf_printf(&text, ",+%zu", json_len(names) - shown);
    table_add(table, buf_str(&text));
    buf_done(&text);
}

static const struct {
    const char *state, *text;
} states[] = {
    {"tooLarge", "not sent: too large for one message"},
    {"unanswered", "not answered: there is nothing to send"},
    {"sent", "was sent the newest, has not acknowledged it yet"},
};

/* Of grpclb, which has one target. */
static bool falls_back(const struct json *stream)
{
    return json_bool(json_get(json_first(json_get(stream, "targets")), "fallback"));
}

/* It has the newest list, as far as can be known. */
static bool is_fine(const struct json *stream)
{
    bool fine = !json_bool(json_get(stream, "stalled")) && !stream_type_in_state(stream, "rejected") &&
                !falls_back(stream) && !stream_is_hidden(stream);

    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        fine = fine && !stream_type_in_state(stream, states[i].state);
    return fine;
}

/* The worst first. */
static void add_state(struct table *table, const struct json *stream)
{
    const struct json *refused = stream_type_in_state(stream, "rejected");
    struct buf text = BUFFER_INIT(TEXT_MAX);

    if (json_bool(json_get(stream, "stalled")))
        buf_add_str(&text, STR("does not read what it is sent"));
    else if (refused)
        buf_printf(&text, "refused the newest %" STR_FMT, STR_ARG(member(refused, "type")));
    else if (stream_is_hidden(stream))
        buf_add_str(&text, STR("may not see it (access)"));
    else if (falls_back(stream))
        buf_add_str(&text, STR("was told to fall back to what its DNS says: there is no list"));
    for (size_t i = 0; i < ARRAY_LEN(states) && !text.len; i++)
        if (stream_type_in_state(stream, states[i].state))
            buf_add_str(&text, str_of(states[i].text));
    if (!text.len && stream_lacks_backend(stream))
        buf_add_str(&text, STR("may not see a backend of it (access)"));
    if (!text.len)
        buf_add_str(&text, json_get(stream, "targets") ? STR("was sent the newest list (its protocol has no ACK)")
                                                       : STR("acknowledged the newest list"));
    table_add(table, buf_str(&text));
    buf_done(&text);
}

static void add_stream(struct table *table, const struct json *stream)
{
    const struct json *node = json_get(stream, "node"), *place = json_get(stream, "place");

    stream_add_peer(table, stream);
    table_add(table, member(node, "id"));
    stream_add_account(table, stream);
    table_add(table, member(node, "userAgent"));
    table_add(table, member(place, "zone"));
    table_add(table, member(place, "node"));
    add_names(table, dialled(stream));
    add_state(table, stream);
}

/* In the client's own words. */
static void print_refusal(const struct json *stream)
{
    const struct json *refused = stream_type_in_state(stream, "rejected");
    struct buf text = BUFFER_INIT(8 * REFUSAL_MAX);

    if (!refused)
        return;
    buf_add_str(&text, STR("  "));
    text_show(&text, member(json_get(stream, "node"), "id"));
    buf_printf(&text, " at %" STR_FMT " says: ", STR_ARG(member(stream, "peer")));
    text_show(&text, utf8_cut(member(json_get(refused, "lastNack"), "message"), REFUSAL_MAX));
    printf("%s\n", buf_cstr(&text));
    buf_done(&text);
}

/* ---- all ---- */

void explain_print_clients(const struct json *streams)
{
    static const char *const head[] = {"PEER", "CLIENT", "ACCOUNT",   "AGENT",
                                       "ZONE", "NODE",   "ASKED FOR", "STATE"};
    const struct json *stream = json_first(json_get(streams, "streams"));
    struct table table = TABLE_INIT(head);
    size_t fine = 0;

    printf("\nClients of this replica\n");
    if (!stream)
        printf("  none listens to this Service here; each replica knows its own clients only\n");
    table.drop_empty = true;
    table.indent = "  ";
    table_head(&table, head);
    for (; stream; stream = json_next(stream))
        if (!is_fine(stream) || ++fine <= FINE_SHOWN)
            add_stream(&table, stream);
    if (table.len > table.columns)
        table_print(&table);
    if (fine > FINE_SHOWN)
        printf("  and %zu more that have the newest list: lookasidectl streams\n", fine - FINE_SHOWN);
    table_done(&table);
    for (stream = json_first(json_get(streams, "streams")); stream; stream = json_next(stream))
        print_refusal(stream);
}
