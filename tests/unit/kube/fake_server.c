#include "fake_server.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX 65536

static void conn_drop(struct fake_conn *conn)
{
    conn->server->conns[conn->index] = NULL;
    fd_watch_free(conn->watch);
    close(conn->fd);
    buf_done(&conn->in);
    free(conn);
}

static void request_dispatch(struct fake_conn *conn)
{
    struct fake_server *server = conn->server;
    CLEANUP(freep) char *head = buf_take(&conn->in, NULL);
    char path[4096] = "";

    buf_init(&conn->in, HEAD_MAX);
    cr_assert_eq(sscanf(head, "%*s %4095s HTTP/1.1", path), 1, "no request: %s", head);
    server->requests++;
    server->on_request(server->ctx, conn, path, head);
}

static bool is_whole(struct buf *in)
{
    const char *head = buf_cstr(in), *end = strstr(head, "\r\n\r\n");
    const char *length = strstr(head, "Content-Length: ");
    size_t body = length ? strtoul(length + strlen("Content-Length: "), NULL, 10) : 0;

    return end && in->len >= (size_t)(end + 4 - head) + body;
}

static void on_conn(void *ctx, int events unused_arg)
{
    struct fake_conn *conn = ctx;
    char bytes[4096];
    ssize_t got = read(conn->fd, bytes, sizeof(bytes));

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        conn_drop(conn);
        return;
    }
    cr_assert_eq(buf_append(&conn->in, bytes, (size_t)got), CODE_OK);
    if (is_whole(&conn->in))
        request_dispatch(conn);
}

static void on_accept(void *ctx, int events unused_arg)
{
    struct fake_server *server = ctx;
    struct fake_conn *conn = xcalloc(1, sizeof(*conn));

    conn->fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(conn->fd, 0);
    cr_assert_lt(server->accepted, FAKE_CONNS_MAX);
    conn->server = server;
    conn->index = server->accepted++;
    server->conns[conn->index] = conn;
    buf_init(&conn->in, HEAD_MAX);
    cr_assert_eq(fd_watch_new(server->loop, conn->fd, on_conn, conn, &conn->watch, NULL), CODE_OK);
    fd_watch_set(conn->watch, FD_READABLE);
}

void fake_server_start(struct fake_server *server, struct loop *loop, unsigned port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof(addr);
    int on = 1;

    server->loop = loop;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(server->fd, 0);
    setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    cr_assert_eq(bind(server->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(server->fd, 16), 0);
    cr_assert_eq(getsockname(server->fd, (struct sockaddr *)&addr, &len), 0);
    server->port = ntohs(addr.sin_port);
    cr_assert_eq(fd_watch_new(loop, server->fd, on_accept, server, &server->watch, NULL), CODE_OK);
    fd_watch_set(server->watch, FD_READABLE);
}

void fake_server_stop(struct fake_server *server)
{
    for (size_t i = 0; i < server->accepted; i++)
        if (server->conns[i])
            conn_drop(server->conns[i]);
    server->accepted = 0;
    if (!server->watch)
        return;
    fd_watch_free(TAKE(server->watch));
    close(server->fd);
}

void fake_send(struct fake_conn *conn, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(conn->fd, bytes, len, MSG_NOSIGNAL);

        if (sent < 0 && errno == EAGAIN) {
            loop_turn(conn->server->loop, 1); /* the client is on the same loop */
            continue;
        }
        if (sent < 0)
            return; /* the client has hung up */
        bytes += sent;
        len -= (size_t)sent;
    }
}

void fake_answer(struct fake_conn *conn, int status, const char *extra, const char *body)
{
    CLEANUP(freep) char *text = NULL;
    int len = asprintf(&text, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n%s", status,
                       strlen(body), extra, body);

    fake_send(conn, text, (size_t)len);
}

void fake_open(struct fake_conn *conn)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    fake_send(conn, head, sizeof(head) - 1);
}

void fake_chunk(struct fake_conn *conn, const char *text)
{
    CLEANUP(freep) char *chunk = NULL;
    int len = asprintf(&chunk, "%zx\r\n%s\r\n", strlen(text), text);

    fake_send(conn, chunk, (size_t)len);
}

void fake_end(struct fake_conn *conn)
{
    fake_send(conn, "0\r\n\r\n", 5);
}

void fake_close(struct fake_conn *conn, bool reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (reset)
        setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    conn_drop(conn);
}
