/* The limits of the ports for clients: NAME=VALUE, by the tables of those who hold them. */
#include "options_internal.h"

/* Where that limit's value is; NULL: there is none of that name. */
static uint64_t *find(struct options *options, struct str name, const struct limit **ret_limit)
{
    *ret_limit = limit_find(serve_limit_table, SERVE_LIMITS, name);
    if (*ret_limit)
        return limit_of(*ret_limit, &options->limits);
    *ret_limit = limit_find(grpc_limit_table, GRPC_LIMITS, name);
    return *ret_limit ? limit_of(*ret_limit, &options->grpc_limits) : NULL;
}

bool option_has_limit(struct options *options, struct str name)
{
    const struct limit *limit;
    const uint64_t *value = find(options, name, &limit);

    return value && *value > 0;
}

enum code option_set_limit(struct options *options, struct str value, struct err *err)
{
    struct str name = str_trim(str_cut(&value, '='));
    const struct limit *limit;
    uint64_t *slot;

    if (!value.ptr)
        return fail(err, CODE_INVALID_ARGUMENT, "expected NAME=VALUE");
    slot = find(options, name, &limit);
    if (!slot)
        return fail(err, CODE_INVALID_ARGUMENT, "no limit '%" STR_FMT "': --help lists them",
                    STR_ARG(str_slice(name, 0, 64)));
    return limit_parse(limit, str_trim(value), slot, err);
}

enum code option_check_limits(const struct options *options, struct err *err)
{
    struct grpc_limits grpc = options->grpc_limits;

    limits_fill(grpc_limit_table, GRPC_LIMITS, &grpc);
    if (options->grpc_limits.unfinished && grpc.unfinished < grpc.message)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "limit 'unfinished' is below 'message': the largest could not get through");
    if (options->grpc_limits.unfinished_total && grpc.unfinished_total < grpc.message)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "limit 'unfinished-total' is below 'message': the largest could not get through");
    return CODE_OK;
}

static void print(const struct limit *table, size_t len)
{
    char text[LIMIT_TEXT_MAX];

    for (size_t i = 0; i < len; i++) {
        limit_format(&table[i], table[i].otherwise, text);
        printf("        %-23s %9s%s  %s\n", table[i].name, text,
               table[i].unit == LIMIT_PER_SECOND ? "/s" : "  ", table[i].help);
    }
}

void option_print_limits(void)
{
    print(grpc_limit_table, GRPC_LIMITS);
    print(serve_limit_table, SERVE_LIMITS);
}
