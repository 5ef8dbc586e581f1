/* The settings of TLS for clients, and of who they are. */
#include "options_internal.h"

enum code option_add_tls_listen(struct options *options, struct str value, struct err *err)
{
    enum code code = option_check_address(value, err);

    if (code == CODE_OK)
        option_add(&options->tls_listen, value);
    return code;
}

static enum code set_file(char **slot, struct str value, struct err *err)
{
    if (value.len == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "expected the name of a file");
    option_replace(slot, value);
    return CODE_OK;
}

enum code option_set_tls_cert(struct options *options, struct str value, struct err *err)
{
    return set_file(&options->tls_cert, value, err);
}

enum code option_set_tls_key(struct options *options, struct str value, struct err *err)
{
    return set_file(&options->tls_key, value, err);
}

enum code option_set_tls_client_ca(struct options *options, struct str value, struct err *err)
{
    return set_file(&options->tls_client_ca, value, err);
}

enum code option_set_tls_client_auth(struct options *options, struct str value, struct err *err)
{
    options->tls_client_required = str_eq(value, STR("require"));
    if (!options->tls_client_required && !str_eq(value, STR("optional")))
        return fail(err, CODE_INVALID_ARGUMENT, "expected optional or require");
    return CODE_OK;
}

enum code option_set_default_access(struct options *options, struct str value, struct err *err)
{
    if (str_eq(value, STR("all")))
        options->default_access = ACCESS_ALL;
    else if (str_eq(value, STR("namespace")))
        options->default_access = ACCESS_NAMESPACE;
    else if (str_eq(value, STR("none")))
        options->default_access = ACCESS_NONE;
    else
        return fail(err, CODE_INVALID_ARGUMENT, "expected all, namespace or none");
    return CODE_OK;
}

enum code option_set_tokens(struct options *options, struct str value, struct err *err)
{
    return option_read_switch(value, &options->tokens, err);
}

enum code option_set_token_audience(struct options *options, struct str value, struct err *err)
{
    if (value.len == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "the audience is empty");
    option_replace(&options->token_audience, value);
    return CODE_OK;
}

enum code option_add_unix_account(struct options *options, struct str value, struct err *err)
{
    return uid_accounts_add(&options->unix_accounts, value, err);
}

bool options_identify(const struct options *options)
{
    return options->tokens || options->tls_client_ca || options->unix_accounts.len > 0 ||
           options->identify_pods;
}

enum code option_set_identify_pods(struct options *options, struct str value, struct err *err)
{
    return option_read_switch(value, &options->identify_pods, err);
}

static bool has_unix(const struct text_list *addresses)
{
    for (size_t i = 0; i < addresses->len; i++)
        if (str_starts_with(str_of(addresses->items[i]), STR("unix:")))
            return true;
    return false;
}

static enum code check_identity(const struct options *options, struct err *err)
{
    if (options->tokens && options->directory)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "--tokens and --directory exclude each other: an API server's keys verify "
                    "tokens");
    if (options->identify_pods && options->directory)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "--identify-pods and --directory exclude each other: an API server tells of "
                    "pods");
    if (options->default_access != ACCESS_ALL && !options_identify(options))
        return fail(err, CODE_INVALID_ARGUMENT,
                    "--default-access needs --tokens, --tls-client-ca, --unix-account or "
                    "--identify-pods: no client could prove who it is");
    if (options->token_audience && !options->tokens)
        return fail(err, CODE_INVALID_ARGUMENT, "--token-audience needs --tokens");
    if (options->unix_accounts.len > 0 && !has_unix(&options->listen) &&
        !has_unix(&options->tls_listen))
        return fail(err, CODE_INVALID_ARGUMENT, "--unix-account needs --listen unix:/PATH");
    return CODE_OK;
}

enum code option_check_tls(const struct options *options, struct err *err)
{
    enum code code = check_identity(options, err);

    if (code != CODE_OK)
        return code;
    if (options->tls_cert && !options->tls_key)
        return fail(err, CODE_INVALID_ARGUMENT, "--tls-cert needs --tls-key");
    if (options->tls_key && !options->tls_cert)
        return fail(err, CODE_INVALID_ARGUMENT, "--tls-key needs --tls-cert");
    if (options->tls_listen.len > 0 && !options->tls_cert)
        return fail(err, CODE_INVALID_ARGUMENT, "--tls-listen needs --tls-cert and --tls-key");
    if (options->tls_client_ca && !options->tls_cert)
        return fail(err, CODE_INVALID_ARGUMENT, "--tls-client-ca needs --tls-cert and --tls-key");
    if (options->tls_client_required && !options->tls_client_ca)
        return fail(err, CODE_INVALID_ARGUMENT, "--tls-client-auth require needs --tls-client-ca");
    return CODE_OK;
}
