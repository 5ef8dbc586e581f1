/* lookasidectl verify: do the servers say what the rules make of a fresh look at the API server? */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "command.h"
#include "compare.h"
#include "fresh.h"
#include "model/name.h"

#define TIMEOUT_MAX_MS (3600u * 1000)

struct verify {
    struct loop *loop;
    struct fresh *fresh;
    struct comparison *comparison; /* NULL: not all is read */
    struct comparison_options options;
    struct timer *deadline;
    struct deferred begin;
    struct err err; /* why there can be no comparison */
};

static void on_done(void *ctx)
{
    struct verify *verify = ctx;

    loop_stop(verify->loop);
}

static void on_begin(void *ctx)
{
    struct verify *verify = ctx;

    verify->options.on_done = on_done;
    verify->options.ctx = verify;
    verify->comparison =
        comparison_new(verify->loop, &verify->options, fresh_catalog(verify->fresh));
}

static void on_catalog(void *ctx)
{
    struct verify *verify = ctx;

    if (verify->comparison)
        comparison_update(verify->comparison, fresh_catalog(verify->fresh));
    else
        deferred_schedule(verify->loop, &verify->begin);
}

static void on_deadline(void *ctx)
{
    struct verify *verify = ctx;
    struct buf reason = BUFFER_INIT(FAIL_MESSAGE_MAX);

    if (verify->comparison) {
        comparison_expire(verify->comparison);
        return;
    }
    (void)fresh_synced(verify->fresh, &reason);
    fail(&verify->err, CODE_DEADLINE_EXCEEDED, "cannot read what there is: %s",
         reason.len ? buf_cstr(&reason) : "no answer in time");
    buf_done(&reason);
    loop_stop(verify->loop);
}

static enum code run_loop(struct verify *verify, struct fresh_options *options, uint64_t timeout_ms,
                          struct err *err)
{
    enum code code = loop_new(&verify->loop, err);

    if (code != CODE_OK)
        return code;
    deferred_init(&verify->begin, on_begin, verify);
    options->on_catalog = on_catalog;
    options->ctx = verify;
    code = fresh_new(verify->loop, options, &verify->fresh, err);
    if (code != CODE_OK)
        return code;
    verify->deadline = timer_new(verify->loop, on_deadline, verify);
    timer_start(verify->deadline, timeout_ms);
    loop_run(verify->loop);
    *err = verify->err;
    return err->code;
}

static int report(const struct verify *verify)
{
    uint64_t bad = fresh_bad_objects(verify->fresh);

    if (bad)
        fprintf(stderr,
                "lookasidectl verify: %llu malformed object%s left out, or something of %s\n",
                (unsigned long long)bad, bad == 1 ? " was" : "s were", bad == 1 ? "it" : "them");
    return comparison_report(verify->comparison) ? 0 : 1;
}

static void verify_done(struct verify *verify)
{
    comparison_free(verify->comparison);
    deferred_cancel(&verify->begin);
    timer_free(verify->deadline);
    fresh_free(verify->fresh);
    loop_free(verify->loop);
    dial_done(&verify->options.dial);
}

static int verify_run(struct verify *verify, struct fresh_options *options,
                      const struct dial_flags *flags, uint64_t timeout_ms)
{
    struct err err = {0};
    int exit_code;

    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT); /* what matters comes in the report */
    if (dial_load(flags, &verify->options.dial, &err) != CODE_OK)
        return failure(&err);
    exit_code =
        run_loop(verify, options, timeout_ms, &err) == CODE_OK ? report(verify) : failure(&err);
    verify_done(verify);
    return exit_code;
}

/* ---- flags ---- */

/* Cuts "a,b" into namespaces; the result and what it points to stay in `text` and `out`. */
static bool split_namespaces(char *text, const char *out[FRESH_NAMESPACES_MAX + 1])
{
    size_t len = 0;

    while (text) {
        char *comma = strchr(text, ',');

        if (comma)
            *comma = '\0';
        if (len == FRESH_NAMESPACES_MAX || !name_is_label(str_of(text)))
            return false;
        out[len++] = text;
        text = comma ? comma + 1 : NULL;
    }
    out[len] = NULL;
    return true;
}

struct verify_flags {
    const char *kubeconfig, *context, *directory, *namespaces, *source, *zone, *node, *timeout;
    struct flag_list servers;
    struct dial_flags dial;
    bool nodes;
};

/* What is wrong together; NULL: nothing. */
static const char *flags_fault(const struct verify_flags *flags, uint64_t *ret_timeout_ms)
{
    struct err err;

    if (flags->directory && (flags->kubeconfig || *flags->namespaces || flags->nodes))
        return "--directory goes with neither --kubeconfig nor --namespaces nor --nodes";
    if (flags->context && !flags->kubeconfig)
        return "--context needs --kubeconfig";
    if (strcmp(flags->source, "slices") != 0 && strcmp(flags->source, "endpoints") != 0)
        return "--source: expected slices or endpoints";
    if (duration_parse(str_of(flags->timeout), TIMEOUT_MAX_MS, ret_timeout_ms, &err) != CODE_OK ||
        *ret_timeout_ms == 0)
        return "--timeout: expected a duration such as 30s";
    return NULL;
}

static int verify_with(struct verify_flags *flags)
{
    CLEANUP(freep) char *text = xstrdup(flags->namespaces);
    const char *namespaces[FRESH_NAMESPACES_MAX + 1];
    struct fresh_options options = {
        .kubeconfig = flags->kubeconfig,
        .context = flags->context,
        .directory = flags->directory,
        .namespaces = *text ? namespaces : NULL,
        .endpoints = strcmp(flags->source, "endpoints") == 0,
        .nodes = flags->nodes,
    };
    struct verify verify = {
        .options = {.servers = &flags->servers,
                    .place = {.zone = str_of(flags->zone),
                              .node = str_of(flags->node),
                              .group = 1}}, /* of lists that are cut, one part stands for all */
    };
    uint64_t timeout_ms;
    const char *fault = flags_fault(flags, &timeout_ms);

    if (!fault && *text && !split_namespaces(text, namespaces))
        fault = "--namespaces: expected names of namespaces with commas between them";
    if (fault)
        return usage_error(&verify_command, fault);
    if (flags->servers.len == 0)
        flags->servers.items[flags->servers.len++] = SERVER_DEFAULT;
    return verify_run(&verify, &options, &flags->dial, timeout_ms);
}

static int run(int argc, char **argv)
{
    struct verify_flags values = {
        .namespaces = "", .source = "slices", .zone = "", .node = "", .timeout = "30s"};
    const struct flag flags[] = {
        {"kubeconfig", "FILE", "compare with the API server that FILE names (default: the pod's)",
         .value = &values.kubeconfig},
        {"context", "NAME", "a context of the kubeconfig", .value = &values.context},
        {"directory", "DIR", "compare with the manifests in DIR instead",
         .value = &values.directory},
        {"namespaces", "A,B", "only these (default all)", .value = &values.namespaces},
        {"source", "slices|endpoints", "as the servers have it", .value = &values.source},
        {"nodes", NULL, "the servers run with --nodes: a node's zone counts",
         .given = &values.nodes},
        {"server", "HOST:PORT",
         "a Lookaside; may be repeated; also unix:/path (default " SERVER_DEFAULT ")",
         .list = &values.servers},
        DIAL_FLAGS(&values.dial),
        {"zone", "ZONE", "the lists of clients in this zone", .value = &values.zone},
        {"node", "NODE", "the lists of clients on this node", .value = &values.node},
        {"timeout", "DURATION", "for reading, and for the servers' answers",
         .value = &values.timeout},
    };
    int exit_code;

    if (!flags_parse(&verify_command, argc, argv, flags, ARRAY_LEN(flags), NULL, 0, 0, &exit_code))
        return exit_code;
    return verify_with(&values);
}

const struct command verify_command = {
    "verify",
    "verify [--kubeconfig FILE | --directory DIR] [--server HOST:PORT]... [--tls] [--token-file "
    "FILE] ...",
    "compare the lists of servers with a fresh look at the API server",
    run,
};
