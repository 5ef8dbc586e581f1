/*
 * What the tests of TLS share: a folder with an authority and a server's certificate, a server's connection, and
 * a peer of it that is OpenSSL alone.
 *
 * Owns: one world per test, between world_open() and world_close().
 */
#ifndef TESTS_UNIT_NET_TLS_WORLD_H
#define TESTS_UNIT_NET_TLS_WORLD_H

#include <openssl/ssl.h>

#include "certificates.h"
#include "fixture.h"
#include "net/tls.h"

static struct {
    char folder[32];
    struct authority *authority;
    struct tls *server;
    struct tls_gate *gate;
    struct tls_stats stats;
    struct conn *conn; /* the server's; it says what it hears to `seen` */
    int far;           /* the peer's end, non-blocking */
    SSL_CTX *context;  /* the peer's */
    SSL *ssl;
} world;

/* A path in the folder; of the last four, at least, they are valid. */
static inline const char *in_folder(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % ARRAY_LEN(paths)];

    snprintf(path, sizeof(paths[0]), "%s/%s", world.folder, name);
    return path;
}

static inline void world_open(void)
{
    struct err err = {0};

    make_loop();
    snprintf(world.folder, sizeof(world.folder), "/tmp/lookaside-tls-XXXXXX");
    cr_assert_not_null(mkdtemp(world.folder));
    world.authority = authority_new();
    authority_write(world.authority, in_folder("ca.crt"));
    authority_sign(world.authority, NULL, in_folder("tls.crt"), in_folder("tls.key"));
    cr_assert_eq(tls_server_new(in_folder("tls.crt"), in_folder("tls.key"), clock_wall_us(),
                                &world.server, &err),
                 CODE_OK, "%s", err.msg);
    world.gate = tls_gate_new(loop, TLS_GATE_MAX, &world.stats);
    world.context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_alpn_protos(world.context, (const unsigned char *)"\x02h2", 3);
    world.far = -1;
}

static inline void world_close(void)
{
    char command[64];

    conn_free(world.conn);
    SSL_free(world.ssl);
    SSL_CTX_free(world.context);
    if (world.far >= 0)
        close(world.far);
    tls_gate_free(world.gate);
    tls_unref(world.server);
    authority_free(world.authority);
    snprintf(command, sizeof(command), "rm -r %s", world.folder);
    cr_assert_eq(system(command), 0);
    free_loop();
}

/* Over loopback, so that both ends are TCP's. */
static inline void world_pair(int fds[2])
{
    struct address address = parse("127.0.0.1:0");
    int listening = listen_raw(&address, 1);

    fds[0] = dial(&address);
    fds[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    close(listening);
    cr_assert(fds[0] >= 0 && fds[1] >= 0);
    cr_assert_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
}

/* The server's connection, and a descriptor at its other end: nothing is said yet. */
static inline void world_accept(const struct conn_handler *handler)
{
    struct address peer = {.len = sizeof(sa_family_t)};
    int fds[2];

    world_pair(fds);
    world.far = fds[0];
    cr_assert_eq(conn_new(loop, fds[1], &peer, handler, NULL, &world.conn, NULL), CODE_OK);
    conn_start_tls(world.conn, world.server, NULL, world.gate);
}

/* Turns the loop until the peer's step is through, for better or worse: SSL_get_error() of it. */
static inline int peer_step(int (*step)(SSL *ssl))
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;
    int result, error;

    do {
        result = step(world.ssl);
        error = SSL_get_error(world.ssl, result);
        loop_turn(loop, 1);
    } while ((error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) &&
             clock_monotonic_us() < end_us);
    return error;
}

/* The peer's handshake, as `context` is set up. */
static inline int peer_connect(void)
{
    world.ssl = SSL_new(world.context);
    SSL_set_fd(world.ssl, world.far);
    return peer_step(SSL_connect);
}

static inline void peer_say(const char *text)
{
    cr_assert_eq(SSL_write(world.ssl, text, (int)strlen(text)), (int)strlen(text));
}

/* Reads up to `len` bytes, turning the loop meanwhile; how many came. */
static inline size_t peer_hear(char *out, size_t len)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;
    size_t got = 0;

    while (got < len && clock_monotonic_us() < end_us) {
        int n = SSL_read(world.ssl, out + got, (int)min_size(len - got, 65536));

        if (n > 0)
            got += (size_t)n;
        else if (SSL_get_error(world.ssl, n) != SSL_ERROR_WANT_READ)
            break;
        loop_turn(loop, n > 0 ? 0 : 1);
    }
    return got;
}

#endif
