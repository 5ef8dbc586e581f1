#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/secret_file.h"
#include "net/tls_session.h"

/* Of TLS 1.2; those of 1.3 are all good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS "X25519:P-256:P-384"
#define CHAIN_MAX 32
#define PROTOCOL "\x02h2"

typedef STACK_OF(X509) certificates;

struct tls {
    atomic_uint refs;
    SSL_CTX *ssl;
    struct tls_validity validity;
};

static void certificates_free(certificates *list)
{
    sk_X509_pop_free(list, X509_free);
}

DEFINE_CLEANUP(certificates, certificates_free)
DEFINE_CLEANUP(BIO, BIO_free_all)
DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)

static const char *error_text(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());

    return text ? text : "no reason given";
}

/* ---- files ---- */

static enum code read_text(const char *path, char **ret_text, BIO **ret_bio, struct err *err)
{
    enum code code = secret_file_read(path, TLS_FILE_MAX, ret_text, err);

    if (code != CODE_OK)
        return code;
    *ret_bio = BIO_new_mem_buf(*ret_text, -1);
    ERR_clear_error();
    return *ret_bio ? CODE_OK : fail(err, CODE_RESOURCE_EXHAUSTED, "out of memory");
}

/* At least one. */
static enum code read_certificates(const char *path, certificates **ret_list, struct err *err)
{
    CLEANUP(secret_freep) char *text = NULL;
    CLEANUP(BIO_free_allp) BIO *bio = NULL;
    CLEANUP(certificates_freep) certificates *list = sk_X509_new_null();
    enum code code = read_text(path, &text, &bio, err);
    X509 *one;

    if (code != CODE_OK)
        return code;
    while ((one = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        sk_X509_push(list, one);
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return fail(err, CODE_INVALID_ARGUMENT, "certificate %d in '%s' is malformed: %s",
                    sk_X509_num(list) + 1, path, error_text());
    if (sk_X509_num(list) == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "'%s' holds no certificate in PEM", path);
    *ret_list = TAKE(list);
    return CODE_OK;
}

static int on_passphrase(char *out unused_arg, int size unused_arg, int writing unused_arg,
                         void *ctx)
{
    bool *asked = ctx;

    *asked = true;
    return -1;
}

static enum code read_key(const char *path, EVP_PKEY **ret_key, struct err *err)
{
    CLEANUP(secret_freep) char *text = NULL;
    CLEANUP(BIO_free_allp) BIO *bio = NULL;
    enum code code = read_text(path, &text, &bio, err);
    bool encrypted = false;

    if (code != CODE_OK)
        return code;
    *ret_key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &encrypted);
    if (*ret_key)
        return CODE_OK;
    if (encrypted)
        return fail(err, CODE_INVALID_ARGUMENT, "the key in '%s' is encrypted", path);
    return fail(err, CODE_INVALID_ARGUMENT, "'%s' holds no private key in PEM that can be read",
                path);
}

/* ---- what both kinds have in common ---- */

static enum code new_context(const SSL_METHOD *method, struct tls **ret_tls, struct err *err)
{
    CLEANUP(tls_unrefp) struct tls *tls = xcalloc(1, sizeof(*tls));

    atomic_init(&tls->refs, 1);
    tls->ssl = SSL_CTX_new(method);
    if (!tls->ssl || !SSL_CTX_set_min_proto_version(tls->ssl, TLS1_2_VERSION) ||
        !SSL_CTX_set_cipher_list(tls->ssl, CIPHERS) || !SSL_CTX_set1_groups_list(tls->ssl, GROUPS))
        return fail(err, CODE_INTERNAL, "cannot start TLS: %s", error_text());
    SSL_CTX_set_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_clear_mode(tls->ssl, SSL_MODE_AUTO_RETRY); /* the session counts records without data */
    SSL_CTX_set_options(tls->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(tls->ssl, SSL_SESS_CACHE_OFF);
    *ret_tls = TAKE(tls);
    return CODE_OK;
}

struct ssl_ctx_st *tls_context(const struct tls *tls)
{
    return tls->ssl;
}

struct tls *tls_ref(struct tls *tls)
{
    if (tls)
        atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
    return tls;
}

void tls_unref(struct tls *tls)
{
    if (!tls || atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(tls->ssl);
    free(tls);
}

static enum code trust_file(struct tls *tls, const char *path, struct err *err)
{
    CLEANUP(certificates_freep) certificates *list = NULL;
    X509_STORE *store = SSL_CTX_get_cert_store(tls->ssl);
    enum code code = read_certificates(path, &list, err);

    for (int i = 0; code == CODE_OK && i < sk_X509_num(list); i++)
        if (X509_STORE_add_cert(store, sk_X509_value(list, i)) != 1)
            code = fail(err, CODE_INVALID_ARGUMENT, "cannot use certificate %d in '%s': %s", i + 1,
                        path, error_text());
    return code;
}

/* ---- servers ---- */

/* A client that offers no protocol at all is told before any work is done for it. */
static int on_hello(SSL *ssl, int *alert, void *ctx unused_arg)
{
    const unsigned char *ptr;
    size_t len;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &ptr,
                                  &len))
        return SSL_CLIENT_HELLO_SUCCESS;
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_APPLICATION_PROTOCOL);
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

static int on_protocols(SSL *ssl unused_arg, const unsigned char **ret_ptr, unsigned char *ret_len,
                        const unsigned char *offered, unsigned offered_len, void *ctx unused_arg)
{
    static const unsigned char ours[] = PROTOCOL "\x08http/1.1"; /* the order is ours */
    unsigned char *found;

    if (SSL_select_next_proto(&found, ret_len, ours, sizeof(ours) - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_ptr = found;
    return SSL_TLSEXT_ERR_OK;
}

static uint64_t time_us(const ASN1_TIME *time)
{
    struct tm parts;
    time_t seconds = ASN1_TIME_to_tm(time, &parts) ? timegm(&parts) : 0;

    return seconds > 0 ? (uint64_t)seconds * 1000000 : 0;
}

static enum code check_validity(struct tls *tls, const X509 *certificate, const char *path,
                                uint64_t wall_us, struct err *err)
{
    char text[32];

    tls->validity.begin_us = time_us(X509_get0_notBefore(certificate));
    tls->validity.end_us = time_us(X509_get0_notAfter(certificate));
    if (wall_us >= tls->validity.end_us) {
        clock_format_wall(tls->validity.end_us, text);
        return fail(err, CODE_INVALID_ARGUMENT, "the certificate in '%s' has expired at %s", path,
                    text);
    }
    if (wall_us < tls->validity.begin_us) {
        clock_format_wall(tls->validity.begin_us, text);
        return fail(err, CODE_INVALID_ARGUMENT, "the certificate in '%s' is not valid before %s",
                    path, text);
    }
    return CODE_OK;
}

static enum code use_chain(struct tls *tls, certificates *list, const char *path, struct err *err)
{
    bool used = SSL_CTX_use_certificate(tls->ssl, sk_X509_value(list, 0)) == 1;

    if (sk_X509_num(list) > CHAIN_MAX)
        return fail(err, CODE_INVALID_ARGUMENT, "'%s' holds more than %d certificates", path,
                    CHAIN_MAX);
    for (int i = 1; i < sk_X509_num(list); i++)
        used = used && SSL_CTX_add1_chain_cert(tls->ssl, sk_X509_value(list, i)) == 1;
    if (!used)
        return fail(err, CODE_INVALID_ARGUMENT, "cannot use the certificate in '%s': %s", path,
                    error_text());
    return CODE_OK;
}

static enum code use_files(struct tls *tls, const char *cert_path, const char *key_path,
                           uint64_t wall_us, struct err *err)
{
    CLEANUP(certificates_freep) certificates *list = NULL;
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
    enum code code = read_certificates(cert_path, &list, err);

    if (code == CODE_OK)
        code = check_validity(tls, sk_X509_value(list, 0), cert_path, wall_us, err);
    if (code == CODE_OK)
        code = read_key(key_path, &key, err);
    if (code != CODE_OK)
        return code;
    if (X509_check_private_key(sk_X509_value(list, 0), key) != 1)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "the key in '%s' does not belong to the certificate in '%s'", key_path,
                    cert_path);
    code = use_chain(tls, list, cert_path, err);
    if (code == CODE_OK && SSL_CTX_use_PrivateKey(tls->ssl, key) != 1)
        return fail(err, CODE_INVALID_ARGUMENT, "cannot use the key in '%s': %s", key_path,
                    error_text());
    return code;
}

enum code tls_server_new(const char *cert_path, const char *key_path, uint64_t wall_us,
                         struct tls **ret_tls, struct err *err)
{
    CLEANUP(tls_unrefp) struct tls *tls = NULL;
    enum code code = new_context(TLS_server_method(), &tls, err);

    if (code == CODE_OK)
        code = use_files(tls, cert_path, key_path, wall_us, err);
    if (code != CODE_OK)
        return code;
    SSL_CTX_set_num_tickets(tls->ssl, 0);
    SSL_CTX_set_client_hello_cb(tls->ssl, on_hello, NULL);
    SSL_CTX_set_alpn_select_cb(tls->ssl, on_protocols, NULL);
    *ret_tls = TAKE(tls);
    return CODE_OK;
}

enum code tls_ask_clients(struct tls *tls, const char *ca_path, bool required, struct err *err)
{
    enum code code = trust_file(tls, ca_path, err);

    SSL_CTX_set_verify(tls->ssl, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       NULL);
    return code;
}

struct tls_validity tls_validity(const struct tls *tls)
{
    return tls->validity;
}

/* ---- clients ---- */

enum code tls_client_new(const char *ca_path, bool insecure, struct tls **ret_tls, struct err *err)
{
    CLEANUP(tls_unrefp) struct tls *tls = NULL;
    enum code code = new_context(TLS_client_method(), &tls, err);

    if (code == CODE_OK && ca_path)
        code = trust_file(tls, ca_path, err);
    else if (code == CODE_OK && !insecure && SSL_CTX_set_default_verify_paths(tls->ssl) != 1)
        code = fail(err, CODE_NOT_FOUND, "cannot read the system's certificates: %s", error_text());
    if (code != CODE_OK)
        return code;
    SSL_CTX_set_verify(tls->ssl, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_alpn_protos(tls->ssl, (const unsigned char *)PROTOCOL, strlen(PROTOCOL)) != 0)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "out of memory");
    *ret_tls = TAKE(tls);
    return CODE_OK;
}

enum code tls_show_certificate(struct tls *tls, const char *cert_path, const char *key_path,
                               uint64_t wall_us, struct err *err)
{
    return use_files(tls, cert_path, key_path, wall_us, err);
}
