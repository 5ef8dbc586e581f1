#include "options.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/yaml.h"
#include "model/name.h"
#include "options_internal.h"

#define CONFIG_FILE_MAX (1024 * 1024)
#define DURATION_MAX_MS (3600u * 1000)

struct setting {
    const char *flag;     /* --flag */
    const char *key;      /* in the config file */
    const char *argument; /* NULL: true or false, and true where a flag has no value */
    const char *help;
    option_setter *set;
    bool list; /* may be given several times; a list in the config file */
};

/* ---- one setter per setting ---- */

static void text_list_done(struct text_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){0};
}

static enum code add_listen(struct options *options, struct str value, struct err *err)
{
    enum code code = option_check_address(value, err);

    if (code == CODE_OK)
        option_add(&options->listen, value);
    return code;
}

static enum code set_admin(struct options *options, struct str value, struct err *err)
{
    enum code code = option_check_address(value, err);

    if (code == CODE_OK)
        option_replace(&options->admin, value);
    return code;
}

static enum code set_threads(struct options *options, struct str value, struct err *err)
{
    if (!str_to_u64(value, SERVE_THREADS_MAX, &options->threads) || options->threads == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "expected a number from 1 to %d",
                    SERVE_THREADS_MAX);
    return CODE_OK;
}

static enum code set_cluster_domain(struct options *options, struct str value, struct err *err)
{
    /* DNS writes a full name with a dot at its end; names are compared without it. */
    struct str domain = str_slice(value, 0, value.len - str_ends_with(value, STR(".")));
    struct str rest = domain;

    if (domain.len == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "the cluster domain is empty");
    do {
        if (!name_is_label(str_cut(&rest, '.')))
            return fail(err, CODE_INVALID_ARGUMENT, "'%" STR_FMT "' is not a DNS domain",
                        STR_ARG(value));
    } while (rest.ptr);
    option_replace(&options->cluster_domain, domain);
    return CODE_OK;
}

static enum code set_default_namespace(struct options *options, struct str value, struct err *err)
{
    enum code code = option_check_namespace(value, err);

    if (code == CODE_OK)
        option_replace(&options->default_namespace, value);
    return code;
}

static enum code set_unknown_names(struct options *options, struct str value, struct err *err)
{
    if (str_eq(value, STR("empty")))
        options->unknown_names = UNKNOWN_NAMES_EMPTY;
    else if (str_eq(value, STR("absent")))
        options->unknown_names = UNKNOWN_NAMES_ABSENT;
    else
        return fail(err, CODE_INVALID_ARGUMENT, "expected empty or absent");
    return CODE_OK;
}

static enum code set_log_format(struct options *options, struct str value, struct err *err)
{
    if (!log_format_parse(value, &options->log_format))
        return fail(err, CODE_INVALID_ARGUMENT, "expected text or json");
    return CODE_OK;
}

static enum code set_log_level(struct options *options, struct str value, struct err *err)
{
    if (!log_level_parse(value, &options->log_level))
        return fail(err, CODE_INVALID_ARGUMENT, "expected debug, info, warn or error");
    return CODE_OK;
}

static enum code set_deletion_grace(struct options *options, struct str value, struct err *err)
{
    return duration_parse(value, DURATION_MAX_MS, &options->deletion_grace_ms, err);
}

static enum code set_shutdown_delay(struct options *options, struct str value, struct err *err)
{
    return duration_parse(value, DURATION_MAX_MS, &options->shutdown_delay_ms, err);
}

static enum code set_shutdown_timeout(struct options *options, struct str value, struct err *err)
{
    return duration_parse(value, DURATION_MAX_MS, &options->shutdown_timeout_ms, err);
}

static const struct setting settings[] = {
    {"kubeconfig", "kubeconfig", "FILE", "read objects from the API server that FILE names",
     option_set_kubeconfig, false},
    {"context", "context", "NAME", "a context of the kubeconfig (default: its current-context)",
     option_set_context, false},
    {"directory", "directory", "DIR", "read objects from the manifests in DIR instead",
     option_set_directory, false},
    {"listen", "listen", "ADDR:PORT",
     "serve gRPC clients here; may be repeated; also unix:/path (default :18000)", add_listen,
     true},
    {"tls-listen", "tlsListen", "ADDR:PORT",
     "the same over TLS; may be repeated (default :18443 with a certificate, else none)",
     option_add_tls_listen, true},
    {"tls-cert", "tlsCert", "FILE",
     "the certificate for that and the chain behind it, PEM; read "
     "again when it changes",
     option_set_tls_cert, false},
    {"tls-key", "tlsKey", "FILE", "its key, PEM, without a passphrase", option_set_tls_key, false},
    {"tls-client-ca", "tlsClientCa", "FILE",
     "ask clients for a certificate that one of these authorities has signed, PEM; read again "
     "when it changes",
     option_set_tls_client_ca, false},
    {"tls-client-auth", "tlsClientAuth", "optional|require",
     "whether a client without one is served over TLS (default optional)",
     option_set_tls_client_auth, false},
    {"tokens", "tokens", NULL,
     "a client's calls may carry a token of its service account, which the API server's keys "
     "verify (default false)",
     option_set_tokens, false},
    {"token-audience", "tokenAudience", "AUDIENCE",
     "that such a token has to be for (default " OPTIONS_TOKEN_AUDIENCE ")",
     option_set_token_audience, false},
    {"unix-account", "unixAccounts", "UID=NAMESPACE/ACCOUNT",
     "a client of that user on a unix socket is that service account; may be repeated (default: "
     "none is)",
     option_add_unix_account, true},
    {"identify-pods", "identifyPods", NULL,
     "read Pods, too: a client that nothing else identifies is the service account of the pod "
     "that has its address; needs list and watch on pods (default false)",
     option_set_identify_pods, false},
    {"default-access", "defaultAccess", "all|namespace|none",
     "who may see a Service whose LookasideService does not say: everybody, service accounts of "
     "its namespace, or nobody (default all)",
     option_set_default_access, false},
    {"admin", "admin", "ADDR:PORT", "health, metrics and dumps (default :18080)", set_admin, false},
    {"threads", "threads", "N", "serving threads (default: the CPU quota, at most 4)", set_threads,
     false},
    {"namespaces", "namespaces", "A,B", "watch only these namespaces (default: all)",
     option_add_namespaces, true},
    {"source", "source", "slices|endpoints",
     "read EndpointSlices, or v1 Endpoints where the cluster has none (default slices)",
     option_set_source, false},
    {"nodes", "nodes", NULL,
     "read Nodes too, for the zone of clients that only tell their node; needs list and watch on "
     "nodes (default false)",
     option_set_nodes, false},
    {"publish", "publish", "all|annotated|resources",
     "which Services: every one, those annotated " PUBLISH_ANNOTATION ": \"true\" or with a "
     "LookasideService, or only the latter (default all)",
     option_set_publish, false},
    {"host-suffixes", "hostSuffixes", "A,B",
     "domains below which LookasideServices may claim hosts (default: none)",
     option_add_host_suffixes, true},
    {"cluster-domain", "clusterDomain", "DOMAIN",
     "suffix of full Service names (default cluster.local)", set_cluster_domain, false},
    {"default-namespace", "defaultNamespace", "NAME",
     "namespace of one-label names, for clients that tell none (default: the kubeconfig's, else "
     "default)",
     set_default_namespace, false},
    {"unknown-names", "unknownNames", "empty|absent",
     "answer for a Service that does not exist: an empty list, or nothing (default empty)",
     set_unknown_names, false},
    {"deletion-grace", "deletionGrace", "DURATION",
     "a deleted Service keeps its last list for so long, in case it comes back (default 5s)",
     set_deletion_grace, false},
    {"log-format", "logFormat", "text|json", "default text", set_log_format, false},
    {"log-level", "logLevel", "LEVEL", "debug, info, warn or error (default info)", set_log_level,
     false},
    {"shutdown-delay", "shutdownDelay", "DURATION",
     "after SIGTERM: unready for so long before the listeners close (default 0s)",
     set_shutdown_delay, false},
    {"shutdown-timeout", "shutdownTimeout", "DURATION",
     "then: end the streams within this time (default 10s)", set_shutdown_timeout, false},
    {"leader-election", "leaderElection", NULL,
     "of several replicas one writes: who holds the Lease (default false)",
     option_set_leader_election, false},
    {"lease", "lease", "NAMESPACE/NAME",
     "that Lease (default: lookaside, in the namespace of the pod or kubeconfig)", option_set_lease,
     false},
    {"identity", "identity", "NAME", "this replica's name in it (default: the host's)",
     option_set_identity, false},
    {"status", "status", NULL,
     "write the status of LookasideServices, and Events (default: with --leader-election)",
     option_set_status, false},
    {"replicas-service", "replicasService", "NAMESPACE/NAME",
     "the Service whose endpoints are the replicas' admin ports, to count clients over all of "
     "them (default: only this one's) and to share them evenly",
     option_set_replicas_service, false},
    {"rebalance", "rebalance", NULL,
     "while this replica holds more than its share of the streams, end some: their clients come "
     "back through the Service (default: with --replicas-service)",
     option_set_rebalance, false},
    {"rebalance-age", "rebalanceAge", "DURATION", "but none that is younger (default 2m)",
     option_set_rebalance_age, false},
    {"load-reports", "loadReports", NULL,
     "clients report what they call each Service, and how that goes (default false)",
     option_set_load_reports, false},
    {"load-report-interval", "loadReportInterval", "DURATION", "how often, from 1s (default 10s)",
     option_set_load_interval, false},
    {"limit", "limits", "NAME=VALUE",
     "what a client may do at most; may be repeated. Names and defaults:", option_set_limit, false},
};

/* Given as NAME=VALUE, several times; a mapping in the config file, of which those count that no
 * flag has set. */
static bool is_mapping(const struct setting *setting)
{
    return setting->set == option_set_limit;
}

/* ---- the config file ---- */

/* Beyond 2^53 a double no longer tells one whole number from the next. */
static bool is_whole(double number)
{
    return number >= -0x1p53 && number <= 0x1p53 && number == (double)(int64_t)number;
}

#define NUMBER_TEXT_MAX 32

/* A value as a flag would have it; borrowed from it, or in `number`. */
static enum code text_of_json(const struct setting *setting, const struct json *value,
                              char number[NUMBER_TEXT_MAX], struct str *ret_text, struct err *err)
{
    if (json_type(value) == JSON_STRING) {
        *ret_text = json_text(value);
        return CODE_OK;
    }
    if (json_type(value) == JSON_BOOL && !setting->argument) {
        *ret_text = json_bool(value) ? STR("true") : STR("false");
        return CODE_OK;
    }
    if (json_type(value) == JSON_NUMBER && !is_whole(json_number(value)))
        return fail(err, CODE_INVALID_ARGUMENT, "expected a whole number, found %g",
                    json_number(value));
    if (json_type(value) == JSON_NUMBER) {
        snprintf(number, NUMBER_TEXT_MAX, "%.0f", json_number(value));
        *ret_text = str_of(number);
        return CODE_OK;
    }
    return fail(err, CODE_INVALID_ARGUMENT, "expected %s%s, found %s",
                setting->argument ? "a text" : "true or false",
                setting->list ? " or a list of texts" : "", json_type_name(json_type(value)));
}

static enum code set_from_json(struct options *options, const struct setting *setting,
                               const struct json *value, struct err *err)
{
    char number[NUMBER_TEXT_MAX];
    struct str text;
    enum code code = text_of_json(setting, value, number, &text, err);

    return code == CODE_OK ? setting->set(options, text, err) : code;
}

static enum code set_entry(struct options *options, const struct setting *setting,
                           const struct json *item, struct err *err)
{
    struct buf pair = BUFFER_INIT(CONFIG_FILE_MAX);
    char number[NUMBER_TEXT_MAX];
    struct str key = json_key(item), text;
    enum code code = text_of_json(setting, item, number, &text, err);

    if (code != CODE_OK)
        return fail_in(err, "%" STR_FMT, STR_ARG(str_slice(key, 0, 64)));
    buf_printf(&pair, "%" STR_FMT "=%" STR_FMT, STR_ARG(key), STR_ARG(text));
    code = setting->set(options, buf_str(&pair), err);
    buf_done(&pair);
    return code;
}

static enum code apply_mapping(struct options *options, const struct setting *setting,
                               const struct json *value, struct err *err)
{
    if (json_type(value) != JSON_OBJECT)
        return fail(err, CODE_INVALID_ARGUMENT, "expected a mapping, found %s",
                    json_type_name(json_type(value)));
    for (const struct json *item = json_first(value); item; item = json_next(item)) {
        enum code code = CODE_OK;

        if (!option_has_limit(options, json_key(item)))
            code = set_entry(options, setting, item, err);
        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

static enum code apply_setting(struct options *options, const struct setting *setting,
                               const struct json *value, struct err *err)
{
    if (is_mapping(setting))
        return apply_mapping(options, setting, value, err);
    if (!setting->list || json_type(value) != JSON_ARRAY)
        return set_from_json(options, setting, value, err);
    if (json_len(value) == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "the list is empty");
    for (const struct json *item = json_first(value); item; item = json_next(item)) {
        enum code code = set_from_json(options, setting, item, err);

        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

static const struct setting *find_key(struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (str_eq(str_of(settings[i].key), key))
            return &settings[i];
    return NULL;
}

/* A file's documents are one mapping; `set` marks the settings that flags gave and that therefore
 * stay. */
struct config_file {
    struct options *options;
    const bool *set;
    struct err *err;
    enum code code;
};

static void on_document(void *ctx, struct json *document, size_t line unused_arg)
{
    struct config_file *file = ctx;

    if (file->code == CODE_OK && json_type(document) != JSON_OBJECT)
        file->code = fail(file->err, CODE_INVALID_ARGUMENT, "expected settings, found %s",
                          json_type_name(json_type(document)));
    for (const struct json *item = json_first(document); item && file->code == CODE_OK;
         item = json_next(item)) {
        const struct setting *setting = find_key(json_key(item));

        if (!setting) {
            file->code = fail(file->err, CODE_INVALID_ARGUMENT, "unknown setting '%" STR_FMT "'",
                              STR_ARG(json_key(item)));
        } else if (is_mapping(setting) || !file->set[setting - settings]) {
            file->code = apply_setting(file->options, setting, item, file->err);
            if (file->code != CODE_OK)
                fail_in(file->err, "%s", setting->key);
        }
    }
    json_free(document);
}

static enum code read_file(const char *path, struct buf *out, struct err *err)
{
    FILE *file = fopen(path, "re");
    char chunk[4096];
    size_t len;

    if (!file)
        return fail(err, CODE_NOT_FOUND, "%s", strerror(errno));
    while (!buf_failed(out) && (len = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_append(out, chunk, len);
    if (ferror(file))
        fail(err, CODE_INVALID_ARGUMENT, "%s", strerror(errno));
    fclose(file);
    if (buf_failed(out))
        return fail(err, CODE_RESOURCE_EXHAUSTED, "larger than %d bytes", CONFIG_FILE_MAX);
    return err->code;
}

static enum code read_config(const char *path, struct options *options, const bool *set,
                             struct err *err)
{
    struct config_file file = {options, set, err, CODE_OK};
    struct buf text = BUFFER_INIT(CONFIG_FILE_MAX);
    enum code code = read_file(path, &text, err);

    if (code == CODE_OK)
        code = yaml_parse(buf_str(&text), on_document, &file, err);
    buf_done(&text);
    if (code == CODE_OK)
        code = file.code;
    if (code != CODE_OK)
        return fail_in(err, "config file '%s'", path);
    return CODE_OK;
}

/* ---- flags ---- */

static void print_help(void)
{
    printf("lookaside %s: streams the live backends of Kubernetes Services to gRPC clients\n\n"
           "usage: lookaside [--kubeconfig FILE | --directory DIR] [flags]\n\n"
           "Without either, objects come from the API server of the pod it runs in.\n\n",
           LOOKASIDE_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        printf("  --%s%s%s\n        %s\n", settings[i].flag, settings[i].argument ? " " : "",
               settings[i].argument ? settings[i].argument : "", settings[i].help);
        if (is_mapping(&settings[i]))
            option_print_limits();
    }
    printf("  --config FILE\n        YAML with the same settings; flags win. Keys:");
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        printf(" %s", settings[i].key);
    printf("\n  --version\n  --help\n");
}

static const struct setting *find_flag(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (str_eq(str_of(settings[i].flag), name))
            return &settings[i];
    return NULL;
}

/* Splits "--name=value" or, unless the flag is a switch, takes the next argument. */
static enum code flag_value(int argc, char **argv, int *index, bool is_switch, struct str *name,
                            struct str *value, struct err *err)
{
    struct str rest = str_of(argv[*index] + 2);

    if (str_find(rest, '=') < rest.len) {
        *name = str_cut(&rest, '=');
        *value = rest;
        return CODE_OK;
    }
    *name = rest;
    *value = STR("true");
    if (is_switch)
        return CODE_OK;
    /* No value begins so: the next flag does. */
    if (*index + 1 >= argc || strncmp(argv[*index + 1], "--", 2) == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "flag --%" STR_FMT " needs a value", STR_ARG(rest));
    *value = str_of(argv[++*index]);
    return CODE_OK;
}

static enum code parse_flag(int argc, char **argv, int *index, struct options *options, bool *set,
                            char **config, struct err *err)
{
    const struct setting *setting;
    struct str name = str_of(argv[*index]), value;
    enum code code;

    if (!str_starts_with(name, STR("--")))
        return fail(err, CODE_INVALID_ARGUMENT, "unexpected argument '%s'", argv[*index]);
    name = str_of(argv[*index] + 2);
    name = str_cut(&name, '=');
    setting = find_flag(name);
    if (!setting && !str_eq(name, STR("config")))
        return fail(err, CODE_INVALID_ARGUMENT, "unknown flag --%" STR_FMT, STR_ARG(name));
    code = flag_value(argc, argv, index, setting && !setting->argument, &name, &value, err);
    if (code != CODE_OK)
        return code;
    if (!setting) {
        option_replace(config, value);
        return CODE_OK;
    }
    set[setting - settings] = true;
    code = setting->set(options, value, err);
    if (code != CODE_OK)
        return fail_in(err, "flag --%s", setting->flag);
    return CODE_OK;
}

static void set_defaults(struct options *options)
{
    if (options->listen.len == 0)
        option_add(&options->listen, STR(":18000"));
    if (options->tls_listen.len == 0 && options->tls_cert)
        option_add(&options->tls_listen, STR(":18443"));
    if (!options->admin)
        options->admin = xstrdup(":18080");
    if (!options->token_audience)
        options->token_audience = xstrdup(OPTIONS_TOKEN_AUDIENCE);
    if (!options->cluster_domain)
        options->cluster_domain = xstrdup("cluster.local");
}

static enum code check_together(struct options *options, struct err *err)
{
    if (option_check_source(options, err) != CODE_OK || option_check_tls(options, err) != CODE_OK ||
        option_check_writing(options, err) != CODE_OK || option_check_load(options, err) != CODE_OK ||
        option_check_limits(options, err) != CODE_OK)
        return err->code;
    return option_check_suffixes(options, err);
}

enum code options_parse(int argc, char **argv, struct options *options,
                        enum options_result *ret_result, struct err *err)
{
    bool set[ARRAY_LEN(settings)] = {false};
    CLEANUP(freep) char *config = NULL;
    enum code code = CODE_OK;

    *options = (struct options){.deletion_grace_ms = 5000,
                                .log_level = LOG_LEVEL_INFO,
                                .shutdown_timeout_ms = 10000,
                                .rebalance_age_ms = 120 * 1000};
    *ret_result = OPTIONS_RUN;
    for (int i = 1; i < argc && code == CODE_OK; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            *ret_result = OPTIONS_EXIT_OK;
            return CODE_OK;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("lookaside %s\n", LOOKASIDE_VERSION);
            *ret_result = OPTIONS_EXIT_OK;
            return CODE_OK;
        }
        code = parse_flag(argc, argv, &i, options, set, &config, err);
    }
    if (code == CODE_OK && config)
        code = read_config(config, options, set, err);
    if (!options->status_given)
        options->status = options->leader_election;
    if (!options->rebalance_given)
        options->rebalance = options->replicas_service != NULL;
    if (code == CODE_OK)
        code = check_together(options, err);
    set_defaults(options);
    return code;
}

void options_done(struct options *options)
{
    free(options->kubeconfig);
    free(options->context);
    free(options->directory);
    text_list_done(&options->listen);
    text_list_done(&options->tls_listen);
    free(options->tls_cert);
    free(options->tls_key);
    free(options->tls_client_ca);
    free(options->token_audience);
    uid_accounts_done(&options->unix_accounts);
    free(options->admin);
    text_list_done(&options->namespaces);
    text_list_done(&options->host_suffixes);
    free(options->cluster_domain);
    free(options->default_namespace);
    free(options->lease);
    free(options->identity);
    free(options->replicas_service);
    *options = (struct options){0};
}
