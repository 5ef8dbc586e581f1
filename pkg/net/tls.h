/*
 * What the TLS connections of one kind share: a server's certificate and key, or what a client trusts.
 *
 * TLS 1.2 and 1.3, forward secrecy and authenticated encryption only, HTTP/2 by ALPN (RFC 9113; of servers also HTTP/1.1), nothing that could be
 * resumed.
 *
 * Threads: immutable once made; references, and the connections that use it, on any.
 * Owns:    no file: what they held is copied.
 * Errors:  name the file, and what is wrong with it.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/err.h"

#define TLS_FILE_MAX (1024 * 1024)

struct tls;

/* A server's, out of PEM files: the certificate with the chain behind it, and its key without a passphrase. Refused is
 * also a certificate that is not valid at `wall_us`. */
enum code tls_server_new(const char *cert_path, const char *key_path, uint64_t wall_us,
                         struct tls **ret_tls, struct err *err) must_check;
/* A client's. `ca_path`: PEM certificates that it trusts; NULL: the system's. `insecure`: it trusts everybody. */
enum code tls_client_new(const char *ca_path, bool insecure, struct tls **ret_tls,
                         struct err *err) must_check;
/* What is added before the first connection uses it. Of a server: clients are asked for a certificate, which one of the
 * authorities in that PEM file must have signed; `required`: who has none is refused. Of a client: the certificate and key
 * that it shows when it is asked. */
enum code tls_ask_clients(struct tls *tls, const char *ca_path, bool required,
                          struct err *err) must_check;
enum code tls_show_certificate(struct tls *tls, const char *cert_path, const char *key_path,
                               uint64_t wall_us, struct err *err) must_check;
struct tls *tls_ref(struct tls *tls); /* any thread; NULL is fine */
void tls_unref(struct tls *tls);      /* any thread; NULL is fine */
DEFINE_CLEANUP(struct tls, tls_unref)

/* When a server's certificate is valid; since 1970. The rest of its chain is not looked at: a client may have a way
 * around it. */
struct tls_validity {
    uint64_t begin_us, end_us;
};

struct tls_validity tls_validity(const struct tls *tls);

#endif
