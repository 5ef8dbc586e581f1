/*
 * All services at one moment: an immutable root over 256 immutable leaves, shared between versions.
 *
 * A new version copies the root and the touched leaves; equal pointers mean unchanged, so comparing two versions costs O(changed).
 *
 * Threads: a finished catalog may be read, referenced and released by any thread. An edit belongs to one thread.
 */
#ifndef MODEL_CATALOG_H
#define MODEL_CATALOG_H

#include "model/pairs.h"
#include "model/service.h"

#define CATALOG_LEAVES 256

struct catalog;
struct catalog_edit;

const struct catalog *catalog_new_empty(void) must_check;
const struct catalog *catalog_ref(const struct catalog *catalog);
void catalog_unref(const struct catalog *catalog);
uint64_t catalog_generation(const struct catalog *catalog); /* 1, 2, ... */
size_t catalog_len(const struct catalog *catalog);
/* Borrowed from the catalog; NULL: no such Service. */
const struct service *catalog_find(const struct catalog *catalog, struct str namespace_name, struct str name);
/* In order of (leaf, namespace, name): stable, not alphabetical. */
void catalog_each(const struct catalog *catalog, void (*visit)(void *ctx, const struct service *service), void *ctx);

/* The zone of a node, as its Node object says; empty: unknown. */
struct str catalog_node_zone(const struct catalog *catalog, struct str node);
/* Nothing has changed that is known of nodes: O(1). Either catalog may be NULL (empty). */
bool catalog_same_nodes(const struct catalog *a, const struct catalog *b);

/* Who owns a host name beyond the names of Services (LookasideService.spec.hosts): "namespace/name" of the Service; empty: nobody does.
 * `host` is in lower case, without trailing dot. */
struct str catalog_host(const struct catalog *catalog, struct str host);
/* Nothing has changed that is known of hosts: O(1). Either catalog may be NULL (empty). */
bool catalog_same_hosts(const struct catalog *a, const struct catalog *b);
/* The hosts whose owner differs. Either catalog may be NULL (empty). */
void catalog_diff_hosts(const struct catalog *a, const struct catalog *b, void (*visit)(void *ctx, struct str host), void *ctx);

/* ---- the next version ---- */

struct catalog_edit *catalog_edit_new(const struct catalog *base) must_check; /* takes a reference on base */
/* Takes over the caller's reference; replaces the service of the same name. */
void catalog_put(struct catalog_edit *edit, const struct service *service);
void catalog_remove(struct catalog_edit *edit, struct str namespace_name, struct str name);
/* Replaces what is known of nodes: their zones. Borrowed during the call. */
void catalog_set_nodes(struct catalog_edit *edit, const struct pair *nodes, size_t len);
/* Replaces what is known of hosts: their owners. Borrowed during the call. */
void catalog_set_hosts(struct catalog_edit *edit, const struct pair *hosts, size_t len);
/* Consumes the edit; one reference. Returns `base` itself (referenced) when nothing changed. */
const struct catalog *catalog_edit_finish(struct catalog_edit *edit) must_check;

/* Visits what differs: before == NULL: new, after == NULL: gone. Either catalog may be NULL (empty). */
void catalog_diff(const struct catalog *before, const struct catalog *after,
                  void (*visit)(void *ctx, const struct service *before, const struct service *after), void *ctx);

#endif
