/*
 * What the controller was asked to do: flags, and the same settings in a YAML file (--config).
 * Flags win.
 *
 * Owns: options_done() frees everything.
 */
#ifndef LOOKASIDE_OPTIONS_H
#define LOOKASIDE_OPTIONS_H

#include "base/err.h"
#include "base/log.h"
#include "controller/controller.h"
#include "serve/serve.h"

#define OPTIONS_NAMESPACES_MAX 256
#define OPTIONS_IDENTITY_MAX 253
#define OPTIONS_SUFFIXES_MAX 64
#define OPTIONS_TOKEN_AUDIENCE "lookaside.dev"

struct text_list {
    char **items; /* NULL-terminated once it has items */
    size_t len;
    size_t cap;
};

struct options {
    char *kubeconfig;
    char *context;
    char *directory;
    struct text_list listen; /* default :18000 */
    char *admin;             /* default :18080 */
    struct text_list tls_listen; /* default :18443 with a certificate */
    char *tls_cert, *tls_key;    /* NULL: no TLS */
    char *tls_client_ca;         /* NULL: clients are asked for no certificate */
    bool tls_client_required;
    enum default_access default_access;
    bool tokens;          /* of service accounts, in calls */
    char *token_audience; /* default OPTIONS_TOKEN_AUDIENCE */
    struct uid_accounts unix_accounts;
    bool identify_pods;
    uint64_t threads;        /* 0: min(4, CPU quota) */
    struct text_list namespaces;
    bool endpoints; /* --source endpoints */
    bool nodes;
    enum publish_mode publish;
    struct text_list host_suffixes;
    char *cluster_domain;    /* default cluster.local */
    char *default_namespace; /* default: the kubeconfig's, else "default" */
    enum unknown_names unknown_names;
    uint64_t deletion_grace_ms;
    enum log_format log_format;
    enum log_level log_level;
    uint64_t shutdown_delay_ms;
    uint64_t shutdown_timeout_ms;
    bool leader_election;
    char *lease;            /* NAMESPACE/NAME, as replicas_service; NULL: the default */
    char *identity;         /* NULL: the host's name */
    bool status;            /* default: as leader_election */
    bool status_given;
    char *replicas_service; /* NULL: only this replica's clients are counted */
    bool rebalance;         /* default: with replicas_service */
    bool rebalance_given;
    uint64_t rebalance_age_ms;
    bool load_reports;
    uint64_t load_interval_ms; /* 0: no reports */
    /* 0: as their tables say */
    struct grpc_limits grpc_limits;
    struct serve_limits limits;
};

enum options_result { OPTIONS_RUN, OPTIONS_EXIT_OK };

/* Reads flags, then the config file that they name. --help and --version print and give
 * OPTIONS_EXIT_OK. Errors name the flag or the setting and its file. */
enum code options_parse(int argc, char **argv, struct options *options,
                        enum options_result *ret_result, struct err *err) must_check;
void options_done(struct options *options);

/* Some client can prove who it is. */
bool options_identify(const struct options *options);
/* "NAMESPACE/NAME" in two texts of the caller's. */
void options_split(const char *object, char **ret_namespace, char **ret_name);

#endif
