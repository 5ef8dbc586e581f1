/*
 * Which service account's pod has an address: an immutable root over 256 immutable leaves, shared between versions, as a catalog's
 * are. An address that several pods have is nobody's.
 *
 * Threads: a finished table may be read, referenced and released by any thread. An edit belongs to one thread.
 * Limits:  24 bytes for each address of each pod; accounts are shared.
 */
#ifndef MODEL_POD_TABLE_H
#define MODEL_POD_TABLE_H

#include "base/blob.h"
#include "model/endpoint.h"

#define POD_TABLE_LEAVES 256

/* IPv4 as ::ffff:a.b.c.d. */
struct pod_address {
    unsigned char bytes[16];
};

/* `bytes` in network order, four or sixteen of them. */
struct pod_address pod_address_of(enum address_family family, const unsigned char *bytes);
/* False: it is none, or one that is no pod's own: the unspecified one, loopback, link-local, multicast. */
bool pod_address_parse(struct str text, struct pod_address *ret_address) must_check;

struct pod_table;
struct pod_edit;

const struct pod_table *pod_table_new_empty(void) must_check;
const struct pod_table *pod_table_ref(const struct pod_table *table);
void pod_table_unref(const struct pod_table *table); /* NULL is fine */
size_t pod_table_len(const struct pod_table *table);     /* addresses, of all pods */
size_t pod_table_clashes(const struct pod_table *table); /* of these, those that are not the first of their kind */

enum pod_owner { POD_OWNER_NONE, POD_OWNER_ONE, POD_OWNER_SEVERAL };
/* ONE: *ret_account is "NAMESPACE/NAME", borrowed from the table. */
enum pod_owner pod_table_find(const struct pod_table *table, const struct pod_address *address,
                              struct str *ret_account);

/* ---- the next version ---- */

struct pod_edit *pod_edit_new(const struct pod_table *base) must_check; /* takes a reference on base */
/* A pod of that account ("NAMESPACE/NAME"; a reference is taken) has the address. False: another one has it, too. */
bool pod_edit_add(struct pod_edit *edit, const struct pod_address *address, struct blob *account);
/* One that was added with the same `account` has it no more. */
void pod_edit_remove(struct pod_edit *edit, const struct pod_address *address, const struct blob *account);
/* Consumes the edit; one reference. */
const struct pod_table *pod_edit_finish(struct pod_edit *edit) must_check;

/* Visits each address whose account is another one, or none any more, or one now. */
void pod_table_diff(const struct pod_table *before, const struct pod_table *after,
                    void (*visit)(void *ctx, const struct pod_address *address), void *ctx);

#endif
