/* Certificates and keys out of files: what is used, and what is refused with which words. */
#include "tls_world.h"

TestSuite(tls, .init = world_open, .fini = world_close, .timeout = 20);

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in_folder(name), "w");

    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

/* The refusal's words; both files are in the folder. */
static const char *refusal(const char *cert, const char *key)
{
    static struct err err;
    struct tls *tls = NULL;

    err = (struct err){0};
    cr_assert_neq(tls_server_new(in_folder(cert), in_folder(key), clock_wall_us(), &tls, &err),
                  CODE_OK);
    cr_assert_null(tls);
    return err.msg;
}

static void expect_refusal(const char *cert, const char *key, const char *words)
{
    const char *said = refusal(cert, key);

    cr_assert_not_null(strstr(said, words), "'%s' is not in: %s", words, said);
    cr_assert_not_null(strstr(said, world.folder), "no file is named: %s", said);
}

static void sign(const struct certificate_spec *spec, const char *cert, const char *key)
{
    authority_sign(world.authority, spec, cert ? in_folder(cert) : NULL,
                   key ? in_folder(key) : NULL);
}

Test(tls, files_that_cannot_be_read)
{
    expect_refusal("absent.crt", "tls.key", "absent.crt': No such file");
    expect_refusal("tls.crt", "absent.key", "absent.key': No such file");
    expect_refusal("", "tls.key", "not a regular file");
}

Test(tls, files_that_are_no_pem)
{
    write_file("text", "certificates are elsewhere\n");
    write_file("empty", "");
    write_file("torn", "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIU\n"
                       "-----END CERTIFICATE-----\n");
    write_file("cut", "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmg");
    expect_refusal("text", "tls.key", "holds no certificate in PEM");
    expect_refusal("empty", "tls.key", "holds no certificate in PEM");
    expect_refusal("tls.key", "tls.key", "holds no certificate in PEM");
    expect_refusal("torn", "tls.key", "certificate 1 in");
    expect_refusal("cut", "tls.key", "certificate 1 in");
    expect_refusal("tls.crt", "text", "holds no private key in PEM");
    expect_refusal("tls.crt", "empty", "holds no private key in PEM");
    expect_refusal("tls.crt", "tls.crt", "holds no private key in PEM");
}

Test(tls, a_file_that_is_too_large)
{
    FILE *file = fopen(in_folder("large"), "w");

    for (int i = 0; i <= TLS_FILE_MAX; i++)
        fputc('x', file);
    fclose(file);
    expect_refusal("large", "tls.key", "is larger than");
}

Test(tls, a_key_of_another_certificate)
{
    sign(NULL, NULL, "other.key");
    expect_refusal("tls.crt", "other.key", "does not belong to the certificate");
}

Test(tls, an_encrypted_key)
{
    const struct certificate_spec spec = {.passphrase = "secret"};

    sign(&spec, "locked.crt", "locked.key");
    expect_refusal("locked.crt", "locked.key", "is encrypted");
}

Test(tls, certificates_out_of_time)
{
    const struct certificate_spec old = {.begin_s = -7200, .end_s = -60};
    const struct certificate_spec young = {.begin_s = 3600, .end_s = 7200};

    sign(&old, "old.crt", "old.key");
    sign(&young, "young.crt", "young.key");
    expect_refusal("old.crt", "old.key", "has expired at 20");
    expect_refusal("young.crt", "young.key", "is not valid before 20");
}

Test(tls, a_key_that_is_too_short)
{
    const struct certificate_spec spec = {.rsa_bits = 1024};

    sign(&spec, "weak.crt", "weak.key");
    expect_refusal("weak.crt", "weak.key", "key too small");
}

Test(tls, a_chain_goes_with_the_certificate)
{
    char command[256];
    struct tls *tls;
    struct err err = {0};

    snprintf(command, sizeof(command), "cat %s %s > %s", in_folder("tls.crt"), in_folder("ca.crt"),
             in_folder("chain.crt"));
    cr_assert_eq(system(command), 0);
    cr_assert_eq(
        tls_server_new(in_folder("chain.crt"), in_folder("tls.key"), clock_wall_us(), &tls, &err),
        CODE_OK, "%s", err.msg);
    tls_unref(world.server);
    world.server = tls;
    world_accept(&(const struct conn_handler){see_data, see_drained, see_closed});
    cr_assert_eq(peer_connect(), SSL_ERROR_NONE);
    cr_assert_eq(sk_X509_num(SSL_get_peer_cert_chain(world.ssl)), 2);
    write_file("behind", "");
    snprintf(command, sizeof(command), "cat %s > %s; echo '-----BEGIN CERTIFICATE-----' >> %s",
             in_folder("tls.crt"), in_folder("behind"), in_folder("behind"));
    cr_assert_eq(system(command), 0);
    expect_refusal("behind", "tls.key", "certificate 2 in");
}

Test(tls, an_rsa_certificate)
{
    const struct certificate_spec spec = {.rsa_bits = 2048};
    struct tls *tls;
    struct err err = {0};

    sign(&spec, "rsa.crt", "rsa.key");
    cr_assert_eq(
        tls_server_new(in_folder("rsa.crt"), in_folder("rsa.key"), clock_wall_us(), &tls, &err),
        CODE_OK, "%s", err.msg);
    tls_unref(tls);
}

Test(tls, validity_is_the_certificates)
{
    struct tls_validity validity = tls_validity(world.server);
    uint64_t now_us = clock_wall_us();

    cr_assert_lt(validity.begin_us, now_us - 3590 * UINT64_C(1000000));
    cr_assert_gt(validity.end_us, now_us + 86300 * UINT64_C(1000000));
    cr_assert_lt(validity.end_us, now_us + 86500 * UINT64_C(1000000));
}

Test(tls, what_a_client_trusts)
{
    struct tls *tls = NULL;
    struct err err = {0};

    write_file("text", "nobody\n");
    cr_assert_eq(tls_client_new(in_folder("absent"), false, &tls, &err), CODE_NOT_FOUND);
    cr_assert_neq(tls_client_new(in_folder("text"), false, &tls, &err), CODE_OK);
    cr_assert_not_null(strstr(err.msg, "holds no certificate in PEM"));
    cr_assert_eq(tls_client_new(in_folder("ca.crt"), false, &tls, &err), CODE_OK, "%s", err.msg);
    tls_unref(tls);
    cr_assert_eq(tls_client_new(NULL, false, &tls, &err), CODE_OK, "%s", err.msg);
    tls_unref(tls);
}
