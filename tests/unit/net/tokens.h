/*
 * Keys, the set that tells of them, and tokens that they sign: for tests.
 */
#ifndef TESTS_UNIT_NET_TOKENS_H
#define TESTS_UNIT_NET_TOKENS_H

#include <criterion/criterion.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/base64.h"
#include "base/buf.h"

/* Base64url without padding. */
static inline void add_base64url(struct buf *out, struct str bytes)
{
    struct buf text = BUFFER_INIT(65536);

    base64_add(&text, bytes);
    for (size_t i = 0; i < text.len && text.ptr[i] != '='; i++)
        buf_add_char(out, text.ptr[i] == '+' ? '-' : text.ptr[i] == '/' ? '_' : text.ptr[i]);
    buf_done(&text);
}

static inline void add_number(struct buf *out, EVP_PKEY *key, const char *name, size_t len)
{
    unsigned char bytes[1024];
    BIGNUM *number = NULL;

    cr_assert_eq(EVP_PKEY_get_bn_param(key, name, &number), 1);
    len = len ? len : (size_t)BN_num_bytes(number);
    cr_assert_eq(BN_bn2binpad(number, bytes, (int)len), (int)len);
    add_base64url(out, str_make(bytes, len));
    BN_free(number);
}

/* Its member of "keys". */
static inline void add_jwk(struct buf *out, EVP_PKEY *key, const char *kid)
{
    bool rsa = EVP_PKEY_is_a(key, "RSA");

    buf_printf(out, "{\"use\":\"sig\",\"kid\":\"%s\",", kid);
    buf_add_str(out, rsa ? STR("\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"")
                         : STR("\"kty\":\"EC\",\"alg\":\"ES256\",\"crv\":\"P-256\",\"x\":\""));
    add_number(out, key, rsa ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_EC_PUB_X, rsa ? 0 : 32);
    buf_add_str(out, rsa ? STR("\",\"e\":\"") : STR("\",\"y\":\""));
    add_number(out, key, rsa ? OSSL_PKEY_PARAM_RSA_E : OSSL_PKEY_PARAM_EC_PUB_Y, rsa ? 0 : 32);
    buf_add_str(out, STR("\"}"));
}

static inline void add_signature(struct buf *out, EVP_PKEY *key, struct str covered)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char signature[1024], pair[64];
    const unsigned char *at = signature;
    size_t len = sizeof(signature);
    ECDSA_SIG *numbers;

    cr_assert_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    cr_assert_eq(EVP_DigestSign(ctx, signature, &len, (const unsigned char *)covered.ptr,
                                covered.len),
                 1);
    EVP_MD_CTX_free(ctx);
    if (EVP_PKEY_is_a(key, "RSA")) {
        add_base64url(out, str_make(signature, len));
        return;
    }
    numbers = d2i_ECDSA_SIG(NULL, &at, (long)len);
    BN_bn2binpad(ECDSA_SIG_get0_r(numbers), pair, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(numbers), pair + 32, 32);
    ECDSA_SIG_free(numbers);
    add_base64url(out, str_make(pair, sizeof(pair)));
}

/* A token out of the JSON of its two parts; the caller frees it. */
static inline char *make_token(const char *header, const char *claims, EVP_PKEY *key)
{
    struct buf covered = BUFFER_INIT(65536), token = BUFFER_INIT(65536);
    char *text;

    add_base64url(&covered, str_of(header));
    buf_add_char(&covered, '.');
    add_base64url(&covered, str_of(claims));
    buf_add_str(&token, buf_str(&covered));
    buf_add_char(&token, '.');
    if (key)
        add_signature(&token, key, buf_str(&covered));
    text = str_dup(buf_str(&token));
    buf_done(&covered);
    buf_done(&token);
    return text;
}

#endif
