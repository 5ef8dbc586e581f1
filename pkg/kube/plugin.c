#include "kube/plugin.h"

#include <unistd.h>

#include "loop/child.h"

#define HINT_SHOWN_MAX 160

struct plugin {
    const struct kube_exec *exec;
    struct child *child;
    void (*on_done)(void *ctx, struct exec_credential *credential, const struct err *err);
    void *ctx;
};

/* ---- its environment: ours, and over it what the kubeconfig and the protocol add ---- */

static bool same_name(const char *variable, const char *other)
{
    size_t len = strcspn(variable, "=");

    return strcspn(other, "=") == len && memcmp(variable, other, len) == 0;
}

static bool is_overridden(const struct kube_exec *exec, const char *variable)
{
    if (same_name(variable, "KUBERNETES_EXEC_INFO="))
        return true;
    for (size_t i = 0; exec->env[i]; i++)
        if (same_name(variable, exec->env[i]))
            return true;
    return false;
}

static size_t count(char *const *texts)
{
    size_t len = 0;

    while (texts[len])
        len++;
    return len;
}

/* The array is the caller's, its texts are borrowed. */
static const char **environment_make(const struct kube_exec *exec, const char *info)
{
    const char **env = xcalloc(count(environ) + count(exec->env) + 2, sizeof(*env));
    size_t len = 0;

    env[len++] = info;
    for (size_t i = 0; exec->env[i]; i++)
        env[len++] = exec->env[i];
    for (size_t i = 0; environ[i]; i++)
        if (!is_overridden(exec, environ[i]))
            env[len++] = environ[i];
    return env;
}

/* ---- one run ---- */

static enum code result_read(const struct plugin *plugin, const struct child_result *result,
                             struct exec_credential *credential, struct err *err)
{
    if (result->code != CODE_OK)
        return fail(err, CODE_UNAUTHENTICATED, "credential plugin '%s': %s", plugin->exec->argv[0],
                    result->message);
    if (exec_credential_parse(result->output, plugin->exec->api_version, credential, err) !=
        CODE_OK)
        return fail_in(err, "credential plugin '%s': its answer", plugin->exec->argv[0]);
    return CODE_OK;
}

static void on_child_done(void *ctx, const struct child_result *result)
{
    struct plugin *plugin = ctx;
    struct exec_credential credential = {0};
    struct err err = {0};
    enum code code = result_read(plugin, result, &credential, &err);

    if (result->output.len > 0) /* it may be a secret */
        explicit_bzero((char *)(uintptr_t)result->output.ptr, result->output.len);
    if (code == CODE_OK)
        plugin->on_done(plugin->ctx, &credential, NULL); /* may free the plugin */
    else
        plugin->on_done(plugin->ctx, NULL, &err);
}

/* For who does not have it. */
static void hint_add(const struct kube_exec *exec, struct err *err)
{
    struct str hint = exec->install_hint ? str_trim(str_of(exec->install_hint)) : STR("");
    struct str line = str_slice(str_cut(&hint, '\n'), 0, HINT_SHOWN_MAX);
    size_t len = strlen(err->msg);

    if (err->code == CODE_NOT_FOUND && line.len > 0)
        snprintf(err->msg + len, sizeof(err->msg) - len, "; %" STR_FMT, STR_ARG(line));
}

enum code plugin_start(struct loop *loop, const struct plugin_options *options,
                       struct plugin **ret_plugin, struct err *err)
{
    const struct kube_exec *exec = options->config->exec;
    struct plugin *plugin = xcalloc(1, sizeof(*plugin));
    CLEANUP(freep) char *ask = exec_credential_ask(options->config, options->ca);
    CLEANUP(freep) char *info = NULL;
    CLEANUP(freep) const char **env = NULL;
    struct child_options how = {.argv = (const char *const *)exec->argv,
                                .output_max = PLUGIN_OUTPUT_MAX,
                                .timeout_ms = PLUGIN_TIMEOUT_MS,
                                .on_done = on_child_done,
                                .ctx = plugin};
    struct err cause = {0};

    if (asprintf(&info, "KUBERNETES_EXEC_INFO=%s", ask) < 0)
        abort();
    env = environment_make(exec, info);
    how.env = env;
    *plugin = (struct plugin){.exec = exec, .on_done = options->on_done, .ctx = options->ctx};
    if (child_start(loop, &how, &plugin->child, &cause) != CODE_OK) {
        hint_add(exec, &cause);
        plugin_free(plugin);
        return fail(err, CODE_UNAUTHENTICATED, "credential plugin: %s", cause.msg);
    }
    *ret_plugin = plugin;
    return CODE_OK;
}

void plugin_free(struct plugin *plugin)
{
    if (!plugin)
        return;
    child_free(plugin->child);
    free(plugin);
}
