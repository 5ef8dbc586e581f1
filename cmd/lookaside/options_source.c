/* The settings of where objects are read from, and which. */
#include "options_internal.h"

enum code option_set_kubeconfig(struct options *options, struct str value,
                                struct err *err unused_arg)
{
    option_replace(&options->kubeconfig, value);
    return CODE_OK;
}

enum code option_set_context(struct options *options, struct str value, struct err *err unused_arg)
{
    option_replace(&options->context, value);
    return CODE_OK;
}

enum code option_set_directory(struct options *options, struct str value,
                               struct err *err unused_arg)
{
    option_replace(&options->directory, value);
    return CODE_OK;
}

static bool text_list_holds(const struct text_list *list, struct str value)
{
    for (size_t i = 0; i < list->len; i++)
        if (str_eq(str_of(list->items[i]), value))
            return true;
    return false;
}

static enum code add_namespace(struct options *options, struct str value, struct err *err)
{
    enum code code = option_check_namespace(value, err);

    if (code != CODE_OK || text_list_holds(&options->namespaces, value))
        return code;
    if (options->namespaces.len == OPTIONS_NAMESPACES_MAX)
        return fail(err, CODE_INVALID_ARGUMENT, "more than %d namespaces", OPTIONS_NAMESPACES_MAX);
    option_add(&options->namespaces, value);
    return CODE_OK;
}

/* None would mean all, which nobody asks for by an empty text. */
enum code option_add_namespaces(struct options *options, struct str value, struct err *err)
{
    return option_add_each(options, value, add_namespace, err);
}

enum code option_set_source(struct options *options, struct str value, struct err *err)
{
    options->endpoints = str_eq(value, STR("endpoints"));
    if (!options->endpoints && !str_eq(value, STR("slices")))
        return fail(err, CODE_INVALID_ARGUMENT, "expected slices or endpoints");
    return CODE_OK;
}

enum code option_set_nodes(struct options *options, struct str value, struct err *err)
{
    return option_read_switch(value, &options->nodes, err);
}

enum code option_check_source(const struct options *options, struct err *err)
{
    if (options->kubeconfig && options->directory)
        return fail(err, CODE_INVALID_ARGUMENT, "--kubeconfig and --directory exclude each other");
    if (options->context && !options->kubeconfig)
        return fail(err, CODE_INVALID_ARGUMENT, "--context needs --kubeconfig");
    if (options->namespaces.len && options->directory)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "--namespaces and --directory exclude each other: a directory is read whole");
    if (options->endpoints && options->directory)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "--source endpoints and --directory exclude each other: a directory is read "
                    "for EndpointSlices");
    if (options->nodes && options->directory)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "--nodes and --directory exclude each other: a directory is read whole");
    return CODE_OK;
}
