/* lookasidectl watch: the live list of one target, over lookaside.v1.BackendDiscovery. */
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "command.h"
#include "grpc/client.h"
#include "lookaside/v1/discovery.pb-c.h"

#define WATCH_PATH "/lookaside.v1.BackendDiscovery/Watch"
#define WATCH_CONNECT_MS 10000
#define WATCH_REQUEST_MAX 4096
#define WATCH_LINE_MAX (16 * 1024 * 1024)
#define BACKEND_TEXT_MAX 512

typedef Lookaside__V1__WatchResponse watch_response;
typedef Lookaside__V1__Backend watch_backend;

struct watch {
    struct loop *loop;
    const char *target;
    bool json;
    bool once;
    watch_response *last; /* what is on the screen; NULL before the first list */
    int exit_code;
};

/* ---- showing ---- */

static void format_backend(const watch_backend *backend, char out[BACKEND_TEXT_MAX])
{
    bool v6 = strchr(backend->address, ':') != NULL;

    snprintf(out, BACKEND_TEXT_MAX, "%s%.64s%s:%u%s%.64s%s%.128s%s%.128s%s", v6 ? "[" : "", backend->address,
             v6 ? "]" : "", backend->port, *backend->zone ? "  zone " : "", backend->zone,
             *backend->pod ? "  pod " : "", backend->pod, *backend->node ? "  node " : "", backend->node,
             backend->draining ? "  draining" : "");
}

static bool holds(const watch_response *response, const char *text)
{
    char other[BACKEND_TEXT_MAX];

    for (size_t i = 0; response && i < response->n_backends; i++) {
        format_backend(response->backends[i], other);
        if (strcmp(other, text) == 0)
            return true;
    }
    return false;
}

/* The backends of `a` that `b` does not hold, each behind `sign`. */
static void print_missing(const watch_response *a, const watch_response *b, char sign)
{
    char text[BACKEND_TEXT_MAX];

    for (size_t i = 0; a && i < a->n_backends; i++) {
        format_backend(a->backends[i], text);
        if (!holds(b, text))
            printf("  %c %s\n", sign, text);
    }
}

static void print_change(const struct watch *watch, const watch_response *now)
{
    char when[32];

    clock_format_wall(clock_wall_us(), when);
    printf("%s  %s  %zu backend%s%s%s\n", when, watch->target, now->n_backends, now->n_backends == 1 ? "" : "s",
           *now->problem ? "  " : "", now->problem);
    print_missing(watch->last, now, '-');
    print_missing(now, watch->last, '+');
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

static void print_json(const struct watch *watch, const watch_response *now)
{
    struct buf out = BUFFER_INIT(WATCH_LINE_MAX);
    struct json_writer writer = json_writer(&out);
    char when[32];

    clock_format_wall(clock_wall_us(), when);
    json_open_object(&writer, NULL);
    json_put_str(&writer, "time", str_of(when));
    json_put_str(&writer, "target", str_of(watch->target));
    json_put_str(&writer, "version", str_of(now->version));
    if (*now->problem)
        json_put_str(&writer, "problem", str_of(now->problem));
    json_open_array(&writer, "backends");
    for (size_t i = 0; i < now->n_backends; i++)
        put_backend(&writer, now->backends[i]);
    json_close_array(&writer);
    json_close_object(&writer);
    printf("%s\n", buf_cstr(&out));
    buf_done(&out);
}

/* ---- the stream ---- */

static void on_message(void *ctx, struct str message)
{
    struct watch *watch = ctx;
    watch_response *now =
        lookaside__v1__watch_response__unpack(NULL, message.len, (const uint8_t *)message.ptr);

    if (!now) {
        fprintf(stderr, "lookasidectl watch: the server sent a malformed list\n");
        watch->exit_code = 1;
        loop_stop(watch->loop);
        return;
    }
    if (watch->json)
        print_json(watch, now);
    else
        print_change(watch, now);
    fflush(stdout);
    if (watch->last)
        lookaside__v1__watch_response__free_unpacked(watch->last, NULL);
    watch->last = now;
    if (watch->once)
        loop_stop(watch->loop);
}

static void on_end(void *ctx, enum code code, const char *message)
{
    struct watch *watch = ctx;

    if (code == CODE_OK)
        fprintf(stderr, "lookasidectl watch: the server ended the stream\n");
    else
        fprintf(stderr, "lookasidectl watch: %s: %s\n", code_name(code), message && *message ? message : "no reason given");
    watch->exit_code = 1;
    loop_stop(watch->loop);
}

static void on_signal(void *ctx, int signum unused_arg)
{
    struct watch *watch = ctx;

    loop_stop(watch->loop);
}

static bool send_request(struct grpc_call *call, const char *target, const char *namespace_name)
{
    Lookaside__V1__WatchRequest request = LOOKASIDE__V1__WATCH_REQUEST__INIT;
    char *targets[] = {(char *)(uintptr_t)target};
    uint8_t bytes[WATCH_REQUEST_MAX];

    request.targets = targets;
    request.n_targets = 1;
    request.namespace_ = (char *)(uintptr_t)namespace_name;
    if (lookaside__v1__watch_request__get_packed_size(&request) > sizeof(bytes))
        return false;
    grpc_call_send(call, bytes, lookaside__v1__watch_request__pack(&request, bytes), false);
    return true;
}

static const struct grpc_call_handler handler = {.on_message = on_message, .on_end = on_end};

static enum code watch_run(struct watch *watch, const char *server, const char *namespace_name, struct err *err)
{
    struct grpc_client *client = NULL;
    struct signal_watch *sigint = NULL;
    struct address address;
    enum code code = address_lookup(str_of(server), &address, err);

    if (code == CODE_OK)
        code = signal_watch_new(watch->loop, SIGINT, on_signal, watch, &sigint, err);
    if (code == CODE_OK)
        code = grpc_client_new(watch->loop, &address, server, WATCH_CONNECT_MS, &client, err);
    if (code == CODE_OK) {
        struct grpc_call *call = grpc_call_start(client, WATCH_PATH, 0, &handler, watch);

        if (send_request(call, watch->target, namespace_name))
            loop_run(watch->loop);
        else
            code = fail(err, CODE_INVALID_ARGUMENT, "the target is too long");
    }
    grpc_client_free(client);
    signal_watch_free(sigint);
    return code;
}

static int run(int argc, char **argv)
{
    const char *server = "127.0.0.1:18000", *namespace_name = "", *output = "table", *count = "0", *target = NULL;
    const struct flag flags[] = {
        {"server", "HOST:PORT", "where Lookaside listens; also unix:/path", &server},
        {"namespace", "NAME", "for one-label targets", &namespace_name},
        {"once", "0|1", "1: print the first list and end", &count},
        {"output", "table|json", "-o for short; json: one object per line", &output},
    };
    struct watch watch = {0};
    struct err err = {0};
    int exit_code;

    if (!flags_parse(&watch_command, argc, argv, flags, ARRAY_LEN(flags), &target, 1, 1, &exit_code))
        return exit_code;
    if (!output_is_json(output, &watch.json))
        return 2;
    watch.target = target;
    watch.once = strcmp(count, "1") == 0;
    if (loop_new(&watch.loop, &err) != CODE_OK || watch_run(&watch, server, namespace_name, &err) != CODE_OK)
        watch.exit_code = failure(&err);
    if (watch.last)
        lookaside__v1__watch_response__free_unpacked(watch.last, NULL);
    loop_free(watch.loop);
    return watch.exit_code;
}

const struct command watch_command = {
    "watch",
    "watch TARGET [--server HOST:PORT] [-o table|json]",
    "print a target's backends, and every change as it comes",
    run,
};
