/*
 * A loop for one test, connected sockets, and a connection's user that writes down what it is told.
 *
 * Owns: the loop; tests free their connections and listeners before they return.
 */
#ifndef TESTS_UNIT_NET_FIXTURE_H
#define TESTS_UNIT_NET_FIXTURE_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn.h"
#include "net/listener.h"

#define WAIT_MS 5000
#define SEEN_MAX (1024 * 1024)

static struct loop *loop;

static inline void make_loop(void)
{
    cr_assert_eq(loop_new(&loop, NULL), CODE_OK);
}

static inline void free_loop(void)
{
    loop_free(loop);
}

/* Turns the loop until *count reaches `wanted`. */
static inline void turn_until(const int *count, int wanted)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;

    while (*count < wanted && clock_monotonic_us() < end_us)
        loop_turn(loop, 100);
    cr_assert_geq(*count, wanted, "waited %d ms for %d, saw %d", WAIT_MS, wanted, *count);
}

static inline struct address parse(const char *text)
{
    struct address address;
    struct err err = {0};

    cr_assert_eq(address_parse(str_of(text), &address, &err), CODE_OK, "%s", err.msg);
    return address;
}

static inline const char *format(const struct address *address)
{
    static char text[ADDRESS_TEXT_MAX];

    address_format(address, text);
    return text;
}

/* A blocking client socket; -1 and errno when the address refuses. */
static inline int dial(const struct address *to)
{
    int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *)&to->storage, to->len) == 0)
        return fd;
    close(fd);
    return -1;
}

/* A listening socket that nobody accepts from; *address gets its port. */
static inline int listen_raw(struct address *address, int backlog)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&address->storage, address->len), 0);
    cr_assert_eq(listen(fd, backlog), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address->storage, &address->len), 0);
    return fd;
}

/* What a connection told its user. */
static struct {
    int data;
    int drained;
    int closed;
    enum code code;
    char reason[256];
    char bytes[SEEN_MAX];
    int len;
} seen;

static inline void see_data(void *ctx, const void *ptr, size_t len)
{
    (void)ctx;
    cr_assert_leq((size_t)seen.len + len, SEEN_MAX);
    memcpy(seen.bytes + seen.len, ptr, len);
    seen.len += (int)len;
    seen.data++;
}

static inline void see_drained(void *ctx)
{
    (void)ctx;
    seen.drained++;
}

static inline void see_closed(void *ctx, enum code code, const char *reason)
{
    (void)ctx;
    seen.closed++;
    seen.code = code;
    snprintf(seen.reason, sizeof(seen.reason), "%s", reason);
}

/* The one descriptor whose peer is that end of a connection. */
static inline int other_end(int end)
{
    struct sockaddr_in own, peer;

    for (int fd = 0; fd < 256; fd++) {
        socklen_t own_len = sizeof(own), peer_len = sizeof(peer);

        if (fd != end && getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
            getsockname(end, (struct sockaddr *)&own, &own_len) == 0 && peer_len == own_len &&
            memcmp(&own, &peer, sizeof(own)) == 0)
            return fd;
    }
    return -1;
}

/* It finds dead peers and delays nothing. */
static inline void assert_tuned(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                   {IPPROTO_TCP, TCP_USER_TIMEOUT, 150000},
                   {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 128 * 1024},
                   {IPPROTO_TCP, TCP_KEEPIDLE, 60},
                   {IPPROTO_TCP, TCP_KEEPINTVL, 10},
                   {IPPROTO_TCP, TCP_KEEPCNT, 3},
                   {SOL_SOCKET, SO_KEEPALIVE, 1}};

    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        int value = 0;
        socklen_t len = sizeof(value);

        cr_assert_eq(getsockopt(fd, options[i].level, options[i].name, &value, &len), 0);
        cr_assert_eq(value, options[i].value, "option %d: %d", options[i].name, value);
    }
}

#endif
