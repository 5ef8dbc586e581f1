/* The byte pipe with TLS in between: what a plain connection does, this one does. */
#include "net/tls_session.h"
#include "tls_world.h"

#define BIG (4 * 1024 * 1024) /* more than the kernel takes from one side while nobody reads */

static const struct conn_handler see_all = {see_data, see_drained, see_closed};

static void open_secured_with(const struct conn_handler *handler)
{
    world_accept(handler);
    cr_assert_eq(peer_connect(), SSL_ERROR_NONE);
    while (!conn_is_open(world.conn))
        loop_turn(loop, 1);
}

static void open_secured(void)
{
    world_open();
    open_secured_with(&see_all);
}

TestSuite(conn_tls, .init = open_secured, .fini = world_close, .timeout = 20);
TestSuite(conn_tls_free, .init = world_open, .fini = world_close, .timeout = 20);

/* "head", then a blob of BIG bytes that differ from their neighbours, then "tail". */
static struct blob *write_big(void)
{
    struct blob *blob = blob_new(BIG);
    const struct conn_slice slices[] = {
        {.ptr = "head", .len = 4}, {.blob = blob, .len = BIG}, {.ptr = "tail", .len = 4}};

    for (size_t i = 0; i < BIG; i++)
        blob->bytes[i] = (unsigned char)(i * 2654435761u >> 24);
    conn_writev(world.conn, slices, ARRAY_LEN(slices));
    return blob;
}

static void write_text(const char *text)
{
    conn_writev(world.conn, &(struct conn_slice){.ptr = text, .len = strlen(text)}, 1);
}

static void expect_big(const struct blob *blob)
{
    char *got = xmalloc(BIG + 8);

    cr_assert_eq(peer_hear(got, BIG + 8), BIG + 8);
    cr_assert_eq(memcmp(got, "head", 4), 0);
    cr_assert_eq(memcmp(got + 4, blob->bytes, BIG), 0);
    cr_assert_eq(memcmp(got + 4 + BIG, "tail", 4), 0);
    free(got);
}

Test(conn_tls, hands_over_what_the_peer_sends)
{
    peer_say("hello");
    turn_until(&seen.data, 1);
    peer_say(", world");
    turn_until(&seen.data, 2);
    cr_assert_arr_eq(seen.bytes, "hello, world", 12);
}

Test(conn_tls, slices_go_out_as_one_record)
{
    struct blob *blob = blob_copy("..blob..", 8);
    const struct conn_slice slices[] = {
        {.ptr = "head", .len = 4}, {.blob = blob, .off = 2, .len = 4}, {.ptr = NULL, .len = 0}};
    char got[64];

    conn_writev(world.conn, slices, ARRAY_LEN(slices));
    cr_assert_eq(conn_backlog(world.conn), 0);
    cr_assert_eq(blob->refs, 1);
    cr_assert_eq(SSL_read(world.ssl, got, sizeof(got)), 8);
    cr_assert_arr_eq(got, "headblob", 8);
    cr_assert_eq(seen.drained, 0, "nothing had to be drained");
    blob_unref(blob);
}

Test(conn_tls, write_of_nothing_is_fine)
{
    conn_writev(world.conn, NULL, 0);
    write_text("");
    loop_turn(loop, 10);
    cr_assert_eq(seen.closed, 0);
}

Test(conn_tls, short_write_goes_out_later_and_is_drained_once)
{
    struct blob *blob = write_big();

    cr_assert_gt(conn_backlog(world.conn), 0);
    cr_assert_eq(blob->refs, 1, "what stays behind is encrypted");
    expect_big(blob);
    turn_until(&seen.drained, 1);
    loop_turn(loop, 10);
    cr_assert_eq(seen.drained, 1);
    cr_assert_eq(conn_backlog(world.conn), 0);
    blob_unref(blob);
}

Test(conn_tls, reads_while_its_own_write_is_stuck)
{
    struct blob *blob = write_big();

    peer_say("ping");
    turn_until(&seen.data, 1);
    cr_assert_gt(conn_backlog(world.conn), 0);
    blob_unref(blob);
}

/* The answer to that has to wait behind what is stuck, and goes out with it. */
Test(conn_tls, new_keys_while_a_write_is_stuck)
{
    struct blob *blob = write_big();

    for (int i = 0; i < 3; i++) {
        cr_assert_eq(SSL_key_update(world.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        peer_say("ping");
        turn_until(&seen.data, i + 1);
    }
    expect_big(blob);
    turn_until(&seen.drained, 1);
    write_text("with new keys");
    cr_assert_eq(peer_hear(seen.bytes, 13), 13);
    cr_assert_arr_eq(seen.bytes, "with new keys", 13);
    blob_unref(blob);
}

/* Of the peer's many records some come in one read, and some in halves. */
Test(conn_tls, reads_everything_in_order)
{
    char bytes[5000];
    int sent = 0;

    for (int i = 0; i < (int)sizeof(bytes); i++)
        bytes[i] = (char)(i % 251);
    while (sent < 200 * (int)sizeof(bytes)) {
        if (SSL_write(world.ssl, bytes, sizeof(bytes)) == (int)sizeof(bytes))
            sent += (int)sizeof(bytes);
        loop_turn(loop, 0);
    }
    turn_until(&seen.len, sent);
    for (int i = 0; i < sent; i++)
        cr_assert_eq(seen.bytes[i], bytes[i % (int)sizeof(bytes)]);
}

/* All in one read, and data behind them. */
static void receive_new_keys(int count)
{
    conn_read_pause(world.conn, true);
    for (int i = 0; i < count; i++) {
        cr_assert_eq(SSL_key_update(world.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        cr_assert_eq(SSL_do_handshake(world.ssl), 1);
    }
    peer_say("hello");
    conn_read_pause(world.conn, false);
}

Test(conn_tls, new_keys_now_and_then)
{
    for (int i = 0; i < 10; i++) {
        receive_new_keys(TLS_QUIET_MAX);
        turn_until(&seen.len, 5 * (i + 1));
    }
    cr_assert_eq(seen.closed, 0);
}

Test(conn_tls, new_keys_without_end)
{
    receive_new_keys(1000);
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_DATA_LOSS);
    cr_assert_str_eq(seen.reason, "TLS failed: too many records without data");
    cr_assert_eq(seen.len, 0);
}

Test(conn_tls, free_with_a_write_that_is_stuck)
{
    struct blob *blob = write_big();

    conn_free(TAKE(world.conn));
    cr_assert_eq(blob->refs, 1);
    blob_unref(blob);
}

Test(conn_tls, orderly_end_of_the_peer_is_told_once)
{
    peer_say("last");
    SSL_shutdown(world.ssl);
    shutdown(world.far, SHUT_WR);
    turn_until(&seen.closed, 1);
    loop_turn(loop, 10);
    cr_assert_eq(seen.closed, 1);
    cr_assert_eq(seen.code, CODE_OK);
    cr_assert_eq(seen.len, 4, "the bytes before the end came first");
}

/* Most clients leave without a word; HTTP/2 knows by itself what is whole. */
Test(conn_tls, end_of_the_socket_alone_is_an_end)
{
    peer_say("last");
    shutdown(world.far, SHUT_WR);
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_OK);
    cr_assert_eq(seen.len, 4);
}

Test(conn_tls, what_was_tampered_with_ends_it)
{
    peer_say("good");
    turn_until(&seen.data, 1);
    cr_assert_eq(write(world.far, "\x17\x03\x03\x00\x20................................", 37), 37);
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_DATA_LOSS);
    cr_assert_str_eq(seen.reason, "TLS failed: decryption failed or bad record mac");
    cr_assert_eq(seen.len, 4);
    cr_assert_eq(counter_get(&world.stats.handshakes), 1, "the handshake was good");
}

Test(conn_tls, reset_is_told_from_the_loop)
{
    const struct linger at_once = {.l_onoff = 1};
    struct blob *blob = write_big();

    conn_read_pause(world.conn, true);
    cr_assert_eq(setsockopt(world.far, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(world.far);
    world.far = -1;
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_UNAVAILABLE);
    cr_assert_str_eq(seen.reason, "connection reset by peer");
    blob_unref(blob);
}

Test(conn_tls, write_to_who_is_gone_is_told_from_the_loop)
{
    const struct linger at_once = {.l_onoff = 1};

    cr_assert_eq(setsockopt(world.far, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(world.far);
    world.far = -1;
    write_text("into the void");
    write_text("again");
    cr_assert_eq(seen.closed, 0, "not from inside the call");
    turn_until(&seen.closed, 1);
    write_text("still");
    cr_assert_eq(seen.code, CODE_UNAVAILABLE);
}

Test(conn_tls, paused_reading_waits_for_its_resumption)
{
    conn_read_pause(world.conn, true);
    peer_say("x");
    loop_turn(loop, 20);
    cr_assert_eq(seen.data, 0);
    conn_read_pause(world.conn, false);
    turn_until(&seen.data, 1);
}

Test(conn_tls, shutdown_says_so_behind_the_backlog_and_reads_on)
{
    struct blob *blob = write_big();
    char byte;

    conn_shutdown(world.conn);
    conn_shutdown(world.conn);
    expect_big(blob);
    cr_assert_eq(peer_hear(&byte, 1), 0);
    cr_assert(SSL_get_shutdown(world.ssl) & SSL_RECEIVED_SHUTDOWN, "by TLS, not by the socket");
    cr_assert_eq(recv(world.far, &byte, 1, 0), 0, "and then by the socket");
    peer_say("bye");
    turn_until(&seen.data, 1);
    SSL_shutdown(world.ssl);
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_OK);
    blob_unref(blob);
}

Test(conn_tls, outlives_the_context_that_it_came_with)
{
    char got[5];

    tls_unref(TAKE(world.server));
    peer_say("hello");
    turn_until(&seen.data, 1);
    write_text("hello");
    cr_assert_eq(peer_hear(got, 5), 5);
}

/* ---- conn_free() inside the callbacks ---- */

static void free_on_data(void *ctx, const void *ptr, size_t len)
{
    see_data(ctx, ptr, len);
    conn_free(TAKE(world.conn));
}

Test(conn_tls_free, inside_on_data_with_more_records_behind)
{
    open_secured_with(&(const struct conn_handler){free_on_data, see_drained, see_closed});
    for (int i = 0; i < 10; i++)
        peer_say("record");
    turn_until(&seen.data, 1);
    loop_turn(loop, 10);
    cr_assert_eq(seen.data, 1);
    cr_assert_eq(seen.closed, 0);
}

static void write_on_data(void *ctx, const void *ptr, size_t len)
{
    see_data(ctx, ptr, len);
    conn_writev(world.conn, &(struct conn_slice){.ptr = ptr, .len = len}, 1);
}

Test(conn_tls_free, an_answer_inside_on_data_leaves_the_next_records_as_they_are)
{
    char got[30];

    open_secured_with(&(const struct conn_handler){write_on_data, see_drained, see_closed});
    for (int i = 0; i < 3; i++)
        peer_say("0123456789");
    turn_until(&seen.data, 3);
    cr_assert_arr_eq(seen.bytes, "012345678901234567890123456789", 30);
    cr_assert_eq(peer_hear(got, 30), 30);
    cr_assert_arr_eq(got, seen.bytes, 30);
}

static void end_on_data(void *ctx, const void *ptr, size_t len)
{
    see_data(ctx, ptr, len);
    conn_shutdown(world.conn);
}

Test(conn_tls_free, an_end_inside_on_data_takes_none_of_the_next_records)
{
    open_secured_with(&(const struct conn_handler){end_on_data, see_drained, see_closed});
    for (int i = 0; i < 4; i++)
        peer_say("0123456789");
    turn_until(&seen.data, 4);
    cr_assert_eq(seen.closed, 0);
}

static void free_on_closed(void *ctx, enum code code, const char *reason)
{
    see_closed(ctx, code, reason);
    conn_free(TAKE(world.conn));
}

Test(conn_tls_free, inside_on_closed_of_a_handshake_that_fails)
{
    world_accept(&(const struct conn_handler){see_data, see_drained, free_on_closed});
    cr_assert_eq(write(world.far, "nothing that TLS would begin with", 33), 33);
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_UNAUTHENTICATED);
    loop_turn(loop, 10);
    cr_assert_eq(seen.closed, 1);
}

static void free_on_drained(void *ctx)
{
    see_drained(ctx);
    conn_free(TAKE(world.conn));
}

Test(conn_tls_free, inside_on_drained_with_bytes_behind_the_handshake)
{
    world_accept(&(const struct conn_handler){see_data, free_on_drained, see_closed});
    write_text("kept until then");
    cr_assert_eq(peer_connect(), SSL_ERROR_NONE);
    peer_say("too late");
    turn_until(&seen.drained, 1);
    cr_assert_eq(peer_hear(seen.bytes, 15), 15);
    cr_assert_eq(seen.data, 0);
}
