/* How the commands that dial the gRPC port come to speak TLS. */
#include "command.h"
#include "net/tls.h"

enum code tls_flags_load(const struct tls_flags *flags, struct tls **ret_tls, struct err *err)
{
    *ret_tls = NULL;
    if (flags->ca && flags->insecure)
        return fail(err, CODE_INVALID_ARGUMENT, "--tls-ca and --tls-insecure exclude each other");
    if (!flags->on && !flags->ca && !flags->name && !flags->insecure)
        return CODE_OK;
    return tls_client_new(flags->ca, flags->insecure, ret_tls, err);
}
