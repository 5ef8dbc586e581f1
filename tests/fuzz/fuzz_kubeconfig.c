/*
 * Any bytes as a kubeconfig: what is accepted has a server and a complete identity, what is refused
 * has a message that names the file.
 */
#include "kube/config.h"
#include "must_hold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(kube_config_freep) struct kube_config *config = NULL;
    struct err err = {0};

    if (kube_config_parse(str_make(data, size), "/nowhere/config", NULL, &config, &err) !=
        CODE_OK) {
        must_hold(!config);
        must_hold(str_starts_with(str_of(err.msg), STR("kubeconfig '/nowhere/config': ")));
        return 0;
    }
    must_hold(str_starts_with(str_of(config->server), STR("http")));
    must_hold(config->namespace_name && *config->namespace_name);
    must_hold(!config->ca_data || strstr(config->ca_data, "-----BEGIN "));
    must_hold((config->cert_file || config->cert_data) == (config->key_file || config->key_data));
    must_hold(!config->exec || (config->exec->api_version && config->exec->argv[0] &&
                                config->exec->argv[0][0] && config->exec->env));
    must_hold(!config->exec || !(config->token || config->token_file || config->cert_data));
    must_hold(!config->token || !strpbrk(config->token, "\r\n"));
    return 0;
}
