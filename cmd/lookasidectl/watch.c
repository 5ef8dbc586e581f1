/* lookasidectl watch: the live list of one target, over lookaside.v1.BackendDiscovery. */
#include <signal.h>
#include <stdio.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "command.h"
#include "grpc/client.h"
#include "lookaside/v1/discovery.pb-c.h"

#define WATCH_PATH "/lookaside.v1.BackendDiscovery/Watch"
#define WATCH_CONNECT_MS 10000
#define WATCH_RETRY_MS 200
#define WATCH_RETRY_MAX_MS 10000
#define WATCH_REQUEST_MAX 4096
#define WATCH_LINE_MAX (16 * 1024 * 1024)
#define FIELD_MAX 128    /* bytes shown of a backend's zone, pod or node */
#define PROBLEM_MAX 512  /* bytes shown of what a server says */
#define BACKEND_MAX 4096 /* bytes of its line, escapes included */

typedef Lookaside__V1__WatchResponse watch_response;
typedef Lookaside__V1__Backend watch_backend;

/* A list as it is shown, one line per backend, sorted. */
struct backends {
    char **lines;
    size_t len;
};

struct watch {
    struct loop *loop;
    const char *server;
    const char *target;
    const char *namespace_name;
    bool json;
    bool once;
    struct backends last; /* what is on the screen; it outlives the connection */
    struct grpc_client *client;
    struct timer *retry;
    struct backoff backoff;
    int exit_code;
};

/* ---- showing ---- */

static void add_field(struct buf *line, const char *name, const char *value)
{
    if (!*value)
        return;
    buf_printf(line, "  %s ", name);
    text_show(line, utf8_cut(str_of(value), FIELD_MAX));
}

static char *backend_line(const watch_backend *backend)
{
    bool v6 = strchr(backend->address, ':') != NULL;
    struct buf line = BUFFER_INIT(BACKEND_MAX);

    buf_add_str(&line, v6 ? STR("[") : STR(""));
    text_show(&line, utf8_cut(str_of(backend->address), FIELD_MAX));
    buf_printf(&line, "%s:%u", v6 ? "]" : "", backend->port);
    add_field(&line, "zone", backend->zone);
    add_field(&line, "pod", backend->pod);
    add_field(&line, "node", backend->node);
    buf_add_str(&line, backend->draining ? STR("  draining") : STR(""));
    return buf_take(&line, NULL);
}

/* 10.0.0.9 before 10.0.0.10. */
static int by_version(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

static struct backends backends_of(const watch_response *response)
{
    struct backends list = {xcalloc(response->n_backends + 1, sizeof(char *)),
                            response->n_backends};

    for (size_t i = 0; i < list.len; i++)
        list.lines[i] = backend_line(response->backends[i]);
    qsort(list.lines, list.len, sizeof(*list.lines), by_version);
    return list;
}

static void backends_done(struct backends *list)
{
    for (size_t i = 0; i < list->len; i++)
        free(list->lines[i]);
    free(list->lines);
    *list = (struct backends){0};
}

/* The lines of `a` that `b` does not hold, each behind `sign`. */
static void print_missing(const struct backends *a, const struct backends *b, char sign)
{
    size_t at = 0;

    for (size_t i = 0; i < a->len; i++) {
        while (at < b->len && strverscmp(b->lines[at], a->lines[i]) < 0)
            at++;
        if (at == b->len || strcmp(b->lines[at], a->lines[i]) != 0)
            printf("  %c %s\n", sign, a->lines[i]);
    }
}

static void print_change(struct watch *watch, const watch_response *response)
{
    struct buf problem = BUFFER_INIT(BACKEND_MAX);
    struct backends now = backends_of(response);
    char when[32];

    clock_format_wall(clock_wall_us(), when);
    text_show(&problem, utf8_cut(str_of(response->problem), PROBLEM_MAX));
    printf("%s  %s  %zu backend%s%s%s\n", when, watch->target, now.len, now.len == 1 ? "" : "s",
           problem.len ? "  " : "", buf_cstr(&problem));
    print_missing(&watch->last, &now, '-');
    print_missing(&now, &watch->last, '+');
    backends_done(&watch->last);
    watch->last = now;
    buf_done(&problem);
}

static void put_backend(struct json_writer *writer, const watch_backend *backend)
{
    json_open_object(writer, NULL);
    json_put_str(writer, "address", str_of(backend->address));
    json_put_u64(writer, "port", backend->port);
    json_put_str(writer, "zone", str_of(backend->zone));
    json_put_str(writer, "pod", str_of(backend->pod));
    json_put_str(writer, "node", str_of(backend->node));
    json_put_bool(writer, "draining", backend->draining);
    json_close_object(writer);
}

static void put_response(struct json_writer *writer, const struct watch *watch,
                         const watch_response *response)
{
    char when[32];

    clock_format_wall(clock_wall_us(), when);
    json_open_object(writer, NULL);
    json_put_str(writer, "time", str_of(when));
    json_put_str(writer, "target", str_of(watch->target));
    json_put_str(writer, "version", str_of(response->version));
    if (*response->problem)
        json_put_str(writer, "problem", str_of(response->problem));
    json_open_array(writer, "backends");
    for (size_t i = 0; i < response->n_backends; i++)
        put_backend(writer, response->backends[i]);
    json_close_array(writer);
    json_close_object(writer);
}

static bool print_json(const struct watch *watch, const watch_response *response)
{
    struct buf out = BUFFER_INIT(WATCH_LINE_MAX);
    struct json_writer writer = json_writer(&out);
    bool whole;

    put_response(&writer, watch, response);
    whole = !buf_failed(&out);
    if (whole)
        printf("%s\n", buf_cstr(&out));
    buf_done(&out);
    return whole;
}

/* What goes wrong, to stderr; `message` may come from a server. */
static void complain(const char *message)
{
    struct buf text = BUFFER_INIT(BACKEND_MAX);

    text_show(&text, utf8_cut(str_of(message), PROBLEM_MAX));
    fprintf(stderr, "lookasidectl watch: %s\n", buf_cstr(&text));
    buf_done(&text);
}

static void give_up(struct watch *watch, const char *message)
{
    complain(message);
    watch->exit_code = 1;
    loop_stop(watch->loop);
}

/* ---- the stream ---- */

static void show(struct watch *watch, const watch_response *response)
{
    if (!*response->version && watch->once)
        give_up(watch, response->problem);
    else if (!*response->version)
        complain(response->problem); /* no list: the last one stays */
    else if (!watch->json)
        print_change(watch, response);
    else if (!print_json(watch, response))
        give_up(watch, "the list is too long");
    fflush(stdout);
    if (watch->once)
        loop_stop(watch->loop);
}

static void on_message(void *ctx, struct str message)
{
    struct watch *watch = ctx;
    watch_response *response =
        lookaside__v1__watch_response__unpack(NULL, message.len, (const uint8_t *)message.ptr);

    if (!response) {
        give_up(watch, "the server sent a malformed list");
        return;
    }
    backoff_reset(&watch->backoff);
    show(watch, response);
    lookaside__v1__watch_response__free_unpacked(response, NULL);
}

/* The same request would get the same answer. */
static bool is_final(enum code code)
{
    return code == CODE_INVALID_ARGUMENT || code == CODE_PERMISSION_DENIED ||
           code == CODE_UNIMPLEMENTED || code == CODE_UNAUTHENTICATED;
}

static void lose(struct watch *watch, enum code code, const char *reason)
{
    char text[PROBLEM_MAX];
    uint64_t delay_ms;

    if (watch->once || is_final(code)) {
        give_up(watch, reason);
        return;
    }
    delay_ms = backoff_next_ms(&watch->backoff, 0);
    snprintf(text, sizeof(text), "%.*s; trying again in %llu ms", FAIL_MESSAGE_MAX, reason,
             (unsigned long long)delay_ms);
    complain(text);
    timer_start(watch->retry, delay_ms);
}

static void on_end(void *ctx, enum code code, const char *message)
{
    char reason[FAIL_MESSAGE_MAX];

    if (code == CODE_OK)
        snprintf(reason, sizeof(reason), "the server ended the stream");
    else
        snprintf(reason, sizeof(reason), "%s: %s", code_name(code),
                 message && *message ? message : "no reason given");
    lose(ctx, code, reason);
}

static bool send_request(struct watch *watch, struct grpc_call *call)
{
    Lookaside__V1__WatchRequest request = LOOKASIDE__V1__WATCH_REQUEST__INIT;
    char *targets[] = {(char *)(uintptr_t)watch->target};
    uint8_t bytes[WATCH_REQUEST_MAX];

    request.targets = targets;
    request.n_targets = 1;
    request.namespace_ = (char *)(uintptr_t)watch->namespace_name;
    if (lookaside__v1__watch_request__get_packed_size(&request) > sizeof(bytes))
        return false;
    grpc_call_send(call, bytes, lookaside__v1__watch_request__pack(&request, bytes), false);
    return true;
}

/* What the server is called: HTTP/2 refuses a path or a target's scheme here. */
static const char *authority_of(const char *server, const struct address *address)
{
    static const char scheme[] = "dns:///";

    if (address_is_unix(address))
        return "localhost";
    return str_starts_with(str_of(server), STR(scheme)) ? server + strlen(scheme) : server;
}

static enum code connect_once(struct watch *watch, struct err *err)
{
    static const struct grpc_call_handler handler = {.on_message = on_message, .on_end = on_end};
    struct address address;
    enum code code = address_lookup(str_of(watch->server), &address, err);

    grpc_client_free(watch->client);
    watch->client = NULL;
    if (code == CODE_OK)
        code = grpc_client_new(watch->loop, &address, authority_of(watch->server, &address),
                               WATCH_CONNECT_MS, &watch->client, err);
    if (code != CODE_OK)
        return code;
    if (!send_request(watch, grpc_call_start(watch->client, WATCH_PATH, 0, &handler, watch)))
        return fail(err, CODE_INVALID_ARGUMENT, "the target is too long");
    return CODE_OK;
}

static void on_connect(void *ctx)
{
    struct watch *watch = ctx;
    struct err err = {0};
    enum code code = connect_once(watch, &err);

    if (code != CODE_OK)
        lose(watch, code, err.msg);
}

/* ---- the command ---- */

static void on_signal(void *ctx, int signum unused_arg)
{
    struct watch *watch = ctx;

    loop_stop(watch->loop);
}

static enum code watch_run(struct watch *watch, struct err *err)
{
    struct signal_watch *sigint = NULL, *sigterm = NULL;
    enum code code = signal_watch_new(watch->loop, SIGINT, on_signal, watch, &sigint, err);

    if (code == CODE_OK)
        code = signal_watch_new(watch->loop, SIGTERM, on_signal, watch, &sigterm, err);
    if (code == CODE_OK) {
        watch->retry = timer_new(watch->loop, on_connect, watch);
        timer_start(watch->retry, 0);
        loop_run(watch->loop);
    }
    grpc_client_free(watch->client);
    timer_free(watch->retry);
    signal_watch_free(sigterm);
    signal_watch_free(sigint);
    return code;
}

static int run(int argc, char **argv)
{
    struct watch watch = {.server = "127.0.0.1:18000",
                          .namespace_name = "",
                          .backoff = {.base_ms = WATCH_RETRY_MS, .max_ms = WATCH_RETRY_MAX_MS}};
    const char *output = "table";
    const struct flag flags[] = {
        {"server", "HOST:PORT", "where Lookaside listens; also unix:/path", &watch.server, NULL},
        {"namespace", "NAME", "for one-label targets", &watch.namespace_name, NULL},
        {"once", NULL, "print the first list and end", NULL, &watch.once},
        {"output", "table|json", "-o for short; json: one object per line", &output, NULL},
    };
    struct err err = {0};
    int exit_code;

    if (!flags_parse(&watch_command, argc, argv, flags, ARRAY_LEN(flags), &watch.target, 1, 1,
                     &exit_code))
        return exit_code;
    if (str_starts_with(str_of(watch.target), STR("xds:///"))) /* as it stands in a client's code */
        watch.target += strlen("xds:///");
    if (!output_is_json(output, &watch.json))
        return 2;
    if (loop_new(&watch.loop, &err) != CODE_OK || watch_run(&watch, &err) != CODE_OK)
        watch.exit_code = failure(&err);
    backends_done(&watch.last);
    loop_free(watch.loop);
    return watch.exit_code;
}

const struct command watch_command = {
    "watch",
    "watch TARGET [--server HOST:PORT] [--namespace NAME] [--once] [-o table|json]",
    "print a target's backends, and every change as it comes",
    run,
};
