#include <criterion/criterion.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kube/config.h"

#define CERT "LS0tLS1CRUdJTiBYLS0tLS0K" /* -----BEGIN X----- */

#define CLUSTERS(fields) "clusters:\n- name: c\n  cluster: {" fields "}\n"
#define USERS(fields) "users:\n- name: u\n  user: {" fields "}\n"
#define CONTEXTS "contexts:\n- name: x\n  context: {cluster: c, user: u}\ncurrent-context: x\n"
#define SERVER "server: 'https://127.0.0.1:6443'"

static char folder[64];

static void file_write(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static void folder_make(void)
{
    snprintf(folder, sizeof(folder), "/tmp/kubeconfig-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void folder_remove(void)
{
    static const char *const names[] = {"config", "ca.pem", "token", "ca.crt", "namespace"};
    char path[128];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

TestSuite(config, .init = folder_make, .fini = folder_remove);

static struct kube_config *parse(const char *text)
{
    struct kube_config *config = NULL;
    struct err err = {0};
    char path[128];

    snprintf(path, sizeof(path), "%s/config", folder);
    cr_assert_eq(kube_config_parse(str_of(text), path, NULL, &config, &err), CODE_OK, "%s",
                 err.msg);
    return config;
}

static void assert_refused(const char *text, const char *message)
{
    struct kube_config *config = NULL;
    struct err err = {0};
    char path[128];
    char want[512];

    snprintf(path, sizeof(path), "%s/config", folder);
    cr_assert_neq(kube_config_parse(str_of(text), path, NULL, &config, &err), CODE_OK, "%s", text);
    snprintf(want, sizeof(want), "kubeconfig '%s': %s", path, message);
    cr_assert(strncmp(err.msg, want, strlen(want)) == 0, "expected: %s\nfound:    %s", want,
              err.msg);
    cr_assert_null(config);
}

Test(config, reads_the_current_context)
{
    CLEANUP(kube_config_freep)
    struct kube_config *config =
        parse("apiVersion: v1\nkind: Config\n"
              "clusters:\n- {name: other, cluster: {server: 'https://wrong'}}\n"
              "- name: c\n  cluster: {server: 'https://h:1/p/', certificate-authority-data: " CERT
              ", tls-server-name: api, proxy-url: 'http://p:3128'}\n"
              "users:\n- name: u\n  user: {client-certificate-data: " CERT
              ", client-key-data: " CERT ", token: secret}\n"
              "contexts:\n- {name: x, context: {cluster: c, user: u, namespace: shop}}\n"
              "- {name: y, context: {cluster: other}}\n"
              "current-context: x\n");

    cr_assert_str_eq(config->server, "https://h:1/p");
    cr_assert_str_eq(config->ca_data, "-----BEGIN X-----\n");
    cr_assert_str_eq(config->cert_data, "-----BEGIN X-----\n");
    cr_assert_str_eq(config->key_data, "-----BEGIN X-----\n");
    cr_assert_str_eq(config->tls_server_name, "api");
    cr_assert_str_eq(config->proxy_url, "http://p:3128");
    cr_assert_str_eq(config->token, "secret");
    cr_assert_str_eq(config->namespace_name, "shop");
    cr_assert_not(config->insecure_skip_verify);
    cr_assert_null(config->ca_file);
}

Test(config, reads_a_named_context_and_json)
{
    CLEANUP(kube_config_freep) struct kube_config *config = NULL;
    struct err err = {0};

    cr_assert_eq(
        kube_config_parse(
            STR("{\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"http://h\","
                "\"insecure-skip-tls-verify\":true}}],\"contexts\":[{\"name\":\"y\",\"context\":"
                "{\"cluster\":\"c\"}}],\"current-context\":\"gone\"}"),
            "config", "y", &config, &err),
        CODE_OK, "%s", err.msg);
    cr_assert_str_eq(config->server, "http://h");
    cr_assert_str_eq(config->namespace_name, "default");
    cr_assert(config->insecure_skip_verify);
    cr_assert_null(config->token);
}

Test(config, takes_files_relative_to_its_own_folder)
{
    char want[128];

    file_write("ca.pem", "x");
    file_write("token", "t");
    CLEANUP(kube_config_freep)
    struct kube_config *config = parse(CLUSTERS(SERVER ", certificate-authority: ca.pem")
                                           USERS("tokenFile: ./token") CONTEXTS);

    snprintf(want, sizeof(want), "%s/ca.pem", folder);
    cr_assert_str_eq(config->ca_file, want);
    snprintf(want, sizeof(want), "%s/./token", folder);
    cr_assert_str_eq(config->token_file, want);
}

Test(config, data_wins_over_a_file)
{
    CLEANUP(kube_config_freep)
    struct kube_config *config = parse(
        CLUSTERS(SERVER ", certificate-authority: /nowhere, certificate-authority-data: " CERT)
            USERS("") CONTEXTS);

    cr_assert_null(config->ca_file);
    cr_assert_not_null(config->ca_data);
}

Test(config, says_which_part_is_missing)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "is empty"},
        {"---\na: 1\n---\nb: 2\n", "expected one document"},
        {"[]", "expected a mapping, found a"},
        {"a: {\n", "line "},
        {"a: 1", "current-context: is not set"},
        {"current-context: 5", "current-context: expected a string, found a number"},
        {"current-context: x", "contexts: there is no entry named 'x'"},
        {"contexts: {}\ncurrent-context: x", "contexts: expected an array, found an object"},
        {"contexts: [{name: x}]\ncurrent-context: x", "contexts[x].context: is empty"},
        {"contexts: [{name: x, context: {user: u}}]\ncurrent-context: x",
         "contexts[x].context.cluster: is missing"},
        {CONTEXTS, "clusters: there is no entry named 'c'"},
        {CONTEXTS CLUSTERS(SERVER), "users: there is no entry named 'u'"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i].text, cases[i].message);
}

Test(config, says_what_is_wrong_with_a_cluster)
{
    assert_refused(CLUSTERS("") USERS("") CONTEXTS, "clusters[c].cluster.server: is missing");
    assert_refused(CLUSTERS("server: 'h:6443'") USERS("") CONTEXTS,
                   "clusters[c].cluster.server: expected a URL with https:// or http://, found "
                   "'h:6443'");
    assert_refused(CLUSTERS("server: [1]") USERS("") CONTEXTS,
                   "clusters[c].cluster.server: expected a string, found an array");
    assert_refused(CLUSTERS(SERVER ", certificate-authority-data: '!'") USERS("") CONTEXTS,
                   "clusters[c].cluster.certificate-authority-data: not base64 at character 1");
    assert_refused(CLUSTERS(SERVER ", certificate-authority-data: Zm9v") USERS("") CONTEXTS,
                   "clusters[c].cluster.certificate-authority-data: holds no PEM block");
    assert_refused(CLUSTERS(SERVER ", certificate-authority: /nowhere/ca") USERS("") CONTEXTS,
                   "clusters[c].cluster.certificate-authority: cannot read '/nowhere/ca': No such "
                   "file or directory");
    assert_refused(CLUSTERS(SERVER ", certificate-authority: /tmp") USERS("") CONTEXTS,
                   "clusters[c].cluster.certificate-authority: cannot read '/tmp': not a regular "
                   "file");
    assert_refused(
        CLUSTERS(SERVER ", insecure-skip-tls-verify: true, certificate-authority-data: " CERT)
            USERS("") CONTEXTS,
        "clusters[c].cluster: insecure-skip-tls-verify and certificate-authority exclude "
        "each other");
    assert_refused(CLUSTERS(SERVER ", proxy-url: 'ftp://u:hunter2@h'") USERS("") CONTEXTS,
                   "clusters[c].cluster.proxy-url: expected a URL with http://, https:// or "
                   "socks5://");
    assert_refused(CLUSTERS(SERVER ", insecure-skip-tls-verify: 'yes'") USERS("") CONTEXTS,
                   "clusters[c].cluster.insecure-skip-tls-verify: expected a boolean");
}

Test(config, says_what_is_wrong_with_a_user)
{
#define WITH_USER(fields) CLUSTERS(SERVER) USERS(fields) CONTEXTS
    assert_refused(WITH_USER("auth-provider: {name: gcp}"), "users[u].user.auth-provider: ");
    assert_refused(WITH_USER("username: a, password: b"), "users[u].user.username: ");
    assert_refused(WITH_USER("as: root"), "users[u].user.as: impersonation is not supported");
    assert_refused(WITH_USER("client-certificate-data: " CERT),
                   "users[u].user: client-certificate without client-key");
    assert_refused(WITH_USER("client-key-data: " CERT),
                   "users[u].user: client-key without client-certificate");
    assert_refused(WITH_USER("token: \"a\\nHost: b\""), "users[u].user.token: holds a line break");
    assert_refused(WITH_USER("tokenFile: gone"), "users[u].user.tokenFile: cannot read '");
}

#define EXEC(fields) "exec: {apiVersion: client.authentication.k8s.io/v1" fields "}"

Test(config, reads_a_credential_plugin)
{
    CLEANUP(kube_config_freep)
    struct kube_config *config = parse(
        CLUSTERS(SERVER ", extensions: [{name: other, extension: 1}, {name: "
                        "client.authentication.k8s.io/exec, extension: {audience: x}}]")
            USERS(EXEC(", command: aws, args: [eks, get-token, ''], env: [{name: A, value: '1=2'}, "
                       "{name: B, value: ''}], installHint: get it, provideClusterInfo: true, "
                       "interactiveMode: Never")) CONTEXTS);
    const struct kube_exec *exec = config->exec;

    cr_assert_str_eq(exec->api_version, "client.authentication.k8s.io/v1");
    cr_assert_str_eq(exec->argv[0], "aws");
    cr_assert_str_eq(exec->argv[1], "eks");
    cr_assert_str_eq(exec->argv[2], "get-token");
    cr_assert_str_eq(exec->argv[3], "");
    cr_assert_null(exec->argv[4]);
    cr_assert_str_eq(exec->env[0], "A=1=2");
    cr_assert_str_eq(exec->env[1], "B=");
    cr_assert_null(exec->env[2]);
    cr_assert_str_eq(exec->install_hint, "get it");
    cr_assert(exec->cluster_info);
    cr_assert_str_eq(exec->cluster_config, "{\"audience\":\"x\"}");
}

Test(config, finds_a_plugin_beside_the_kubeconfig)
{
    char want[128];
    CLEANUP(kube_config_freep)
    struct kube_config *config =
        parse(CLUSTERS(SERVER) USERS(EXEC(", command: bin/login")) CONTEXTS);

    snprintf(want, sizeof(want), "%s/bin/login", folder);
    cr_assert_str_eq(config->exec->argv[0], want);
    cr_assert_null(config->exec->argv[1]);
    cr_assert_not(config->exec->cluster_info);
}

Test(config, says_what_is_wrong_with_a_plugin)
{
#define PLUGIN "users[u].user.exec"
    assert_refused(WITH_USER("exec: 5"), PLUGIN ": expected an object, found a number");
    assert_refused(WITH_USER("exec: {command: a}"),
                   PLUGIN ".apiVersion: expected client.authentication.k8s.io/v1 or v1beta1");
    assert_refused(
        WITH_USER("exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: a}"),
        PLUGIN ".apiVersion: expected client.authentication.k8s.io/v1 or v1beta1, found "
               "'client.authentication.k8s.io/v1alpha1'");
    assert_refused(WITH_USER(EXEC("")), PLUGIN ".command: is missing");
    assert_refused(WITH_USER(EXEC(", command: a, interactiveMode: Always")),
                   PLUGIN ".interactiveMode: the plugin wants a terminal, and there is none");
    assert_refused(WITH_USER(EXEC(", command: a, interactiveMode: never")),
                   PLUGIN ".interactiveMode: expected Never or IfAvailable, found 'never'");
    assert_refused(WITH_USER(EXEC(", command: a, args: [x, 1]")),
                   PLUGIN ".args[1]: expected a string, found a number");
    assert_refused(WITH_USER(EXEC(", command: a, env: [{value: x}]")),
                   PLUGIN ".env[0].name: is no name of a variable");
    assert_refused(WITH_USER(EXEC(", command: a, env: [{name: 'a=b'}]")),
                   PLUGIN ".env[0].name: is no name of a variable");
    assert_refused(WITH_USER(EXEC(", command: a") ", token: t"),
                   "users[u].user: exec excludes token, tokenFile and client-certificate");
}

Test(config, never_shows_a_secret_in_a_message)
{
    struct kube_config *config = NULL;
    struct err err = {0};

    cr_assert_neq(
        kube_config_parse(STR(WITH_USER("token: \"hunter2\\n\"")), "f", NULL, &config, &err),
        CODE_OK);
    cr_assert_null(strstr(err.msg, "hunter2"));
    cr_assert_neq(
        kube_config_parse(STR(WITH_USER("client-key-data: hunter2")), "f", NULL, &config, &err),
        CODE_OK);
    cr_assert_null(strstr(err.msg, "hunter2"));
}

Test(config, load_names_a_file_that_cannot_be_read)
{
    struct kube_config *config = NULL;
    struct err err = {0};

    cr_assert_eq(kube_config_load("/nowhere/config", NULL, &config, &err), CODE_NOT_FOUND);
    cr_assert_str_eq(err.msg,
                     "kubeconfig: cannot read '/nowhere/config': No such file or directory");
}

Test(config, load_reads_the_file)
{
    CLEANUP(kube_config_freep) struct kube_config *config = NULL;
    char path[128];

    file_write("config", CLUSTERS(SERVER) USERS("token: t") CONTEXTS);
    snprintf(path, sizeof(path), "%s/config", folder);
    cr_assert_eq(kube_config_load(path, NULL, &config, NULL), CODE_OK);
    cr_assert_str_eq(config->token, "t");
}

/* ---- inside a pod ---- */

Test(config, in_cluster_is_not_found_outside_a_pod)
{
    struct kube_config *config = NULL;
    struct err err = {0};

    unsetenv("KUBERNETES_SERVICE_HOST");
    cr_assert_eq(kube_config_in_cluster(&config, &err), CODE_NOT_FOUND);
    cr_assert_not_null(strstr(err.msg, "not inside a pod"));
}

Test(config, in_cluster_uses_the_service_account)
{
    CLEANUP(kube_config_freep) struct kube_config *config = NULL;
    struct err err = {0};

    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    cr_assert_neq(kube_config_in_folder(folder, &config, &err), CODE_OK);
    cr_assert_not_null(strstr(err.msg, "no service account in this pod: cannot read '"), "%s",
                       err.msg);
    file_write("token", "t");
    file_write("ca.crt", "c");
    file_write("namespace", "shop\n");
    cr_assert_eq(kube_config_in_folder(folder, &config, &err), CODE_OK);
    cr_assert_str_eq(config->server, "https://[fd00::1]:443");
    cr_assert_str_eq(config->namespace_name, "shop");
    cr_assert_not_null(config->token_file);
    cr_assert_not_null(config->ca_file);
}
