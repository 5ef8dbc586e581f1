/*
 * Any bytes as what a credential plugin prints: what is accepted is a complete identity that can be sent, what is
 * refused has a message.
 */
#include "kube/exec_credential.h"
#include "must_hold.h"

#define V1 "client.authentication.k8s.io/v1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct exec_credential credential = {0};
    struct err err = {0};

    if (exec_credential_parse(str_make(data, size), V1, &credential, &err) != CODE_OK) {
        must_hold(!credential.token && !credential.cert && !credential.key);
        must_hold(err.msg[0]);
        return 0;
    }
    must_hold(credential.token || credential.cert);
    must_hold(!credential.cert == !credential.key);
    must_hold(!credential.cert || strstr(credential.cert, "-----BEGIN "));
    must_hold(!credential.token || strlen(credential.token) <= EXEC_TOKEN_MAX);
    must_hold(!credential.token || !strpbrk(credential.token, "\r\n"));
    exec_credential_done(&credential);
    return 0;
}
