/* The settings of what is written to the API server, and of several replicas. */
#include "base/clock.h"
#include "model/name.h"
#include "options_internal.h"

#define REBALANCE_AGE_MIN_MS 1000
#define REBALANCE_AGE_MAX_MS (3600u * 1000)

enum code option_set_leader_election(struct options *options, struct str value, struct err *err)
{
    return option_read_switch(value, &options->leader_election, err);
}

enum code option_set_status(struct options *options, struct str value, struct err *err)
{
    options->status_given = true;
    return option_read_switch(value, &options->status, err);
}

/* The name of most objects: labels with dots between them. */
static bool is_object_name(struct str name)
{
    do {
        if (!name_is_label(str_cut(&name, '.')))
            return false;
    } while (name.ptr);
    return true;
}

static enum code set_object(char **slot, struct str value, struct err *err)
{
    struct str name = value;
    struct str namespace_name = str_cut(&name, '/');

    if (!name_is_label(namespace_name) || !is_object_name(name))
        return fail(err, CODE_INVALID_ARGUMENT, "expected NAMESPACE/NAME");
    option_replace(slot, value);
    return CODE_OK;
}

enum code option_set_lease(struct options *options, struct str value, struct err *err)
{
    return set_object(&options->lease, value, err);
}

enum code option_set_replicas_service(struct options *options, struct str value, struct err *err)
{
    return set_object(&options->replicas_service, value, err);
}

enum code option_set_identity(struct options *options, struct str value, struct err *err)
{
    if (value.len == 0 || value.len > OPTIONS_IDENTITY_MAX)
        return fail(err, CODE_INVALID_ARGUMENT, "expected 1 to %d characters",
                    OPTIONS_IDENTITY_MAX);
    option_replace(&options->identity, value);
    return CODE_OK;
}

enum code option_set_rebalance(struct options *options, struct str value, struct err *err)
{
    options->rebalance_given = true;
    return option_read_switch(value, &options->rebalance, err);
}

/* A twelfth of it is the time between two rounds of questions. */
enum code option_set_rebalance_age(struct options *options, struct str value, struct err *err)
{
    enum code code = duration_parse(value, REBALANCE_AGE_MAX_MS, &options->rebalance_age_ms, err);

    if (code == CODE_OK && options->rebalance_age_ms < REBALANCE_AGE_MIN_MS)
        return fail(err, CODE_INVALID_ARGUMENT, "expected 1s or more");
    return code;
}

void options_split(const char *object, char **ret_namespace, char **ret_name)
{
    struct str name = str_of(object);

    *ret_namespace = str_dup(str_cut(&name, '/'));
    *ret_name = str_dup(name);
}

enum code option_check_writing(const struct options *options, struct err *err)
{
    if (options->directory && (options->leader_election || options->status))
        return fail(err, CODE_INVALID_ARGUMENT,
                    "--%s and --directory exclude each other: there is no API server to write to",
                    options->leader_election ? "leader-election" : "status");
    if (options->lease && !options->leader_election)
        return fail(err, CODE_INVALID_ARGUMENT, "--lease needs --leader-election");
    if (options->replicas_service && options->directory)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "--replicas-service and --directory exclude each other: there is no API server "
                    "to ask for the replicas");
    if (options->replicas_service && !options->status && !options->rebalance)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "--replicas-service needs --leader-election, --status or --rebalance");
    if (options->rebalance && !options->replicas_service)
        return fail(err, CODE_INVALID_ARGUMENT, "--rebalance needs --replicas-service");
    return CODE_OK;
}
