#include "stream.h"

#define ACCOUNT_MAX 512 /* a cell is cut anyway */

void stream_add_peer(struct table *table, const struct json *stream)
{
    const struct json *process = json_get(stream, "process");

    if (process)
        table_addf(table, "%" STR_FMT "uid %lu, pid %lu", STR_ARG(member(stream, "peer")),
                   member_count(process, "uid"), member_count(process, "pid"));
    else
        table_add(table, member(stream, "peer"));
}

void stream_add_account(struct table *table, const struct json *stream)
{
    const struct json *account = json_get(stream, "account");
    struct buf text = BUFFER_INIT(ACCOUNT_MAX);

    if (account)
        buf_printf(&text, "%" STR_FMT "/%" STR_FMT " (%" STR_FMT ")",
                   STR_ARG(member(account, "namespace")), STR_ARG(member(account, "name")),
                   STR_ARG(member(account, "by")));
    table_add(table, buf_str(&text));
    buf_done(&text);
}

const struct json *stream_type_in_state(const struct json *stream, const char *state)
{
    const struct json *type, *name;

    for (type = json_first(json_get(stream, "types")); type; type = json_next(type))
        for (name = json_first(json_get(type, "names")); name; name = json_next(name))
            if (str_eq(member(name, "state"), str_of(state)))
                return type;
    return NULL;
}

static bool hides_any(const struct json *names)
{
    for (const struct json *name = json_first(names); name; name = json_next(name))
        if (json_bool(json_get(name, "hidden")))
            return true;
    return false;
}

bool stream_is_refused(const struct json *stream)
{
    const struct json *type = json_first(json_get(stream, "types"));

    for (; type; type = json_next(type))
        if (hides_any(json_get(type, "names")))
            return true;
    return hides_any(json_get(stream, "targets"));
}
