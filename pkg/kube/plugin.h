/*
 * A run of a credential plugin.
 *
 * Threads: the loop's, which it does not keep waiting. It has PLUGIN_TIMEOUT_MS and may print PLUGIN_OUTPUT_MAX bytes.
 * Errors:  name the command and quote the last line that it wrote to standard error.
 */
#ifndef KUBE_PLUGIN_H
#define KUBE_PLUGIN_H

#include "kube/exec_credential.h"
#include "loop/loop.h"

#define PLUGIN_TIMEOUT_MS 60000
#define PLUGIN_OUTPUT_MAX (1024 * 1024)

struct plugin;

struct plugin_options {
    const struct kube_config *config; /* has an exec entry; borrowed */
    struct str ca;                    /* PEM, or empty; borrowed for the call */
    /* Once, unless freed before: either a credential, the callee's to keep, or an error. The plugin may be freed inside. */
    void (*on_done)(void *ctx, struct exec_credential *credential, const struct err *err);
    void *ctx;
};

/* UNAUTHENTICATED: it cannot be run. */
enum code plugin_start(struct loop *loop, const struct plugin_options *options, struct plugin **ret_plugin, struct err *err) must_check;
/* Ends it. NULL is fine. */
void plugin_free(struct plugin *plugin);

#endif
