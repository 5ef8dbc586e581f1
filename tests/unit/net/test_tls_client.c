/* A client's connection over TLS: to whom it talks, and to whom not. */
#include "tls_world.h"

static const struct conn_handler see_all = {see_data, see_drained, see_closed};
static struct conn *client;

/* What the server's connection hears. */
static int served;

static void on_served(void *ctx, const void *ptr, size_t len)
{
    (void)ctx;
    served += (int)len;
    conn_writev(world.conn, &(struct conn_slice){.ptr = ptr, .len = len}, 1);
}

static void on_nothing(void *ctx)
{
    (void)ctx;
}

static void on_served_end(void *ctx, enum code code, const char *reason)
{
    (void)ctx;
    (void)code;
    (void)reason;
    conn_free(TAKE(world.conn));
}

static void on_accept(void *ctx, int fd, const struct address *peer)
{
    static const struct conn_handler handler = {on_served, on_nothing, on_served_end};

    (void)ctx;
    cr_assert_eq(conn_new(loop, fd, peer, &handler, NULL, &world.conn, NULL), CODE_OK);
    if (world.server)
        conn_start_tls(world.conn, world.server, NULL, world.gate);
}

static struct listener *listener;

static void open_listening(void)
{
    struct address address = parse("127.0.0.1:0");

    world_open();
    cr_assert_eq(listener_new(loop, &address, on_accept, NULL, &listener, NULL), CODE_OK);
}

static void close_listening(void)
{
    conn_free(client);
    listener_free(listener);
    world_close();
}

TestSuite(tls_client, .init = open_listening, .fini = close_listening, .timeout = 20);

static void dial_server(const char *name, const char *ca, bool insecure)
{
    struct tls *tls;
    struct err err = {0};

    cr_assert_eq(tls_client_new(ca ? in_folder(ca) : NULL, insecure, &tls, &err), CODE_OK, "%s",
                 err.msg);
    cr_assert_eq(
        conn_connect(loop, listener_address(listener), 2000, &see_all, NULL, &client, &err),
        CODE_OK, "%s", err.msg);
    conn_start_tls(client, tls, name, NULL);
    tls_unref(tls);
}

static void expect_echo(void)
{
    turn_until(&seen.drained, 1);
    cr_assert(conn_is_open(client));
    conn_writev(client, &(struct conn_slice){.ptr = "hello", .len = 5}, 1);
    turn_until(&seen.len, 5);
    cr_assert_arr_eq(seen.bytes, "hello", 5);
    cr_assert_eq(seen.drained, 1);
}

static void expect_failure(const char *words)
{
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_UNAUTHENTICATED);
    cr_assert_not_null(strstr(seen.reason, words), "'%s' is not in: %s", words, seen.reason);
    cr_assert_eq(seen.drained, 0);
    cr_assert_eq(served, 0);
}

Test(tls_client, by_name)
{
    dial_server("localhost", "ca.crt", false);
    expect_echo();
}

Test(tls_client, by_address)
{
    dial_server("127.0.0.1", "ca.crt", false);
    expect_echo();
}

Test(tls_client, of_another_name_is_refused)
{
    dial_server("example.com", "ca.crt", false);
    expect_failure("hostname mismatch");
}

Test(tls_client, of_another_address_is_refused)
{
    dial_server("127.0.0.2", "ca.crt", false);
    expect_failure("IP address mismatch");
}

Test(tls_client, of_a_stranger_is_refused)
{
    struct authority *stranger = authority_new();

    authority_write(stranger, in_folder("stranger.crt"));
    authority_free(stranger);
    dial_server("localhost", "stranger.crt", false);
    expect_failure("the server's certificate:");
}

Test(tls_client, that_the_system_does_not_know_is_refused)
{
    dial_server("localhost", NULL, false);
    expect_failure("unable to get local issuer certificate");
}

Test(tls_client, whoever_it_is_on_request)
{
    dial_server("example.com", NULL, true);
    expect_echo();
}

Test(tls_client, that_speaks_no_tls_is_refused)
{
    tls_unref(TAKE(world.server));
    dial_server("localhost", "ca.crt", false);
    served = -1000; /* its hello is echoed */
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_UNAUTHENTICATED);
}

Test(tls_client, a_write_before_the_handshake_is_kept_and_drained_once)
{
    struct blob *blob = blob_copy("early", 5);

    dial_server("localhost", "ca.crt", false);
    conn_writev(client, &(struct conn_slice){.blob = blob, .len = 5}, 1);
    cr_assert_eq(conn_backlog(client), 5);
    turn_until(&seen.len, 5);
    cr_assert_arr_eq(seen.bytes, "early", 5);
    cr_assert_eq(seen.drained, 1);
    cr_assert_eq(blob->refs, 1);
    blob_unref(blob);
}

Test(tls_client, an_end_before_the_handshake_comes_behind_it)
{
    dial_server("localhost", "ca.crt", false);
    conn_writev(client, &(struct conn_slice){.ptr = "early", .len = 5}, 1);
    conn_shutdown(client);
    turn_until(&served, 5);
}

Test(tls_client, no_answer_in_time)
{
    struct address address = parse("127.0.0.1:0");
    int silent = listen_raw(&address, 1);
    struct tls *tls;

    cr_assert_eq(tls_client_new(NULL, true, &tls, NULL), CODE_OK);
    cr_assert_eq(conn_connect(loop, &address, 50, &see_all, NULL, &client, NULL), CODE_OK);
    conn_start_tls(client, tls, "localhost", NULL);
    tls_unref(tls);
    turn_until(&seen.closed, 1);
    cr_assert_eq(seen.code, CODE_DEADLINE_EXCEEDED);
    close(silent);
}

/* A server of OpenSSL alone that has never heard of ALPN. */
Test(tls_client, without_http2_is_refused)
{
    struct address address = parse("127.0.0.1:0");
    int listening = listen_raw(&address, 1);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    struct tls *tls;

    SSL_CTX_use_certificate_file(context, in_folder("tls.crt"), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, in_folder("tls.key"), SSL_FILETYPE_PEM);
    cr_assert_eq(tls_client_new(in_folder("ca.crt"), false, &tls, NULL), CODE_OK);
    cr_assert_eq(conn_connect(loop, &address, 2000, &see_all, NULL, &client, NULL), CODE_OK);
    conn_start_tls(client, tls, "localhost", NULL);
    tls_unref(tls);
    world.far = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    world.ssl = SSL_new(context);
    SSL_set_fd(world.ssl, world.far);
    (void)peer_step(SSL_accept);
    expect_failure("does not offer HTTP/2");
    SSL_CTX_free(context);
    close(listening);
}
