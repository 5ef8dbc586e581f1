/*
 * What the servers for tests share: flags, the listener, TLS, signals, an orderly end. One loop, one thread.
 *
 * Flags:  --listen ADDR:PORT (port 0: any that is free), --tls-cert and --tls-key (both or none), --help.
 * Output: the first line is the bound address. Exit codes: 0, 1 (it cannot serve), 2 (flags).
 * Ends:   on SIGTERM and SIGINT: open calls may finish for PROGRAM_DRAIN_MS; a second signal ends it at once.
 */
#ifndef TESTS_SUPPORT_PROGRAM_H
#define TESTS_SUPPORT_PROGRAM_H

#include "grpc/server.h"
#include "loop/loop.h"

#define PROGRAM_DRAIN_MS 10000

struct program {
    const char *name;
    const char *about; /* for --help: what it serves */
    const struct rpc_method *methods;
    size_t methods_len;
    const char *const *metadata; /* as struct grpc_server_options */
    size_t message_max;          /* of a request; 0: the server's own */
    void *(*start)(struct loop *loop); /* the server's ctx */
    void (*drain)(void *ctx);          /* may be NULL */
    void (*stop)(void *ctx);           /* no call is left */
};

int program_main(const struct program *program, int argc, char **argv) must_check;

#endif
