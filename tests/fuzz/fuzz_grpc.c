/*
 * The bytes of one client's connection into a server: HTTP/2, HPACK, gRPC framing, HTTP/1.1.
 * The handlers use every call of grpc/rpc.h, so that what a client can provoke is provoked.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "grpc/server.h"

#define TURNS_MAX 64
#define INPUT_MAX (128 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct grpc_server *server;
static struct blob *body;
static unsigned opens, closes;

static void on_open(struct rpc *rpc)
{
    opens++;
    rpc_set_state(rpc, xcalloc(1, sizeof(unsigned)));
}

static void on_close(struct rpc *rpc, enum code code unused_arg)
{
    closes++;
    free(rpc_state(rpc));
}

static void on_unary(struct rpc *rpc, struct str message)
{
    if (message.len % 7 == 3)
        rpc_finish(rpc, (enum code)(message.len % 17), "by length");
    else
        rpc_reply(rpc, message.ptr, message.len);
}

/* A message's length says how many messages come back. */
static void on_stream(struct rpc *rpc, struct str message)
{
    unsigned *left = rpc_state(rpc);

    *left += (unsigned)(message.len % 5);
    if (message.len % 11 == 10)
        rpc_finish(rpc, CODE_ABORTED, "by length");
    rpc_wake(rpc, message.len % 2 ? RPC_WAKE_ANSWER : RPC_WAKE_UPDATE);
}

static bool on_pull(struct rpc *rpc, struct rpc_out *out)
{
    unsigned *left = rpc_state(rpc);

    if (*left == 0)
        return false;
    (*left)--;
    (void)buf_append(&out->head, "head", 4);
    rpc_out_add(out, blob_ref(body));
    return true;
}

static const struct rpc_handler unary = {
    .on_open = on_open, .on_message = on_unary, .on_close = on_close};
static const struct rpc_handler stream = {
    .on_open = on_open, .on_message = on_stream, .on_pull = on_pull, .on_close = on_close};
static const struct rpc_method methods[] = {{STR_INIT("/u"), &unary}, {STR_INIT("/s"), &stream}};

static void start(void)
{
    struct grpc_server_options options = {.methods = methods, .methods_len = ARRAY_LEN(methods)};

    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    if (loop_new(&loop, NULL) != CODE_OK)
        abort();
    options.loop = loop;
    options.limits.message = 4096;
    options.limits.streams = 50;
    if (grpc_server_new(&options, &server, NULL) != CODE_OK)
        abort();
    body = blob_new(30000);
    memset(body->bytes, 'b', body->len);
}

static void drop_answers(int fd)
{
    static char sink[256 * 1024];

    while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address peer = {.len = sizeof(sa_family_t)};
    int pair[2];

    if (size > INPUT_MAX)
        return -1;
    if (!server)
        start();
    peer.storage.ss_family = AF_UNIX;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    grpc_server_adopt(server, pair[1], &peer, NULL, NULL);
    for (int i = 0; i < TURNS_MAX && size > 0; i++) {
        ssize_t sent = send(pair[0], data, size, MSG_NOSIGNAL);

        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        }
        loop_turn(loop, 0);
        drop_answers(pair[0]);
    }
    loop_turn(loop, 0);
    close(pair[0]);
    for (int i = 0; i < TURNS_MAX && counter_get(&grpc_server_stats(server)->connections) > 0; i++)
        loop_turn(loop, 0);
    if (counter_get(&grpc_server_stats(server)->connections) > 0 || opens != closes ||
        counter_get(&grpc_server_stats(server)->stalled_bytes) > 0 ||
        counter_get(&grpc_server_stats(server)->calls) > 0)
        abort();
    return 0;
}
