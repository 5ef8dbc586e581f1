/* lookasidectl watch: the live list of one target, over lookaside.v1.BackendDiscovery. */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "command.h"
#include "subscribe.h"

#define TIME_TEXT_MAX 64
#define WATCH_LINE_MAX (16 * 1024 * 1024)
#define ADDRESS_MAX 255  /* bytes shown of an address or a host name */
#define FIELD_MAX 128    /* bytes shown of a backend's zone, pod or node */
#define PROBLEM_MAX 512  /* bytes shown of what a server says */
#define BACKEND_MAX 4096 /* bytes of its line, escapes included */

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
    struct place place;
    struct dial dial;
    struct backends last; /* what is on the screen; it outlives the connection */
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

/* An address, or the host name of an ExternalName. */
static void add_address(struct buf *line, const char *address, unsigned port)
{
    bool v6 = strchr(address, ':') != NULL;

    buf_add_str(line, v6 ? STR("[") : STR(""));
    text_show(line, utf8_cut(str_of(address), ADDRESS_MAX));
    buf_printf(line, "%s:%u", v6 ? "]" : "", port);
}

static char *backend_line(const watch_backend *backend)
{
    struct buf line = BUFFER_INIT(BACKEND_MAX);

    add_address(&line, backend->address, backend->port);
    if (*backend->other_address) {
        buf_add_str(&line, STR("  also "));
        add_address(&line, backend->other_address, backend->other_port);
    }
    add_field(&line, "zone", backend->zone);
    add_field(&line, "pod", backend->pod);
    add_field(&line, "node", backend->node);
    buf_add_str(&line, is_draining(backend) ? STR("  draining") : STR(""));
    if (backend->priority)
        buf_printf(&line, "  priority %u", (unsigned)backend->priority);
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

/* HH:MM:SS.mmm, as on the clock beside the screen. */
static void format_time(uint64_t wall_us, char out[TIME_TEXT_MAX])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;

    localtime_r(&seconds, &tm);
    snprintf(out, TIME_TEXT_MAX, "%02d:%02d:%02d.%03u", tm.tm_hour, tm.tm_min, tm.tm_sec,
             (unsigned)(wall_us / 1000 % 1000));
}

static void print_change(struct watch *watch, const watch_response *response)
{
    struct buf problem = BUFFER_INIT(BACKEND_MAX);
    struct backends now = backends_of(response);
    char when[TIME_TEXT_MAX];

    format_time(clock_wall_us(), when);
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
    json_put_bool(writer, "draining", is_draining(backend));
    if (*backend->other_address) {
        json_put_str(writer, "other_address", str_of(backend->other_address));
        json_put_u64(writer, "other_port", backend->other_port);
    }
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

static void on_list(void *ctx, const watch_response *response)
{
    struct watch *watch = ctx;

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

static void on_lost(void *ctx, enum code code unused_arg, const char *reason, uint64_t retry_ms)
{
    struct watch *watch = ctx;
    char text[PROBLEM_MAX];

    if (watch->once || retry_ms == 0) {
        give_up(watch, reason);
        return;
    }
    snprintf(text, sizeof(text), "%.*s; trying again in %llu ms", FAIL_MESSAGE_MAX, reason,
             (unsigned long long)retry_ms);
    complain(text);
}

/* ---- the command ---- */

static void on_signal(void *ctx, int signum unused_arg)
{
    struct watch *watch = ctx;

    loop_stop(watch->loop);
}

static enum code watch_run(struct watch *watch, struct err *err)
{
    bool placed = watch->place.zone.len || watch->place.node.len;
    const struct subscription_options options = {
        .server = watch->server,
        .dial = watch->dial,
        .targets = &watch->target,
        .targets_len = 1,
        .namespace_name = watch->namespace_name,
        .place = placed ? &watch->place : NULL,
        .on_list = on_list,
        .on_lost = on_lost,
        .ctx = watch,
    };
    struct subscription *subscription = NULL;
    struct signal_watch *sigint = NULL, *sigterm = NULL;
    enum code code = signal_watch_new(watch->loop, SIGINT, on_signal, watch, &sigint, err);

    if (code == CODE_OK)
        code = signal_watch_new(watch->loop, SIGTERM, on_signal, watch, &sigterm, err);
    if (code == CODE_OK) {
        subscription = subscription_new(watch->loop, &options);
        loop_run(watch->loop);
    }
    subscription_free(subscription);
    signal_watch_free(sigterm);
    signal_watch_free(sigint);
    return code;
}

static int run(int argc, char **argv)
{
    struct watch watch = {.server = SERVER_DEFAULT, .namespace_name = ""};
    struct dial_flags dial = {0};
    const char *output = "table", *zone = "", *node = "";
    const struct flag flags[] = {
        {"server", "HOST:PORT", "where Lookaside listens; also unix:/path", &watch.server, NULL,
         NULL},
        {"namespace", "NAME", "for one-label targets", .value = &watch.namespace_name},
        {"zone", "ZONE", "the list of a client in this zone", .value = &zone},
        {"node", "NODE", "the list of a client on this node", .value = &node},
        DIAL_FLAGS(&dial),
        {"once", NULL, "print the first list and end", .given = &watch.once},
        {"output", "table|json", "-o for short; json: one object per line", .value = &output},
    };
    struct err err = {0};
    int exit_code;

    if (!flags_parse(&watch_command, argc, argv, flags, ARRAY_LEN(flags), &watch.target, 1, 1,
                     &exit_code))
        return exit_code;
    watch.target = target_of(watch.target);
    watch.place = (struct place){.zone = str_of(zone), .node = str_of(node)};
    if (!output_is_json(output, &watch.json))
        return 2;
    if (dial_load(&dial, &watch.dial, &err) != CODE_OK || loop_new(&watch.loop, &err) != CODE_OK ||
        watch_run(&watch, &err) != CODE_OK)
        watch.exit_code = failure(&err);
    dial_done(&watch.dial);
    backends_done(&watch.last);
    loop_free(watch.loop);
    return watch.exit_code;
}

const struct command watch_command = {
    "watch",
    "watch TARGET [--server HOST:PORT] [--tls] [--token-file FILE] [--zone ZONE] [--node NODE]\n"
    "                          [--namespace NAME] [--once] [-o table|json]",
    "print a target's backends, and every change as it comes",
    run,
};
