/* A gRPC server that any interoperability client can be held against. */
#include <unistd.h>

#include "../program/program.h"
#include "server.h"

#define MESSAGE_MAX (16 * 1024 * 1024)

#define METHOD(name, handler)                                                                      \
    {                                                                                              \
        STR_INIT("/grpc.testing.TestService/" name), &(handler)                                    \
    }

/* UnimplementedCall is what all that is not here is. */
static const struct rpc_method methods[] = {
    METHOD("EmptyCall", empty_handler),
    METHOD("UnaryCall", unary_handler),
    METHOD("StreamingInputCall", input_handler),
    METHOD("StreamingOutputCall", output_handler),
    METHOD("FullDuplexCall", full_duplex_handler),
    METHOD("HalfDuplexCall", half_duplex_handler),
    {STR_INIT("/grpc.health.v1.Health/Check"), &health_check_handler},
    {STR_INIT("/grpc.health.v1.Health/Watch"), &health_watch_handler},
};

static void *start(struct loop *loop)
{
    struct testserver *server = xcalloc(1, sizeof(*server));

    server->loop = loop;
    snprintf(server->id, sizeof(server->id), "grpc-testserver %ld", (long)getpid());
    return server;
}

static void drain(void *ctx)
{
    struct testserver *server = ctx;

    server->draining = true;
}

int main(int argc, char **argv)
{
    static const char *const metadata[] = {ECHO_INITIAL, ECHO_TRAILING, NULL};
    static const struct program program = {
        .name = "grpc-testserver",
        .about = "Serves grpc.testing.TestService and grpc.health.v1.Health.\n",
        .methods = methods,
        .methods_len = ARRAY_LEN(methods),
        .metadata = metadata,
        .message_max = MESSAGE_MAX,
        .start = start,
        .drain = drain,
        .stop = free,
    };

    return program_main(&program, argc, argv);
}
