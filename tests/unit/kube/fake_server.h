/*
 * An HTTP/1.1 server for tests on the loop of the test: every request goes to one function, which
 * answers as it likes, at once or later.
 *
 * Threads: the loop's.
 * Owns:    its sockets. Connections stay open until the test or the peer closes them.
 */
#ifndef TESTS_UNIT_KUBE_FAKE_SERVER_H
#define TESTS_UNIT_KUBE_FAKE_SERVER_H

#include "base/buf.h"
#include "loop/loop.h"

#define FAKE_CONNS_MAX 32

struct fake_conn;

struct fake_server {
    struct loop *loop;
    int fd;
    unsigned port;
    struct fd_watch *watch;
    struct fake_conn *conns[FAKE_CONNS_MAX]; /* in order of accepting; NULL once closed */
    size_t accepted;
    size_t requests;
    /* head: the whole request with its body, NUL-terminated; path: what it asks for. */
    void (*on_request)(void *ctx, struct fake_conn *conn, const char *path, const char *head);
    void *ctx;
};

struct fake_conn {
    struct fake_server *server;
    size_t index;
    int fd;
    struct fd_watch *watch;
    struct buf in;
};

/* On a free port of 127.0.0.1; port 0 picks one. */
void fake_server_start(struct fake_server *server, struct loop *loop, unsigned port);
/* Closes every connection too. Twice is fine. */
void fake_server_stop(struct fake_server *server);

void fake_send(struct fake_conn *conn, const char *bytes, size_t len);
/* A complete answer with Content-Length; `extra` holds more header lines, each with its \r\n. */
void fake_answer(struct fake_conn *conn, int status, const char *extra, const char *body);
/* A chunked 200, then chunks, then the end. */
void fake_open(struct fake_conn *conn);
void fake_chunk(struct fake_conn *conn, const char *text);
void fake_end(struct fake_conn *conn);
/* With `reset`, by RST. */
void fake_close(struct fake_conn *conn, bool reset);

#endif
