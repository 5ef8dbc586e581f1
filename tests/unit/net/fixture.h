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

#endif
