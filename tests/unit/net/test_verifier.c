/* Tokens: whose they are, and which do not hold, for which reason. */
#include "net/verifier.h"
#include "tokens.h"

#define NOW_S UINT64_C(1800000000)
#define CLAIMS                                                                                     \
    "{\"iss\":\"https://issuer\",\"sub\":\"system:serviceaccount:web:frontend\",\"aud\":"          \
    "[\"other\",\"lookaside.dev\"],\"exp\":1800000100,\"nbf\":1799999900}"

static EVP_PKEY *rsa, *ec, *stranger, *small;
static struct verifier *verifier;

static void open_keys(void)
{
    struct buf set = BUFFER_INIT(65536);
    struct err err = {0};

    rsa = EVP_RSA_gen(2048);
    small = EVP_RSA_gen(1024);
    ec = EVP_EC_gen("P-256");
    stranger = EVP_RSA_gen(2048);
    buf_add_str(&set, STR("{\"keys\":[{},5,{\"kty\":\"oct\",\"kid\":\"x\",\"k\":\"AAAA\"},"));
    add_jwk(&set, small, "small");
    buf_add_char(&set, ',');
    add_jwk(&set, rsa, "rsa");
    buf_add_char(&set, ',');
    add_jwk(&set, ec, "ec");
    buf_add_str(&set, STR("]}"));
    cr_assert_eq(
        verifier_new(buf_str(&set), STR("https://issuer"), STR("lookaside.dev"), &verifier, &err),
        CODE_OK, "%s", err.msg);
    cr_assert_eq(verifier_keys(verifier), 2);
    buf_done(&set);
}

static void close_keys(void)
{
    verifier_unref(verifier);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(small);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(stranger);
}

TestSuite(verifier, .init = open_keys, .fini = close_keys, .timeout = 30);

static enum code check_at(const char *token, uint64_t now_s, struct service_account **ret_account,
                          struct err *err)
{
    return verifier_check(verifier, str_of(token), now_s * 1000000, ret_account, err);
}

static void expect_account(const char *header, EVP_PKEY *key)
{
    CLEANUP(freep) char *token = make_token(header, CLAIMS, key);
    struct service_account *account = NULL;
    struct err err = {0};

    cr_assert_eq(check_at(token, NOW_S, &account, &err), CODE_OK, "%s", err.msg);
    cr_assert(str_eq(account->namespace_name, STR("web")));
    cr_assert(str_eq(account->name, STR("frontend")));
    account_free(account);
}

static void expect_refusal_of(const char *token, uint64_t now_s, enum code code, const char *words)
{
    struct service_account *account = NULL;
    struct err err = {0};

    cr_assert_eq(check_at(token, now_s, &account, &err), code, "%s: %s", token, err.msg);
    cr_assert_null(account);
    cr_assert_not_null(strstr(err.msg, words), "'%s' is not in: %s", words, err.msg);
}

static void expect_refusal(const char *header, const char *claims, EVP_PKEY *key, enum code code,
                           const char *words)
{
    CLEANUP(freep) char *token = make_token(header, claims, key);

    expect_refusal_of(token, NOW_S, code, words);
}

#define RS256 "{\"alg\":\"RS256\",\"kid\":\"rsa\"}"
#define ES256 "{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"JWT\"}"

Test(verifier, both_algorithms)
{
    expect_account(RS256, rsa);
    expect_account(ES256, ec);
}

Test(verifier, algorithms_that_are_none)
{
    const char *const names[] = {"none", "None", "", "HS256", "RS512", "PS256", "ES384", "rs256"};
    char header[64];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"rsa\"}", names[i]);
        expect_refusal(header, CLAIMS, rsa, CODE_UNAUTHENTICATED, "is signed by algorithm");
        expect_refusal(header, CLAIMS, NULL, CODE_UNAUTHENTICATED, "is signed by algorithm");
    }
    expect_refusal("{\"kid\":\"rsa\"}", CLAIMS, rsa, CODE_UNAUTHENTICATED, "algorithm ''");
    expect_refusal("{\"alg\":5,\"kid\":\"rsa\"}", CLAIMS, rsa, CODE_UNAUTHENTICATED, "alg");
}

Test(verifier, a_key_counts_for_its_own_algorithm)
{
    expect_refusal("{\"alg\":\"ES256\",\"kid\":\"rsa\"}", CLAIMS, ec, CODE_NOT_FOUND, "unknown");
    expect_refusal("{\"alg\":\"RS256\",\"kid\":\"ec\"}", CLAIMS, rsa, CODE_NOT_FOUND, "unknown");
}

Test(verifier, keys_that_are_unknown)
{
    expect_refusal("{\"alg\":\"RS256\",\"kid\":\"new\"}", CLAIMS, stranger, CODE_NOT_FOUND,
                   "key is unknown");
    expect_refusal("{\"alg\":\"RS256\",\"kid\":\"small\"}", CLAIMS, small, CODE_NOT_FOUND,
                   "key is unknown");
    expect_refusal("{\"alg\":\"RS256\"}", CLAIMS, rsa, CODE_UNAUTHENTICATED, "names no key");
}

Test(verifier, signatures_of_others)
{
    expect_refusal(RS256, CLAIMS, stranger, CODE_UNAUTHENTICATED, "signature is not that");
    expect_refusal(RS256, CLAIMS, NULL, CODE_UNAUTHENTICATED, "signature is not base64url");
    expect_refusal(ES256, CLAIMS, rsa, CODE_UNAUTHENTICATED, "signature is not that");
    expect_refusal(RS256, CLAIMS, ec, CODE_UNAUTHENTICATED, "signature is not that");
}

Test(verifier, every_changed_character_is_refused)
{
    CLEANUP(freep) char *token = make_token(ES256, CLAIMS, ec);

    /* The last one has bits that say nothing. */
    for (size_t i = 0; i + 1 < strlen(token); i++) {
        char was = token[i];
        struct service_account *account = NULL;

        token[i] = was == 'A' ? 'B' : 'A';
        cr_assert_neq(check_at(token, NOW_S, &account, NULL), CODE_OK, "at %zu", i);
        token[i] = was;
    }
}

Test(verifier, time)
{
    CLEANUP(freep) char *token = make_token(RS256, CLAIMS, rsa);
    struct service_account *account = NULL;

    expect_refusal_of(token, NOW_S - 111, CODE_UNAUTHENTICATED, "is not valid before 20");
    expect_refusal_of(token, NOW_S + 110, CODE_UNAUTHENTICATED, "has expired at 20");
    for (int64_t at = -110; at <= 109; at += 219) {
        cr_assert_eq(check_at(token, NOW_S + (uint64_t)at, &account, NULL), CODE_OK);
        account_free(account);
    }
}

#define WITH(issuer, subject, audience, more)                                                      \
    "{\"iss\":\"" issuer "\",\"sub\":\"" subject "\",\"aud\":" audience more "}"
#define GOOD "system:serviceaccount:web:frontend"
#define EXP ",\"exp\":1800000100"

Test(verifier, claims_that_are_others)
{
    const struct {
        const char *claims, *words;
    } bad[] = {
        {WITH("https://evil", GOOD, "\"lookaside.dev\"", EXP), "issuer is 'https://evil', not"},
        {WITH("", GOOD, "\"lookaside.dev\"", EXP), "issuer is ''"},
        {WITH("https://issuer", GOOD, "\"api\"", EXP), "another audience"},
        {WITH("https://issuer", GOOD, "[]", EXP), "another audience"},
        {WITH("https://issuer", GOOD, "[[\"lookaside.dev\"]]", EXP), "another audience"},
        {WITH("https://issuer", GOOD, "{\"a\":\"lookaside.dev\"}", EXP), "another audience"},
        {WITH("https://issuer", GOOD, "null", EXP), "another audience"},
        {WITH("https://issuer", "admin", "\"lookaside.dev\"", EXP), "not of a service account"},
        {WITH("https://issuer", "system:node:a", "\"lookaside.dev\"", EXP), "not of a service"},
        {WITH("https://issuer", GOOD, "\"lookaside.dev\"", ""), "never expires"},
        {WITH("https://issuer", GOOD, "\"lookaside.dev\"", ",\"exp\":\"1800000100\""), "no time"},
        {WITH("https://issuer", GOOD, "\"lookaside.dev\"", ",\"exp\":-1"), "no time"},
        {WITH("https://issuer", GOOD, "\"lookaside.dev\"", ",\"exp\":1e300"), "no time"},
        {WITH("https://issuer", GOOD, "\"lookaside.dev\"", EXP ",\"nbf\":true"), "no time"},
        {"[]", "body is not an object"},
        {"", "body is not JSON"},
        {"{\"exp\":1", "body is not JSON"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_refusal(RS256, bad[i].claims, rsa, CODE_UNAUTHENTICATED, bad[i].words);
}

Test(verifier, what_is_no_token)
{
    static char large[JWT_MAX + 2];
    const struct {
        const char *token, *words;
    } bad[] = {{"", "three parts"},
               {"a", "three parts"},
               {"a.b", "three parts"},
               {"a.b.c.d", "three parts"},
               {"..", "header is not JSON"},
               {"e30.e30.AA", "algorithm ''"},
               {"e+0.e30.AA", "header is not base64url"},
               {"e30=.e30.AA", "header is not base64url"},
               {"e30 .e30.AA", "header is not base64url"},
               {"e.e30.AA", "header is not base64url"},
               {"\xff.e30.AA", "header is not base64url"}};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_refusal_of(bad[i].token, NOW_S, CODE_UNAUTHENTICATED, bad[i].words);
    memset(large, 'a', sizeof(large) - 1);
    expect_refusal_of(large, NOW_S, CODE_UNAUTHENTICATED, "longer than");
    expect_refusal("{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"x\"]}", CLAIMS, rsa,
                   CODE_UNAUTHENTICATED, "must be understood");
}

Test(verifier, sets_without_keys)
{
    const char *const sets[] = {"", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[{}]}",
                                "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"AQ\",\"e\":"
                                "\"AQAB\"}]}",
                                "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"a\",\"crv\":\"P-256\",\"x\":"
                                "\"AQ\",\"y\":\"AQ\"}]}",
                                /* a point that is not on the curve */
                                "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"a\",\"crv\":\"P-256\",\"x\":"
                                "\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\",\"y\":"
                                "\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\"}]}"};

    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        struct verifier *none = NULL;
        struct err err = {0};

        cr_assert_neq(verifier_new(str_of(sets[i]), STR("a"), STR("b"), &none, &err), CODE_OK, "%s",
                      sets[i]);
        cr_assert_null(none);
        cr_assert_neq(err.msg[0], '\0');
    }
}

Test(verifier, a_key_for_encryption_is_passed_over)
{
    struct buf set = BUFFER_INIT(65536);
    struct verifier *none = NULL;
    char *at;

    buf_add_str(&set, STR("{\"keys\":["));
    add_jwk(&set, rsa, "rsa");
    buf_add_str(&set, STR("]}"));
    at = strstr(buf_cstr(&set), "\"sig\"");
    memcpy((void *)(uintptr_t)at, "\"enc\"", 5);
    cr_assert_neq(verifier_new(buf_str(&set), STR("a"), STR("b"), &none, NULL), CODE_OK);
    buf_done(&set);
}
