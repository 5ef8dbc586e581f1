/* The settings of what LookasideServices may do. */
#include "model/name.h"
#include "options_internal.h"

enum code option_set_publish(struct options *options, struct str value, struct err *err)
{
    static const char *const modes[] = {
        [PUBLISH_ALL] = "all",
        [PUBLISH_ANNOTATED] = "annotated",
        [PUBLISH_RESOURCES] = "resources",
    };

    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (!str_eq(value, str_of(modes[i])))
            continue;
        options->publish = (enum publish_mode)i;
        return CODE_OK;
    }
    return fail(err, CODE_INVALID_ARGUMENT, "expected all, annotated or resources");
}

static enum code add_suffix(struct options *options, struct str value, struct err *err)
{
    if (name_count_labels(value) < 2) /* one could not be told from a namespace */
        return fail(err, CODE_INVALID_ARGUMENT,
                    "'%" STR_FMT "' is no domain in lower case of two labels or more, such as "
                    "example.com",
                    STR_ARG(value));
    if (options->host_suffixes.len == OPTIONS_SUFFIXES_MAX)
        return fail(err, CODE_INVALID_ARGUMENT, "more than %d suffixes", OPTIONS_SUFFIXES_MAX);
    option_add(&options->host_suffixes, value);
    return CODE_OK;
}

enum code option_add_host_suffixes(struct options *options, struct str value, struct err *err)
{
    return option_add_each(options, value, add_suffix, err);
}

/* The one is the other, or lies below it. */
static bool is_below(struct str domain, struct str other)
{
    return str_eq(domain, other) || (domain.len > other.len && str_ends_with(domain, other) &&
                                     domain.ptr[domain.len - other.len - 1] == '.');
}

enum code option_check_suffixes(const struct options *options, struct err *err)
{
    struct str domain = str_of(options->cluster_domain ? options->cluster_domain : "cluster.local");

    for (size_t i = 0; i < options->host_suffixes.len; i++) {
        struct str suffix = str_of(options->host_suffixes.items[i]);

        if (is_below(suffix, STR("svc")))
            return fail(err, CODE_INVALID_ARGUMENT,
                        "--host-suffixes: '%" STR_FMT "' ends in svc, as the names of Services do",
                        STR_ARG(suffix));
        if (is_below(suffix, domain) || is_below(domain, suffix))
            return fail(err, CODE_INVALID_ARGUMENT,
                        "--host-suffixes: '%" STR_FMT "' overlaps the cluster domain %" STR_FMT
                        ", below which the names of Services are",
                        STR_ARG(suffix), STR_ARG(domain));
    }
    return CODE_OK;
}
