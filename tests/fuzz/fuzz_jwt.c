/*
 * Any bytes as a token, and, where they begin with '{', as the JSON of its two parts, a line each: what is accepted is
 * complete and within bounds, what is refused has a message, and nobody's signature is that of a key.
 */
#include "base/base64.h"
#include "must_hold.h"
#include "net/verifier.h"

#define NOW_S UINT64_C(1800000000)
#define KEYS                                                                                       \
    "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"a\",\"crv\":\"P-256\","                                  \
    "\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\","                                       \
    "\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"}]}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_part(struct buf *out, struct str bytes)
{
    struct buf text = BUFFER_INIT(1024 * 1024);

    base64_add(&text, bytes);
    for (size_t i = 0; i < text.len && text.ptr[i] != '='; i++)
        buf_add_char(out, text.ptr[i] == '+' ? '-' : text.ptr[i] == '/' ? '_' : text.ptr[i]);
    buf_done(&text);
}

static void make_token(struct str input, struct buf *out)
{
    if (input.len == 0 || input.ptr[0] != '{') {
        (void)buf_add_str(out, input);
        return;
    }
    add_part(out, str_cut(&input, '\n'));
    buf_add_char(out, '.');
    add_part(out, str_cut(&input, '\n'));
    buf_add_char(out, '.');
    add_part(out, input);
}

static void check_decoded(struct str token, const struct jwt *jwt)
{
    must_hold(token.len <= JWT_MAX);
    must_hold(jwt->covered.ptr == token.ptr && jwt->covered.len < token.len);
    must_hold(jwt->kid.len > 0 && jwt->signature.len > 0);
    must_hold(jwt->algorithm == JWT_RS256 || jwt->algorithm == JWT_ES256);
    (void)!jwt_is_for(jwt, STR("lookaside.dev"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct verifier *verifier;
    struct buf token = BUFFER_INIT(1024 * 1024);
    struct service_account *account = NULL;
    struct jwt jwt = {0};
    struct err err = {0};

    if (!verifier)
        must_hold(verifier_new(STR(KEYS), STR("i"), STR("lookaside.dev"), &verifier, &err) ==
                  CODE_OK);
    make_token(str_make(data, size), &token);
    if (!buf_failed(&token)) {
        enum code code = jwt_decode(buf_str(&token), &jwt, &err);

        if (code == CODE_OK)
            check_decoded(buf_str(&token), &jwt);
        must_hold(code == CODE_OK || (err.msg[0] && !jwt.header && !jwt.claims));
        jwt_done(&jwt);
        must_hold(verifier_check(verifier, buf_str(&token), NOW_S * 1000000, &account, &err) !=
                  CODE_OK);
        must_hold(!account && err.msg[0]);
    }
    buf_done(&token);
    return 0;
}
