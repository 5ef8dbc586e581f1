/*
 * What the files of options share; nobody else includes it.
 */
#ifndef LOOKASIDE_OPTIONS_INTERNAL_H
#define LOOKASIDE_OPTIONS_INTERNAL_H

#include "options.h"

/* Takes what a flag or the config file says. Fails with CODE_INVALID_ARGUMENT, unnamed. */
typedef enum code option_setter(struct options *options, struct str value, struct err *err);

/* ---- options_value.c ---- */

void option_replace(char **slot, struct str value);
void option_add(struct text_list *list, struct str value);
/* "A,B": add() takes each of them, up to the first that it refuses. */
enum code option_add_each(struct options *options, struct str value, option_setter *add,
                          struct err *err);
enum code option_check_address(struct str value, struct err *err) must_check;
enum code option_check_namespace(struct str value, struct err *err) must_check;
enum code option_read_switch(struct str value, bool *ret_on, struct err *err) must_check;

/* ---- options_source.c ---- */

enum code option_set_kubeconfig(struct options *options, struct str value, struct err *err);
enum code option_set_context(struct options *options, struct str value, struct err *err);
enum code option_set_directory(struct options *options, struct str value, struct err *err);
enum code option_add_namespaces(struct options *options, struct str value, struct err *err);
enum code option_set_source(struct options *options, struct str value, struct err *err);
enum code option_set_nodes(struct options *options, struct str value, struct err *err);
enum code option_check_source(const struct options *options, struct err *err) must_check;

/* ---- options_writing.c: setters of it and of replicas, and what excludes what ---- */

enum code option_set_leader_election(struct options *options, struct str value, struct err *err);
enum code option_set_lease(struct options *options, struct str value, struct err *err);
enum code option_set_identity(struct options *options, struct str value, struct err *err);
enum code option_set_status(struct options *options, struct str value, struct err *err);
enum code option_set_replicas_service(struct options *options, struct str value, struct err *err);
enum code option_set_rebalance(struct options *options, struct str value, struct err *err);
enum code option_set_rebalance_age(struct options *options, struct str value, struct err *err);
enum code option_check_writing(const struct options *options, struct err *err) must_check;

/* ---- options_tls.c ---- */

enum code option_add_tls_listen(struct options *options, struct str value, struct err *err);
enum code option_set_tls_cert(struct options *options, struct str value, struct err *err);
enum code option_set_tls_key(struct options *options, struct str value, struct err *err);
enum code option_set_tls_client_ca(struct options *options, struct str value, struct err *err);
enum code option_set_tls_client_auth(struct options *options, struct str value, struct err *err);
enum code option_set_default_access(struct options *options, struct str value, struct err *err);
enum code option_set_tokens(struct options *options, struct str value, struct err *err);
enum code option_set_token_audience(struct options *options, struct str value, struct err *err);
enum code option_add_unix_account(struct options *options, struct str value, struct err *err);
enum code option_set_identify_pods(struct options *options, struct str value, struct err *err);
enum code option_check_tls(const struct options *options, struct err *err) must_check;

/* ---- options_load.c ---- */

enum code option_set_load_reports(struct options *options, struct str value, struct err *err);
enum code option_set_load_interval(struct options *options, struct str value, struct err *err);
/* Sets the default, too. */
enum code option_check_load(struct options *options, struct err *err) must_check;

/* ---- options_limit.c ---- */

enum code option_set_limit(struct options *options, struct str value, struct err *err);
/* A flag has set it. */
bool option_has_limit(struct options *options, struct str name);
enum code option_check_limits(const struct options *options, struct err *err) must_check;
/* A line for each. */
void option_print_limits(void);

/* ---- options_resource.c ---- */

enum code option_set_publish(struct options *options, struct str value, struct err *err);
enum code option_add_host_suffixes(struct options *options, struct str value, struct err *err);
enum code option_check_suffixes(const struct options *options, struct err *err) must_check;

#endif
