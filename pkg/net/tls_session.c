#include "net/tls_session.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>

/* ---- the wire, as OpenSSL sees it ---- */

static int wire_read(BIO *bio, char *out, int max)
{
    struct tls_session *session = BIO_get_data(bio);
    size_t len = min_size(session->input.len, (size_t)max);

    BIO_clear_retry_flags(bio);
    if (len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, session->input.ptr, len);
    session->input = str_slice(session->input, len, session->input.len);
    return (int)len;
}

static int wire_write(BIO *bio, const char *ptr, int len)
{
    struct tls_session *session = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    return buf_append(&session->out, ptr, (size_t)len) == CODE_OK ? len : -1;
}

static long wire_control(BIO *bio unused_arg, int command, long number unused_arg,
                         void *ptr unused_arg)
{
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *wire; /* of all sessions, for good */

static void make_wire(void)
{
    wire = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    BIO_meth_set_read(wire, wire_read);
    BIO_meth_set_write(wire, wire_write);
    BIO_meth_set_ctrl(wire, wire_control);
}

static BIO *wire_new(struct tls_session *session)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *bio;

    pthread_once(&once, make_wire);
    bio = BIO_new(wire);
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    return bio;
}

/* ---- failures ---- */

static enum tls_failure failure_of(unsigned long error)
{
    int reason = ERR_GET_REASON(error);

    if (ERR_GET_LIB(error) != ERR_LIB_SSL)
        return TLS_FAILURE_PROTOCOL;
    if (reason > SSL_AD_REASON_OFFSET)
        return TLS_FAILURE_REFUSED;
    switch (reason) {
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return TLS_FAILURE_ALPN;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
        return TLS_FAILURE_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        return TLS_FAILURE_CIPHER;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return TLS_FAILURE_CLIENT;
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
        return TLS_FAILURE_NO_TLS;
    default:
        return TLS_FAILURE_PROTOCOL;
    }
}

/* The first that TLS itself has to say: what lies below and around it is less telling. */
static unsigned long cause(void)
{
    unsigned long first = ERR_peek_error(), error;

    while ((error = ERR_get_error()))
        if (ERR_GET_LIB(error) == ERR_LIB_SSL)
            return error;
    return first;
}

static enum tls_step broken(struct tls_session *session)
{
    unsigned long error = cause();
    const char *text = ERR_reason_error_string(error);

    session->failure = failure_of(error);
    if (session->ssl && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        snprintf(session->reason, sizeof(session->reason), "the %s's certificate: %s",
                 session->server_name ? "server" : "client",
                 X509_verify_cert_error_string(SSL_get_verify_result(session->ssl)));
    else
        snprintf(session->reason, sizeof(session->reason), "%s", text ? text : "no reason given");
    ERR_clear_error();
    return TLS_FAILED;
}

/* What an unfinished step of OpenSSL means. */
static enum tls_step step_of(struct tls_session *session, int result)
{
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_ENDED;
    default:
        return broken(session);
    }
}

/* ---- life ---- */

struct tls_session *tls_session_new(struct tls *tls, const char *server_name)
{
    struct tls_session *session = xcalloc(1, sizeof(*session));

    session->tls = tls_ref(tls);
    session->server_name = server_name ? xstrdup(server_name) : NULL;
    buf_init(&session->out, TLS_OUT_MAX);
    return session;
}

void tls_session_free(struct tls_session *session)
{
    if (!session)
        return;
    SSL_free(session->ssl);
    tls_unref(session->tls);
    account_free(session->account);
    buf_done(&session->out);
    free(session->server_name);
    free(session);
}

/* An address is not for SNI, and is looked for elsewhere in a certificate. */
static bool expect_name(struct tls_session *session)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(session->ssl);

    if (X509_VERIFY_PARAM_set1_ip_asc(param, session->server_name) == 1)
        return true;
    return SSL_set1_host(session->ssl, session->server_name) == 1 &&
           SSL_set_tlsext_host_name(session->ssl, session->server_name) == 1;
}

/* Not before its turn: this is most of what a connection costs. */
static bool begin(struct tls_session *session)
{
    BIO *bio;

    session->ssl = SSL_new(tls_context(session->tls));
    if (!session->ssl)
        return false;
    bio = wire_new(session);
    SSL_set_bio(session->ssl, bio, bio);
    if (!session->server_name) {
        SSL_set_accept_state(session->ssl);
        return true;
    }
    SSL_set_connect_state(session->ssl);
    return expect_name(session);
}

/* ---- bytes ---- */

void tls_session_feed(struct tls_session *session, const char *ptr, size_t len)
{
    assert(session->input.len == 0);
    session->input = str_make(ptr, len);
}

static enum tls_step refuse(struct tls_session *session, enum tls_failure failure,
                            const char *reason)
{
    session->failure = failure;
    snprintf(session->reason, sizeof(session->reason), "%s", reason);
    return TLS_FAILED;
}

bool tls_session_is_http2(const struct tls_session *session)
{
    const unsigned char *ptr;
    unsigned len;

    SSL_get0_alpn_selected(session->ssl, &ptr, &len);
    return str_eq(str_make(ptr, len), STR("h2"));
}

static enum tls_step check_protocol(struct tls_session *session)
{
    if (!session->server_name || tls_session_is_http2(session))
        return TLS_OK;
    return refuse(session, TLS_FAILURE_ALPN, "the server does not offer HTTP/2");
}

/* A certificate that is a workload's names it in one URI, and nobody else. */
static struct service_account *account_in(const GENERAL_NAMES *names)
{
    const ASN1_IA5STRING *uri = NULL;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_URI)
            continue;
        if (uri)
            return NULL;
        uri = name->d.uniformResourceIdentifier;
    }
    if (!uri)
        return NULL;
    return account_of_spiffe(str_make(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri)));
}

/* The handshake has verified the certificate, if there is one. An authority's is nobody's. */
static struct service_account *client_account(SSL *ssl)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    GENERAL_NAMES *names;
    struct service_account *account;

    if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK || X509_check_ca(certificate) == 1)
        return NULL;
    names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    account = account_in(names);
    GENERAL_NAMES_free(names);
    return account;
}

enum tls_step tls_session_handshake(struct tls_session *session)
{
    int result;

    ERR_clear_error();
    if (!session->ssl && !begin(session))
        return broken(session);
    result = SSL_do_handshake(session->ssl);
    if (result != 1)
        return step_of(session, result);
    if (!session->server_name)
        session->account = client_account(session->ssl);
    return check_protocol(session);
}

enum tls_step tls_session_read(struct tls_session *session, char *out, size_t *ret_len)
{
    enum tls_step step = TLS_MORE;

    for (; session->quiet <= TLS_QUIET_MAX; session->quiet++) {
        int result;

        ERR_clear_error();
        result = SSL_read(session->ssl, out, TLS_PLAIN_MAX);
        if (result > 0) {
            session->quiet = 0;
            *ret_len = (size_t)result;
            return TLS_OK;
        }
        step = step_of(session, result);
        if (step != TLS_MORE || session->input.len == 0)
            return step;
    }
    return refuse(session, TLS_FAILURE_PROTOCOL, "too many records without data");
}

static bool write_record(struct tls_session *session, const char *ptr, size_t len)
{
    if (len == 0)
        return true;
    ERR_clear_error();
    if (SSL_write(session->ssl, ptr, (int)len) == (int)len)
        return true;
    (void)broken(session);
    return false;
}

bool tls_session_write(struct tls_session *session, const struct iovec *vector, size_t count)
{
    char record[TLS_PLAIN_MAX];
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        const char *ptr = vector[i].iov_base;
        size_t left = vector[i].iov_len;

        while (left > 0) {
            size_t piece = min_size(left, sizeof(record) - len);

            memcpy(record + len, ptr, piece);
            len += piece;
            ptr += piece;
            left -= piece;
            if (len < sizeof(record))
                continue;
            if (!write_record(session, record, len))
                return false;
            len = 0;
        }
    }
    return write_record(session, record, len);
}

void tls_session_end(struct tls_session *session)
{
    /* Called a second time it would read. */
    if (SSL_is_init_finished(session->ssl) && !(SSL_get_shutdown(session->ssl) & SSL_SENT_SHUTDOWN))
        (void)SSL_shutdown(session->ssl);
    ERR_clear_error();
}
