/*
 * The TLS of one connection, as a machine: bytes of the wire go in and come out, no descriptor. The connection carries
 * them (conn.c). Nobody else includes this header.
 *
 * Idle, it holds no buffers of its own and none of OpenSSL's. What is fed is borrowed until it is used up, which it is when
 * a step says TLS_MORE or fails.
 *
 * Threads: the connection's.
 */
#ifndef NET_TLS_SESSION_H
#define NET_TLS_SESSION_H

#include <sys/uio.h>

#include "base/buf.h"
#include "net/account.h"
#include "net/tls.h"
#include "net/tls_gate.h"

#define TLS_PLAIN_MAX 16384 /* bytes of one record */
#define TLS_REASON_MAX 256
#define TLS_QUIET_MAX 32 /* records in a row that carry no data, such as new keys: each is work */
#define TLS_OUT_MAX (1024u * 1024 * 1024) /* what the user writes is what bounds it */

struct tls_session {
    struct ssl_st *ssl; /* NULL: not begun */
    struct tls *tls;
    char *server_name; /* of a client; NULL: of a server */
    struct str input;
    struct buf out; /* for the wire; the connection consumes it, and frees it when it is empty */
    struct tls_gate *gate; /* NULL: it may go on at any time */
    struct tls_turn turn;
    unsigned quiet; /* of those that TLS_QUIET_MAX is about */
    struct service_account *account; /* of a server: what the client's certificate says; NULL: nothing */
    enum tls_failure failure;
    char reason[TLS_REASON_MAX];
};

enum tls_step {
    TLS_OK,
    TLS_MORE,  /* nothing more without bytes of the peer */
    TLS_ENDED, /* the peer says that it is through */
    TLS_FAILED /* failure and reason say why; `out` may hold an alert */
};

/* tls.c */
struct ssl_ctx_st *tls_context(const struct tls *tls);

/* Takes a reference. A client's peer must have a certificate for `server_name`, a DNS name or an IP address. */
struct tls_session *tls_session_new(struct tls *tls, const char *server_name) must_check;
void tls_session_free(struct tls_session *session); /* NULL is fine */

void tls_session_feed(struct tls_session *session, const char *ptr, size_t len);
/* TLS_OK: the handshake is through. */
enum tls_step tls_session_handshake(struct tls_session *session) must_check;
/* TLS_OK: *ret_len bytes, at least one, are at `out`, which has room for TLS_PLAIN_MAX. */
enum tls_step tls_session_read(struct tls_session *session, char *out, size_t *ret_len) must_check;
/* In as few records as it takes. False: it is broken. */
bool tls_session_write(struct tls_session *session, const struct iovec *vector,
                       size_t count) must_check;
/* HTTP/2 was agreed on, and not HTTP/1.1; behind the handshake only. */
bool tls_session_is_http2(const struct tls_session *session);
/* Tells the peer that nothing more comes; behind the handshake only. */
void tls_session_end(struct tls_session *session);

#endif
