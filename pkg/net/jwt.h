/*
 * A JSON Web Token (RFC 7519) in its compact form, as service-account tokens are: decoded, not verified (key_set.h).
 *
 * Threads: any; pure.
 * Owns:    jwt_done() frees everything; the texts are borrowed from it, `covered` from the token.
 * Limits:  JWT_MAX bytes. Refused are algorithms other than the two, `alg: none` among them, and headers that must be
 *          understood (crit).
 * Errors:  INVALID_ARGUMENT; the message never holds the token.
 */
#ifndef NET_JWT_H
#define NET_JWT_H

#include "base/json.h"

#define JWT_MAX (16 * 1024)

enum jwt_algorithm { JWT_RS256, JWT_ES256 };

struct jwt {
    enum jwt_algorithm algorithm;
    struct str kid;     /* the key's name; never empty */
    struct str covered; /* what is signed */
    struct str signature;
    struct str issuer, subject;    /* "": there is none */
    const struct json *audiences;  /* a text or a list of texts */
    uint64_t begin_s, end_s;       /* when it is valid, since 1970; begin 0: always so far */
    char *signature_bytes;         /* its own */
    struct json *header, *claims;
};

enum code jwt_decode(struct str token, struct jwt *ret_jwt, struct err *err) must_check;
void jwt_done(struct jwt *jwt); /* {0} is fine */
bool jwt_is_for(const struct jwt *jwt, struct str audience);
/* Base64 of RFC 4648, section 5, without padding, as all parts of a token and of a key are. The result is NUL-terminated
 * and the caller's to free. False: it is something else. */
bool jwt_base64_decode(struct str text, char **ret_bytes, size_t *ret_len) must_check;

#endif
