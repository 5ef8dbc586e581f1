/* lookasidectl explain: why a client gets the list that it gets. */
#include "explain.h"

#include <stdio.h>

#include "kube/query.h"

struct question {
    const char *admin, *target, *zone, *node, *group, *namespace_name, *account;
};

/* Both pages. `streams` stays NULL where the answer names no Service. */
struct answer {
    struct buf explain_text, streams_text;
    struct json *explain, *streams;
};

static enum code ask_explain(const struct question *question, struct answer *answer,
                             struct err *err)
{
    struct buf path = BUFFER_INIT(PAGE_PATH_MAX);
    enum code code;

    buf_add_str(&path, STR("/debug/explain"));
    query_add(&path, "?target", str_of(question->target));
    query_add(&path, "&zone", str_of(question->zone));
    query_add(&path, "&node", str_of(question->node));
    query_add(&path, "&group", str_of(question->group));
    query_add(&path, "&namespace", str_of(question->namespace_name));
    query_add(&path, "&account", str_of(question->account ? question->account : ""));
    code = buf_failed(&path) ? fail(err, CODE_INVALID_ARGUMENT, "the arguments are too long")
                             : page_read(question->admin, buf_cstr(&path), &answer->explain_text,
                                         &answer->explain, err);
    buf_done(&path);
    return code;
}

static enum code ask_streams(const struct question *question, struct answer *answer,
                             struct err *err)
{
    struct buf service = BUFFER_INIT(PAGE_PATH_MAX), path = BUFFER_INIT(PAGE_PATH_MAX);
    enum code code;

    buf_printf(&service, "%" STR_FMT "/%" STR_FMT, STR_ARG(member(answer->explain, "namespace")),
               STR_ARG(member(answer->explain, "service")));
    buf_add_str(&path, STR("/debug/streams"));
    query_add(&path, "?service", buf_str(&service));
    code =
        page_read(question->admin, buf_cstr(&path), &answer->streams_text, &answer->streams, err);
    buf_done(&service);
    buf_done(&path);
    return code;
}

/* {"explain": {...}, "streams": [...]}: both pages are objects. */
static void print_json(const struct answer *answer)
{
    struct str explain = str_trim(buf_str(&answer->explain_text));
    struct str streams = str_trim(buf_str(&answer->streams_text));

    if (streams.len == 0)
        streams = STR("{\"streams\":[]}");
    printf("{\"explain\":%" STR_FMT ",%" STR_FMT "\n", STR_ARG(explain),
           STR_ARG(str_slice(streams, 1, streams.len)));
}

static void print_text(const struct answer *answer)
{
    if (!json_bool(json_get(answer->explain, "watched"))) {
        printf("This replica does not watch namespace %" STR_FMT
               " (--namespaces): it knows nothing of it.\n",
               STR_ARG(member(answer->explain, "namespace")));
        return;
    }
    explain_print_answer(answer->explain);
    explain_print_name(answer->explain);
    explain_print_policy(answer->explain);
    explain_print_endpoints(answer->explain);
    explain_print_views(answer->explain);
    if (answer->streams)
        explain_print_clients(answer->streams);
}

static int explain(const struct question *question, bool as_json)
{
    struct answer answer = {BUFFER_INIT(PAGE_MAX), BUFFER_INIT(PAGE_MAX), NULL, NULL};
    struct err err = {0};
    enum code code = ask_explain(question, &answer, &err);
    int exit_code = 0;

    if (code == CODE_OK && member(answer.explain, "service").len)
        code = ask_streams(question, &answer, &err);
    if (code != CODE_OK)
        exit_code = failure(&err) + (code == CODE_INVALID_ARGUMENT);
    else if (as_json)
        print_json(&answer);
    else
        print_text(&answer);
    json_free(answer.explain);
    json_free(answer.streams);
    buf_done(&answer.explain_text);
    buf_done(&answer.streams_text);
    return exit_code;
}

static int run(int argc, char **argv)
{
    struct question question = {ADMIN_DEFAULT, NULL, "", "", "", "", NULL};
    const char *output = "table";
    const struct flag flags[] = {
        {"zone", "ZONE", "for a client in this zone", .value = &question.zone},
        {"node", "NODE", "for a client on this node", .value = &question.node},
        {"group", "1..64", "for a client of this group (see streams -o json)",
         .value = &question.group},
        {"namespace", "NAME", "of the client, for one-label targets",
         .value = &question.namespace_name},
        {"account", "NAMESPACE/NAME",
         "for a client that is this service account, whose namespace one-label targets are then "
         "of; nobody: for one that nothing identifies",
         .value = &question.account},
        ADMIN_FLAG(&question.admin),
        OUTPUT_FLAG(&output),
    };
    bool as_json;
    int exit_code;

    if (!flags_parse(&explain_command, argc, argv, flags, ARRAY_LEN(flags), &question.target, 1, 1,
                     &exit_code))
        return exit_code;
    if (question.account && !*question.account) /* of a variable that is not set */
        return usage_error(&explain_command, "--account: expected NAMESPACE/NAME or nobody");
    question.target = target_of(question.target);
    return output_is_json(output, &as_json) ? explain(&question, as_json) : 2;
}

const struct command explain_command = {
    "explain",
    "explain TARGET [--zone ZONE] [--node NODE] [--group 1..64] [--namespace NAME]\n"
    "                            [--account NAMESPACE/NAME|nobody] [--admin HOST:PORT] [-o table|json]",
    "say why a client gets the backends that it gets",
    run,
};
