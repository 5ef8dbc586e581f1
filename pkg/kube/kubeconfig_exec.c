#include "kube/kubeconfig_internal.h"

#define WORDS_MAX 256
#define CLUSTER_CONFIG_MAX (1024 * 1024)

static enum code api_version_check(const struct entry *exec, const char *version, struct err *err)
{
    if (version && (strcmp(version, "client.authentication.k8s.io/v1") == 0 ||
                    strcmp(version, "client.authentication.k8s.io/v1beta1") == 0))
        return CODE_OK;
    return fail(err, CODE_INVALID_ARGUMENT,
                "%s.apiVersion: expected client.authentication.k8s.io/v1 or v1beta1, found '%.64s'",
                exec->where, version ? version : "");
}

static enum code mode_check(const struct entry *exec, struct err *err)
{
    struct str mode;
    enum code code =
        json_read_str(exec->body, exec->where, "interactiveMode", STR("IfAvailable"), &mode, err);

    if (code != CODE_OK)
        return code;
    if (str_eq(mode, STR("IfAvailable")) || str_eq(mode, STR("Never")))
        return CODE_OK;
    if (str_eq(mode, STR("Always")))
        return fail(err, CODE_INVALID_ARGUMENT,
                    "%s.interactiveMode: the plugin wants a terminal, and there is none",
                    exec->where);
    return fail(err, CODE_INVALID_ARGUMENT,
                "%s.interactiveMode: expected Never or IfAvailable, found '%.*s'", exec->where,
                (int)min_size(mode.len, 64), mode.ptr);
}

/* A command with a slash in it is relative to the kubeconfig's folder. */
static enum code command_read(const struct entry *exec, const char *folder, char **ret_command,
                              struct err *err)
{
    CLEANUP(freep) char *command = NULL;
    enum code code = entry_text(exec, "command", &command, err);

    if (code != CODE_OK)
        return code;
    if (!command)
        return fail(err, CODE_INVALID_ARGUMENT, "%s.command: is missing", exec->where);
    if (command[0] == '/' || !strchr(command, '/'))
        *ret_command = TAKE(command);
    else if (asprintf(ret_command, "%s/%s", folder, command) < 0)
        abort();
    return CODE_OK;
}

static enum code array_read(const struct entry *exec, const char *key,
                            const struct json **ret_items, size_t *ret_len, struct err *err)
{
    enum code code = json_read_array(exec->body, exec->where, key, ret_items, err);

    if (code != CODE_OK)
        return code;
    *ret_len = *ret_items ? json_len(*ret_items) : 0;
    if (*ret_len > WORDS_MAX)
        return fail(err, CODE_INVALID_ARGUMENT, "%s.%s: has more than %d items", exec->where, key,
                    WORDS_MAX);
    return CODE_OK;
}

static enum code argv_read(const struct entry *exec, const char *folder, struct kube_exec *out,
                           struct err *err)
{
    const struct json *items = NULL;
    size_t len = 0;
    size_t at = 1;
    enum code code = array_read(exec, "args", &items, &len, err);

    if (code != CODE_OK)
        return code;
    out->argv = xcalloc(len + 2, sizeof(*out->argv));
    code = command_read(exec, folder, &out->argv[0], err);
    if (code != CODE_OK)
        return code;
    for (const struct json *item = json_first(items); item; item = json_next(item)) {
        if (json_type(item) != JSON_STRING)
            return fail(err, CODE_INVALID_ARGUMENT, "%s.args[%zu]: expected a string, found %s",
                        exec->where, at - 1, json_type_name(json_type(item)));
        out->argv[at++] = str_dup(json_text(item));
    }
    return CODE_OK;
}

static enum code variable_read(const struct entry *exec, const struct json *item, size_t at,
                               char **ret_variable, struct err *err)
{
    char where[256];
    struct str name = {0};
    struct str value = {0};
    enum code code;

    snprintf(where, sizeof(where), "%s.env[%zu]", exec->where, at);
    code = json_read_str(item, where, "name", STR(""), &name, err);
    if (code == CODE_OK)
        code = json_read_str(item, where, "value", STR(""), &value, err);
    if (code != CODE_OK)
        return code;
    if (name.len == 0 || str_find(name, '=') < name.len)
        return fail(err, CODE_INVALID_ARGUMENT, "%s.name: is no name of a variable", where);
    if (asprintf(ret_variable, "%" STR_FMT "=%" STR_FMT, STR_ARG(name), STR_ARG(value)) < 0)
        abort();
    return CODE_OK;
}

static enum code env_read(const struct entry *exec, struct kube_exec *out, struct err *err)
{
    const struct json *items = NULL;
    size_t len = 0;
    size_t at = 0;
    enum code code = array_read(exec, "env", &items, &len, err);

    if (code != CODE_OK)
        return code;
    out->env = xcalloc(len + 1, sizeof(*out->env));
    for (const struct json *item = json_first(items); item; item = json_next(item)) {
        code = variable_read(exec, item, at, &out->env[at], err);
        if (code != CODE_OK)
            return code;
        at++;
    }
    return CODE_OK;
}

/* The extension of the cluster's entry that is meant for plugins. */
static enum code cluster_config_read(const struct entry *cluster, char **ret_config,
                                     struct err *err)
{
    const struct json *extensions = NULL;
    enum code code = json_read_array(cluster->body, cluster->where, "extensions", &extensions, err);

    for (const struct json *item = json_first(extensions); code == CODE_OK && item;
         item = json_next(item)) {
        struct buf text = BUFFER_INIT(CLUSTER_CONFIG_MAX);
        struct json_writer writer = json_writer(&text);
        size_t len;

        if (!str_eq(json_text(json_get(item, "name")), STR("client.authentication.k8s.io/exec")))
            continue;
        json_put_json(&writer, NULL, json_get(item, "extension"));
        if (buf_failed(&text))
            code = fail(err, CODE_INVALID_ARGUMENT, "%s.extensions: is larger than %d bytes",
                        cluster->where, CLUSTER_CONFIG_MAX);
        else
            *ret_config = buf_take(&text, &len);
        buf_done(&text);
        break;
    }
    return code;
}

static enum code exec_read(const struct entry *exec, const struct entry *cluster,
                           const char *folder, struct kube_exec *out, struct err *err)
{
    enum code code = entry_text(exec, "apiVersion", &out->api_version, err);

    if (code == CODE_OK)
        code = api_version_check(exec, out->api_version, err);
    if (code == CODE_OK)
        code = mode_check(exec, err);
    if (code == CODE_OK)
        code = argv_read(exec, folder, out, err);
    if (code == CODE_OK)
        code = env_read(exec, out, err);
    if (code == CODE_OK)
        code = entry_text(exec, "installHint", &out->install_hint, err);
    if (code == CODE_OK)
        code = json_read_bool(exec->body, exec->where, "provideClusterInfo", false,
                              &out->cluster_info, err);
    if (code == CODE_OK && out->cluster_info)
        code = cluster_config_read(cluster, &out->cluster_config, err);
    return code;
}

enum code kubeconfig_exec_read(const struct entry *user, const struct entry *cluster,
                               const char *folder, struct kube_exec **ret_exec, struct err *err)
{
    struct entry exec = {0};
    enum code code = json_read_object(user->body, user->where, "exec", &exec.body, err);

    if (code != CODE_OK || !exec.body)
        return code;
    snprintf(exec.where, sizeof(exec.where), "%.180s.exec", user->where);
    *ret_exec = xcalloc(1, sizeof(**ret_exec)); /* freed with the config, whatever comes */
    return exec_read(&exec, cluster, folder, *ret_exec, err);
}
