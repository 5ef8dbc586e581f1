/*
 * A backend to call: serves helloworld.Greeter/SayHello and grpc.health.v1.Health/Check, and says
 * which backend answered. For demonstrations, tests and measurements.
 */
#include <ctype.h>
#include <getopt.h>
#include <signal.h>

#include "base/log.h"
#include "greeter.h"
#include "net/listener.h"

#define LISTEN_MAX 64
#define DELAY_MAX_MS 600000
#define DRAIN_DEADLINE_MS 10000
#define LOAD_MAX 1000

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "Usage: greeter --listen ADDR:PORT [--listen ADDR:PORT]... [--name NAME] [OPTION]...\n"
    "\n"
    "Serves helloworld.Greeter/SayHello and grpc.health.v1.Health/Check over plaintext HTTP/2.\n"
    "\n"
    "  --listen ADDR:PORT  where to serve: 127.0.0.1:8001, [::1]:8001, :8001, unix:/path; "
    "repeatable\n"
    "  --name NAME         what the backend calls itself; default: the address it listens on\n"
    "  --delay-ms N        answer each SayHello N milliseconds later\n"
    "  --fail-percent N    let so many of 100 SayHello fail\n"
    "  --status NAME       with this status; default: unavailable\n"
    "  --load-percent N    tell a utilization of N percent with each answer (ORCA)\n"
    "  --log-level LEVEL   debug, info, warn, error; debug tells of every connection\n"
    "  --help              print this\n"
    "\n"
    "SIGTERM: finish the calls that are open, then exit with 0; a second one: exit at once.\n";

struct options {
    const char *listen[LISTEN_MAX];
    size_t listen_len;
    struct greeter_options greeter;
    enum log_level level;
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

static bool read_number(const char *flag, uint64_t max, uint64_t *ret_number)
{
    if (str_to_u64(str_of(optarg), max, ret_number))
        return true;
    fprintf(stderr, "greeter: %s: '%s' is no number from 0 to %llu\n", flag, optarg,
            (unsigned long long)max);
    return false;
}

static bool read_percent(const char *flag, uint32_t max, uint32_t *ret_percent)
{
    uint64_t number;

    if (!read_number(flag, max, &number))
        return false;
    *ret_percent = (uint32_t)number;
    return true;
}

/* "resource-exhausted", "RESOURCE_EXHAUSTED" */
static bool read_status(enum code *ret_code)
{
    char name[32];

    snprintf(name, sizeof(name), "%s", optarg);
    for (char *at = name; *at; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
    for (enum code code = CODE_CANCELLED; code <= CODE_UNAUTHENTICATED; code++) {
        if (strcmp(code_name(code), name) != 0)
            continue;
        *ret_code = code;
        return true;
    }
    fprintf(stderr, "greeter: --status: '%s' is no status of a call that failed\n", optarg);
    return false;
}

static bool add_listen(struct options *options)
{
    if (options->listen_len == LISTEN_MAX) {
        fprintf(stderr, "greeter: more than %d times --listen\n", LISTEN_MAX);
        return false;
    }
    options->listen[options->listen_len++] = optarg;
    return true;
}

static bool add_option(struct options *options, int flag)
{
    switch (flag) {
    case 'l':
        return add_listen(options);
    case 'n':
        options->greeter.name = optarg;
        return true;
    case 'd':
        return read_number("--delay-ms", DELAY_MAX_MS, &options->greeter.delay_ms);
    case 'f':
        return read_percent("--fail-percent", 100, &options->greeter.fail_percent);
    case 'o':
        return read_percent("--load-percent", LOAD_MAX, &options->greeter.load_percent);
    case 's':
        return read_status(&options->greeter.fail_code);
    case 'v':
        if (log_level_parse(str_of(optarg), &options->level))
            return true;
        fprintf(stderr, "greeter: --log-level: '%s' is none of debug, info, warn, error\n", optarg);
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
        {"fail-percent", required_argument, NULL, 'f'},
        {"status", required_argument, NULL, 's'},
        {"load-percent", required_argument, NULL, 'o'},
        {"log-level", required_argument, NULL, 'v'},
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
    char text[ADDRESS_TEXT_MAX];

    address_format(peer, text);
    log_debug(LOG_MAIN, "accepted", KV_STR("peer", text));
    grpc_server_adopt(backend->server, fd, peer, NULL, NULL);
}

static enum code start_backend(struct program *program, const char *listen,
                               const struct options *options, struct err *err)
{
    struct backend *backend = &program->backends[program->backends_len++];
    struct grpc_server_options server = {.loop = program->loop};
    struct greeter_options greeter = options->greeter;
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
    greeter.loop = program->loop;
    if (!greeter.name)
        greeter.name = text;
    backend->greeter = greeter_new(&greeter);
    server.methods = greeter_methods(&server.methods_len);
    server.ctx = backend->greeter;
    code = grpc_server_new(&server, &backend->server, err);
    if (code == CODE_OK)
        log_info(LOG_MAIN, "serving", KV_STR("address", text), KV_STR("name", greeter.name));
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
    struct options options = {.greeter.fail_code = CODE_UNAVAILABLE, .level = LOG_LEVEL_INFO};
    struct program program = {0};
    struct err err = {0};
    enum code code;

    if (!parse_flags(argc, argv, &options)) {
        fprintf(stderr, "Try 'greeter --help'.\n");
        return EXIT_USAGE;
    }
    log_setup(options.level, LOG_FORMAT_TEXT);
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
