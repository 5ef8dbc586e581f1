/*
 * How to reach an API server: from a kubeconfig file (one context) or from inside a pod.
 *
 * Errors: a malformed file is refused with file, line or entry name, field and cause; so is whatever would change who we are if it were
 *         ignored. Files that it names must exist; they are read when they are used. Of a credential plugin only the entry is looked at.
 * Owns:   kube_config_free() frees everything and wipes secrets.
 */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

#include "base/err.h"
#include "base/str.h"

/* A credential plugin: a command that prints an ExecCredential. */
struct kube_exec {
    char *api_version;    /* of the ExecCredential: client.authentication.k8s.io/v1 or v1beta1 */
    char **argv;          /* NULL-terminated; argv[0] is absolute, or looked up in PATH */
    char **env;           /* NULL-terminated "NAME=value", in addition to ours */
    char *install_hint;   /* for who does not have the command; or NULL */
    bool cluster_info;    /* it wants to know the cluster */
    char *cluster_config; /* JSON that the kubeconfig has for it, part of that; or NULL */
};

struct kube_config {
    char *server;         /* https://host:port, without a trailing slash */
    char *namespace_name; /* of the context, or of the pod; "default" */
    char *ca_file;        /* one of file or PEM data; both NULL: system roots */
    char *ca_data;
    char *cert_file;
    char *cert_data;
    char *key_file;
    char *key_data;
    char *token;
    char *token_file; /* read again as it rotates */
    char *tls_server_name;
    char *proxy_url; /* http, https or socks5 */
    struct kube_exec *exec; /* then there is no token and no certificate */
    bool insecure_skip_verify;
    bool direct; /* the proxies that the environment names are not for this server */
};

/* `context` NULL: current-context. Relative file names are relative to the kubeconfig's folder. */
enum code kube_config_load(const char *path, const char *context, struct kube_config **ret_config,
                           struct err *err) must_check;
/* The same from text in memory; `path` names it in messages and gives the folder. */
enum code kube_config_parse(struct str text, const char *path, const char *context, struct kube_config **ret_config,
                            struct err *err) must_check;
/* KUBERNETES_SERVICE_HOST/PORT and /var/run/secrets/kubernetes.io/serviceaccount; CODE_NOT_FOUND outside a pod. */
enum code kube_config_in_cluster(struct kube_config **ret_config, struct err *err) must_check;
/* The same for another folder than the service account's. */
enum code kube_config_in_folder(const char *folder, struct kube_config **ret_config, struct err *err) must_check;
/* NULL is fine. */
void kube_config_free(struct kube_config *config);
DEFINE_CLEANUP(struct kube_config, kube_config_free)

#endif
