/* lookasidectl streams: who listens, what each was sent and accepted, from the admin port. */
#include <stdio.h>

#include "stream.h"

#define NAMES_SHOWN 3
#define NAMES_MAX 4096 /* bytes; a table cuts its cells anyway */

static void add_member(struct table *table, const struct json *json, const char *key)
{
    table_add(table, member(json, key));
}

/* What the client dialled: the names of its Listeners, or of its targets; the first few
 * spelled out. */
static void add_names(struct table *table, const struct json *names)
{
    struct buf cell = BUFFER_INIT(NAMES_MAX);
    size_t shown = 0;

    for (const struct json *item = json_first(names); item && shown < NAMES_SHOWN;
         item = json_next(item), shown++)
        buf_printf(&cell, "%s%" STR_FMT, shown ? "," : "", STR_ARG(member(item, "name")));
    if (json_len(names) > shown)
        buf_printf(&cell, ",+%zu", json_len(names) - shown);
    table_add(table, buf_str(&cell));
    buf_done(&cell);
}

static const struct json *dialled(const struct json *stream)
{
    const struct json *type, *targets = json_get(stream, "targets");

    for (type = json_first(json_get(stream, "types")); type; type = json_next(type))
        if (str_eq(member(type, "type"), STR("Listener")))
            return json_get(type, "names");
    return targets;
}

/* "ok", or the worst that is not. */
static struct str health(const struct json *stream)
{
    static const char *const faults[] = {"rejected", "tooLarge"}, *const waits[] = {"unanswered",
                                                                                    "sent"};
    const struct json *target;

    if (json_bool(json_get(stream, "stalled")))
        return STR("stalled");
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        if (stream_type_in_state(stream, faults[i]))
            return str_of(faults[i]);
    if (stream_is_hidden(stream))
        return STR("hidden");
    for (target = json_first(json_get(stream, "targets")); target; target = json_next(target))
        if (json_bool(json_get(target, "fallback")))
            return STR("fallback");
    for (size_t i = 0; i < ARRAY_LEN(waits); i++)
        if (stream_type_in_state(stream, waits[i]))
            return str_of(waits[i]);
    return stream_lacks_backend(stream) ? STR("part") : STR("ok");
}

/* What the client says that it is; else what its HTTP says. */
static struct str agent(const struct json *stream)
{
    struct str said = member(json_get(stream, "node"), "userAgent");

    return said.len > 0 ? said : member(stream, "userAgent");
}

static void add_stream(struct table *table, const struct json *stream)
{
    const struct json *node = json_get(stream, "node"), *place = json_get(stream, "place");

    stream_add_peer(table, stream);
    add_member(table, stream, "protocol");
    add_member(table, node, "id");
    stream_add_account(table, stream);
    table_add(table, agent(stream));
    add_member(table, place, "zone");
    add_member(table, place, "node");
    table_addf(table, "%.0fs", json_number(json_get(stream, "ageSeconds")));
    table_addf(table, "%.0f", json_number(json_get(stream, "responses")));
    table_addf(table, "%.0f", json_number(json_get(stream, "nacks")));
    table_add(table, health(stream));
    add_names(table, dialled(stream));
}

static void print_streams(const struct json *dump)
{
    static const char *const head[] = {"PEER", "PROTOCOL", "CLIENT", "ACCOUNT",
                                       "AGENT", "ZONE",    "NODE",   "AGE",
                                       "SENT", "NACKS",    "STATE",  "TARGETS"};
    struct table table = TABLE_INIT(head);

    if (json_len(json_get(dump, "streams")) == 0) {
        fprintf(stderr, "no streams\n");
        return;
    }
    table_head(&table, head);
    for (const struct json *stream = json_first(json_get(dump, "streams")); stream;
         stream = json_next(stream))
        add_stream(&table, stream);
    table_print(&table);
    table_done(&table);
}

static int run(int argc, char **argv)
{
    return dump_command(&streams_command, "/debug/streams", print_streams, argc, argv);
}

const struct command streams_command = {
    "streams",
    "streams [--admin HOST:PORT] [-o table|json]",
    "list the clients that listen, what they were sent and accepted",
    run,
};
