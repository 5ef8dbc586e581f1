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

static bool any_has(const struct json *names, const char *member)
{
    for (const struct json *name = json_first(names); name; name = json_next(name))
        if (json_bool(json_get(name, member)))
            return true;
    return false;
}

/* Of some name of any type, or of some target. */
static bool has(const struct json *stream, const char *member)
{
    const struct json *type = json_first(json_get(stream, "types"));

    for (; type; type = json_next(type))
        if (any_has(json_get(type, "names"), member))
            return true;
    return any_has(json_get(stream, "targets"), member);
}

bool stream_is_hidden(const struct json *stream)
{
    return has(stream, "hidden");
}

bool stream_lacks_backend(const struct json *stream)
{
    return has(stream, "backendHidden");
}
