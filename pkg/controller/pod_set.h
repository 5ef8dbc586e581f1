/*
 * Pods by name, with what identifies their clients: their service account and their addresses.
 *
 * Threads: one.
 * Limits:  some 30 bytes for each pod, 16 for each of its addresses, and its name; namespace and account are shared.
 */
#ifndef CONTROLLER_POD_SET_H
#define CONTROLLER_POD_SET_H

#include "model/pod_table.h"

/* Shared by its pods. */
struct pod_account {
    struct blob *text; /* "NAMESPACE/NAME" */
    size_t namespace_len;
};

struct pod {
    struct pod_account *account;
    uint32_t hash; /* of namespace and name */
    uint8_t len;   /* of `addresses` */
    uint8_t name_len;
    struct pod_address addresses[]; /* the name lies behind them */
};

/* {0} is empty. */
struct pod_set {
    struct pod **slots; /* NULL: free */
    size_t len, cap;    /* cap: a power of two, or 0 */
};

/* For this set or another one. `name` has at most 255 bytes. */
struct pod *pod_new(struct pod_account *account, struct str name, const struct pod_address *addresses,
                    size_t len) must_check;
struct str pod_namespace(const struct pod *pod);
struct str pod_name(const struct pod *pod);
/* They identify the same. */
bool pod_equal(const struct pod *a, const struct pod *b);

/* NULL: there is none. */
struct pod *pod_set_find(const struct pod_set *set, struct str namespace_name, struct str name);
/* Takes over the pod, of whose name there is none in the set. */
void pod_set_put(struct pod_set *set, struct pod *pod);
/* Out of the set, and the caller's. NULL: there is none. */
struct pod *pod_set_take(struct pod_set *set, struct str namespace_name, struct str name);
/* The pods must have been freed. */
void pod_set_done(struct pod_set *set);

#endif
