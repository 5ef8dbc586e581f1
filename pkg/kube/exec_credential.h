/*
 * The ExecCredential of client.authentication.k8s.io, v1 and v1beta1: what a credential plugin is told, and what it answers.
 *
 * Owns:   its texts, which are wiped before they are freed.
 * Errors: name the field and the cause, never a secret.
 */
#ifndef KUBE_EXEC_CREDENTIAL_H
#define KUBE_EXEC_CREDENTIAL_H

#include "kube/config.h"

#define EXEC_TOKEN_MAX 65536
#define EXEC_PEM_MAX (256 * 1024)

struct exec_credential {
    char *token;
    char *cert; /* PEM, as is the key: both or none */
    char *key;
    uint64_t expires_us; /* wall clock; 0: it does not say */
};

/* There is a token, or a certificate with its key, or both. `api_version` is what the kubeconfig asks for. */
enum code exec_credential_parse(struct str text, const char *api_version, struct exec_credential *ret_credential,
                                struct err *err) must_check;
void exec_credential_done(struct exec_credential *credential);

/* The value of KUBERNETES_EXEC_INFO; the caller frees it. `ca` is the certificate authority's PEM, or empty. */
char *exec_credential_ask(const struct kube_config *config, struct str ca) must_check;

#endif
