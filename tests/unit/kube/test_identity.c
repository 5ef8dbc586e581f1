/* Who we are: fixed, out of files that rotate, or what a plugin says. */
#include <criterion/criterion.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "kube/identity.h"

#define PEM_A "-----BEGIN A-----\n"
#define PEM_B "-----BEGIN B-----\n"

static char folder[64];
static struct loop *loop;
static struct kube_config config;
static struct kube_exec plugin;
static struct identity *identity;
static size_t settled;
static char failure[512]; /* "" when it succeeded */

static char *path_of(const char *name)
{
    char *path = NULL;

    cr_assert_gt(asprintf(&path, "%s/%s", folder, name), 0);
    return path;
}

/* As the kubelet does: a new file takes the place of the old one. */
static void file_write(const char *name, const char *text)
{
    CLEANUP(freep) char *path = path_of(name);
    CLEANUP(freep) char *next = path_of("next");
    FILE *file = fopen(next, "w");

    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(next, 0700), 0);
    cr_assert_eq(rename(next, path), 0);
}

/* What a plugin left there, or "". */
static const char *file_read(const char *name)
{
    static char text[65536];
    CLEANUP(freep) char *path = path_of(name);
    FILE *file = fopen(path, "r");

    text[0] = '\0';
    if (!file)
        return text;
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void on_settled(void *ctx unused_arg, const struct err *err)
{
    settled++;
    snprintf(failure, sizeof(failure), "%s", err ? err->msg : "");
}

static void init(void)
{
    snprintf(folder, sizeof(folder), "/tmp/identity-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(loop_new(&loop, NULL), CODE_OK);
}

static void done(void)
{
    static const char *const names[] = {"token", "cert", "key", "ca", "plugin", "said", "runs"};

    identity_free(identity);
    loop_free(loop);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(freep) char *path = path_of(names[i]);

        unlink(path);
    }
    rmdir(folder);
}

TestSuite(identity, .init = init, .fini = done, .timeout = 20);

static void make(void)
{
    identity = identity_new(
        &(struct identity_options){.loop = loop, .config = &config, .on_settled = on_settled});
}

static struct credentials get(void)
{
    struct credentials credentials = {0};
    struct err err = {0};

    cr_assert_eq(identity_get(identity, &credentials, &err), CODE_OK, "%s", err.msg);
    return credentials;
}

/* ---- tokens ---- */

Test(identity, sends_a_token_as_a_bearer)
{
    config.token = (char[]){"abc"};
    make();
    cr_assert(identity_ready(identity));
    cr_assert_str_eq(get().authorization, "Authorization: Bearer abc");
    cr_assert_not(identity_refused(identity, 0));
}

Test(identity, may_be_nobody)
{
    make();
    cr_assert_null(get().authorization);
    cr_assert_null(get().cert);
}

Test(identity, token_file_wins_and_is_read_again_when_it_rotates)
{
    CLEANUP(freep) char *path = path_of("token");

    file_write("token", "one\n");
    config.token = (char[]){"fixed"};
    config.token_file = path;
    make();
    cr_assert_str_eq(get().authorization, "Authorization: Bearer one");
    file_write("token", "two");
    cr_assert_str_eq(get().authorization, "Authorization: Bearer two");
}

Test(identity, survives_the_loss_of_its_token_file)
{
    CLEANUP(freep) char *path = path_of("token");

    file_write("token", "one");
    config.token_file = path;
    make();
    cr_assert_str_eq(get().authorization, "Authorization: Bearer one");
    cr_assert_eq(unlink(path), 0);
    cr_assert_str_eq(get().authorization, "Authorization: Bearer one");
    file_write("token", "\n"); /* half-written */
    cr_assert_str_eq(get().authorization, "Authorization: Bearer one");
}

Test(identity, refuses_a_token_file_that_holds_none)
{
    static const char *const bad[] = {"", " \n", "a\nb", "a b", "a\tb"};
    CLEANUP(freep) char *path = path_of("token");

    config.token_file = path;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct credentials credentials;
        struct err err = {0};

        file_write("token", bad[i]);
        make();
        cr_assert_eq(identity_get(identity, &credentials, &err), CODE_UNAUTHENTICATED);
        cr_assert_not_null(strstr(err.msg, "token: '"), "%s", err.msg);
        cr_assert_not_null(strstr(err.msg, "does not hold one token"), "%s", err.msg);
        identity_free(TAKE(identity));
    }
}

/* ---- certificates ---- */

Test(identity, certificate_files_are_read_again_when_they_rotate)
{
    CLEANUP(freep) char *cert = path_of("cert");
    CLEANUP(freep) char *key = path_of("key");

    file_write("cert", PEM_A);
    file_write("key", PEM_A);
    config.cert_file = cert;
    config.key_file = key;
    make();
    cr_assert_str_eq(get().cert, PEM_A);
    file_write("cert", "half of a fi");
    cr_assert_str_eq(get().cert, PEM_A);
    file_write("cert", PEM_B);
    file_write("key", PEM_B);
    cr_assert_str_eq(get().cert, PEM_B);
    cr_assert_str_eq(get().key, PEM_B);
}

Test(identity, certificate_data_is_as_it_is)
{
    config.cert_data = (char[]){PEM_A};
    config.key_data = (char[]){PEM_B};
    make();
    cr_assert_str_eq(get().cert, PEM_A);
    cr_assert_str_eq(get().key, PEM_B);
}

Test(identity, names_a_certificate_file_that_cannot_be_read)
{
    struct credentials credentials;
    struct err err = {0};

    config.cert_file = (char[]){"/nowhere/cert"};
    config.key_file = (char[]){"/nowhere/key"};
    make();
    cr_assert_eq(identity_get(identity, &credentials, &err), CODE_UNAUTHENTICATED);
    cr_assert_str_eq(err.msg, "client certificate: cannot read '/nowhere/cert': No such file or "
                              "directory");
}

/* ---- plugins ---- */

#define STATUS(fields)                                                                             \
    "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","             \
    "\"status\":{" fields "}}"

/* A plugin that notes each of its runs, and then does this. */
static void plugin_write(const char *script)
{
    CLEANUP(freep) char *text = NULL;

    cr_assert_gt(asprintf(&text, "#!/bin/sh\ncd '%s'\nprintf x >> runs\n%s\n", folder, script), 0);
    file_write("plugin", text);
}

static void plugin_make(const char *script)
{
    static char path[128], one[] = "one", greeting[] = "GREETING=hello", home[] = "HOME=/elsewhere";
    static char version[] = "client.authentication.k8s.io/v1", server[] = "https://api:6443";
    static char *argv[] = {path, one, NULL};
    static char *env[] = {greeting, home, NULL};

    snprintf(path, sizeof(path), "%s/plugin", folder);
    plugin_write(script);
    plugin.api_version = version;
    plugin.argv = argv;
    plugin.env = env;
    config.server = server;
    config.exec = &plugin;
    make();
}

/* Prints this credential; its end is so many seconds from now, where it says one. */
static void plugin_print(const char *token, int seconds)
{
    CLEANUP(freep) char *script = NULL;

    cr_assert_gt(
        asprintf(&script,
                 "cat <<END\n" STATUS("\"token\":\"%s\","
                                      "\"expirationTimestamp\":\"$(date -u -d '%d seconds' "
                                      "+%%Y-%%m-%%dT%%H:%%M:%%S.%%NZ)\"") "\nEND",
                 token, seconds),
        0);
    if (identity)
        plugin_write(script);
    else
        plugin_make(script);
}

static void wait_settled(size_t times)
{
    uint64_t deadline_us = clock_monotonic_us() + 10000000;

    while (settled < times && clock_monotonic_us() < deadline_us)
        loop_turn(loop, 100);
    cr_assert_eq(settled, times, "%zu", settled);
}

static size_t runs(void)
{
    return strlen(file_read("runs"));
}

Test(identity, asks_the_plugin_once_for_all_who_wait)
{
    plugin_make("echo '" STATUS("\"token\":\"t1\"") "'");
    cr_assert_not(identity_ready(identity));
    cr_assert_not(identity_ready(identity));
    wait_settled(1);
    cr_assert_str_eq(failure, "");
    cr_assert(identity_ready(identity));
    cr_assert_str_eq(get().authorization, "Authorization: Bearer t1");
    cr_assert_eq(get().generation, 1);
    cr_assert_eq(runs(), 1);
}

Test(identity, tells_the_plugin_what_the_protocol_says)
{
    CLEANUP(freep) char *ca = path_of("ca");

    setenv("KUBERNETES_EXEC_INFO", "wrong", 1);
    file_write("ca", "pem");
    plugin.cluster_info = true;
    plugin.cluster_config = (char[]){"{\"a\":[1]}"};
    config.ca_file = ca;
    config.tls_server_name = (char[]){"api.example"};
    plugin_make("echo \"$1 $GREETING $HOME $KUBERNETES_EXEC_INFO\" > said; cat >> said;"
                "echo '" STATUS("\"token\":\"t1\"") "'");
    cr_assert_not(identity_ready(identity));
    wait_settled(1);
    cr_assert_str_eq(failure, "");
    cr_assert_str_eq(
        file_read("said"),
        "one hello /elsewhere {\"kind\":\"ExecCredential\","
        "\"apiVersion\":\"client.authentication.k8s.io/v1\",\"spec\":{\"interactive\":false,"
        "\"cluster\":{\"server\":\"https://api:6443\",\"tls-server-name\":\"api.example\","
        "\"certificate-authority-data\":\"cGVt\",\"config\":{\"a\":[1]}}}}\n");
}

Test(identity, takes_a_certificate_of_the_plugin)
{
    plugin_make("echo '" STATUS("\"clientCertificateData\":\"-----BEGIN A-----\","
                                "\"clientKeyData\":\"-----BEGIN B-----\"") "'");
    cr_assert_not(identity_ready(identity));
    wait_settled(1);
    cr_assert_null(get().authorization);
    cr_assert_str_eq(get().cert, "-----BEGIN A-----");
    cr_assert_str_eq(get().key, "-----BEGIN B-----");
}

Test(identity, asks_again_when_the_server_refused_what_it_gave)
{
    plugin_make("echo '" STATUS("\"token\":\"t1\"") "'");
    cr_assert_not(identity_ready(identity));
    wait_settled(1);
    cr_assert(identity_refused(identity, get().generation));
    plugin_write("echo '" STATUS("\"token\":\"t2\"") "'");
    cr_assert_not(identity_ready(identity));
    wait_settled(2);
    cr_assert_str_eq(get().authorization, "Authorization: Bearer t2");
    /* Late news of the old one. */
    cr_assert(identity_refused(identity, 1));
    cr_assert(identity_ready(identity));
    cr_assert_eq(runs(), 2);
}

Test(identity, renews_before_the_end_and_keeps_nobody_waiting)
{
    plugin_print("t1", 2);
    cr_assert_not(identity_ready(identity));
    wait_settled(1);
    cr_assert(identity_ready(identity));
    cr_assert_eq(runs(), 1);
    plugin_print("t2", 100);
    usleep(1600000); /* three quarters of its life */
    cr_assert(identity_ready(identity));
    cr_assert_str_eq(get().authorization, "Authorization: Bearer t1");
    wait_settled(2);
    cr_assert_str_eq(get().authorization, "Authorization: Bearer t2");
    cr_assert(identity_ready(identity));
    cr_assert_eq(runs(), 2);
}

Test(identity, keeps_what_is_good_when_it_cannot_be_renewed_and_waits_at_its_end)
{
    plugin_print("t1", 2);
    cr_assert_not(identity_ready(identity));
    wait_settled(1);
    plugin_write("exit 1");
    usleep(1600000);
    cr_assert(identity_ready(identity));
    wait_settled(2);
    cr_assert_str_eq(failure, "");
    cr_assert(identity_ready(identity));
    cr_assert_eq(runs(), 2);
    usleep(500000);
    cr_assert_not(identity_ready(identity));
    wait_settled(3);
    cr_assert_not_null(strstr(failure, "exit status 1"), "%s", failure);
}

Test(identity, does_not_ask_for_ever_what_has_expired_already)
{
    plugin_print("t1", -5);
    cr_assert_not(identity_ready(identity));
    wait_settled(1);
    cr_assert_not_null(strstr(failure, "what it gave has expired"), "%s", failure);
}

Test(identity, says_how_the_plugin_failed)
{
    static const struct {
        const char *script;
        const char *message;
    } cases[] = {
        {"echo 'Unable to locate credentials' >&2; exit 255",
         "exit status 255: Unable to locate credentials"},
        {"echo '{}'", "its answer: kind: expected ExecCredential, found ''"},
        {"echo hello", "its answer: "},
        {"echo '" STATUS("\"token\":\"\"") "'",
         "its answer: status: there is neither a token nor a certificate"},
        {"head -c 2000000 /dev/zero", "it wrote more than 1048576 bytes"},
    };

    plugin_make("");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        plugin_write(cases[i].script);
        cr_assert_not(identity_ready(identity));
        wait_settled(i + 1);
        cr_assert_not_null(strstr(failure, cases[i].message), "%s", failure);
        cr_assert_not_null(strstr(failure, "credential plugin '/tmp/identity-"), "%s", failure);
    }
}

Test(identity, gives_the_hint_to_who_does_not_have_the_plugin)
{
    char name[] = "no-such-plugin";
    char *argv[] = {name, NULL};

    plugin.install_hint = (char[]){"Install it from example.com.\nThen be happy.\n"};
    plugin_make("");
    plugin.argv = argv;
    cr_assert_not(identity_ready(identity));
    cr_assert_eq(settled, 0);
    wait_settled(1);
    cr_assert_str_eq(failure, "credential plugin: cannot run 'no-such-plugin': no such file or "
                              "directory; Install it from example.com.");
}

Test(identity, may_be_freed_while_the_plugin_runs)
{
    plugin_make("sleep 100");
    cr_assert_not(identity_ready(identity));
    identity_free(TAKE(identity));
    loop_turn(loop, 10);
    cr_assert_eq(settled, 0);
}
