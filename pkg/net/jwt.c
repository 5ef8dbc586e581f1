#include "net/jwt.h"

#include "base/base64.h"

#define SECONDS_MAX (UINT64_C(1) << 40)

bool jwt_base64_decode(struct str text, char **ret_bytes, size_t *ret_len)
{
    CLEANUP(freep) char *copy = xmalloc(text.len + 4);
    size_t len = text.len;

    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];
        bool plain =
            (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');

        if (!plain && ch != '-' && ch != '_')
            return false;
        copy[i] = ch == '-' ? '+' : ch;
        copy[i] = ch == '_' ? '/' : copy[i];
    }
    while (len % 4 != 0)
        copy[len++] = '=';
    return base64_decode(str_make(copy, len), ret_bytes, ret_len, NULL) == CODE_OK;
}

static enum code read_part(struct str part, const char *what, struct json **ret_json,
                           struct err *err)
{
    CLEANUP(freep) char *bytes = NULL;
    struct err why = {0};
    size_t len;

    if (!jwt_base64_decode(part, &bytes, &len))
        return fail(err, CODE_INVALID_ARGUMENT, "the token's %s is not base64url", what);
    if (json_parse(str_make(bytes, len), ret_json, &why) != CODE_OK)
        return fail(err, CODE_INVALID_ARGUMENT, "the token's %s is not JSON", what);
    if (json_type(*ret_json) != JSON_OBJECT)
        return fail(err, CODE_INVALID_ARGUMENT, "the token's %s is not an object", what);
    return CODE_OK;
}

static enum code read_header(struct jwt *jwt, struct err *err)
{
    struct str algorithm, type;
    enum code code = json_read_str(jwt->header, "header", "alg", STR(""), &algorithm, err);

    if (code == CODE_OK)
        code = json_read_str(jwt->header, "header", "kid", STR(""), &jwt->kid, err);
    if (code == CODE_OK)
        code = json_read_str(jwt->header, "header", "typ", STR(""), &type, err);
    if (code != CODE_OK)
        return code;
    if (json_get(jwt->header, "crit"))
        return fail(err, CODE_INVALID_ARGUMENT, "the token has headers that must be understood");
    jwt->algorithm = str_eq(algorithm, STR("ES256")) ? JWT_ES256 : JWT_RS256;
    if (jwt->algorithm == JWT_RS256 && !str_eq(algorithm, STR("RS256")))
        return fail(err, CODE_INVALID_ARGUMENT,
                    "the token is signed by algorithm '%" STR_FMT "', not RS256 or ES256",
                    STR_ARG(str_slice(algorithm, 0, 16)));
    if (jwt->kid.len == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "the token names no key");
    return CODE_OK;
}

/* Seconds may have a fraction, which does not matter. */
static enum code read_time(const struct json *claims, const char *key, uint64_t *ret_s,
                           struct err *err)
{
    const struct json *item = json_get(claims, key);
    double number = json_number(item);

    *ret_s = 0;
    if (!item)
        return CODE_OK;
    if (json_type(item) != JSON_NUMBER || !(number >= 0 && number <= (double)SECONDS_MAX))
        return fail(err, CODE_INVALID_ARGUMENT, "the token's '%s' is no time", key);
    *ret_s = (uint64_t)number;
    return CODE_OK;
}

static enum code read_claims(struct jwt *jwt, struct err *err)
{
    enum code code = json_read_str(jwt->claims, "claims", "iss", STR(""), &jwt->issuer, err);

    if (code == CODE_OK)
        code = json_read_str(jwt->claims, "claims", "sub", STR(""), &jwt->subject, err);
    if (code == CODE_OK)
        code = read_time(jwt->claims, "nbf", &jwt->begin_s, err);
    if (code == CODE_OK)
        code = read_time(jwt->claims, "exp", &jwt->end_s, err);
    if (code != CODE_OK)
        return code;
    if (!json_get(jwt->claims, "exp"))
        return fail(err, CODE_INVALID_ARGUMENT, "the token never expires");
    jwt->audiences = json_get(jwt->claims, "aud");
    return CODE_OK;
}

static enum code decode(struct str token, struct jwt *jwt, struct err *err)
{
    struct str rest = token, header, claims;
    size_t len;
    enum code code;

    if (token.len > JWT_MAX)
        return fail(err, CODE_INVALID_ARGUMENT, "the token is longer than %d bytes", JWT_MAX);
    header = str_cut(&rest, '.');
    claims = str_cut(&rest, '.');
    if (!rest.ptr || str_find(rest, '.') < rest.len)
        return fail(err, CODE_INVALID_ARGUMENT, "the token has not three parts");
    jwt->covered = str_make(token.ptr, header.len + 1 + claims.len);
    if ((code = read_part(header, "header", &jwt->header, err)) != CODE_OK ||
        (code = read_header(jwt, err)) != CODE_OK ||
        (code = read_part(claims, "body", &jwt->claims, err)) != CODE_OK ||
        (code = read_claims(jwt, err)) != CODE_OK)
        return code;
    if (!jwt_base64_decode(rest, &jwt->signature_bytes, &len) || len == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "the token's signature is not base64url");
    jwt->signature = str_make(jwt->signature_bytes, len);
    return CODE_OK;
}

enum code jwt_decode(struct str token, struct jwt *ret_jwt, struct err *err)
{
    struct jwt jwt = {0};
    enum code code = decode(token, &jwt, err);

    if (code == CODE_OK)
        *ret_jwt = jwt;
    else
        jwt_done(&jwt);
    return code;
}

void jwt_done(struct jwt *jwt)
{
    free(jwt->signature_bytes);
    json_free(jwt->header);
    json_free(jwt->claims);
    *jwt = (struct jwt){0};
}

static bool is_text(const struct json *json, struct str text)
{
    return json_type(json) == JSON_STRING && str_eq(json_text(json), text);
}

bool jwt_is_for(const struct jwt *jwt, struct str audience)
{
    const struct json *item;

    if (json_type(jwt->audiences) != JSON_ARRAY)
        return is_text(jwt->audiences, audience);
    for (item = json_first(jwt->audiences); item; item = json_next(item))
        if (is_text(item, audience))
            return true;
    return false;
}
