#include "kube/config.h"

#include "base/secret_file.h"

#define SERVICE_ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"
#define NAMESPACE_SIZE_MAX 256

static char *path_join(const char *folder, const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    return path;
}

/* The pod's namespace; an unreadable file is no reason not to start. */
static char *pod_namespace(const char *folder)
{
    CLEANUP(freep) char *path = path_join(folder, "namespace");
    CLEANUP(secret_freep) char *text = NULL;
    struct str name;

    if (secret_file_read(path, NAMESPACE_SIZE_MAX, &text, NULL) != CODE_OK)
        return xstrdup("default");
    name = str_trim(str_of(text));
    return name.len > 0 ? str_dup(name) : xstrdup("default");
}

static char *pod_server(const char *host, const char *port)
{
    bool ipv6 = strchr(host, ':') != NULL;
    char *url = NULL;

    if (asprintf(&url, ipv6 ? "https://[%s]:%s" : "https://%s:%s", host, port) < 0)
        abort();
    return url;
}

enum code kube_config_in_folder(const char *folder, struct kube_config **ret_config,
                                struct err *err)
{
    CLEANUP(kube_config_freep) struct kube_config *config = xcalloc(1, sizeof(*config));
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    enum code code;

    if (!host || !*host || !port || !*port)
        return fail(
            err, CODE_NOT_FOUND,
            "not inside a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
    config->server = pod_server(host, port);
    config->namespace_name = pod_namespace(folder);
    config->token_file = path_join(folder, "token");
    config->ca_file = path_join(folder, "ca.crt");
    code = secret_file_check(config->token_file, err);
    if (code == CODE_OK)
        code = secret_file_check(config->ca_file, err);
    if (code != CODE_OK)
        return fail_in(err, "no service account in this pod");
    *ret_config = TAKE(config);
    return CODE_OK;
}

enum code kube_config_in_cluster(struct kube_config **ret_config, struct err *err)
{
    return kube_config_in_folder(SERVICE_ACCOUNT_FOLDER, ret_config, err);
}

static void texts_free(char **texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        secret_free(texts[i]);
    free(texts);
}

static void exec_free(struct kube_exec *exec)
{
    if (!exec)
        return;
    free(exec->api_version);
    texts_free(exec->argv);
    texts_free(exec->env);
    free(exec->install_hint);
    free(exec->cluster_config);
    free(exec);
}

void kube_config_free(struct kube_config *config)
{
    if (!config)
        return;
    free(config->server);
    free(config->namespace_name);
    free(config->ca_file);
    free(config->ca_data);
    free(config->cert_file);
    free(config->cert_data);
    free(config->key_file);
    secret_free(config->key_data);
    secret_free(config->token);
    free(config->token_file);
    exec_free(config->exec);
    free(config->tls_server_name);
    secret_free(config->proxy_url); /* may carry a password */
    free(config);
}
