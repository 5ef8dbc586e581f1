#include "net/key_set.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#define RSA_BITS_MIN 2048
#define P256_LEN 32
#define FIELD_MAX 1024 /* bytes of a number: RSA of 8,192 bits */

struct key {
    char *kid;
    enum jwt_algorithm algorithm;
    EVP_PKEY *key;
};

struct key_set {
    size_t len;
    struct key keys[KEYS_MAX];
};

DEFINE_CLEANUP(BIGNUM, BN_free)
DEFINE_CLEANUP(ECDSA_SIG, ECDSA_SIG_free)
DEFINE_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)
DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP(OSSL_PARAM, OSSL_PARAM_free)

/* ---- one key ---- */

/* NULL: it is none. */
static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *build)
{
    CLEANUP(OSSL_PARAM_freep) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    return key;
}

static bool read_field(const struct json *item, const char *name, char **ret_bytes, size_t *ret_len)
{
    return jwt_base64_decode(json_text(json_get(item, name)), ret_bytes, ret_len) && *ret_len > 0 &&
           *ret_len <= FIELD_MAX;
}

static EVP_PKEY *read_rsa(const struct json *item)
{
    CLEANUP(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    CLEANUP(freep) char *n_bytes = NULL, *e_bytes = NULL;
    CLEANUP(BN_freep) BIGNUM *n = NULL, *e = NULL;
    size_t n_len, e_len;

    if (!read_field(item, "n", &n_bytes, &n_len) || !read_field(item, "e", &e_bytes, &e_len))
        return NULL;
    n = BN_bin2bn((const unsigned char *)n_bytes, (int)n_len, NULL);
    e = BN_bin2bn((const unsigned char *)e_bytes, (int)e_len, NULL);
    if (!build || !n || !e || BN_num_bits(n) < RSA_BITS_MIN || BN_num_bits(e) > 32 ||
        !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) ||
        !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
        return NULL;
    return make_key("RSA", build);
}

static EVP_PKEY *read_p256(const struct json *item)
{
    CLEANUP(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    CLEANUP(freep) char *x = NULL, *y = NULL;
    unsigned char point[1 + 2 * P256_LEN] = {POINT_CONVERSION_UNCOMPRESSED};
    size_t x_len, y_len;

    if (!str_eq(json_text(json_get(item, "crv")), STR("P-256")) ||
        !read_field(item, "x", &x, &x_len) || !read_field(item, "y", &y, &y_len) ||
        x_len != P256_LEN || y_len != P256_LEN)
        return NULL;
    memcpy(point + 1, x, P256_LEN);
    memcpy(point + 1 + P256_LEN, y, P256_LEN);
    if (!build ||
        !OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ||
        !OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)))
        return NULL;
    return make_key("EC", build);
}

static bool is_or_absent(const struct json *item, const char *name, struct str wanted)
{
    const struct json *value = json_get(item, name);

    return !value || (json_type(value) == JSON_STRING && str_eq(json_text(value), wanted));
}

static bool read_key(const struct json *item, struct key *ret_key)
{
    struct str type = json_text(json_get(item, "kty"));
    struct str kid = json_text(json_get(item, "kid"));
    struct key key = {0};

    if (kid.len == 0 || !is_or_absent(item, "use", STR("sig")))
        return false;
    if (str_eq(type, STR("RSA")) && is_or_absent(item, "alg", STR("RS256")))
        key = (struct key){NULL, JWT_RS256, read_rsa(item)};
    else if (str_eq(type, STR("EC")) && is_or_absent(item, "alg", STR("ES256")))
        key = (struct key){NULL, JWT_ES256, read_p256(item)};
    ERR_clear_error();
    if (!key.key)
        return false;
    key.kid = str_dup(kid);
    *ret_key = key;
    return true;
}

/* ---- the set ---- */

enum code key_set_parse(struct str text, struct key_set **ret_set, struct err *err)
{
    CLEANUP(key_set_freep) struct key_set *set = xcalloc(1, sizeof(*set));
    CLEANUP(json_freep) struct json *json = NULL;
    const struct json *keys;
    enum code code = json_parse(text, &json, err);

    if (code != CODE_OK)
        return fail_in(err, "a key set");
    if ((code = json_read_array(json, "", "keys", &keys, err)) != CODE_OK)
        return code;
    for (const struct json *item = json_first(keys); item && set->len < KEYS_MAX;
         item = json_next(item))
        set->len += read_key(item, &set->keys[set->len]);
    if (set->len == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "no key for RS256 or ES256 in a key set");
    *ret_set = TAKE(set);
    return CODE_OK;
}

void key_set_free(struct key_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->len; i++) {
        free(set->keys[i].kid);
        EVP_PKEY_free(set->keys[i].key);
    }
    free(set);
}

size_t key_set_len(const struct key_set *set)
{
    return set->len;
}

/* ---- verifying ---- */

/* The two numbers of an ES256 signature, as OpenSSL has them; 0: they are none. */
static size_t encode_ecdsa(struct str raw, unsigned char out[2 * P256_LEN + 16])
{
    CLEANUP(ECDSA_SIG_freep) ECDSA_SIG *pair = ECDSA_SIG_new();
    const unsigned char *bytes = (const unsigned char *)raw.ptr;
    BIGNUM *r, *s;
    int len;

    if (!pair || raw.len != (size_t)2 * P256_LEN)
        return 0;
    r = BN_bin2bn(bytes, P256_LEN, NULL);
    s = BN_bin2bn(bytes + P256_LEN, P256_LEN, NULL);
    if (!r || !s || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return 0;
    }
    len = i2d_ECDSA_SIG(pair, &out);
    return len > 0 ? (size_t)len : 0;
}

static bool is_signed_by(const struct jwt *jwt, const struct key *key)
{
    CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const unsigned char *signature = (const unsigned char *)jwt->signature.ptr;
    size_t len = jwt->signature.len;
    unsigned char ecdsa[2 * P256_LEN + 16];
    bool good;

    if (jwt->algorithm == JWT_ES256) {
        len = encode_ecdsa(jwt->signature, ecdsa);
        signature = ecdsa;
    }
    good = ctx && len > 0 && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->key) == 1 &&
           EVP_DigestVerify(ctx, signature, len, (const unsigned char *)jwt->covered.ptr,
                            jwt->covered.len) == 1;
    ERR_clear_error();
    return good;
}

enum code key_set_verify(const struct key_set *set, const struct jwt *jwt, struct err *err)
{
    for (size_t i = 0; i < set->len; i++) {
        const struct key *key = &set->keys[i];

        if (!str_eq(str_of(key->kid), jwt->kid) || key->algorithm != jwt->algorithm)
            continue;
        if (is_signed_by(jwt, key))
            return CODE_OK;
        return fail(err, CODE_UNAUTHENTICATED, "the token's signature is not that of its key");
    }
    return fail(err, CODE_NOT_FOUND, "the token's key is unknown");
}
