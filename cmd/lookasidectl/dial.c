/* How the commands that call the gRPC port dial it, and who they say that they are. */
#include "base/clock.h"
#include "base/secret_file.h"
#include "command.h"
#include "net/tls.h"

static enum code load_tls(const struct dial_flags *flags, struct tls **ret_tls, struct err *err)
{
    CLEANUP(tls_unrefp) struct tls *tls = NULL;
    enum code code = tls_client_new(flags->ca, flags->insecure, &tls, err);

    if (code == CODE_OK && flags->cert)
        code = tls_show_certificate(tls, flags->cert, flags->key, clock_wall_us(), err);
    if (code == CODE_OK)
        *ret_tls = TAKE(tls);
    return code;
}

enum code dial_load(const struct dial_flags *flags, struct dial *ret_dial, struct err *err)
{
    struct dial dial = {.server_name = flags->name,
                        .token = flags->token,
                        .token_plaintext = flags->token_plaintext};
    enum code code = CODE_OK;

    if (flags->ca && flags->insecure)
        return fail(err, CODE_INVALID_ARGUMENT, "--tls-ca and --tls-insecure exclude each other");
    if (!flags->cert != !flags->key)
        return fail(err, CODE_INVALID_ARGUMENT, "--tls-cert and --tls-key belong together");
    if (flags->token_plaintext && !flags->token)
        return fail(err, CODE_INVALID_ARGUMENT, "--token-plaintext needs --token-file");
    if (flags->token)
        code = secret_file_check(flags->token, err);
    if (code == CODE_OK &&
        (flags->tls || flags->ca || flags->name || flags->insecure || flags->cert))
        code = load_tls(flags, &dial.tls, err);
    dial.verified = dial.tls && !flags->insecure;
    if (code == CODE_OK)
        *ret_dial = dial;
    return code;
}

void dial_done(struct dial *dial)
{
    tls_unref(dial->tls);
}
