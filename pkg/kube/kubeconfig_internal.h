/*
 * What the readers of the parts of a kubeconfig share; nobody else includes it.
 */
#ifndef KUBE_KUBECONFIG_INTERNAL_H
#define KUBE_KUBECONFIG_INTERNAL_H

#include "base/json.h"
#include "kube/config.h"

/* One entry of clusters:, users: or contexts:, and how messages call it: "users[admin].user". */
struct entry {
    const struct json *body;
    char where[192];
};

/* *ret_text stays NULL when the field is absent or empty, as kubectl reads it. */
enum code entry_text(const struct entry *entry, const char *key, char **ret_text,
                     struct err *err) must_check;

/* The user's credential plugin; *ret_exec stays NULL if there is none. What the cluster's entry has for it goes with it. */
enum code kubeconfig_exec_read(const struct entry *user, const struct entry *cluster,
                               const char *folder, struct kube_exec **ret_exec,
                               struct err *err) must_check;

#endif
