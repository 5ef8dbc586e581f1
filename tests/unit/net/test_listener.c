#include "fixture.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static struct listener *listener;
static int accepted, last_fd = -1;
static char last_peer[ADDRESS_TEXT_MAX];
static char path[64], unix_text[80];

static void setup(void)
{
    make_loop();
    snprintf(path, sizeof(path), "/tmp/test_listener.%d", getpid());
    snprintf(unix_text, sizeof(unix_text), "unix:%s", path);
}

static void teardown(void)
{
    listener_free(listener);
    unlink(path);
    free_loop();
}

TestSuite(listener, .init = setup, .fini = teardown, .timeout = 20);

static void on_accept(void *ctx, int fd, const struct address *peer)
{
    (void)ctx;
    accepted++;
    address_format(peer, last_peer);
    if (last_fd >= 0)
        close(last_fd);
    last_fd = fd;
}

static void free_on_accept(void *ctx, int fd, const struct address *peer)
{
    on_accept(ctx, fd, peer);
    listener_free(TAKE(listener));
}

static void start(const char *text, listener_accept_fn *fn)
{
    struct address address = parse(text);
    struct err err = {0};

    cr_assert_eq(listener_new(loop, &address, fn, NULL, &listener, &err), CODE_OK, "%s", err.msg);
}

static void assert_fails(const char *text, enum code code, const char *message)
{
    struct address address = parse(text);
    struct listener *none;
    struct err err = {0};

    cr_assert_eq(listener_new(loop, &address, on_accept, NULL, &none, &err), code);
    cr_assert_str_eq(err.msg, message);
}

static uint16_t port_of(const struct listener *of)
{
    /* sin_port and sin6_port lie at the same place. */
    return ntohs(((const struct sockaddr_in *)&listener_address(of)->storage)->sin_port);
}

static int dial_port(const char *host)
{
    char text[64];
    struct address address;

    snprintf(text, sizeof(text), "%s:%u", host, port_of(listener));
    address = parse(text);
    return dial(&address);
}

Test(listener, hands_over_non_blocking_close_on_exec_descriptors)
{
    int client;

    start("127.0.0.1:0", on_accept);
    cr_assert_neq(port_of(listener), 0);
    client = dial(listener_address(listener));
    turn_until(&accepted, 1);
    cr_assert(fcntl(last_fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(last_fd, F_GETFD) & FD_CLOEXEC);
    assert_tuned(last_fd);
    cr_assert(strncmp(last_peer, "127.0.0.1:", 10) == 0, "%s", last_peer);
    close(client);
}

static bool has_ipv6(void)
{
    struct address address = parse("[::1]:0");
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = bind(fd, (struct sockaddr *)&address.storage, address.len) == 0;

    close(fd);
    return bound;
}

Test(listener, on_all_addresses_takes_both_families_and_shows_ipv4_plain)
{
    int four, six;

    if (!has_ipv6())
        cr_skip_test("no IPv6 here");
    start(":0", on_accept);
    four = dial_port("127.0.0.1");
    turn_until(&accepted, 1);
    cr_assert(strncmp(last_peer, "127.0.0.1:", 10) == 0, "%s", last_peer);
    six = dial_port("[::1]");
    turn_until(&accepted, 2);
    cr_assert(strncmp(last_peer, "[::1]:", 6) == 0, "%s", last_peer);
    close(four);
    close(six);
}

/* socket(AF_INET6, ...) answers as on a kernel without IPv6. */
static void take_ipv6_away(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ARRAY_LEN(code), code};

    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(listener, on_all_addresses_falls_back_to_ipv4)
{
    int client;

    take_ipv6_away();
    start(":0", on_accept);
    cr_assert(strncmp(format(listener_address(listener)), "0.0.0.0:", 8) == 0);
    client = dial_port("127.0.0.1");
    turn_until(&accepted, 1);
    close(client);
    assert_fails("[::1]:0", CODE_UNAVAILABLE,
                 "cannot listen on '[::1]:0': address family not supported by protocol");
}

Test(listener, second_one_on_the_port_is_told)
{
    char text[ADDRESS_TEXT_MAX], message[256];

    start("127.0.0.1:0", on_accept);
    snprintf(text, sizeof(text), "%s", format(listener_address(listener)));
    snprintf(message, sizeof(message), "cannot listen on '%s': address already in use", text);
    assert_fails(text, CODE_ALREADY_EXISTS, message);
}

Test(listener, takes_its_port_back_at_once_after_a_restart)
{
    char text[ADDRESS_TEXT_MAX];
    int client;

    start("127.0.0.1:0", on_accept);
    snprintf(text, sizeof(text), "%s", format(listener_address(listener)));
    client = dial(listener_address(listener));
    turn_until(&accepted, 1);
    close(last_fd); /* our side ends first and stays in TIME_WAIT */
    last_fd = -1;
    listener_free(TAKE(listener));
    close(client);
    start(text, on_accept);
}

Test(listener, on_an_address_that_is_not_ours_is_refused)
{
    assert_fails("203.0.113.1:80", CODE_UNAVAILABLE,
                 "cannot listen on '203.0.113.1:80': cannot assign requested address");
}

Test(listener, may_be_freed_inside_on_accept)
{
    int first, second;

    start("127.0.0.1:0", free_on_accept);
    first = dial(listener_address(listener));
    second = dial(listener_address(listener));
    turn_until(&accepted, 1);
    loop_turn(loop, 10);
    cr_assert_eq(accepted, 1);
    close(first);
    close(second);
}

Test(listener, accepts_a_bounded_number_in_a_turn)
{
    int clients[LISTENER_ACCEPTS_PER_TURN + 10];

    start("127.0.0.1:0", on_accept);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++)
        clients[i] = dial(listener_address(listener));
    loop_turn(loop, WAIT_MS);
    cr_assert_eq(accepted, LISTENER_ACCEPTS_PER_TURN);
    turn_until(&accepted, ARRAY_LEN(clients));
    for (size_t i = 0; i < ARRAY_LEN(clients); i++)
        close(clients[i]);
}

/* Leaves room for no descriptor more; returns the limit as it was. */
static struct rlimit use_up_descriptors(void)
{
    struct rlimit before, none;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    return before;
}

Test(listener, out_of_descriptors_pauses_and_does_not_spin)
{
    struct rlimit limit;
    uint64_t start_us = clock_monotonic_us();
    int client, turns = 0;

    start("127.0.0.1:0", on_accept);
    client = dial(listener_address(listener));
    limit = use_up_descriptors();
    while (clock_monotonic_us() - start_us < 250000 && ++turns < 1000)
        loop_turn(loop, 50);
    cr_assert_lt(turns, 20, "%d turns in 250 ms", turns);
    cr_assert(listener_accept_errors(listener) >= 1 && listener_accept_errors(listener) <= 4,
              "%d errors", (int)listener_accept_errors(listener));
    cr_assert_eq(accepted, 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    turn_until(&accepted, 1);
    close(client);
}

Test(listener, free_of_null_is_fine)
{
    listener_free(NULL);
}

/* ---- unix sockets ---- */

Test(listener, on_a_unix_socket_is_for_owner_and_group_and_removes_its_file)
{
    struct stat info;
    int client;

    umask(0);
    start(unix_text, on_accept);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0660);
    client = dial(listener_address(listener));
    turn_until(&accepted, 1);
    cr_assert_str_eq(last_peer, "unix:");
    listener_free(TAKE(listener));
    cr_assert_eq(stat(path, &info), -1);
    close(client);
}

Test(listener, replaces_a_stale_unix_socket)
{
    struct address address = parse(unix_text);
    int client;

    close(listen_raw(&address, 1)); /* the file stays, as after a crash */
    start(unix_text, on_accept);
    client = dial(listener_address(listener));
    turn_until(&accepted, 1);
    close(client);
}

Test(listener, does_not_take_a_live_unix_socket_away)
{
    char message[256];

    snprintf(message, sizeof(message), "cannot listen on '%s': address already in use", unix_text);
    start(unix_text, on_accept);
    assert_fails(unix_text, CODE_ALREADY_EXISTS, message);
    cr_assert_geq(dial(listener_address(listener)), 0, "the first still listens");
}

Test(listener, does_not_remove_a_file_that_is_no_socket)
{
    struct stat info;
    char message[256];

    snprintf(message, sizeof(message),
             "cannot listen on '%s': something that is no socket has that name", unix_text);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_fails(unix_text, CODE_ALREADY_EXISTS, message);
    cr_assert_eq(stat(path, &info), 0);
}

Test(listener, leaves_its_successors_file_alone)
{
    struct address address = parse(unix_text);
    struct stat info;
    int successor;

    start(unix_text, on_accept);
    unlink(path);
    successor = listen_raw(&address, 1);
    listener_free(TAKE(listener));
    cr_assert_eq(stat(path, &info), 0);
    close(successor);
}

Test(listener, in_a_missing_directory_is_refused)
{
    assert_fails("unix:/nowhere/x", CODE_NOT_FOUND,
                 "cannot listen on 'unix:/nowhere/x': no such file or directory");
}
