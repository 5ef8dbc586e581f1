#include "kube/exec_credential.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/secret_file.h"

#define INFO_MAX (4 * 1024 * 1024) /* the kubeconfig's own limit */

/* ---- what it answers ---- */

static enum code type_check(const struct json *tree, const char *api_version, struct err *err)
{
    struct str version = {0};
    struct str kind = {0};
    enum code code;

    if (json_type(tree) != JSON_OBJECT)
        return fail(err, CODE_INVALID_ARGUMENT, "expected an ExecCredential, found %s",
                    json_type_name(json_type(tree)));
    code = json_read_str(tree, "", "kind", STR(""), &kind, err);
    if (code == CODE_OK)
        code = json_read_str(tree, "", "apiVersion", STR(""), &version, err);
    if (code != CODE_OK)
        return code;
    if (!str_eq(kind, STR("ExecCredential")))
        return fail(err, CODE_INVALID_ARGUMENT, "kind: expected ExecCredential, found '%.*s'",
                    (int)min_size(kind.len, 64), kind.ptr);
    if (!str_eq(version, str_of(api_version)))
        return fail(err, CODE_INVALID_ARGUMENT, "apiVersion: expected %s, found '%.*s'",
                    api_version, (int)min_size(version.len, 64), version.ptr);
    return CODE_OK;
}

static enum code text_read(const struct json *status, const char *key, size_t max, char **ret_text,
                           struct err *err)
{
    struct str text = {0};
    enum code code = json_read_str(status, "status", key, STR(""), &text, err);

    if (code != CODE_OK)
        return code;
    if (text.len > max)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "status.%s: is larger than %zu bytes", key, max);
    if (text.len > 0)
        *ret_text = str_dup(text);
    return CODE_OK;
}

static enum code expiry_read(const struct json *status, uint64_t *ret_us, struct err *err)
{
    struct str text = {0};
    enum code code = json_read_str(status, "status", "expirationTimestamp", STR(""), &text, err);

    if (code != CODE_OK || text.len == 0)
        return code;
    if (!clock_parse_wall(text, ret_us))
        return fail(err, CODE_INVALID_ARGUMENT,
                    "status.expirationTimestamp: expected a time such as 2026-01-02T03:04:05Z");
    return CODE_OK;
}

static bool is_pem(const char *text)
{
    return !text || strstr(text, "-----BEGIN ");
}

static enum code complete_check(const struct exec_credential *credential, struct err *err)
{
    if (!credential->cert != !credential->key)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "status: clientCertificateData and clientKeyData go together");
    if (!credential->token && !credential->cert)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "status: there is neither a token nor a certificate");
    if (!is_pem(credential->cert) || !is_pem(credential->key))
        return fail(err, CODE_INVALID_ARGUMENT, "status.client%sData: holds no PEM block",
                    is_pem(credential->cert) ? "Key" : "Certificate");
    for (const char *at = credential->token ? credential->token : ""; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            return fail(err, CODE_INVALID_ARGUMENT, "status.token: holds white space");
    return CODE_OK;
}

static enum code status_read(const struct json *tree, struct exec_credential *credential,
                             struct err *err)
{
    const struct json *status = NULL;
    enum code code = json_read_object(tree, "", "status", &status, err);

    if (code == CODE_OK && !status)
        code = fail(err, CODE_INVALID_ARGUMENT, "status: is missing");
    if (code == CODE_OK)
        code = text_read(status, "token", EXEC_TOKEN_MAX, &credential->token, err);
    if (code == CODE_OK)
        code = text_read(status, "clientCertificateData", EXEC_PEM_MAX, &credential->cert, err);
    if (code == CODE_OK)
        code = text_read(status, "clientKeyData", EXEC_PEM_MAX, &credential->key, err);
    if (code == CODE_OK)
        code = expiry_read(status, &credential->expires_us, err);
    return code != CODE_OK ? code : complete_check(credential, err);
}

enum code exec_credential_parse(struct str text, const char *api_version,
                                struct exec_credential *ret_credential, struct err *err)
{
    CLEANUP(json_freep) struct json *tree = NULL;
    struct exec_credential credential = {0};
    enum code code = json_parse(text, &tree, err);

    if (code == CODE_OK)
        code = type_check(tree, api_version, err);
    if (code == CODE_OK)
        code = status_read(tree, &credential, err);
    if (code != CODE_OK) {
        exec_credential_done(&credential);
        return code;
    }
    *ret_credential = credential;
    return CODE_OK;
}

void exec_credential_done(struct exec_credential *credential)
{
    secret_free(credential->token);
    secret_free(credential->cert);
    secret_free(credential->key);
    *credential = (struct exec_credential){0};
}

/* ---- what it is told ---- */

static void put_text(struct json_writer *writer, const char *key, const char *text)
{
    if (text)
        json_put_str(writer, key, str_of(text));
}

static void put_cluster(struct json_writer *writer, const struct kube_config *config, struct str ca)
{
    struct buf encoded = BUFFER_INIT(INFO_MAX);

    json_open_object(writer, "cluster");
    put_text(writer, "server", config->server);
    put_text(writer, "tls-server-name", config->tls_server_name);
    if (config->insecure_skip_verify)
        json_put_bool(writer, "insecure-skip-tls-verify", true);
    base64_add(&encoded, ca);
    if (ca.len > 0)
        json_put_str(writer, "certificate-authority-data", buf_str(&encoded));
    put_text(writer, "proxy-url", config->proxy_url);
    if (config->exec->cluster_config) {
        buf_add_str(writer->out, STR(",\"config\":"));
        buf_add_str(writer->out, str_of(config->exec->cluster_config));
    }
    json_close_object(writer);
    buf_done(&encoded);
}

char *exec_credential_ask(const struct kube_config *config, struct str ca)
{
    struct buf text = BUFFER_INIT(2 * INFO_MAX);
    struct json_writer writer = json_writer(&text);
    size_t len;

    json_open_object(&writer, NULL);
    json_put_str(&writer, "kind", STR("ExecCredential"));
    json_put_str(&writer, "apiVersion", str_of(config->exec->api_version));
    json_open_object(&writer, "spec");
    json_put_bool(&writer, "interactive", false);
    if (config->exec->cluster_info)
        put_cluster(&writer, config, ca);
    json_close_object(&writer);
    json_close_object(&writer);
    return buf_take(&text, &len);
}
