#include "fixture.h"

#define BIG (4 * 1024 * 1024) /* more than the kernel takes from one side while nobody reads */

static struct conn *conn;
static int far; /* the peer's end, blocking */

/* The peer's end stays with the test; the near one belongs to the connection. */
static void open_pair(const struct conn_handler *handler)
{
    struct address address = parse("127.0.0.1:0"), peer = {.len = sizeof(peer.storage)};
    int listening = listen_raw(&address, 1), near;
    struct err err = {0};

    far = dial(&address);
    near = accept4(listening, (struct sockaddr *)&peer.storage, &peer.len, SOCK_CLOEXEC);
    close(listening);
    cr_assert(far >= 0 && near >= 0);
    cr_assert_eq(conn_new(loop, near, &peer, handler, NULL, &conn, &err), CODE_OK, "%s", err.msg);
}

static const struct conn_handler see_all = {see_data, see_drained, see_closed};

static void open_seen(void)
{
    make_loop();
    open_pair(&see_all);
}

static void close_all(void)
{
    conn_free(conn);
    close(far);
    free_loop();
}

TestSuite(conn, .init = open_seen, .fini = close_all, .timeout = 20);
TestSuite(conn_free, .init = make_loop, .fini = close_all, .timeout = 20);

static void far_send(const char *text)
{
    cr_assert_eq(write(far, text, strlen(text)), (ssize_t)strlen(text));
}

static void reset_by_peer(void)
{
    const struct linger at_once = {.l_onoff = 1};

    cr_assert_eq(setsockopt(far, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(far);
    far = -1;
}

/* Reads up to `len` bytes, turning the loop meanwhile; returns how many came before the end. */
static size_t far_receive(char *out, size_t len)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;
    size_t got = 0;
    ssize_t n = 1;

    while (n != 0 && got < len && clock_monotonic_us() < end_us) {
        loop_turn(loop, 1);
        n = recv(far, out + got, len - got, MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        if (n < 0 && errno != EAGAIN)
            return got;
    }
    return got;
}

static void write_text(const char *text)
{
    const struct conn_slice slice = {.ptr = text, .len = strlen(text)};

    conn_writev(conn, &slice, 1);
}

/* "head", then a blob of BIG bytes that are all different from their neighbours, then "tail". */
static struct blob *write_big(void)
{
    struct blob *blob = blob_new(BIG);
    char head[] = "head", tail[] = "tail";
    const struct conn_slice slices[] = {
        {.ptr = head, .len = 4}, {.blob = blob, .len = BIG}, {.ptr = tail, .len = 4}};

    for (size_t i = 0; i < BIG; i++)
        blob->bytes[i] = (unsigned char)(i * 2654435761u >> 24);
    conn_writev(conn, slices, ARRAY_LEN(slices));
    memset(head, '?', 4);
    memset(tail, '?', 4);
    return blob;
}

Test(conn, hands_over_what_the_peer_sends)
{
    far_send("hello");
    turn_until(&seen.data, 1);
    far_send(", world");
    turn_until(&seen.data, 2);
    cr_assert_arr_eq(seen.bytes, "hello, world", 12);
    cr_assert_eq(seen.len, 12);
}

Test(conn, writes_slices_in_one_go)
{
    struct blob *blob = blob_copy("..blob..", 8);
    const struct conn_slice slices[] = {
        {.ptr = "head", .len = 4}, {.blob = blob, .off = 2, .len = 4}, {.ptr = NULL, .len = 0}};
    char got[8];

    conn_writev(conn, slices, ARRAY_LEN(slices));
    cr_assert_eq(conn_backlog(conn), 0);
    cr_assert_eq(blob->refs, 1);
    cr_assert_eq(far_receive(got, 8), 8);
    cr_assert_arr_eq(got, "headblob", 8);
    cr_assert_eq(seen.drained, 0, "nothing had to be drained");
    blob_unref(blob);
}

Test(conn, write_of_nothing_is_fine)
{
    conn_writev(conn, NULL, 0);
    write_text("");
    loop_turn(loop, 10);
    cr_assert_eq(seen.closed, 0);
}

Test(conn, short_write_goes_out_later_and_is_drained_once)
{
    struct blob *blob = write_big();
    char *got = xmalloc(BIG + 8);

    cr_assert_gt(conn_backlog(conn), 0);
    cr_assert_eq(blob->refs, 2);
    cr_assert_eq(far_receive(got, BIG + 8), BIG + 8);
    turn_until(&seen.drained, 1);
    loop_turn(loop, 10);
    cr_assert_eq(seen.drained, 1);
    cr_assert_eq(conn_backlog(conn), 0);
    cr_assert_eq(blob->refs, 1);
    cr_assert_eq(memcmp(got, "head", 4), 0);
    cr_assert_eq(memcmp(got + 4, blob->bytes, BIG), 0);
    cr_assert_eq(memcmp(got + 4 + BIG, "tail", 4), 0);
    blob_unref(blob);
    free(got);
}

Test(conn, reads_while_its_own_write_is_stuck)
{
    struct blob *blob = write_big();

    far_send("ping");
    turn_until(&seen.data, 1);
    cr_assert_gt(conn_backlog(conn), 0);
    blob_unref(blob);
}

Test(conn, free_gives_back_what_was_not_written)
{
    struct blob *blob = write_big();

    conn_free(TAKE(conn));
    cr_assert_eq(blob->refs, 1);
    blob_unref(blob);
}

Test(conn, orderly_end_of_the_peer_is_told_once)
{
    far_send("last");
    shutdown(far, SHUT_WR);
    turn_until(&seen.closed, 1);
    loop_turn(loop, 10);
    cr_assert_eq(seen.closed, 1);
    cr_assert_eq(seen.code, CODE_OK);
    cr_assert_eq(seen.len, 4, "the bytes before the end came first");
}

Test(conn, reset_is_told_with_the_reason)
{
    reset_by_peer();
    turn_until(&seen.closed, 1);
    loop_turn(loop, 10);
    cr_assert_eq(seen.closed, 1);
    cr_assert_eq(seen.code, CODE_UNAVAILABLE);
    cr_assert_str_eq(seen.reason, "connection reset by peer");
}

Test(conn, failed_write_is_told_from_the_loop_and_later_writes_are_dropped)
{
    reset_by_peer();
    write_text("into the void");
    write_text("again");
    cr_assert_eq(seen.closed, 0, "not from inside the call");
    cr_assert_eq(conn_backlog(conn), 0);
    turn_until(&seen.closed, 1);
    write_text("still");
    loop_turn(loop, 10);
    cr_assert_eq(seen.closed, 1);
    cr_assert_eq(seen.code, CODE_UNAVAILABLE);
}

Test(conn, write_behind_our_own_end_is_told_and_raises_no_signal)
{
    conn_shutdown(conn);
    write_text("too late");
    turn_until(&seen.closed, 1);
    cr_assert_str_eq(seen.reason, "broken pipe");
}

Test(conn, failed_write_is_told_even_when_reading_is_paused)
{
    conn_read_pause(conn, true);
    reset_by_peer();
    write_text("into the void");
    turn_until(&seen.closed, 1);
}

Test(conn, reset_ends_a_stuck_write)
{
    struct blob *blob = write_big();

    conn_read_pause(conn, true);
    reset_by_peer();
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_UNAVAILABLE);
    conn_free(TAKE(conn));
    cr_assert_eq(blob->refs, 1);
    blob_unref(blob);
}

Test(conn, paused_reading_waits_for_its_resumption)
{
    conn_read_pause(conn, true);
    far_send("x");
    loop_turn(loop, 20);
    cr_assert_eq(seen.data, 0);
    conn_read_pause(conn, false);
    turn_until(&seen.data, 1);
}

Test(conn, shutdown_sends_the_end_behind_the_backlog_and_reads_on)
{
    struct blob *blob = write_big();
    char *got = xmalloc(BIG + 9);

    conn_shutdown(conn);
    cr_assert_eq(far_receive(got, BIG + 9), BIG + 8, "all bytes, then the end");
    far_send("bye");
    turn_until(&seen.data, 1);
    shutdown(far, SHUT_WR);
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_OK);
    blob_unref(blob);
    free(got);
}

Test(conn, shutdown_without_backlog_ends_at_once)
{
    char byte;

    conn_shutdown(conn);
    cr_assert_eq(recv(far, &byte, 1, 0), 0);
}

Test(conn, knows_its_peer)
{
    struct sockaddr_in own;
    socklen_t len = sizeof(own);
    char expected[ADDRESS_TEXT_MAX];

    cr_assert_eq(getsockname(far, (struct sockaddr *)&own, &len), 0);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(own.sin_port));
    cr_assert_str_eq(format(conn_peer(conn)), expected);
}

Test(conn, gives_its_neighbours_a_turn_between_reads)
{
    int fds[2], big = 1 << 20;
    struct address nobody = {0};
    struct conn *flooded;
    char *bytes = xcalloc(1, 8 * LOOP_SCRATCH_SIZE);

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
    cr_assert_gt(write(fds[1], bytes, 8 * LOOP_SCRATCH_SIZE),
                 CONN_READS_PER_TURN * LOOP_SCRATCH_SIZE);
    cr_assert_eq(conn_new(loop, fds[0], &nobody, &see_all, NULL, &flooded, NULL), CODE_OK);
    loop_turn(loop, WAIT_MS);
    cr_assert_eq(seen.data, CONN_READS_PER_TURN);
    turn_until(&seen.data, CONN_READS_PER_TURN + 1);
    conn_free(flooded);
    close(fds[1]);
    free(bytes);
}

Test(conn, of_a_bad_descriptor_is_refused)
{
    struct address nobody = {0};
    struct conn *none;
    struct err err = {0};
    int fd = open("/dev/null", O_RDONLY);

    /* Not pollable; owned from here on all the same. */
    cr_assert_neq(conn_new(loop, fd, &nobody, &see_all, NULL, &none, &err), CODE_OK);
    cr_assert_eq(fcntl(fd, F_GETFD), -1, "closed");
}

/* ---- conn_free() inside the callbacks ---- */

static void free_on_data(void *ctx, const void *ptr, size_t len)
{
    see_data(ctx, ptr, len);
    conn_free(TAKE(conn));
}

static void free_on_drained(void *ctx)
{
    see_drained(ctx);
    conn_free(TAKE(conn));
}

static void free_on_closed(void *ctx, enum code code, const char *reason)
{
    see_closed(ctx, code, reason);
    conn_free(TAKE(conn));
}

static const struct conn_handler free_at_first = {free_on_data, free_on_drained, free_on_closed};

Test(conn_free, inside_on_data)
{
    char *bytes = xcalloc(1, 2 * LOOP_SCRATCH_SIZE);

    open_pair(&free_at_first);
    cr_assert_eq(write(far, bytes, 2 * LOOP_SCRATCH_SIZE), 2 * LOOP_SCRATCH_SIZE);
    turn_until(&seen.data, 1);
    loop_turn(loop, 10);
    cr_assert_eq(seen.data, 1);
    cr_assert_eq(seen.closed, 0);
    free(bytes);
}

static void pause_on_drained(void *ctx)
{
    see_drained(ctx);
    conn_read_pause(conn, true);
}

/* One event that says both: the rest of a write can go out, and there is something to read. */
static void make_writable_and_readable(const struct conn_handler *handler)
{
    struct address nobody = {0};
    struct blob *blob = blob_new(300 * 1024);
    const struct conn_slice slice = {.blob = blob, .len = blob->len};
    int fds[2];
    size_t sent, got = 0;

    memset(blob->bytes, 0, blob->len);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    far = fds[1];
    cr_assert_eq(conn_new(loop, fds[0], &nobody, handler, NULL, &conn, NULL), CODE_OK);
    conn_writev(conn, &slice, 1);
    sent = blob->len - conn_backlog(conn);
    cr_assert(sent < blob->len && sent > blob->len / 2);
    while (got < sent)
        got += (size_t)recv(far, seen.bytes, min_size(SEEN_MAX, sent - got), 0);
    far_send("unread");
    loop_turn(loop, WAIT_MS);
    cr_assert_eq(seen.drained, 1);
    blob_unref(blob);
}

Test(conn_free, inside_on_drained_in_an_event_with_data)
{
    static const struct conn_handler handler = {see_data, free_on_drained, see_closed};

    make_writable_and_readable(&handler);
    cr_assert_eq(seen.data, 0);
}

Test(conn_free, of_a_connection_that_was_paused_inside_on_drained)
{
    static const struct conn_handler handler = {see_data, pause_on_drained, see_closed};

    make_writable_and_readable(&handler);
    cr_assert_eq(seen.data, 0, "paused means paused, in the same event too");
}

Test(conn_free, inside_on_drained_with_data_unread)
{
    struct blob *blob;
    char *got = xmalloc(BIG + 8);

    open_pair(&free_at_first);
    conn_read_pause(conn, true);
    blob = write_big();
    far_send("unread");
    far_receive(got, BIG + 8);
    cr_assert_eq(seen.drained, 1);
    cr_assert_eq(seen.data, 0);
    blob_unref(blob);
    free(got);
}

Test(conn_free, inside_on_closed)
{
    open_pair(&free_at_first);
    reset_by_peer();
    turn_until(&seen.closed, 1);
    cr_assert_null(conn);
}

Test(conn_free, inside_on_closed_after_a_failed_write)
{
    open_pair(&free_at_first);
    reset_by_peer();
    write_text("x");
    turn_until(&seen.closed, 1);
    cr_assert_null(conn);
}

static void pause_on_data(void *ctx, const void *ptr, size_t len)
{
    see_data(ctx, ptr, len);
    conn_read_pause(conn, true);
}

Test(conn_free, of_a_connection_that_was_paused_inside_on_data)
{
    static const struct conn_handler pause_at_first = {pause_on_data, see_drained, see_closed};
    char *bytes = xcalloc(1, 2 * LOOP_SCRATCH_SIZE);

    open_pair(&pause_at_first);
    cr_assert_eq(write(far, bytes, 2 * LOOP_SCRATCH_SIZE), 2 * LOOP_SCRATCH_SIZE);
    turn_until(&seen.data, 1);
    loop_turn(loop, 10);
    cr_assert_eq(seen.data, 1, "paused means paused, in the same turn too");
    free(bytes);
}
