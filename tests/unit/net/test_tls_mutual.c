/* Clients that show a certificate: who they are, and which are refused. */
#include "tls_world.h"

static struct authority *stranger;

static void open_asking(void)
{
    world_open();
    stranger = authority_new();
}

static void close_asking(void)
{
    authority_free(stranger);
    world_close();
}

TestSuite(tls_mutual, .init = open_asking, .fini = close_asking, .timeout = 20);

#define SPIFFE "URI:spiffe://cluster.local/ns/web/sa/frontend"

static void ask(bool required)
{
    struct err err = {0};

    cr_assert_eq(tls_ask_clients(world.server, in_folder("ca.crt"), required, &err), CODE_OK, "%s",
                 err.msg);
}

/* The peer has a certificate; of `authority`, NULL: the server knows it. */
static void show(const struct authority *authority, struct certificate_spec spec)
{
    spec.usage = spec.usage ? spec.usage : "clientAuth";
    authority_sign(authority ? authority : world.authority, &spec, in_folder("peer.crt"),
                   in_folder("peer.key"));
    cr_assert_eq(
        SSL_CTX_use_certificate_file(world.context, in_folder("peer.crt"), SSL_FILETYPE_PEM), 1);
    cr_assert_eq(
        SSL_CTX_use_PrivateKey_file(world.context, in_folder("peer.key"), SSL_FILETYPE_PEM), 1);
}

static void connect_now(void)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;

    world_accept(&(const struct conn_handler){see_data, see_drained, see_closed});
    (void)peer_connect();
    while (!seen.closed && !conn_is_open(world.conn) && clock_monotonic_us() < end_us)
        loop_turn(loop, 10);
}

static const struct service_account *accepted(void)
{
    connect_now();
    cr_assert(conn_is_open(world.conn), "%s", seen.reason);
    return conn_account(world.conn);
}

static void expect_refusal(const char *words)
{
    connect_now();
    cr_assert_eq(seen.closed, 1);
    cr_assert_eq(seen.code, CODE_UNAUTHENTICATED);
    cr_assert_not_null(strstr(seen.reason, words), "'%s' is not in: %s", words, seen.reason);
    cr_assert_null(conn_account(world.conn));
    cr_assert_eq(counter_get(&world.stats.failures[TLS_FAILURE_CLIENT]), 1);
}

static void expect_account(void)
{
    const struct service_account *account = accepted();

    cr_assert_not_null(account);
    cr_assert(str_eq(account->namespace_name, STR("web")));
    cr_assert(str_eq(account->name, STR("frontend")));
}

Test(tls_mutual, an_account_is_named_by_its_uri)
{
    ask(true);
    show(NULL, (struct certificate_spec){.names = SPIFFE ",DNS:frontend.web"});
    expect_account();
}

Test(tls_mutual, also_in_tls_1_2)
{
    ask(false);
    SSL_CTX_set_max_proto_version(world.context, TLS1_2_VERSION);
    show(NULL, (struct certificate_spec){.names = SPIFFE});
    expect_account();
}

Test(tls_mutual, a_client_without_one_is_nobody)
{
    ask(false);
    cr_assert_null(accepted());
}

Test(tls_mutual, a_client_without_one_is_refused_on_request)
{
    ask(true);
    expect_refusal("peer did not return a certificate");
}

Test(tls_mutual, a_certificate_that_names_no_account_is_nobody)
{
    ask(true);
    show(NULL, (struct certificate_spec){.names = "DNS:frontend.web"});
    cr_assert_null(accepted());
}

Test(tls_mutual, a_certificate_that_names_two_is_nobody)
{
    ask(true);
    show(NULL, (struct certificate_spec){.names = SPIFFE ",URI:spiffe://cluster.local/ns/a/sa/b"});
    cr_assert_null(accepted());
}

Test(tls_mutual, who_is_not_asked_is_nobody)
{
    show(NULL, (struct certificate_spec){.names = SPIFFE});
    cr_assert_null(accepted());
}

Test(tls_mutual, of_a_strange_authority_is_refused)
{
    ask(false);
    show(stranger, (struct certificate_spec){.names = SPIFFE});
    expect_refusal("the client's certificate: ");
}

Test(tls_mutual, that_has_expired_is_refused)
{
    ask(false);
    show(NULL, (struct certificate_spec){.names = SPIFFE, .begin_s = -7200, .end_s = -60});
    expect_refusal("the client's certificate: certificate has expired");
}

Test(tls_mutual, that_is_not_valid_yet_is_refused)
{
    ask(false);
    show(NULL, (struct certificate_spec){.names = SPIFFE, .begin_s = 3600, .end_s = 7200});
    expect_refusal("the client's certificate: certificate is not yet valid");
}

Test(tls_mutual, a_servers_certificate_is_refused)
{
    ask(false);
    show(NULL, (struct certificate_spec){.names = SPIFFE, .usage = "serverAuth"});
    expect_refusal("the client's certificate: un"); /* unsuitable, unsupported: by version */
}

Test(tls_mutual, authorities_that_cannot_be_read)
{
    struct err err = {0};

    cr_assert_eq(tls_ask_clients(world.server, in_folder("absent"), false, &err), CODE_NOT_FOUND);
    cr_assert_not_null(strstr(err.msg, "absent"));
    cr_assert_eq(tls_ask_clients(world.server, in_folder("tls.key"), false, &err),
                 CODE_INVALID_ARGUMENT);
}

Test(tls_mutual, our_own_client_shows_its_certificate)
{
    struct err err = {0};
    struct tls *tls;

    authority_sign(world.authority,
                   &(struct certificate_spec){.names = SPIFFE, .usage = "clientAuth"},
                   in_folder("peer.crt"), in_folder("peer.key"));
    cr_assert_eq(tls_client_new(in_folder("ca.crt"), false, &tls, &err), CODE_OK, "%s", err.msg);
    cr_assert_neq(tls_show_certificate(tls, in_folder("peer.crt"), in_folder("tls.key"),
                                       clock_wall_us(), &err),
                  CODE_OK);
    cr_assert_eq(tls_show_certificate(tls, in_folder("peer.crt"), in_folder("peer.key"),
                                      clock_wall_us(), &err),
                 CODE_OK, "%s", err.msg);
    tls_unref(tls);
}
