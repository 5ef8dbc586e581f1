#include "net/verifier.h"

#include <stdatomic.h>

#include "base/clock.h"

struct verifier {
    atomic_uint refs;
    struct key_set *keys;
    char *issuer, *audience;
};

enum code verifier_new(struct str keys, struct str issuer, struct str audience,
                       struct verifier **ret_verifier, struct err *err)
{
    struct key_set *set;
    struct verifier *verifier;
    enum code code = key_set_parse(keys, &set, err);

    if (code != CODE_OK)
        return code;
    verifier = xcalloc(1, sizeof(*verifier));
    atomic_init(&verifier->refs, 1);
    verifier->keys = set;
    verifier->issuer = str_dup(issuer);
    verifier->audience = str_dup(audience);
    *ret_verifier = verifier;
    return CODE_OK;
}

struct verifier *verifier_ref(struct verifier *verifier)
{
    if (verifier)
        atomic_fetch_add_explicit(&verifier->refs, 1, memory_order_relaxed);
    return verifier;
}

void verifier_unref(struct verifier *verifier)
{
    if (!verifier || atomic_fetch_sub_explicit(&verifier->refs, 1, memory_order_acq_rel) != 1)
        return;
    key_set_free(verifier->keys);
    free(verifier->issuer);
    free(verifier->audience);
    free(verifier);
}

size_t verifier_keys(const struct verifier *verifier)
{
    return key_set_len(verifier->keys);
}

static enum code check_time(const struct jwt *jwt, uint64_t now_s, struct err *err)
{
    char text[32];

    if (now_s >= jwt->end_s + VERIFIER_SKEW_S) {
        clock_format_wall(jwt->end_s * 1000000, text);
        return fail(err, CODE_UNAUTHENTICATED, "the token has expired at %s", text);
    }
    if (now_s + VERIFIER_SKEW_S < jwt->begin_s) {
        clock_format_wall(jwt->begin_s * 1000000, text);
        return fail(err, CODE_UNAUTHENTICATED, "the token is not valid before %s", text);
    }
    return CODE_OK;
}

/* What a token says counts only once its signature holds. */
static enum code check_claims(const struct verifier *verifier, const struct jwt *jwt,
                              uint64_t wall_us, struct service_account **ret_account,
                              struct err *err)
{
    enum code code = check_time(jwt, wall_us / 1000000, err);

    if (code != CODE_OK)
        return code;
    if (!str_eq(jwt->issuer, str_of(verifier->issuer)))
        return fail(err, CODE_UNAUTHENTICATED, "the token's issuer is '%" STR_FMT "', not '%s'",
                    STR_ARG(str_slice(jwt->issuer, 0, 128)), verifier->issuer);
    if (!jwt_is_for(jwt, str_of(verifier->audience)))
        return fail(err, CODE_UNAUTHENTICATED, "the token is for another audience than '%s'",
                    verifier->audience);
    *ret_account = account_of_subject(jwt->subject);
    if (!*ret_account)
        return fail(err, CODE_UNAUTHENTICATED, "the token is not of a service account");
    return CODE_OK;
}

enum code verifier_check(const struct verifier *verifier, struct str token, uint64_t wall_us,
                         struct service_account **ret_account, struct err *err)
{
    struct jwt jwt = {0};
    enum code code = jwt_decode(token, &jwt, err);

    if (code != CODE_OK)
        return CODE_UNAUTHENTICATED;
    code = key_set_verify(verifier->keys, &jwt, err);
    if (code == CODE_OK)
        code = check_claims(verifier, &jwt, wall_us, ret_account, err);
    jwt_done(&jwt);
    return code;
}
