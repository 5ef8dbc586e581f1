/* How the commands that dial the gRPC port come to speak TLS. */
#include "base/clock.h"
#include "command.h"
#include "net/tls.h"

enum code tls_flags_load(const struct tls_flags *flags, struct tls **ret_tls, struct err *err)
{
    CLEANUP(tls_unrefp) struct tls *tls = NULL;
    enum code code;

    *ret_tls = NULL;
    if (flags->ca && flags->insecure)
        return fail(err, CODE_INVALID_ARGUMENT, "--tls-ca and --tls-insecure exclude each other");
    if (!flags->cert != !flags->key)
        return fail(err, CODE_INVALID_ARGUMENT, "--tls-cert and --tls-key belong together");
    if (!flags->on && !flags->ca && !flags->name && !flags->insecure && !flags->cert)
        return CODE_OK;
    code = tls_client_new(flags->ca, flags->insecure, &tls, err);
    if (code == CODE_OK && flags->cert)
        code = tls_show_certificate(tls, flags->cert, flags->key, clock_wall_us(), err);
    if (code == CODE_OK)
        *ret_tls = TAKE(tls);
    return code;
}
