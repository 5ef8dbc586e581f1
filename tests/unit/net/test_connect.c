#include "fixture.h"

static const struct conn_handler see_all = {see_data, see_drained, see_closed};
static struct conn *conn;

static void close_all(void)
{
    conn_free(conn);
    free_loop();
}

TestSuite(connect, .init = make_loop, .fini = close_all, .timeout = 20);

static void start(const struct address *to, uint64_t timeout_ms, const struct conn_handler *handler)
{
    struct err err = {0};

    cr_assert_eq(conn_connect(loop, to, timeout_ms, handler, NULL, &conn, &err), CODE_OK, "%s",
                 err.msg);
}

static void assert_says(int fd, const char *text)
{
    char got[64] = "";

    cr_assert_eq(recv(fd, got, sizeof(got) - 1, 0), (ssize_t)strlen(text));
    cr_assert_str_eq(got, text);
}

static void write_text(const char *text)
{
    const struct conn_slice slice = {.ptr = text, .len = strlen(text)};

    conn_writev(conn, &slice, 1);
}

Test(connect, tells_by_on_drained_and_then_carries_bytes)
{
    struct address address = parse("127.0.0.1:0");
    int listening = listen_raw(&address, 1), fd;

    start(&address, WAIT_MS, &see_all);
    turn_until(&seen.drained, 1);
    fd = accept(listening, NULL, NULL);
    write_text("hello");
    assert_says(fd, "hello");
    cr_assert_eq(write(fd, "hi", 2), 2);
    turn_until(&seen.data, 1);
    cr_assert_eq(seen.drained, 1);
    cr_assert_str_eq(format(conn_peer(conn)), format(&address));
    assert_tuned(other_end(fd));
    close(fd);
    close(listening);
}

Test(connect, sends_what_was_written_before_it_was_connected)
{
    struct address address = parse("127.0.0.1:0");
    int listening = listen_raw(&address, 1), fd;
    char early[] = "early";

    start(&address, WAIT_MS, &see_all);
    write_text(early);
    memset(early, '?', 5);
    cr_assert_eq(conn_backlog(conn), 5);
    turn_until(&seen.drained, 1);
    loop_turn(loop, 10);
    cr_assert_eq(seen.drained, 1);
    fd = accept(listening, NULL, NULL);
    assert_says(fd, "early");
    close(fd);
    close(listening);
}

Test(connect, shutdown_before_it_is_connected_ends_after_the_bytes)
{
    struct address address = parse("127.0.0.1:0");
    int listening = listen_raw(&address, 1), fd;
    char byte;

    start(&address, WAIT_MS, &see_all);
    write_text("early");
    conn_shutdown(conn);
    turn_until(&seen.drained, 1);
    fd = accept(listening, NULL, NULL);
    assert_says(fd, "early");
    cr_assert_eq(recv(fd, &byte, 1, 0), 0);
    close(fd);
    close(listening);
}

Test(connect, to_a_unix_socket)
{
    char text[64];
    struct address address;
    int listening, fd;

    snprintf(text, sizeof(text), "unix:/tmp/test_connect.%d", getpid());
    address = parse(text);
    listening = listen_raw(&address, 1);
    start(&address, WAIT_MS, &see_all);
    cr_assert_eq(seen.drained, 0, "from the loop, not from inside");
    turn_until(&seen.drained, 1);
    fd = accept(listening, NULL, NULL);
    write_text("hello");
    assert_says(fd, "hello");
    close(fd);
    close(listening);
    unlink(text + 5);
}

/* A port that was free a moment ago. */
static struct address nobody(void)
{
    struct address address = parse("127.0.0.1:0");

    close(listen_raw(&address, 1));
    return address;
}

Test(connect, refused_names_the_address)
{
    struct address address = nobody();
    char expected[256];
    struct err err = {0};

    snprintf(expected, sizeof(expected), "cannot connect to '%s': connection refused",
             format(&address));
    if (conn_connect(loop, &address, WAIT_MS, &see_all, NULL, &conn, &err) != CODE_OK) {
        cr_assert_eq(err.code, CODE_UNAVAILABLE);
        cr_assert_str_eq(err.msg, expected);
        return;
    }
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_UNAVAILABLE);
    cr_assert_str_eq(seen.reason, expected);
}

Test(connect, to_a_missing_unix_socket_is_refused_at_once)
{
    struct address address = parse("unix:/nowhere/at/all");
    struct err err = {0};

    cr_assert_eq(conn_connect(loop, &address, WAIT_MS, &see_all, NULL, &conn, &err),
                 CODE_UNAVAILABLE);
    cr_assert_str_eq(err.msg,
                     "cannot connect to 'unix:/nowhere/at/all': no such file or directory");
}

static void free_on_closed(void *ctx, enum code code, const char *reason)
{
    see_closed(ctx, code, reason);
    conn_free(TAKE(conn));
}

/* A listener whose queue is full answers nobody. */
static int listen_deaf(struct address *address, int fillers[4])
{
    int listening = listen_raw(address, 0);

    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address->storage, address->len);
    }
    return listening;
}

Test(connect, gives_up_after_its_timeout)
{
    static const struct conn_handler freeing = {see_data, see_drained, free_on_closed};
    struct address address = parse("127.0.0.1:0");
    int fillers[4], listening = listen_deaf(&address, fillers);

    start(&address, 50, &freeing);
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_DEADLINE_EXCEEDED);
    cr_assert(strstr(seen.reason, "no answer in time"), "%s", seen.reason);
    cr_assert_eq(seen.drained, 0);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(listening);
}

Test(connect, may_be_freed_before_anything_came)
{
    struct address address = parse("127.0.0.1:0");
    int listening = listen_raw(&address, 1);

    start(&address, 10, &see_all);
    write_text("never sent");
    conn_free(TAKE(conn));
    loop_turn(loop, 30);
    cr_assert_eq(seen.drained + seen.closed, 0);
    close(listening);
}

Test(connect, timeout_does_not_hit_a_connection_that_is_made)
{
    struct address address = parse("127.0.0.1:0");
    int listening = listen_raw(&address, 1);

    start(&address, 20, &see_all);
    turn_until(&seen.drained, 1);
    loop_turn(loop, 50);
    cr_assert_eq(seen.closed, 0);
    close(listening);
}
