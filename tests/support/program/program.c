#include "program.h"

#include <getopt.h>
#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/listener.h"

enum { EXIT_USAGE = 2 };

struct flags {
    const char *listen, *cert, *key;
};

struct run {
    const struct program *program;
    struct loop *loop;
    struct tls *tls; /* NULL: plaintext */
    struct listener *listener;
    struct grpc_server *server;
    struct signal_watch *terminate, *interrupt;
    void *ctx;
    bool stopping;
};

/* ---- flags ---- */

static void print_help(const struct program *program)
{
    printf(
        "Usage: %s --listen ADDR:PORT [--tls-cert FILE --tls-key FILE]\n\n%s\n"
        "  --listen ADDR:PORT  where to serve; port 0: any that is free. The address is the first\n"
        "                      line that is printed\n"
        "  --tls-cert FILE     serve over TLS: the certificate, with the chain behind it (PEM)\n"
        "  --tls-key FILE      its key\n"
        "  --help              print this\n\n"
        "SIGTERM: finish the calls that are open, at most for %d s, then exit with 0; a second "
        "one:\n"
        "exit at once. Exit codes: 1 when it cannot serve, 2 for wrong flags.\n",
        program->name, program->about, PROGRAM_DRAIN_MS / 1000);
}

static bool check_flags(const struct program *program, int argc, char **argv,
                        const struct flags *flags)
{
    if (optind < argc)
        fprintf(stderr, "%s: unexpected argument '%s'\n", program->name, argv[optind]);
    else if (!flags->listen)
        fprintf(stderr, "%s: --listen is missing\n", program->name);
    else if (!flags->cert != !flags->key)
        fprintf(stderr, "%s: --tls-cert and --tls-key go together: %s is missing\n", program->name,
                flags->cert ? "--tls-key" : "--tls-cert");
    else
        return true;
    return false;
}

static bool parse_flags(const struct program *program, int argc, char **argv, struct flags *flags)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},
        {"tls-cert", required_argument, NULL, 'c'},
        {"tls-key", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int flag;

    while ((flag = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (flag) {
        case 'l':
            flags->listen = optarg;
            break;
        case 'c':
            flags->cert = optarg;
            break;
        case 'k':
            flags->key = optarg;
            break;
        case 'h':
            print_help(program);
            exit(EXIT_SUCCESS);
        default: /* getopt has said what is wrong */
            return false;
        }
    }
    return check_flags(program, argc, argv, flags);
}

/* ---- serving ---- */

static void on_accept(void *ctx, int fd, const struct address *peer)
{
    struct run *run = ctx;

    grpc_server_adopt(run->server, fd, peer, run->tls, NULL);
}

static void on_drained(void *ctx)
{
    struct run *run = ctx;

    loop_stop(run->loop);
}

static void on_signal(void *ctx, int signum unused_arg)
{
    struct run *run = ctx;

    if (run->stopping) {
        loop_stop(run->loop);
        return;
    }
    run->stopping = true;
    listener_free(TAKE(run->listener));
    if (run->program->drain)
        run->program->drain(run->ctx);
    grpc_server_drain(run->server, 0, PROGRAM_DRAIN_MS, on_drained, run);
}

static enum code watch_signals(struct run *run, struct err *err)
{
    enum code code = signal_watch_new(run->loop, SIGTERM, on_signal, run, &run->terminate, err);

    return code != CODE_OK
               ? code
               : signal_watch_new(run->loop, SIGINT, on_signal, run, &run->interrupt, err);
}

static enum code start_server(struct run *run, struct err *err)
{
    const struct program *program = run->program;
    const struct grpc_server_options options = {.loop = run->loop,
                                                .methods = program->methods,
                                                .methods_len = program->methods_len,
                                                .ctx = run->ctx,
                                                .metadata = program->metadata,
                                                .limits = {.message = program->message_max}};

    return grpc_server_new(&options, &run->server, err);
}

static enum code start_listener(struct run *run, const char *listen, struct err *err)
{
    struct address address;
    char text[ADDRESS_TEXT_MAX];
    enum code code = address_parse(str_of(listen), &address, err);

    if (code == CODE_OK)
        code = listener_new(run->loop, &address, on_accept, run, &run->listener, err);
    if (code != CODE_OK)
        return code;
    address_format(listener_address(run->listener), text);
    puts(text);
    fflush(stdout);
    return CODE_OK;
}

static enum code start(struct run *run, const struct flags *flags, struct err *err)
{
    enum code code = CODE_OK;

    run->ctx = run->program->start(run->loop);
    if (flags->cert)
        code = tls_server_new(flags->cert, flags->key, clock_wall_us(), &run->tls, err);
    if (code == CODE_OK)
        code = start_server(run, err);
    if (code == CODE_OK)
        code = watch_signals(run, err);
    return code == CODE_OK ? start_listener(run, flags->listen, err) : code;
}

static void stop(struct run *run)
{
    signal_watch_free(run->interrupt);
    signal_watch_free(run->terminate);
    listener_free(run->listener);
    grpc_server_free(run->server);
    tls_unref(run->tls);
    run->program->stop(run->ctx);
    loop_free(run->loop);
}

int program_main(const struct program *program, int argc, char **argv)
{
    struct run run = {.program = program};
    struct flags flags = {0};
    struct err err = {0};
    enum code code;

    if (!parse_flags(program, argc, argv, &flags)) {
        fprintf(stderr, "Try '%s --help'.\n", program->name);
        return EXIT_USAGE;
    }
    log_setup(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    signal(SIGPIPE, SIG_IGN);
    code = loop_new(&run.loop, &err);
    if (code == CODE_OK) {
        code = start(&run, &flags, &err);
        if (code == CODE_OK)
            loop_run(run.loop);
        stop(&run);
    }
    if (code == CODE_OK)
        return EXIT_SUCCESS;
    fprintf(stderr, "%s: %s\n", program->name, err.msg);
    return EXIT_FAILURE;
}
