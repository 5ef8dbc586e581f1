/*
 * A backend to call: serves helloworld.Greeter/SayHello and grpc.health.v1.Health/Check, and says
 * which backend answered. For demonstrations, tests and measurements.
 */
#include <getopt.h>
#include <signal.h>

#include "base/log.h"
#include "greeter.h"
#include "net/listener.h"

#define LISTEN_MAX 64
#define DELAY_MAX_MS 600000
#define DRAIN_DEADLINE_MS 10000

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "Usage: greeter --listen ADDR:PORT [--listen ADDR:PORT]... [--name NAME] [--delay-ms N]\n"
    "\n"
    "Serves helloworld.Greeter/SayHello and grpc.health.v1.Health/Check over plaintext HTTP/2.\n"
    "\n"
    "  --listen ADDR:PORT  where to serve: 127.0.0.1:8001, [::1]:8001, :8001, unix:/path; "
    "repeatable\n"
    "  --name NAME         what the backend calls itself; default: the address it listens on\n"
    "  --delay-ms N        answer each SayHello N milliseconds later\n"
    "  --help              print this\n"
    "\n"
    "SIGTERM: finish the calls that are open, then exit with 0; a second one: exit at once.\n";

struct options {
    const char *listen[LISTEN_MAX];
    size_t listen_len;
    const char *name;
    uint64_t delay_ms;
};

/* One listening address. */
struct backend {
    struct program *program;
    struct listener *listener;
    struct greeter *greeter;
    struct grpc_server *server;
};

struct program {
    struct loop *loop;
    struct backend backends[LISTEN_MAX];
    size_t backends_len;
    size_t undrained;
    bool stopping;
};

/* ---- flags ---- */

static bool add_option(struct options *options, int flag)
{
    switch (flag) {
    case 'l':
        if (options->listen_len == LISTEN_MAX) {
            fprintf(stderr, "greeter: more than %d times --listen\n", LISTEN_MAX);
            return false;
        }
        options->listen[options->listen_len++] = optarg;
        return true;
    case 'n':
        options->name = optarg;
        return true;
    case 'd':
        if (str_to_u64(str_of(optarg), DELAY_MAX_MS, &options->delay_ms))
            return true;
        fprintf(stderr, "greeter: --delay-ms: '%s' is no number from 0 to %d\n", optarg,
                DELAY_MAX_MS);
        return false;
    default: /* getopt has said what is wrong */
        return false;
    }
}

static bool parse_flags(int argc, char **argv, struct options *options)
{
    static const struct option flags[] = {
        {"listen", required_argument, NULL, 'l'},
        {"name", required_argument, NULL, 'n'},
        {"delay-ms", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int flag;

    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        if (flag == 'h') {
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        }
        if (!add_option(options, flag))
            return false;
    }
    if (optind < argc) {
        fprintf(stderr, "greeter: unexpected argument '%s'\n", argv[optind]);
        return false;
    }
    if (options->listen_len == 0)
        fprintf(stderr, "greeter: --listen is missing\n");
    return options->listen_len > 0;
}

/* ---- serving ---- */

static void on_accept(void *ctx, int fd, const struct address *peer)
{
    struct backend *backend = ctx;

    grpc_server_adopt(backend->server, fd, peer, NULL);
}

static enum code start_backend(struct program *program, const char *listen,
                               const struct options *options, struct err *err)
{
    struct backend *backend = &program->backends[program->backends_len++];
    struct grpc_server_options server = {.loop = program->loop};
    struct address address;
    char text[ADDRESS_TEXT_MAX];
    enum code code = address_parse(str_of(listen), &address, err);

    if (code != CODE_OK)
        return code;
    backend->program = program;
    code = listener_new(program->loop, &address, on_accept, backend, &backend->listener, err);
    if (code != CODE_OK)
        return code;
    address_format(listener_address(backend->listener), text);
    backend->greeter =
        greeter_new(program->loop, options->name ? options->name : text, options->delay_ms);
    server.methods = greeter_methods(&server.methods_len);
    server.ctx = backend->greeter;
    code = grpc_server_new(&server, &backend->server, err);
    if (code == CODE_OK)
        log_info(LOG_MAIN, "serving", KV_STR("address", text),
                 KV_STR("name", options->name ? options->name : text));
    return code;
}

static enum code start(struct program *program, const struct options *options, struct err *err)
{
    for (size_t i = 0; i < options->listen_len; i++) {
        enum code code = start_backend(program, options->listen[i], options, err);

        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

static void stop_backend(struct backend *backend)
{
    listener_free(backend->listener);
    grpc_server_free(backend->server);
    greeter_free(backend->greeter);
}

/* ---- stopping ---- */

static void on_drained(void *ctx)
{
    struct program *program = ctx;

    if (--program->undrained == 0)
        loop_stop(program->loop);
}

static void on_signal(void *ctx, int signum unused_arg)
{
    struct program *program = ctx;

    if (program->stopping) {
        loop_stop(program->loop);
        return;
    }
    log_info(LOG_MAIN, "draining", KV_U64("deadline_ms", DRAIN_DEADLINE_MS));
    program->stopping = true;
    program->undrained = program->backends_len;
    for (size_t i = 0; i < program->backends_len; i++) {
        struct backend *backend = &program->backends[i];

        listener_free(TAKE(backend->listener));
        greeter_drain(backend->greeter);
        grpc_server_drain(backend->server, 0, DRAIN_DEADLINE_MS, on_drained, program);
    }
}

static enum code run(struct program *program, const struct options *options, struct err *err)
{
    struct signal_watch *terminate = NULL;
    struct signal_watch *interrupt = NULL;
    enum code code = signal_watch_new(program->loop, SIGTERM, on_signal, program, &terminate, err);

    if (code == CODE_OK)
        code = signal_watch_new(program->loop, SIGINT, on_signal, program, &interrupt, err);
    if (code == CODE_OK)
        code = start(program, options, err);
    if (code == CODE_OK)
        loop_run(program->loop);
    for (size_t i = 0; i < program->backends_len; i++)
        stop_backend(&program->backends[i]);
    signal_watch_free(interrupt);
    signal_watch_free(terminate);
    return code;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct program program = {0};
    struct err err = {0};
    enum code code;

    if (!parse_flags(argc, argv, &options)) {
        fprintf(stderr, "Try 'greeter --help'.\n");
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    code = loop_new(&program.loop, &err);
    if (code == CODE_OK)
        code = run(&program, &options, &err);
    loop_free(program.loop);
    if (code == CODE_OK)
        return EXIT_SUCCESS;
    fprintf(stderr, "greeter: %s\n", err.msg);
    return EXIT_FAILURE;
}
