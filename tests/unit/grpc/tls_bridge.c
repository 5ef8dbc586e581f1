#include "tls_bridge.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The far ends, in the child. */
struct lane {
    int plain, wire;
    SSL *ssl; /* NULL: nothing was said yet */
};

static void give_up(const char *what)
{
    fprintf(stderr, "bridge: %s\n", what);
    _exit(1);
}

static void carry_out(SSL_CTX *context, struct lane *lane)
{
    char bytes[16384];
    ssize_t len = read(lane->plain, bytes, sizeof(bytes));

    if (len <= 0) {
        close(lane->plain);
        lane->plain = -1;
        return;
    }
    if (!lane->ssl) {
        lane->ssl = SSL_new(context);
        SSL_set_fd(lane->ssl, lane->wire);
        if (SSL_connect(lane->ssl) != 1)
            give_up("no handshake");
    }
    if (SSL_write(lane->ssl, bytes, (int)len) != len)
        give_up("cannot write");
}

static void carry_in(struct lane *lane)
{
    char bytes[16384];
    int len = lane->ssl ? SSL_read(lane->ssl, bytes, sizeof(bytes)) : 0;

    if (len > 0 && write(lane->plain, bytes, (size_t)len) == len)
        return;
    close(lane->wire);
    lane->wire = -1;
}

static void carry(struct lane *lanes, unsigned count)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct pollfd polls[2 * BRIDGE_MAX];

    SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x02h2", 3);
    for (;;) {
        for (unsigned i = 0; i < count; i++) {
            polls[2 * i] = (struct pollfd){.fd = lanes[i].plain, .events = POLLIN};
            polls[2 * i + 1] = (struct pollfd){.fd = lanes[i].wire, .events = POLLIN};
        }
        if (poll(polls, 2 * count, -1) < 0)
            give_up("cannot poll");
        for (unsigned i = 0; i < count; i++) {
            if (polls[2 * i].revents)
                carry_out(context, &lanes[i]);
            if (polls[2 * i + 1].revents)
                carry_in(&lanes[i]);
        }
    }
}

void bridge_start(struct bridge *bridge, unsigned count)
{
    static struct lane lanes[BRIDGE_MAX];

    bridge->count = count;
    for (unsigned i = 0; i < count; i++) {
        int plain[2], wire[2];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plain), 0);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wire), 0);
        bridge->plain[i] = plain[0];
        bridge->wire[i] = wire[0];
        lanes[i] = (struct lane){.plain = plain[1], .wire = wire[1]};
        cr_assert_eq(fcntl(plain[0], F_SETFL, O_NONBLOCK), 0);
        cr_assert_eq(fcntl(wire[0], F_SETFL, O_NONBLOCK), 0);
    }
    bridge->pid = fork();
    cr_assert_geq(bridge->pid, 0);
    if (bridge->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_IGN);
        carry(lanes, count);
    }
    for (unsigned i = 0; i < count; i++) {
        close(lanes[i].plain);
        close(lanes[i].wire);
    }
}

void bridge_stop(struct bridge *bridge)
{
    kill(bridge->pid, SIGKILL);
    waitpid(bridge->pid, NULL, 0);
}
