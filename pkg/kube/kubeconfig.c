#include "kube/kubeconfig_internal.h"

#include "base/base64.h"
#include "base/secret_file.h"
#include "base/yaml.h"

#define KUBECONFIG_SIZE_MAX (4 * 1024 * 1024)

struct documents {
    struct json *first;
    size_t count;
};

static void on_document(void *ctx, struct json *document, size_t line unused_arg)
{
    struct documents *docs = ctx;

    if (docs->count++ == 0)
        docs->first = document;
    else
        json_free(document);
}

/* ---- fields of an entry ---- */

enum code entry_text(const struct entry *entry, const char *key, char **ret_text, struct err *err)
{
    struct str text;
    enum code code = json_read_str(entry->body, entry->where, key, STR(""), &text, err);

    if (code != CODE_OK)
        return code;
    if (text.len > 0)
        *ret_text = str_dup(text);
    return CODE_OK;
}

/* A file name, made absolute against the kubeconfig's folder; the file must be there. */
static enum code path_read(const struct entry *entry, const char *key, const char *folder,
                           char **ret_path, struct err *err)
{
    CLEANUP(freep) char *name = NULL;
    CLEANUP(freep) char *path = NULL;
    enum code code = entry_text(entry, key, &name, err);

    if (code != CODE_OK || !name)
        return code;
    if (name[0] == '/')
        path = TAKE(name);
    else if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    if (secret_file_check(path, err) != CODE_OK)
        return fail_in(err, "%s.%s", entry->where, key);
    *ret_path = TAKE(path);
    return CODE_OK;
}

static enum code data_read(const struct entry *entry, const char *key, char **ret_pem,
                           struct err *err)
{
    CLEANUP(secret_freep) char *text = NULL;
    CLEANUP(secret_freep) char *pem = NULL;
    size_t len;
    enum code code = entry_text(entry, key, &text, err);

    if (code != CODE_OK || !text)
        return code;
    if (base64_decode(str_of(text), &pem, &len, err) != CODE_OK)
        return fail_in(err, "%s.%s", entry->where, key);
    if (strlen(pem) != len || !strstr(pem, "-----BEGIN "))
        return fail(err, CODE_INVALID_ARGUMENT, "%s.%s: holds no PEM block", entry->where, key);
    *ret_pem = TAKE(pem);
    return CODE_OK;
}

/* `key`-data wins over `key`, as in kubectl. */
static enum code pem_read(const struct entry *entry, const char *key, const char *folder,
                          char **ret_file, char **ret_data, struct err *err)
{
    char data_key[64];
    enum code code;

    snprintf(data_key, sizeof(data_key), "%s-data", key);
    code = data_read(entry, data_key, ret_data, err);
    if (code != CODE_OK || *ret_data)
        return code;
    return path_read(entry, key, folder, ret_file, err);
}

/* ---- finding entries ---- */

/* list[name].member; names are unique in what kubectl writes, so the first one counts. */
static enum code entry_find(const struct json *root, const char *list, const char *member,
                            const char *name, struct entry *ret_entry, struct err *err)
{
    const struct json *items = NULL;
    struct str found;
    enum code code = json_read_array(root, "", list, &items, err);

    if (code != CODE_OK)
        return code;
    for (const struct json *item = json_first(items); item; item = json_next(item)) {
        code = json_read_str(item, list, "name", STR(""), &found, err);
        if (code != CODE_OK)
            return code;
        if (!str_eq(found, str_of(name)))
            continue;
        snprintf(ret_entry->where, sizeof(ret_entry->where), "%s[%.120s].%s", list, name, member);
        code = json_read_object(item, list, member, &ret_entry->body, err);
        if (code != CODE_OK || ret_entry->body)
            return code;
        return fail(err, CODE_INVALID_ARGUMENT, "%s: is empty", ret_entry->where);
    }
    return fail(err, CODE_NOT_FOUND, "%s: there is no entry named '%s'", list, name);
}

/* ---- the three kinds of entries ---- */

static enum code server_check(const struct entry *entry, const struct kube_config *config,
                              struct err *err)
{
    struct str url = str_of(config->server);

    if (!config->server)
        return fail(err, CODE_INVALID_ARGUMENT, "%s.server: is missing", entry->where);
    if ((str_starts_with(url, STR("https://")) && url.len > 8) ||
        (str_starts_with(url, STR("http://")) && url.len > 7))
        return CODE_OK;
    return fail(err, CODE_INVALID_ARGUMENT,
                "%s.server: expected a URL with https:// or http://, found '%s'", entry->where,
                config->server);
}

static void trailing_slashes_cut(char *url)
{
    size_t len = strlen(url);

    while (len > 0 && url[len - 1] == '/')
        url[--len] = '\0';
}

static enum code proxy_check(const struct entry *entry, const struct kube_config *config,
                             struct err *err)
{
    static const struct str schemes[] = {STR_INIT("http://"), STR_INIT("https://"),
                                         STR_INIT("socks5://")};

    if (!config->proxy_url)
        return CODE_OK;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (str_starts_with(str_of(config->proxy_url), schemes[i]))
            return CODE_OK;
    /* It may carry a password, so it is not shown. */
    return fail(err, CODE_INVALID_ARGUMENT,
                "%s.proxy-url: expected a URL with http://, https:// or socks5://", entry->where);
}

static enum code cluster_read(const struct entry *entry, const char *folder,
                              struct kube_config *config, struct err *err)
{
    enum code code = entry_text(entry, "server", &config->server, err);

    if (code == CODE_OK)
        code = server_check(entry, config, err);
    if (code == CODE_OK)
        code = pem_read(entry, "certificate-authority", folder, &config->ca_file, &config->ca_data,
                        err);
    if (code == CODE_OK)
        code = entry_text(entry, "tls-server-name", &config->tls_server_name, err);
    if (code == CODE_OK)
        code = entry_text(entry, "proxy-url", &config->proxy_url, err);
    if (code == CODE_OK)
        code = json_read_bool(entry->body, entry->where, "insecure-skip-tls-verify", false,
                              &config->insecure_skip_verify, err);
    if (code != CODE_OK)
        return code;
    if (config->insecure_skip_verify && (config->ca_file || config->ca_data))
        return fail(err, CODE_INVALID_ARGUMENT,
                    "%s: insecure-skip-tls-verify and certificate-authority exclude each other",
                    entry->where);
    trailing_slashes_cut(config->server);
    return proxy_check(entry, config, err);
}

/* What we cannot do and must not ignore, because it decides who we are to the server. */
static enum code user_check(const struct entry *entry, struct err *err)
{
    static const struct {
        const char *key;
        const char *why;
    } refused[] = {
        {"auth-provider", "Kubernetes removed auth providers; use a token or a client certificate"},
        {"username", "basic authentication is not supported; use a token or a client certificate"},
        {"password", "basic authentication is not supported; use a token or a client certificate"},
        {"as", "impersonation is not supported"},
        {"as-uid", "impersonation is not supported"},
        {"as-groups", "impersonation is not supported"},
        {"as-user-extra", "impersonation is not supported"},
    };

    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (json_get(entry->body, refused[i].key))
            return fail(err, CODE_UNIMPLEMENTED, "%s.%s: %s", entry->where, refused[i].key,
                        refused[i].why);
    return CODE_OK;
}

static enum code user_read(const struct entry *entry, const struct entry *cluster,
                           const char *folder, struct kube_config *config, struct err *err)
{
    enum code code = user_check(entry, err);

    if (code == CODE_OK)
        code = pem_read(entry, "client-certificate", folder, &config->cert_file, &config->cert_data,
                        err);
    if (code == CODE_OK)
        code = pem_read(entry, "client-key", folder, &config->key_file, &config->key_data, err);
    if (code == CODE_OK)
        code = entry_text(entry, "token", &config->token, err);
    if (code == CODE_OK)
        code = path_read(entry, "tokenFile", folder, &config->token_file, err);
    if (code == CODE_OK)
        code = kubeconfig_exec_read(entry, cluster, folder, &config->exec, err);
    if (code != CODE_OK)
        return code;
    bool cert = config->cert_file || config->cert_data;
    bool key = config->key_file || config->key_data;

    if (cert != key)
        return fail(err, CODE_INVALID_ARGUMENT, "%s: client-%s without client-%s", entry->where,
                    cert ? "certificate" : "key", cert ? "key" : "certificate");
    if (config->exec && (cert || config->token || config->token_file))
        return fail(err, CODE_INVALID_ARGUMENT,
                    "%s: exec excludes token, tokenFile and client-certificate", entry->where);
    if (config->token && strpbrk(config->token, "\r\n"))
        return fail(err, CODE_INVALID_ARGUMENT, "%s.token: holds a line break", entry->where);
    return CODE_OK;
}

static enum code conentry_text(const struct json *root, const struct entry *context,
                               const char *folder, struct kube_config *config, struct err *err)
{
    CLEANUP(freep) char *cluster_name = NULL;
    CLEANUP(freep) char *user_name = NULL;
    struct entry cluster = {0};
    struct entry user = {0};
    enum code code = entry_text(context, "cluster", &cluster_name, err);

    if (code == CODE_OK)
        code = entry_text(context, "user", &user_name, err);
    if (code == CODE_OK)
        code = entry_text(context, "namespace", &config->namespace_name, err);
    if (code != CODE_OK)
        return code;
    if (!cluster_name)
        return fail(err, CODE_INVALID_ARGUMENT, "%s.cluster: is missing", context->where);
    code = entry_find(root, "clusters", "cluster", cluster_name, &cluster, err);
    if (code == CODE_OK)
        code = cluster_read(&cluster, folder, config, err);
    if (code == CODE_OK && user_name)
        code = entry_find(root, "users", "user", user_name, &user, err);
    if (code == CODE_OK && user_name)
        code = user_read(&user, &cluster, folder, config, err);
    return code;
}

static enum code root_read(const struct json *root, const char *folder, const char *context_name,
                           struct kube_config *config, struct err *err)
{
    CLEANUP(freep) char *current = NULL;
    struct entry top = {.body = root};
    struct entry context = {0};
    enum code code;

    if (json_type(root) != JSON_OBJECT)
        return fail(err, CODE_INVALID_ARGUMENT, "expected a mapping, found a %s",
                    json_type_name(json_type(root)));
    code = entry_text(&top, "current-context", &current, err);
    if (code != CODE_OK)
        return code;
    if (!context_name)
        context_name = current;
    if (!context_name)
        return fail(err, CODE_INVALID_ARGUMENT, "current-context: is not set");
    code = entry_find(root, "contexts", "context", context_name, &context, err);
    return code != CODE_OK ? code : conentry_text(root, &context, folder, config, err);
}

/* ---- the file ---- */

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return xstrdup(".");
    return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static enum code document_parse(struct str text, struct json **ret_root, struct err *err)
{
    struct documents docs = {0};
    enum code code = yaml_parse(text, on_document, &docs, err);
    CLEANUP(json_freep) struct json *root = docs.first;

    if (code != CODE_OK)
        return code;
    if (docs.count != 1)
        return fail(err, CODE_INVALID_ARGUMENT, "%s",
                    docs.count ? "expected one document" : "is empty");
    *ret_root = TAKE(root);
    return CODE_OK;
}

enum code kube_config_parse(struct str text, const char *path, const char *context,
                            struct kube_config **ret_config, struct err *err)
{
    CLEANUP(kube_config_freep) struct kube_config *config = xcalloc(1, sizeof(*config));
    CLEANUP(json_freep) struct json *root = NULL;
    CLEANUP(freep) char *folder = folder_of(path);
    enum code code = document_parse(text, &root, err);

    if (code == CODE_OK)
        code = root_read(root, folder, context, config, err);
    if (code != CODE_OK)
        return fail_in(err, "kubeconfig '%s'", path);
    if (!config->namespace_name)
        config->namespace_name = xstrdup("default");
    *ret_config = TAKE(config);
    return CODE_OK;
}

enum code kube_config_load(const char *path, const char *context, struct kube_config **ret_config,
                           struct err *err)
{
    CLEANUP(secret_freep) char *text = NULL;

    if (secret_file_read(path, KUBECONFIG_SIZE_MAX, &text, err) != CODE_OK)
        return fail_in(err, "kubeconfig");
    return kube_config_parse(str_of(text), path, context, ret_config, err);
}
