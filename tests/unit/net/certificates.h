/*
 * A throw-away certificate authority, and what it signs: for tests, also those of other layers.
 *
 * Errors: none; a failure ends the process with OpenSSL's words.
 */
#ifndef TESTS_UNIT_NET_CERTIFICATES_H
#define TESTS_UNIT_NET_CERTIFICATES_H

#include <stdint.h>

struct authority;

struct authority *authority_new(void);
void authority_free(struct authority *authority);
void authority_write(const struct authority *authority, const char *path);

struct certificate_spec {
    const char *names;      /* "DNS:a.example,IP:127.0.0.1"; NULL: DNS:localhost,IP:127.0.0.1 */
    int64_t begin_s;        /* from now; 0: an hour ago */
    int64_t end_s;          /* 0: in a day */
    const char *passphrase; /* of the key's file; NULL: none */
    unsigned rsa_bits;      /* 0: P-256 */
    const char *usage;      /* NULL: serverAuth */
};

/* A new key, and its certificate; spec NULL: all defaults. A file whose path is NULL is not written. */
void authority_sign(const struct authority *authority, const struct certificate_spec *spec,
                    const char *cert_path, const char *key_path);

#endif
