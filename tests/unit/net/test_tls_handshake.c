/* Who gets a connection over TLS, and why not. */
#include "tls_world.h"

static const struct conn_handler see_all = {see_data, see_drained, see_closed};

static void open_accepted(void)
{
    world_open();
    world_accept(&see_all);
}

TestSuite(tls_handshake, .init = open_accepted, .fini = world_close, .timeout = 20);

static uint64_t failures(enum tls_failure failure)
{
    return counter_get(&world.stats.failures[failure]);
}

/* The server has ended the connection, for that reason and no other. */
static void expect_failure(enum tls_failure failure, const char *words)
{
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_UNAUTHENTICATED);
    cr_assert_not_null(strstr(seen.reason, words), "'%s' is not in: %s", words, seen.reason);
    for (enum tls_failure other = 0; other < TLS_FAILURES; other++)
        cr_assert_eq(failures(other), other == failure, "%s: %u", tls_failure_name(other),
                     (unsigned)failures(other));
    cr_assert_eq(counter_get(&world.stats.handshakes), 0);
    cr_assert_eq(seen.len, 0);
}

static void expect_success(int version)
{
    const unsigned char *protocol;
    unsigned len;

    cr_assert_eq(peer_connect(), SSL_ERROR_NONE);
    loop_turn(loop, 1);
    cr_assert_eq(SSL_version(world.ssl), version);
    SSL_get0_alpn_selected(world.ssl, &protocol, &len);
    cr_assert(len == 2 && memcmp(protocol, "h2", 2) == 0);
    peer_say("hello");
    turn_until(&seen.data, 1);
    cr_assert_eq(counter_get(&world.stats.handshakes), 1);
    cr_assert_eq(seen.drained, 0, "nothing had to be drained");
}

Test(tls_handshake, tls_1_3)
{
    expect_success(TLS1_3_VERSION);
}

Test(tls_handshake, tls_1_2)
{
    SSL_CTX_set_max_proto_version(world.context, TLS1_2_VERSION);
    expect_success(TLS1_2_VERSION);
}

Test(tls_handshake, h2_among_other_protocols)
{
    SSL_CTX_set_alpn_protos(world.context, (const unsigned char *)"\x08http/1.1\x02h2", 12);
    expect_success(TLS1_3_VERSION);
}

Test(tls_handshake, older_versions_are_refused)
{
    SSL_CTX_set_security_level(world.context, 0);
    SSL_CTX_set_min_proto_version(world.context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(world.context, TLS1_1_VERSION);
    cr_assert_eq(peer_connect(), SSL_ERROR_SSL);
    expect_failure(TLS_FAILURE_VERSION, "unsupported protocol");
}

Test(tls_handshake, clients_without_alpn_are_refused)
{
    SSL_CTX_set_alpn_protos(world.context, NULL, 0);
    cr_assert_eq(peer_connect(), SSL_ERROR_SSL);
    expect_failure(TLS_FAILURE_ALPN, "no application protocol");
}

Test(tls_handshake, clients_of_another_protocol_are_refused)
{
    SSL_CTX_set_alpn_protos(world.context, (const unsigned char *)"\x08http/1.0", 9);
    cr_assert_eq(peer_connect(), SSL_ERROR_SSL);
    expect_failure(TLS_FAILURE_ALPN, "no application protocol");
}

Test(tls_handshake, ciphers_without_forward_secrecy_are_refused)
{
    SSL_CTX_set_max_proto_version(world.context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(world.context, "AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA");
    cr_assert_eq(peer_connect(), SSL_ERROR_SSL);
    expect_failure(TLS_FAILURE_CIPHER, "no shared cipher");
}

Test(tls_handshake, clients_that_do_not_trust_us)
{
    SSL_CTX_set_verify(world.context, SSL_VERIFY_PEER, NULL);
    cr_assert_eq(peer_connect(), SSL_ERROR_SSL);
    expect_failure(TLS_FAILURE_REFUSED, "unknown ca");
}

Test(tls_handshake, http_is_no_tls)
{
    cr_assert_eq(write(world.far, "GET / HTTP/1.1\r\n\r\n", 18), 18);
    expect_failure(TLS_FAILURE_NO_TLS, "http request");
}

Test(tls_handshake, plain_http2_is_no_tls)
{
    cr_assert_eq(write(world.far, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), 24);
    expect_failure(TLS_FAILURE_NO_TLS, "TLS handshake failed");
}

/* A record of the right kind, with nonsense in it. */
Test(tls_handshake, broken_hello)
{
    cr_assert_eq(write(world.far, "\x16\x03\x01\x00\x08\x01\x00\x00\x04\xff\xff\xff\xff", 13), 13);
    expect_failure(TLS_FAILURE_PROTOCOL, "TLS handshake failed");
}

Test(tls_handshake, a_check_of_the_port_is_no_error)
{
    close(world.far);
    world.far = -1;
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_OK);
    cr_assert_eq(failures(TLS_FAILURE_CLOSED), 1);
}

Test(tls_handshake, a_client_that_goes_away_in_the_middle)
{
    world.ssl = SSL_new(world.context);
    SSL_set_fd(world.ssl, world.far);
    (void)SSL_connect(world.ssl);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 1);
    close(world.far);
    world.far = -1;
    turn_until(&seen.closed, 1);
    cr_assert_eq(failures(TLS_FAILURE_CLOSED), 1);
}

Test(tls_handshake, given_up_by_the_server)
{
    (void)write(world.far, "\x16\x03\x01\x02", 4);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 1);
    cr_assert_not(conn_is_open(world.conn));
    conn_free(TAKE(world.conn));
    cr_assert_eq(failures(TLS_FAILURE_GIVEN_UP), 1);
    cr_assert_eq(seen.closed, 0);
}

/* As slow as it gets: byte by byte, and every one of them a turn at the gate. */
Test(tls_handshake, a_hello_in_single_bytes)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *hello;
    long len;

    world.ssl = SSL_new(world.context);
    SSL_set_bio(world.ssl, BIO_new_socket(world.far, BIO_NOCLOSE), out);
    (void)SSL_connect(world.ssl);
    len = BIO_get_mem_data(out, &hello);
    for (long i = 0; i < len; i++) {
        cr_assert_eq(write(world.far, hello + i, 1), 1);
        loop_turn(loop, 1);
    }
    SSL_set_fd(world.ssl, world.far);
    cr_assert_eq(peer_step(SSL_connect), SSL_ERROR_NONE);
    peer_say("hello");
    turn_until(&seen.data, 1);
}

static struct tls_turn others[TLS_GATE_MAX];

static void on_no_step(void *ctx)
{
    (void)ctx;
}

static void others_leave(void)
{
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        tls_gate_leave(world.gate, &others[i], TLS_FAILURE_GIVEN_UP);
}

static void others_come(void)
{
    static const struct tls_turn_handler handler = {on_no_step, on_no_step};

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        tls_turn_init(&others[i], &handler, NULL);
        tls_gate_queue(world.gate, &others[i]);
    }
    loop_turn(loop, 0);
}

Test(tls_handshake, who_stalls_makes_room_for_others)
{
    char byte;

    (void)write(world.far, "\x16", 1);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 1);
    others_come();
    cr_assert_eq(seen.closed, 0, "not at once");
    expect_failure(TLS_FAILURE_STALLED, "stalled while others waited");
    conn_free(TAKE(world.conn));
    cr_assert_leq(recv(world.far, &byte, 1, 0), 0);
    cr_assert_neq(errno, EAGAIN, "it is closed");
    others_leave();
}

/* What is readable all the while does not keep the loop awake. */
Test(tls_handshake, who_waits_at_the_gate_costs_nothing)
{
    uint64_t begin_us;

    others_come();
    world.ssl = SSL_new(world.context);
    SSL_set_fd(world.ssl, world.far);
    (void)SSL_connect(world.ssl);
    loop_turn(loop, 10);
    begin_us = clock_monotonic_us();
    loop_turn(loop, 50);
    cr_assert_geq(clock_monotonic_us() - begin_us, 40 * 1000);
    others_leave();
    cr_assert_eq(peer_step(SSL_connect), SSL_ERROR_NONE);
    peer_say("hello");
    turn_until(&seen.data, 1);
}

Test(tls_handshake, shutdown_before_it_is_through)
{
    char byte;

    conn_shutdown(world.conn);
    cr_assert_eq(peer_connect(), SSL_ERROR_NONE);
    cr_assert_eq(peer_hear(&byte, 1), 0);
    cr_assert(SSL_get_shutdown(world.ssl) & SSL_RECEIVED_SHUTDOWN, "by TLS, not by the socket");
    cr_assert_eq(recv(world.far, &byte, 1, 0), 0, "and then by the socket");
    peer_say("bye");
    turn_until(&seen.data, 1);
}

Test(tls_handshake, sessions_are_not_resumed)
{
    SSL_SESSION *session;
    char byte;

    cr_assert_eq(peer_connect(), SSL_ERROR_NONE);
    peer_say("hello");
    turn_until(&seen.data, 1);
    cr_assert_leq(SSL_read(world.ssl, &byte, 1), 0); /* a ticket would be here */
    session = SSL_get1_session(world.ssl);
    cr_assert_not(SSL_SESSION_has_ticket(session));
    SSL_SESSION_free(session);
}
